"""Single values as YAML can hold them, such that validating the text gives the value back."""

from __future__ import annotations

import collections
import datetime
import enum
import pathlib
import re
from typing import Any

from exca.errors import UnstableIdentity

from ._arrays import is_dtype
from ._names import class_path, import_path, is_importable
from ._objects import is_secret

_MASK = "**********"
_MAX_LISTED = 1_000  # elements of an array that are still worth reading in a config file
_FLAGS = ((re.IGNORECASE, "i"), (re.MULTILINE, "m"), (re.DOTALL, "s"), (re.VERBOSE, "x"), (re.ASCII, "a"))
_WRITTEN = (complex, range, slice)  # types that only define __repr__, and one that says all
_SIMPLE = (type(None), bool, int, float, str, bytes)


def is_simple(value: object) -> bool:
    """Whether YAML has this very type."""
    return type(value) in _SIMPLE


def is_array(value: object) -> bool:
    """Whether it is an array, tensor or table rather than one number."""
    parts = ("shape", "T", "__len__")  # numbers have no length, and a dtype cannot be transposed
    return all(hasattr(type(value), part) for part in parts)


def plain_items(value: object) -> list[object] | None:
    """The items of a sequence that is no list or tuple itself, else None."""
    if isinstance(value, list | tuple | collections.deque):
        return list(value)
    return None


def plain_scalar(value: object) -> object:
    """A value without parts as one of YAML's types; an array as (nested) lists if it is small.

    Returns
    -------
    object
        None, bool, int, float, str, bytes, a list of these; NotImplemented for what has no plain form.
    """
    if is_secret(value):
        return _MASK
    if isinstance(value, enum.Enum):
        return plain_scalar(value.value)
    for base in (bool, int, float, str, bytes):
        if isinstance(value, base):
            return value if type(value) is base else _of_base(value, base)
    if value is None:
        return None
    if isinstance(value, bytearray):
        return bytes(value)
    if is_importable(value):
        return _path_text(value)
    return _text(value)


def _of_base(value: Any, base: type) -> object:
    """The exact builtin inside an instance of a subclass, whatever the subclass overrides."""
    if base is str:
        return str.__str__(value)
    if base is bytes:
        return bytes(memoryview(value))
    return int.__index__(value) if base is int else float.__float__(value)


def _path_text(value: object) -> str:
    try:
        return import_path(value)
    except UnstableIdentity:  # a lambda in a field without identity: worth seeing, not worth an error
        return f"<{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__name__)}>"


def _text(value: object) -> object:
    if isinstance(value, pathlib.PurePath):
        return value.as_posix()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return _duration(value)
    if isinstance(value, re.Pattern):
        return _pattern(value)
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return _numpy(value)
    if is_array(value):
        return NotImplemented
    written = isinstance(value, _WRITTEN) or is_dtype(value) or type(value).__str__ is not object.__str__
    return str(value) if written else NotImplemented


def _duration(value: datetime.timedelta) -> str:
    """ISO 8601 duration, exact to the microsecond."""
    sign = "-" if value < datetime.timedelta() else ""
    value = abs(value)
    return f"{sign}P{value.days}DT{value.seconds}.{value.microseconds:06d}S"


def _pattern(value: re.Pattern[Any]) -> object:
    if isinstance(value.pattern, bytes):
        return value.pattern
    flags = "".join(letter for flag, letter in _FLAGS if value.flags & flag)
    return f"(?{flags}){value.pattern}" if flags else value.pattern


def _numpy(value: Any) -> object:
    """A numpy scalar, or nested lists of a small array; dates and complex numbers as text."""
    if value.dtype.kind in "mMc":
        value = value.astype(str)
    if value.size <= _MAX_LISTED and value.dtype.kind in "biufUS" and value.dtype.char != "g":
        return value.tolist()
    return NotImplemented if is_array(value) else str(value)


def array_text(value: Any, digest: str) -> str:
    """Type, shape and hash of an array or table: ``array(float64, 3x4, 0123456789abcdef)``."""
    dtype = getattr(value, "dtype", None)
    shape = "x".join(map(str, getattr(value, "shape", ())))
    details = [str(getattr(dtype, "name", dtype))] if dtype is not None else []
    return f"{class_path(type(value)).rpartition('.')[2]}({', '.join([*details, shape, digest[:16]])})"
