"""What there is to compute, and where results go."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from exca.cachedict import CacheDict
from exca.map._marks import Marks

__all__ = ["Work"]


@dataclass(frozen=True, slots=True)
class Work:
    """What there is to compute, and where results go.

    Attributes
    ----------
    place: names where the results of this map are; equal for all calls that share them.
    home: folder of the results and claims of this call; None: RAM.
    function: the user's method; called with the config and the items.
    items: key to item.
    force: whether what is stored is computed all the same, once.
    renewed: gets the keys of what was computed because of that.
    advance: told the number of items that were stored.
    """

    place: object
    home: str | None
    config: object
    function: Callable[..., Any]
    items: Mapping[str, Any]
    cache: CacheDict[Any]
    force: bool = False
    renewed: set[str] = field(default_factory=set)
    advance: Callable[[int], object] = int

    def open_among(self, keys: Sequence[str], marks: Marks) -> list[str]:
        """Of these, what is to be computed, by whomever."""
        marks.refresh()
        keys = marks.open_among(keys)
        return keys if self.force else self.cache.missing(keys)
