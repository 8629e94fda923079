"""What a call returned or raised, as bytes."""

from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Callable
from typing import Any

from exca import raised
from exca.by_value import dump_by_value
from exca.raised import Raised

__all__ = ["Raised", "describe", "dump", "load", "rebuild"]


def dump(value: object) -> bytes:
    """Pickle a value; what plain pickle cannot name (the classes of a script) goes by value."""
    try:
        return pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    except Exception:  # pickling runs the user's code, which raises what it likes; the other pickler has the last word
        return dump_by_value(value)


def load(pickled: bytes) -> object:
    """Load what `dump` wrote.

    A class of the running script that comes home by value is the script's own, and stays as it is: cloudpickle alone
    would give it the functions that came along, with the globals they had when they left.
    """
    return _Unpickler(io.BytesIO(pickled)).load()


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        found = super().find_class(module, name)
        is_setter = name == "_class_setstate" and module.startswith("cloudpickle")
        return _sparing_own(found) if is_setter else found


def _sparing_own(set_state: Callable[[type, object], object]) -> Callable[[type, object], object]:
    def set_state_of_strangers(kind: type, state: object) -> object:
        own: object = sys.modules.get(kind.__module__)
        for name in kind.__qualname__.split("."):
            own = getattr(own, name, None)
        return kind if own is kind else set_state(kind, state)

    return set_state_of_strangers


def describe(error: BaseException) -> Raised:
    """Account for an exception, with a pickle of it if that gives the same exception again."""
    return raised.describe(error, dump)


def rebuild(pickled: bytes) -> BaseException:
    """Build the exception of an account again.

    Raises
    ------
    Exception: whatever unpickling raises, for instance where the module of the class does not exist.
    """
    return raised.rebuild(load(pickled))
