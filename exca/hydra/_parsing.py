"""Override texts, parsed once."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

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
    return OverridesParser.create().parse_overrides([text])[0]
