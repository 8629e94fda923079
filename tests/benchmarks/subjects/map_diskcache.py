"""Maps with ``diskcache``: a dictionary on disk, in SQLite."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import diskcache
import items
import maps


class Subject(maps.Maps):
    """One database, open while it is used."""

    def store(self, kind: str, folder: Path, numbers: Iterable[int]) -> None:
        make = items.MAKE[kind]
        with diskcache.Cache(folder, cull_limit=0) as cache:  # culling would drop what is beyond 1 GB
            for number in numbers:
                cache[str(number)] = make(number)

    def read(self, kind: str, folder: Path, numbers: Sequence[int]) -> Iterator[Any]:
        with diskcache.Cache(folder) as cache:
            for number in numbers:
                yield cache[str(number)]

    def reader(self, folder: Path) -> Callable[[int], object]:
        cache = diskcache.Cache(folder)
        return lambda number: cache[str(number)]

    def adder(self, folder: Path) -> Callable[[int], object]:
        cache = diskcache.Cache(folder, cull_limit=0)

        def add(number: int) -> None:
            if str(number) not in cache:
                cache[str(number)] = items.array(number)

        return add
