"""Override texts, parsed once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType, ValueType

__all__ = ["key_path", "parse"]


def parse(texts: Iterable[str]) -> list[Override]:
    """Parse overrides. A sweep repeats the same texts, so each is parsed once per process.

    Raises
    ------
    OverrideParseException
        A text is not an override.
    """
    return [_parse_one(text) for text in texts]


def key_path(override: Override) -> tuple[str, ...] | None:
    """Return the path in the config that an override's key names; None for a config group."""
    if override.package is not None or "/" in override.key_or_group or not override.key_or_group:
        return None
    return tuple(override.key_or_group.split("."))


@lru_cache(maxsize=100_000)
def _parse_one(text: str) -> Override:
    return _simple(text) or OverridesParser.create().parse_overrides([text])[0]


_SIMPLE = re.compile(
    r"(?P<key>[A-Za-z_]\w*(?:(?:\.[A-Za-z_]\w*)*|(?:/[A-Za-z_]\w*)*))="
    r"(?:(?P<int>[+-]?(?:0|[1-9]\d*))|(?P<float>[+-]?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)|(?P<word>[A-Za-z_]\w*))",
    re.ASCII,
)
_NO_WORDS = {"null", "true", "false", "inf", "nan"}


def _simple(text: str) -> Override | None:
    """Parse what most points of a sweep are: a key and a number or a word. Hydra's parser takes 100 times longer."""
    found = _SIMPLE.fullmatch(text)
    if found is None or (found["word"] or "").lower() in _NO_WORDS:
        return None
    value: int | float | str = found["word"] or ""
    if found["int"] is not None:
        value = int(found["int"])
    elif found["float"] is not None:
        value = float(found["float"])
    return Override(OverrideType.CHANGE, found["key"], ValueType.ELEMENT, value, input_line=text)
