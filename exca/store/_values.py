"""Values as JSON that reads back as the value that was written: same types, same bits.

Plain JSON types stand for themselves. Whatever JSON would change (a tuple, an int key, NaN, a date) becomes an object
with the single key ``"$"`` naming its type, and ``"v"`` its content. Bulk data (arrays, data frames, tensors) goes
where a `BlobWriter` puts it, which also decides on what has no form here. Nothing here runs code when it is read.
"""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import fractions
import math
import pathlib
import sys
import uuid
from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["BlobReader", "BlobWriter", "NoBlobs", "NotSafelyStorable", "decode", "encode", "is_immutable"]

Json = Any  # what the json module reads and writes


class NotSafelyStorable(TypeError):
    """The value, or something inside it, has no safe format; a pickle is the last resort."""


class BlobWriter(Protocol):
    """Where `encode` puts bulk data, and what is not for it to store."""

    def write(self, kind: str, value: Any) -> Json:
        """Store a value of that kind (``"array"``, ``"frame"``) and return what finds it again."""

    def override(self, value: Any) -> Json | None:
        """Return the data of a value that is not to be stored as usual; None for any other."""

    def fallback(self, value: Any, reason: NotSafelyStorable) -> Json:
        """Return the data of a value that has no form here, or raise the reason."""


class BlobReader(Protocol):
    """Where `decode` finds bulk data, and what the writer stored in ways of its own."""

    def read(self, kind: str, reference: Json) -> Any:
        """Load what `BlobWriter.write` returned that reference for."""

    def extension(self, tag: str, content: Json) -> Any:
        """Load what `BlobWriter.override` or `BlobWriter.fallback` stored; ValueError for any other tag."""


class NoBlobs:
    """Neither bulk data nor ways of its own: what is left goes into JSON text, whole."""

    def write(self, kind: str, _: Any) -> Json:
        # docstring inherited
        raise NotSafelyStorable(f"there is no place for bulk data ({kind}) here")

    def override(self, _: Any) -> Json | None:
        # docstring inherited
        return None

    def fallback(self, _: Any, reason: NotSafelyStorable) -> Json:
        # docstring inherited
        raise reason

    def read(self, kind: str, reference: Json) -> Any:
        # docstring inherited
        raise ValueError(f"there is no bulk data here, and the value refers to {kind} {reference!r}")

    def extension(self, tag: str, _: Json) -> Any:
        # docstring inherited
        raise ValueError(f"unknown type tag {tag!r} in a stored value: it was written by a newer version")


def encode(value: Any, blobs: BlobWriter) -> Json:
    """Turn a value into JSON data.

    Parameters
    ----------
    value: anything; containers are followed.
    blobs: takes arrays and data frames, and what has no exact, safe form here (a class instance, an object array).
    """
    kind: type[Any] = value.__class__
    if kind is str:
        return value if _is_text(value) else _tag("str", _raw_text(value))
    if kind in _PLAIN:
        return value
    if kind is int:
        return value if value.bit_length() <= _DECIMAL_BITS else _tag("int", hex(value))
    if kind is float:
        return value if math.isfinite(value) else _tag("float", repr(value))
    if kind is list:
        return [encode(item, blobs) for item in value]
    if kind is dict:
        return _encode_dict(value, blobs)
    sequence = _SEQUENCES.get(kind)
    if sequence is not None:
        return _tag(sequence, [encode(item, blobs) for item in value])
    try:
        simple = _SIMPLE.get(kind)
        return _tag(simple[0], simple[1](value)) if simple is not None else _encode_foreign(value, blobs)
    except NotSafelyStorable as reason:
        return blobs.fallback(value, reason)


def decode(data: Json, blobs: BlobReader) -> Any:
    """Turn the JSON data of `encode` back into the value.

    Raises
    ------
    ValueError
        if the data was not written by `encode`.
    """
    if type(data) is list:
        return [item if type(item) in _ATOMS else decode(item, blobs) for item in data]
    if type(data) is not dict:
        return data
    if "$" not in data:
        return {key: item if type(item) in _ATOMS else decode(item, blobs) for key, item in data.items()}
    tag: Any = data["$"]
    content: Any = data.get("v")
    if tag in _DECODERS:
        return _DECODERS[tag](content)
    if tag in _CONTAINERS:
        return _CONTAINERS[tag](decode(item, blobs) for item in content)
    if tag == "dict":
        return {decode(key, blobs): decode(item, blobs) for key, item in content}
    if tag in _FOREIGN:
        return _FOREIGN[tag](content, blobs)
    return blobs.extension(tag, content)


