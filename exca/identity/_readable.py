"""The part of a uid that people read: what differs from the defaults, as a file name."""

from __future__ import annotations

import datetime
import enum
import functools
import itertools
import pathlib
import re
import typing
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from ._arrays import is_dtype
from ._encoding import LEAVES
from ._file_names import HASH_CHARS, MAX_BYTES, UNSAFE
from ._objects import is_secret, is_url

# Key under which a shown model carries its class.
CLASS = "=class="

_ROOM = MAX_BYTES - HASH_CHARS - 1
_WIDTHS = (48, 32, 24, 16, 12, 8)
_MAX_PIECES = 64
_MAX_ITEMS = 16
_PASSWORD = re.compile(r"//[^/]*@")
_MAX_EXACT_INT = 10 ** _WIDTHS[0]

_Piece: TypeAlias = tuple[str, str]


def folder_name(shown: Mapping[str, object], digest: str) -> str:
    """Name of the folder of one config: ``default``, or ``key=value,key=value-<hash>``.

    Parameters
    ----------
    shown: mapping
        values that differ from the defaults, nested.
    digest: str
        hex digest of the canonical bytes; its first 80 bits make the name unique.

    Returns
    -------
    str
        at most 200 bytes of ``[A-Za-z0-9._=,+-]``, beginning with neither ``.`` nor ``-``. Where it would be
        longer, long values are shortened first, then the last pairs are left out (``,...``).
    """
    if not shown:
        return "default"
    pieces: list[_Piece] = []
    _flatten("", shown, pieces)
    readable = ",".join([f"{key}={value}" for key, value in pieces])
    if len(readable) > _ROOM or len(pieces) > _MAX_PIECES:
        readable = _fit(pieces)
    return f"{readable.lstrip('.-')}-{digest[:HASH_CHARS]}"


def _fit(pieces: list[_Piece]) -> str:
    """Shorten long values as far as needed, then leave out the last pairs."""
    lengths = [len(value) for _, value in pieces]
    others = sum([len(key) + len("=,") for key, _ in pieces]) - 1
    for width in _WIDTHS:
        if others + sum([length if length < width else width for length in lengths]) <= _ROOM:
            break
    readable = ",".join([f"{key}={_shorten(value, width)}" for key, value in pieces])
    if len(readable) <= _ROOM and len(pieces) <= _MAX_PIECES:
        return readable
    whole = readable[: _ROOM - 4].rpartition(",")[0]
    return f"{whole},..." if whole else readable[:_ROOM]


def _shorten(value: str, width: int) -> str:
    return value if len(value) <= width else f"{value[: width - 2]}.."


def _flatten(prefix: str, value: object, pieces: list[_Piece]) -> None:
    """Collect pairs of dotted key and text; lists of numbers or texts stay together."""
    if isinstance(value, dict) and value:
        items: Iterable[tuple[object, object]] = value.items()
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value[:_MAX_ITEMS]):
        items = enumerate(value)
    else:
        pieces.append((prefix, _safe_text(value)))
        return
    stem = f"{prefix}." if prefix else ""
    for key, item in items:
        if len(pieces) > _MAX_PIECES:
            return
        if key == CLASS:
            pieces.append((prefix, _safe_text(item)))
            continue
        name = stem + _safe_text(key)
        if type(item) in LEAVES:  # most are
            pieces.append((name, _safe_text(item)))
        else:
            _flatten(name, item, pieces)


def _safe_text(value: object) -> str:
    return _safe(_text(value))


@functools.lru_cache(maxsize=4096)  # of keys, which are the same in every config of a class, and of usual values
def _safe(text: str) -> str:
    if len(text) > _WIDTHS[0]:
        text = _shorten(text, _WIDTHS[0])
    return UNSAFE.sub("_", text)


def _text(value: object) -> str:
    """Short text of a value: the same for all values of one encoding, and never a memory address."""
    if type(value) is str:
        return value
    if isinstance(value, enum.Enum):
        return str(value.value) if isinstance(value, enum.Flag) else value.name
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bool | None):
        return str(value)
    if isinstance(value, float):
        return float.__repr__(value)
    if isinstance(value, int):
        return int.__repr__(value) if abs(value) < _MAX_EXACT_INT else f"{value:x}"
    if isinstance(value, list | dict):
        return "+".join(_text(item) for item in itertools.islice(value, _MAX_ITEMS)) or "empty"
    return _text_of_object(value)


def _text_of_object(value: object) -> str:
    cls = type(value)
    if isinstance(value, pathlib.PurePath):
        return "/".join(value.as_posix().split("/")[-2:])  # the end of a path says most
    if isinstance(value, bytes):
        return value[: _WIDTHS[0]].hex()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, re.Pattern):
        return str(value.pattern)
    if is_secret(value):
        return "secret"
    if is_url(value):
        return _PASSWORD.sub("//", str(value))
    if typing.get_origin(value) is not None:
        return "type"
    name = getattr(value, "__name__", None)  # of a class, function or module
    if isinstance(name, str):
        return name.rpartition(".")[2]
    if cls in LEAVES or (cls.__module__ == "numpy" and getattr(value, "shape", None) == ()):
        return str(value)
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        dtype = getattr(value.dtype, "name", value.dtype)
        return f"{dtype}-{'x'.join(map(str, value.shape))}"
    return str(value) if is_dtype(value) else cls.__name__
