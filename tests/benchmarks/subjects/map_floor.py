"""The raw floor of maps: one file with the same bytes and no names; for items that keep a core busy, a plain loop."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import items
import maps
import numpy as np

BYTES = {"array": 4 * items.LENGTH, "block": 4 * items.BLOCK}


class Subject(maps.Maps):
    """Arrays as their bytes, one after the other, and anything else as lines of JSON."""

    def store(self, kind: str, folder: Path, numbers: Iterable[int]) -> None:
        make = items.MAKE[kind]
        with (folder / kind).open("ab") as file:
            for number in numbers:
                value = make(number)
                file.write(value if kind in BYTES else json.dumps(value).encode() + b"\n")

    def read(self, kind: str, folder: Path, numbers: Sequence[int]) -> Iterator[Any]:
        with (folder / kind).open("rb") as file:
            if kind not in BYTES:
                yield from map(json.loads, file)
                return
            file.seek(numbers[0] * BYTES[kind])
            for _ in numbers:
                yield np.frombuffer(file.read(BYTES[kind]), np.float32)

    def reader(self, folder: Path) -> Callable[[int], object]:
        file, size = os.open(folder / "array", os.O_RDONLY), BYTES["array"]
        return lambda number: np.frombuffer(os.pread(file, size, number * size), np.float32)

    def adder(self, folder: Path) -> Callable[[int], object]:
        file = os.open(folder / "array", os.O_WRONLY | os.O_APPEND)
        return lambda number: os.write(file, items.array(number))

    def in_ram(self, folder: Path, numbers: Sequence[int]) -> Callable[[], object]:
        values = {str(number): items.array(number) for number in numbers}
        return lambda: [values[str(number)].copy() for number in numbers]

    def pool(self, folder: Path | None) -> Callable[[str, Sequence[int]], object]:
        pool = ProcessPoolExecutor(4)

        def compute(kind: str, numbers: Sequence[int]) -> list[Any]:
            if kind == "heavy":
                return [items.heavy(number) for number in numbers]
            return list(pool.map(items.MAKE[kind], numbers, chunksize=max(1, len(numbers) // 16)))

        return compute
