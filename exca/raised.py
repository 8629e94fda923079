"""Exceptions on their way to another process: an account that can be read anywhere, and the exception built again."""

from __future__ import annotations

import io
import pickle
import traceback
import types
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["Raised", "describe", "rebuild", "text_of"]


class Raised(NamedTuple):
    """The account of an exception, readable where its class is not."""

    type: str  # qualified name of the class
    message: str
    traceback: str  # with causes and contexts, as Python prints it
    pickled: bytes | None  # what `rebuild` takes, pickled; None if the exception cannot be rebuilt

    def one_line(self) -> str:
        """Class and message."""
        return f"{self.type}: {self.message}" if self.message else self.type


def describe(error: BaseException, dump: Callable[[object], bytes] | None = None) -> Raised:
    """Account for an exception.

    Parameters
    ----------
    error: the exception.
    dump: pickles in the way of the caller, who will load it again; without it, the account has no pickle.

    Examples
    --------
    >>> describe(ValueError("too much")).one_line()
    'ValueError: too much'
    """
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    pickled = None if dump is None else _pickled(error, dump)
    return Raised(name, text_of(error), "".join(traceback.format_exception(error)), pickled)


def text_of(error: BaseException) -> str:
    """The message of an exception, whatever its class does to give it."""
    try:
        return str(error)
    except Exception as problem:  # __str__ is the user's code
        return f"<its __str__ raised {type(problem).__name__}>"


def rebuild(content: object) -> BaseException:
    """Build an exception again.

    Parameters
    ----------
    content: what the pickle of an account held.

    Raises
    ------
    Exception
        whatever the code of its class raises; TypeError if the content is no exception.
    """
    error = _assemble(*content) if isinstance(content, tuple) else content
    if not isinstance(error, BaseException):
        raise TypeError(f"an exception was stored, a {type(error).__name__} came back")
    return error


def _pickled(error: BaseException, dump: Callable[[object], bytes]) -> bytes | None:
    """A pickle whose content gives the same exception again; None if there is none."""
    if not isinstance(error, Exception):
        return None  # SystemExit and KeyboardInterrupt are about the process they were raised in
    # Pickle calls the class with `args`, which fails for a constructor that takes others: the parts always fit.
    for form in (_itself, _parts):
        try:
            content = form(error)
            copy = rebuild(_copied(content))
            if type(copy) is type(error) and str(copy) == str(error):
                return dump(content)
        except Exception:  # all of this is the user's code; the next form, or the text, will do
            continue
    return None


def _itself(error: BaseException) -> object:
    return error


def _parts(error: BaseException) -> tuple[Any, ...]:
    """Class, arguments of the builtin class it is made of, and perhaps attributes."""
    parts = _builtin_of(type(error)).__reduce__(error)
    assert isinstance(parts, tuple)
    return parts


def _assemble(kind: type[BaseException], args: tuple[Any, ...], *attributes: Any) -> BaseException:
    builtin = _builtin_of(kind)
    error = kind.__new__(kind, *args)
    builtin.__init__(error, *args)  # the class's own takes other arguments
    for state in attributes:
        builtin.__setstate__(error, state)
    return error


def _builtin_of(kind: type[BaseException]) -> type[BaseException]:
    return next(base for base in kind.__mro__ if base.__module__ == "builtins")


def _copied(content: object) -> object:
    """What comes out of a pickle of it where all classes, functions and modules can be found.

    They cannot be found everywhere: a worker knows no name for the classes of the script that submitted it.
    """
    pickler = _Pickler(buffer := io.BytesIO(), pickle.HIGHEST_PROTOCOL)
    pickler.dump(content)
    return _Unpickler(io.BytesIO(buffer.getvalue()), pickler.named).load()


class _Pickler(pickle.Pickler):
    def __init__(self, stream: io.BytesIO, protocol: int) -> None:
        super().__init__(stream, protocol)
        self.named: list[object] = []

    def persistent_id(self, obj: object) -> int | None:
        if not isinstance(obj, type | types.FunctionType | types.ModuleType):
            return None
        self.named.append(obj)
        return len(self.named) - 1


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: io.BytesIO, named: list[object]) -> None:
        super().__init__(stream)
        self._named = named

    def persistent_load(self, number: int) -> object:
        return self._named[number]
