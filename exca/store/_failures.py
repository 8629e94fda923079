"""Failures as stored results: an exception to data, and data back to an exception that can be raised."""

from __future__ import annotations

import base64
import builtins
import copy
import pickle
import traceback
from pathlib import Path
from typing import Any

from exca.errors import JobFailed
from exca.store._pickles import check_trust, dump_pickle
from exca.store._values import NoBlobs, NotSafelyStorable, decode, encode

__all__ = ["describe_error", "rebuild_error"]

_NOT_BULK = NoBlobs()  # exception arguments that need files of their own are pickled instead


def describe_error(error: BaseException) -> dict[str, Any]:
    """Plain data for an exception: type, message, traceback, and, where they survive the trip, its arguments."""
    described = {
        "type": f"{type(error).__module__}.{type(error).__qualname__}",
        "message": _text(error),
        "traceback": "".join(traceback.format_exception(error)),
        "notes": list(getattr(error, "__notes__", ())),
    }
    arguments = _builtin_arguments(error)
    if arguments is not None:
        described["args"] = arguments
    else:
        pickled = _pickled(error)
        if pickled is not None:
            described["pickle"] = base64.b64encode(pickled).decode()
    return described


def rebuild_error(described: dict[str, Any], origin: Path, permissions: int | None) -> BaseException:
    """An exception to raise: of the stored type where it can be rebuilt here, else `JobFailed` with its text.

    Parameters
    ----------
    described: what `describe_error` gave.
    origin: the file it was read from; a pickle inside is only used if that file is trusted.
    permissions: the permissions asked for the store, see `check_trust`.
    """
    error = _from_arguments(described)
    if error is None and "pickle" in described:
        check_trust(origin, permissions)
        error = _from_pickle(described)
    if error is None:
        error = JobFailed(f"{described['type']}: {described['message']}")
    for note in described.get("notes", ()):
        if note not in getattr(error, "__notes__", ()):
            error.add_note(note)
    return error


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:  # the user's own __str__
        return f"<its message cannot be shown: {broken!r}>"


def _builtin_arguments(error: BaseException) -> Any:
    """The arguments of a builtin exception, if they rebuild the same one; None otherwise."""
    kind = type(error)
    extra = set(getattr(error, "__dict__", {})) - {"__notes__"}
    if extra or getattr(builtins, kind.__name__, None) is not kind:
        return None
    try:
        arguments = encode(list(error.args), _NOT_BULK)
        same = kind(*error.args)
    except (NotSafelyStorable, TypeError):
        return None
    return arguments if _text(same) == _text(error) else None


def _from_arguments(described: dict[str, Any]) -> BaseException | None:
    module, _, name = described["type"].rpartition(".")
    kind = getattr(builtins, name, None)
    if module != "builtins" or "args" not in described or not isinstance(kind, type):
        return None
    if not issubclass(kind, BaseException):
        return None
    return kind(*decode(described["args"], _NOT_BULK))


def _pickled(error: BaseException) -> bytes | None:
    """The pickle of an exception, if it survives the round trip; many do not."""
    try:
        content = dump_pickle(error)
        # The same reconstruction as unpickling, without the look-up of the class, which a worker may not be able to do
        # for a class of the submitting script.
        same = copy.copy(error)
    except Exception:  # user-defined pickling can raise anything; the text is stored all the same
        return None
    return content if type(same) is type(error) and _text(same) == _text(error) else None


def _from_pickle(described: dict[str, Any]) -> BaseException | None:
    try:
        error = pickle.loads(base64.b64decode(described["pickle"]))
    except Exception:  # its class is not importable here: the text is used instead
        return None
    return error if isinstance(error, BaseException) else None