def is_immutable(value: object) -> bool:
    """Whether nobody who is handed the value could change it."""
    if value is None or type(value) in _IMMUTABLE:
        return True
    return type(value) in (tuple, frozenset) and all(is_immutable(item) for item in value)  # type: ignore[attr-defined]


def _tag(name: str, content: Json) -> Json:
    return {"$": name, "v": content}


def _encode_dict(value: dict[Any, Any], blobs: BlobWriter) -> Json:
    for key in value:  # a loop, since any() takes twice as long
        if type(key) is not str or key == "$" or not _is_text(key):
            return _tag("dict", [[encode(key, blobs), encode(item, blobs)] for key, item in value.items()])
    return {key: encode(item, blobs) for key, item in value.items()}


def _is_text(value: str) -> bool:
    """Whether JSON keeps the string; it would join two halves of a surrogate pair to the one character they mean."""
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _raw_text(value: str) -> str:
    return base64.b64encode(value.encode("utf-32-le", "surrogatepass")).decode()


def _encode_foreign(value: Any, blobs: BlobWriter) -> Json:
    """Arrays, tensors, frames: only looked for if the library is loaded, since otherwise no value can be one."""
    data = blobs.override(value)
    if data is not None:
        return data
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        if type(value) is numpy.ndarray and not value.dtype.hasobject:
            return _tag("array", blobs.write("array", value))
        if isinstance(value, numpy.generic) and not value.dtype.hasobject and type(value) is value.dtype.type:
            if value.dtype.names:
                return _tag("record", blobs.write("array", numpy.asarray(value)))
            return _tag("numpy", _scalar(value))
    torch = sys.modules.get("torch")
    if torch is not None and type(value) is torch.Tensor:
        return _encode_tensor(value, torch, blobs)
    pandas = sys.modules.get("pandas")
    if pandas is not None and type(value) is pandas.DataFrame:
        return _tag("frame", blobs.write("frame", value))
    if pandas is not None and type(value) is pandas.Series:
        # attrs stay on the frame: frame_bytes sees to it that they come back
        return _tag("series", {"name": encode(value.name, blobs), "frame": blobs.write("frame", value.to_frame("v"))})
    raise NotSafelyStorable(f"no safe format for {type(value).__module__}.{type(value).__qualname__}")


def _scalar(value: Any) -> list[str]:
    return [value.dtype.str, base64.b64encode(value.tobytes()).decode()]


def _decode_scalar(content: Json, _: BlobReader) -> Any:
    import numpy

    dtype, raw = numpy.dtype(content[0]), base64.b64decode(content[1])
    raw = raw[: dtype.itemsize]  # an empty text has one character too many
    if dtype.kind == "U":  # text and bytes by their constructors: a view drops NULs at the end, and cannot be empty
        return numpy.str_(raw.decode("utf-32-be" if dtype.str[0] == ">" else "utf-32-le", "surrogatepass"))
    if dtype.kind in "SV":
        return dtype.type(raw)
    return numpy.frombuffer(raw, dtype=dtype)[0]


def _encode_tensor(value: Any, torch: Any, blobs: BlobWriter) -> Json:
    """Dense CPU tensors travel as bytes in an array, since numpy knows no bfloat16."""
    plain = value.device.type == "cpu" and value.layout is torch.strided and not value.requires_grad
    if not plain or value.is_quantized or value.is_conj() or value.is_neg():
        raise NotSafelyStorable("no safe format for a tensor that is not plain, dense and on the CPU")
    raw = value.contiguous().reshape(-1).view(torch.uint8) if value.numel() else value.new_empty(0, dtype=torch.uint8)
    content = {
        "dtype": str(value.dtype).removeprefix("torch."),
        "shape": list(value.shape),
        "file": blobs.write("array", raw.numpy()),
    }
    return _tag("tensor", content)


def _decode_tensor(content: Json, blobs: BlobReader) -> Any:
    import torch

    dtype = getattr(torch, content["dtype"])
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"not a dtype of torch: {content['dtype']!r}")
    raw = torch.from_numpy(blobs.read("array", content["file"]))
    return raw.view(dtype).reshape(content["shape"]) if raw.numel() else torch.empty(content["shape"], dtype=dtype)


def _encode_datetime(value: dt.datetime) -> Json:
    return [_fixed_zone(value).isoformat(), value.fold]


