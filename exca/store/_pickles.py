"""Pickles, the last resort: only read back if nobody else could have written them."""

from __future__ import annotations

import importlib
import io
import pickle
import stat
import sys
import types
from pathlib import Path
from typing import Any

from exca.errors import CorruptResult, UntrustedResult
from exca.main_module import main_name
from exca.store._files import Permissions
from exca.trust import find_open_door

__all__ = ["check_trust", "dump_pickle", "load_pickle"]

_SPAWNED_MAIN = "__mp_main__"  # what multiprocessing calls the script in processes that it does not fork


def dump_pickle(value: object) -> bytes:
    """Pickle a value so that classes of the running script are found again by running or by importing that script.

    Raises
    ------
    Exception
        whatever the value's own pickling raises.
    """
    import cloudpickle

    class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def reducer_override(self, obj: Any) -> Any:
            if isinstance(obj, io.TextIOWrapper) and obj not in (sys.stdout, sys.stderr):
                raise TypeError(f"{obj!r} is an open file")  # cloudpickle would make it a StringIO
            if _is_of_script(obj):
                return find_in_main, (main_name(), obj.__qualname__)
            return super().reducer_override(obj)

    buffer = io.BytesIO()
    _Pickler(buffer, protocol=5).dump(value)
    return buffer.getvalue()


def load_pickle(content: bytes, origin: Path) -> Any:
    """Unpickle; the caller has called `check_trust` on the file.

    Raises
    ------
    CorruptResult
        if the bytes do not unpickle here, with the reason (often a module that is missing or has changed).
    """
    try:
        return pickle.loads(content)
    except Exception as error:
        raise CorruptResult(
            f"{origin} does not unpickle: {type(error).__name__}: {error}. Its classes must be importable as they "
            "were; or recompute with mode='force'."
        ) from error


def check_trust(path: Path, permissions: Permissions, *, what: str = "is a pickle") -> None:
    """Refuse a pickle that any user could have put there, since reading one can run any code.

    Parameters
    ----------
    path: the file.
    permissions: what was asked for the files of the store.
    what: what about the file makes loading it run code, for the message.

    Raises
    ------
    UntrustedResult
        if the file or its folder is writable for everybody, unless ``permissions`` asked for that.
    """
    if permissions is not None and permissions & stat.S_IWOTH:
        return
    open_door = find_open_door(path)
    if open_door:
        raise UntrustedResult(
            f"{path} {what}, and {open_door}; loading it could run anybody's code. If you trust it, run chmod o-w on "
            "it, or set the infra's permissions to a mode that lets others write."
        )


def _is_of_script(obj: Any) -> bool:
    """Whether an object is to be named by the script; of functions, cloudpickle takes those of ``__main__`` along."""
    if isinstance(obj, type):
        named = obj.__module__ in ("__main__", _SPAWNED_MAIN)
    else:
        named = isinstance(obj, types.FunctionType) and obj.__module__ == _SPAWNED_MAIN
    return named and "<" not in obj.__qualname__  # <locals>, <lambda>


def find_in_main(module: str, qualname: str) -> Any:
    """Find a class of the script that is being run, or import the script under its own name."""
    holder: Any = sys.modules["__main__"] if main_name() == module else importlib.import_module(module)
    for part in qualname.split("."):
        holder = getattr(holder, part)
    return holder
