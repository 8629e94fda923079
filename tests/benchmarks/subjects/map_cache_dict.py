"""Maps through ``CacheDict`` alone, for this package and for the peer of the same import name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import items
import maps

from exca.cachedict import CacheDict


class Subject(maps.Maps):
    """A dictionary in a folder, written in one context; read in bulk where there is a call for it."""

    def store(self, kind: str, folder: Path, numbers: Iterable[int]) -> None:
        cache, make = _cache(folder), items.MAKE[kind]
        with cache.write():
            for number in numbers:
                cache[str(number)] = make(number)

    def read(self, kind: str, folder: Path, numbers: Sequence[int]) -> Iterable[Any]:
        cache = _cache(folder)
        if kind != "block" and hasattr(cache, "get_many"):
            values: list[Any] = cache.get_many([str(number) for number in numbers])
            return values
        return (cache[str(number)] for number in numbers)

    def reader(self, folder: Path) -> Callable[[int], object]:
        cache = _cache(folder)
        return lambda number: cache[str(number)]

    def adder(self, folder: Path) -> Callable[[int], object]:
        cache = _cache(folder)

        def add(number: int) -> None:
            if str(number) not in cache:
                with cache.write():
                    cache[str(number)] = items.array(number)

        return add

    def in_ram(self, folder: Path, numbers: Sequence[int]) -> Callable[[], object]:
        self.store("array", folder, numbers)
        cache = _cache(folder, keep_in_ram=True)

        def again() -> list[Any]:
            return [cache[str(number)] for number in numbers]

        again()
        return again


def _cache(folder: Path, keep_in_ram: bool = False) -> CacheDict[Any]:
    return CacheDict(folder, keep_in_ram=keep_in_ram)
