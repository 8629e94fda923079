"""Maps with joblib: ``Memory`` stores each item in a folder of its own, ``Parallel`` computes in processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import items
import joblib
import maps


class Subject(maps.Maps):
    """A cached function, called once for each item."""

    def store(self, kind: str, folder: Path, numbers: Iterable[int]) -> None:
        for _ in map(_cached(kind, folder), numbers):
            pass

    def read(self, kind: str, folder: Path, numbers: Sequence[int]) -> Iterable[Any]:
        return map(_cached(kind, folder), numbers)

    def reader(self, folder: Path) -> Callable[[int], object]:
        return _cached("array", folder)

    def adder(self, folder: Path) -> Callable[[int], object]:
        return _cached("array", folder)

    def pool(self, folder: Path | None) -> Callable[[str, Sequence[int]], object]:
        parallel = joblib.Parallel(n_jobs=4)

        def compute(kind: str, numbers: Sequence[int]) -> object:
            function = items.MAKE[kind] if folder is None else _cached(kind, folder)
            return parallel(joblib.delayed(function)(number) for number in numbers)

        return compute


def _cached(kind: str, folder: Path) -> Callable[[int], Any]:
    cached: Callable[[int], Any] = joblib.Memory(folder, verbose=0).cache(items.MAKE[kind])
    return cached
