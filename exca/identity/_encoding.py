"""The canonical bytes of simple values: equal bytes exactly for equal values of one type.

Grammar of an encoding, prefix-free so that concatenations stay unambiguous::

    value := "N" | "T" | "F"            None, True, False
           | "I" hex ";"                int
           | "D" 8 bytes                float, IEEE 754 big endian, one NaN
           | "C" 16 bytes               complex, as two floats
           | word length ":" body       everything else; word is lower case, length is decimal, of the body

This format is frozen: changing a byte of it loses every stored result of every user.
"""

from __future__ import annotations

import datetime
import decimal
import fractions
import ipaddress
import pathlib
import re
import struct
import uuid
import zoneinfo
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

# Minimal bytes, full bytes, and the value as the readable part of a name shows it.
Forms: TypeAlias = tuple[bytes, bytes, object]

_double = struct.Struct(">d").pack
_NAN = _double(float("nan"))


class Unnameable(Exception):
    """A value without stable identity; collects the path to it while the walk unwinds."""

    def __init__(self, value: object, reason: str) -> None:
        super().__init__(reason)
        self.value = value
        self.reason = reason
        self.path: list[str] = []

    def where(self) -> str:
        """Dotted path of the value, such as ``data.items[3]``."""
        return "".join(reversed(self.path)).lstrip(".")


class Encoder(Protocol):
    """What encoders of compound values need: encode a part, and say that something can be changed."""

    mutable: bool

    def encode(self, value: object) -> Forms:
        """Encode one part."""
        ...


def pack(word: bytes, body: bytes = b"") -> bytes:
    """Length-prefixed body under a type tag."""
    return b"%b%d:%b" % (word, len(body), body)


def text(value: str) -> bytes:
    """Encoding of a str; lone surrogates (undecodable file names) are kept."""
    raw = str.encode(value, "utf-8", "surrogatepass")
    return b"s%d:%b" % (len(raw), raw)


def _none(_: None) -> bytes:
    return b"N"


def _bool(value: bool) -> bytes:
    return b"T" if value else b"F"


def _int(value: int) -> bytes:
    return b"I%x;" % value  # hex: decimal digits are limited by sys.set_int_max_str_digits


def _float(value: float) -> bytes:
    return b"D" + (_double(value) if value == value else _NAN)


def _complex(value: complex) -> bytes:
    return b"C" + _float(value.real)[1:] + _float(value.imag)[1:]


def _bytes(value: bytes) -> bytes:
    return b"b%d:%b" % (len(value), value)


def _path(value: pathlib.PurePath) -> bytes:
    return pack(b"path", text(value.as_posix()))


def _date(value: datetime.date) -> bytes:
    return pack(b"date", value.isoformat().encode())


def _moment(word: bytes) -> Callable[[Any], bytes]:
    def encode(value: datetime.datetime | datetime.time) -> bytes:
        stamp = value.isoformat()
        # A time in a named zone has no offset without a date, and would look naive.
        if value.tzinfo is not None and value.utcoffset() is None:
            stamp += f" {value.tzinfo}"
        return pack(word, stamp.encode())

    return encode


def _timedelta(value: datetime.timedelta) -> bytes:
    return pack(b"timedelta", _int(value.days) + _int(value.seconds) + _int(value.microseconds))


def _timezone(value: datetime.timezone) -> bytes:
    return pack(b"timezone", _timedelta(value.utcoffset(None)) + text(value.tzname(None)))


def _zone(value: zoneinfo.ZoneInfo) -> bytes:
    if value.key is None:
        raise Unnameable(value, "it was read from a file without giving it a key")
    return pack(b"zone", text(value.key))


def _fraction(value: fractions.Fraction) -> bytes:
    return pack(b"fraction", _int(value.numerator) + _int(value.denominator))


def _range(value: range) -> bytes:
    return pack(b"range", _int(value.start) + _int(value.stop) + _int(value.step))


def _pattern(value: re.Pattern[Any]) -> bytes:
    pattern = text(value.pattern) if isinstance(value.pattern, str) else _bytes(value.pattern)
    return pack(b"pattern", pattern + _int(value.flags))


def _as_text(word: bytes) -> Callable[[Any], bytes]:
    return lambda value: pack(word, str(value).encode())


# Exact types of immutable values whose bytes follow from the value alone; subclasses bring their class.
LEAVES: dict[type, Callable[[Any], bytes]] = {
    type(None): _none,
    bool: _bool,
    int: _int,
    float: _float,
    complex: _complex,
    str: text,
    bytes: _bytes,
    pathlib.PurePosixPath: _path,
    pathlib.PureWindowsPath: _path,
    pathlib.PosixPath: _path,
    pathlib.WindowsPath: _path,
    datetime.date: _date,
    datetime.datetime: _moment(b"datetime"),
    datetime.time: _moment(b"time"),
    datetime.timedelta: _timedelta,
    decimal.Decimal: _as_text(b"decimal"),  # 1.0 and 1.00 differ: they print and round differently
    fractions.Fraction: _fraction,
    uuid.UUID: _as_text(b"uuid"),
    range: _range,
    re.Pattern: _pattern,
    datetime.timezone: _timezone,
    zoneinfo.ZoneInfo: _zone,
    type(Ellipsis): lambda _: pack(b"ellipsis"),
    ipaddress.IPv4Address: _as_text(b"ipfour"),
    ipaddress.IPv6Address: _as_text(b"ipsix"),
    ipaddress.IPv4Network: _as_text(b"ipfournetwork"),
    ipaddress.IPv6Network: _as_text(b"ipsixnetwork"),
    ipaddress.IPv4Interface: _as_text(b"ipfourinterface"),
    ipaddress.IPv6Interface: _as_text(b"ipsixinterface"),
}
