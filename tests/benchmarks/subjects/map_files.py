"""Maps by hand: ``np.save`` and ``np.load``, a file for each array."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import items
import maps
import numpy as np


class Subject(maps.Maps):
    """Written in place: a process that is killed leaves half a file."""

    kinds = ("array", "block")

    def store(self, kind: str, folder: Path, numbers: Iterable[int]) -> None:
        make = items.MAKE[kind]
        for number in numbers:
            np.save(folder / f"{number}.npy", make(number))

    def read(self, kind: str, folder: Path, numbers: Sequence[int]) -> Iterable[Any]:
        return map(self.reader(folder), numbers)

    def reader(self, folder: Path) -> Callable[[int], object]:
        return lambda number: np.load(folder / f"{number}.npy")

    def adder(self, folder: Path) -> Callable[[int], object]:
        def add(number: int) -> None:
            path = folder / f"{number}.npy"
            if not path.exists():
                np.save(path, items.array(number))

        return add
