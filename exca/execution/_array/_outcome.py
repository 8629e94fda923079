"""What a call returned or raised, as bytes."""

from __future__ import annotations

import io
import pickle
import sys
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

from exca.by_value import dump_by_value

__all__ = ["Raised", "describe", "dump", "load", "rebuild"]


class Raised(NamedTuple):
    """The account of an exception, readable where its class is not."""

    type: str  # qualified name of the class
    message: str
    traceback: str  # with causes and contexts, as Python prints it
    pickled: bytes | None  # see `rebuild`; None if the exception cannot be rebuilt

    def one_line(self) -> str:
        return f"{self.type}: {self.message}" if self.message else self.type


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
    """Account for an exception, with a pickle of it if loading that pickle gives the same exception again."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    try:
        message = str(error)
    except Exception as problem:  # __str__ is the user's code
        message = f"<its __str__ raised {type(problem).__name__}>"
    return Raised(name, message, "".join(traceback.format_exception(error)), _pickle(error, message))


def rebuild(pickled: bytes) -> BaseException:
    """Build the exception again.

    Raises
    ------
    Exception: whatever unpickling raises, for instance where the module of the class does not exist.
    """
    content = load(pickled)
    error = _assemble(*content) if isinstance(content, tuple) else content
    if not isinstance(error, BaseException):
        raise TypeError(f"an exception was stored, a {type(error).__name__} came back")
    return error


def _pickle(error: BaseException, message: str) -> bytes | None:
    if not isinstance(error, Exception):
        return None  # SystemExit and KeyboardInterrupt are about the process they were raised in
    # Pickle calls the class with `args`, which fails for a constructor that takes others: the parts always fit.
    for content in (error, (type(error), error.args, error.__dict__)):
        try:
            pickled = dump(content)
            copy = rebuild(pickled)
            if type(copy) is type(error) and str(copy) == message:
                return pickled
        except Exception:  # all of this is the user's code; the next form, or the text, will do
            continue
    return None


def _assemble(kind: type[BaseException], args: tuple[object, ...], state: dict[str, object]) -> BaseException:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error
