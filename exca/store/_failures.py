"""Failures as stored results: an exception to data, and data back to an exception that can be raised."""

from __future__ import annotations

import base64
import builtins
import pickle
from pathlib import Path
from typing import Any

from exca.errors import JobFailed
from exca.raised import describe, rebuild, text_of
from exca.store._pickles import check_trust, dump_pickle
from exca.store._values import NoBlobs, NotSafelyStorable, decode, encode

__all__ = ["describe_error", "rebuild_error"]

_NOT_BULK = NoBlobs()  # exception arguments that need files of their own are pickled instead


def describe_error(error: BaseException) -> dict[str, Any]:
    """Plain data for an exception: type, message, traceback, notes, and what rebuilds it, where something does."""
    arguments = _builtin_arguments(error)
    account = describe(error, dump_pickle if arguments is None else None)
    described: dict[str, Any] = {
        "type": account.type,
        "message": account.message,
        "traceback": account.traceback,
        "notes": list(getattr(error, "__notes__", ())),
    }
    if arguments is not None:
        described["args"] = arguments
    elif account.pickled is not None:
        described["pickle"] = base64.b64encode(account.pickled).decode()
    return described


def rebuild_error(described: dict[str, Any], origin: Path | None, permissions: int | None) -> BaseException:
    """An exception to raise: of the stored type where it can be rebuilt here, else `JobFailed` with its text.

    Parameters
    ----------
    described: what `describe_error` gave.
    origin: the file it was read from, None if from none; a pickle inside is only used if that file is trusted.
    permissions: the permissions asked for the store, see `check_trust`.
    """
    error = _from_arguments(described)
    if error is None and "pickle" in described:
        if origin is not None:
            check_trust(origin, permissions)
        error = _from_pickle(described)
    if error is None:
        error = JobFailed(f"{described['type']}: {described['message']}")
    for note in described.get("notes", ()):
        if note not in getattr(error, "__notes__", ()):
            error.add_note(note)
    return error


def _builtin_arguments(error: BaseException) -> Any:
    """The arguments of a builtin exception, if they rebuild the same one without a pickle; None otherwise."""
    kind = type(error)
    extra = set(getattr(error, "__dict__", {})) - {"__notes__"}
    if extra or getattr(builtins, kind.__name__, None) is not kind or not isinstance(error, Exception):
        return None
    try:
        arguments = encode(list(error.args), _NOT_BULK)
        same = kind(*error.args)
    except (NotSafelyStorable, TypeError):
        return None
    return arguments if text_of(same) == text_of(error) else None


def _from_arguments(described: dict[str, Any]) -> BaseException | None:
    kind = getattr(builtins, described["type"].removeprefix("builtins."), None)
    if "args" not in described or not isinstance(kind, type) or not issubclass(kind, Exception):
        return None
    return kind(*decode(described["args"], _NOT_BULK))


def _from_pickle(described: dict[str, Any]) -> BaseException | None:
    try:
        return rebuild(pickle.loads(base64.b64decode(described["pickle"])))
    except Exception:  # its class is not importable here: the text is used instead
        return None
