"""Plain data as YAML text in block style, the bytes that PyYAML would write, in a tenth of its time."""

from __future__ import annotations

import functools
import math
import re
from typing import Any

__all__ = ["NotSimple", "block_text"]

# Words that stand for themselves whatever follows or precedes them; all others are quoted as PyYAML quotes them.
_WORD = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]{0,99}")
# Texts that begin as something else would, and numbers: the `logs` and the version of every infra, say, and PyYAML
# takes 15 ms to import.
_QUOTED = re.compile(r"[{}\[\],#&*!|>'\"%@`](?:[ -~]{0,99}[!-~])?|0|[1-9][0-9]{0,99}")
_NO_TEXT = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null"])  # once in lower case
_MAX_CHARS = 1000  # PyYAML folds lines of ten times that


class NotSimple(Exception):
    """The data holds what is to be written by PyYAML itself."""


def block_text(data: object) -> str:
    """The text of dicts with simple keys, of lists, texts of one line, numbers, booleans and None.

    Raises
    ------
    NotSimple
        there is something else.
    """
    if type(data) is not dict:
        raise NotSimple
    lines: list[str] = []
    _mapping(data, "", "", lines)
    return "\n".join(lines or ["{}"]) + "\n"


def _mapping(data: dict[Any, Any], first: str, indent: str, lines: list[str]) -> None:
    """Append the lines of a mapping, the first of which begins in its own way (in a list, with a dash)."""
    for key, value in data.items():
        if type(key) is not str or not _is_word(key):
            raise NotSimple
        kind = type(value)
        if value and kind is dict:
            lines.append(f"{first}{key}:")
            _mapping(value, f"{indent}  ", f"{indent}  ", lines)
        elif value and kind is list:
            lines.append(f"{first}{key}:")
            _sequence(value, indent, indent, lines)  # dashes stand below the first letter of the key
        else:
            lines.append(f"{first}{key}: {_scalar(value, kind)}")
        first = indent


def _sequence(data: list[Any], first: str, indent: str, lines: list[str]) -> None:
    for value in data:
        kind = type(value)
        if value and kind is dict:
            _mapping(value, f"{first}- ", f"{indent}  ", lines)
        elif value and kind is list:
            _sequence(value, f"{first}- ", f"{indent}  ", lines)
        else:
            lines.append(f"{first}- {_scalar(value, kind)}")
        first = indent


def _scalar(value: Any, kind: type) -> str:
    if kind is str:
        return value if _is_word(value) else _quoted(value)
    if kind is int:
        return int.__repr__(value)
    if kind is float:
        return _float(value)
    try:
        return _CONSTANTS[kind][not value]
    except KeyError:
        raise NotSimple from None


# By whether they are false; what is not empty never comes here as dict or list.
_CONSTANTS: dict[type, tuple[str, str]] = {
    bool: ("true", "false"),
    type(None): ("", "null"),
    dict: ("", "{}"),
    list: ("", "[]"),
}


@functools.lru_cache(maxsize=4096)  # of keys, which are the same in every config of a class
def _is_word(text: str) -> bool:
    return _WORD.fullmatch(text) is not None and text.lower() not in _NO_TEXT


def _float(value: float) -> str:
    if math.isfinite(value):
        text = float.__repr__(value)
        return text if "." in text or "e" not in text else text.replace("e", ".0e")  # a dot, for YAML 1.1
    return ".nan" if value != value else ".inf" if value > 0 else "-.inf"


@functools.lru_cache(maxsize=1024)
def _quoted(text: str) -> str:
    """One text as PyYAML writes it, quoted or not; most configs hold the same few."""
    if _QUOTED.fullmatch(text):
        return "'" + text.replace("'", "''") + "'"

    from ._dialect import write

    if len(text) <= _MAX_CHARS:
        written = write({"x": text}).removeprefix("x: ").removesuffix("\n")
        if len(written.splitlines()) == 1:
            return written
    raise NotSimple
