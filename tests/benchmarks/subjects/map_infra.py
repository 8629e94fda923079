"""Maps through ``MapInfra``, for this package and for the peer of the same import name.

Annotations are objects here, not text: the peer looks at those of the method.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import items
import maps
from pydantic import BaseModel

import exca


class Mapper(BaseModel):
    """A method over items that computes what `items` says."""

    kind: str
    infra: exca.MapInfra = exca.MapInfra(version="1")

    @infra.apply(item_uid=str)
    def process(self, numbers: Sequence[int]) -> Iterator[Any]:
        """Yield one value for each number."""
        make = items.MAKE[self.kind]
        for number in numbers:
            yield make(number)


class Subject(maps.Maps):
    """Each call builds a config, as scripts do; blocks are not kept in RAM."""

    def store(self, kind: str, folder: Path, numbers: Iterable[int]) -> None:
        _mapper(kind, folder).process(numbers)  # all is computed and stored when it returns

    def read(self, kind: str, folder: Path, numbers: Sequence[int]) -> Iterable[Any]:
        return _mapper(kind, folder).process(numbers)

    def reader(self, folder: Path) -> Callable[[int], object]:
        mapper = _mapper("array", folder, keep_in_ram=False)
        return lambda number: next(iter(mapper.process([number])))

    def adder(self, folder: Path) -> Callable[[int], object]:
        mapper = _mapper("array", folder)
        return lambda number: mapper.process([number])

    def in_ram(self, folder: Path, numbers: Sequence[int]) -> Callable[[], object]:
        mapper = _mapper("array", folder)
        list(mapper.process(numbers))
        return lambda: list(mapper.process(numbers))

    def pool(self, folder: Path | None) -> Callable[[str, Sequence[int]], object]:
        def compute(kind: str, numbers: Sequence[int]) -> list[Any]:
            return list(_mapper(kind, folder, cluster="processpool", max_jobs=4).process(numbers))

        return compute


def _mapper(kind: str, folder: Path | None, **infra: Any) -> Mapper:
    return Mapper(kind=kind, infra={"folder": folder, "keep_in_ram": kind != "block", **infra})