def _fixed_zone(value: Any) -> Any:
    if value.tzinfo is not None and type(value.tzinfo) is not dt.timezone:
        raise NotSafelyStorable("no safe format for a time in a named time zone")
    return value


def _encode_slice(value: slice) -> Json:
    parts = [value.start, value.stop, value.step]
    if any(part is not None and type(part) is not int for part in parts):
        raise NotSafelyStorable("no safe format for a slice over anything but ints")
    return [_part(part) for part in parts]


def _part(number: int | None) -> Json:
    """An int inside a simple value; in hexadecimal beyond the digits that Python reads."""
    return number if number is None or number.bit_length() <= _DECIMAL_BITS else hex(number)


def _parts(content: Json) -> list[Any]:
    return [int(part, 16) if isinstance(part, str) else part for part in content]


_DECIMAL_BITS = 2048  # fewer digits than `sys.set_int_max_str_digits` can forbid to read (640)

_SIMPLE: dict[type, tuple[str, Callable[[Any], Json]]] = {
    bytes: ("bytes", lambda v: base64.b64encode(v).decode()),
    bytearray: ("bytearray", lambda v: base64.b64encode(v).decode()),
    complex: ("complex", lambda v: [repr(v.real), repr(v.imag)]),
    dt.datetime: ("datetime", _encode_datetime),
    dt.date: ("date", dt.date.isoformat),
    dt.time: ("time", lambda v: [_fixed_zone(v).isoformat(), v.fold]),
    dt.timedelta: ("timedelta", lambda v: [v.days, v.seconds, v.microseconds]),
    decimal.Decimal: ("decimal", str),
    fractions.Fraction: ("fraction", lambda v: [_part(v.numerator), _part(v.denominator)]),
    uuid.UUID: ("uuid", str),
    range: ("range", lambda v: [_part(v.start), _part(v.stop), _part(v.step)]),
    slice: ("slice", _encode_slice),
    type(...): ("ellipsis", lambda _: None),
    pathlib.PosixPath: ("posixpath", str),
    pathlib.WindowsPath: ("windowspath", str),
    pathlib.PurePosixPath: ("pureposixpath", str),
    pathlib.PureWindowsPath: ("purewindowspath", str),
}

_DECODERS: dict[str, Callable[[Json], Any]] = {
    "str": lambda c: base64.b64decode(c).decode("utf-32-le", "surrogatepass"),
    "int": lambda c: int(c, 16),
    "float": float,
    "bytes": base64.b64decode,
    "bytearray": lambda c: bytearray(base64.b64decode(c)),
    "complex": lambda c: complex(float(c[0]), float(c[1])),
    "datetime": lambda c: dt.datetime.fromisoformat(c[0]).replace(fold=c[1]),
    "date": dt.date.fromisoformat,
    "time": lambda c: dt.time.fromisoformat(c[0]).replace(fold=c[1]),
    "timedelta": lambda c: dt.timedelta(*c),
    "decimal": decimal.Decimal,
    "fraction": lambda c: fractions.Fraction(*_parts(c)),
    "uuid": uuid.UUID,
    "range": lambda c: range(*_parts(c)),
    "slice": lambda c: slice(*_parts(c)),
    "ellipsis": lambda _: ...,
    "posixpath": pathlib.PosixPath,
    "windowspath": pathlib.WindowsPath,
    "pureposixpath": pathlib.PurePosixPath,
    "purewindowspath": pathlib.PureWindowsPath,
}

_SEQUENCES: dict[type, str] = {tuple: "tuple", set: "set", frozenset: "frozenset"}
_CONTAINERS: dict[str, Callable[[Any], Any]] = {name: kind for kind, name in _SEQUENCES.items()}

_FOREIGN: dict[str, Callable[[Json, BlobReader], Any]] = {
    "array": lambda c, blobs: blobs.read("array", c),
    "frame": lambda c, blobs: blobs.read("frame", c),
    "numpy": _decode_scalar,
    "series": lambda c, blobs: blobs.read("frame", c["frame"])["v"].rename(decode(c["name"], blobs)),
    "record": lambda c, blobs: blobs.read("array", c)[()],
    "tensor": _decode_tensor,
}

_PLAIN = frozenset({bool, type(None)})
_ATOMS = frozenset({str, int, float, bool, type(None)})
_IMMUTABLE = frozenset(_SIMPLE) - {bytearray} | {str, bool, int, float}
