"""Workloads of maps, written once: a subject only says how it stores and how it reads."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import items
import timing


class Maps:
    """A way to keep one value for each of many items; every workload returns seconds, or None if it cannot be done.

    Attributes
    ----------
    kinds
        The values of `items.MAKE` it can store.
    """

    kinds: Sequence[str] = ("array", "block", "text", "record")

    def store(self, kind: str, folder: Path, numbers: Iterable[int]) -> object:
        """Compute and store the values of these items."""
        raise NotImplementedError

    def read(self, kind: str, folder: Path, numbers: Sequence[int]) -> Iterable[Any]:
        """Return stored values through a new object; blocks one after the other, never all at once."""
        raise NotImplementedError

    def reader(self, folder: Path) -> Callable[[int], object]:
        """Return what reads one array from disk, again and again through the same object."""
        raise NotImplementedError

    def adder(self, folder: Path) -> Callable[[int], object]:
        """Return what computes and stores one array, if it is not there, again and again through the same object."""
        raise NotImplementedError

    def in_ram(self, folder: Path, numbers: Sequence[int]) -> Callable[[], object] | None:
        """Return what hands out arrays that the same object has in RAM."""
        return None

    def pool(self, folder: Path | None) -> Callable[[str, Sequence[int]], object] | None:
        """Return what computes items in 4 processes, each call through a new object; stored if there is a folder."""
        return None

    def store_arrays(self, folder: Path, size: int) -> None:
        """Prepare small arrays."""
        self.store("array", folder, range(size))

    def store_texts(self, folder: Path, size: int) -> None:
        """Prepare strings."""
        if "text" in self.kinds:
            self.store("text", folder, range(size))

    def store_records(self, folder: Path, size: int) -> None:
        """Prepare dicts."""
        if "record" in self.kinds:
            self.store("record", folder, range(size))

    def store_blocks(self, folder: Path, size: int) -> None:
        """Prepare arrays of 4 MB."""
        self.store("block", folder, range(size))

    def arrays_cold(self, folder: Path, size: int) -> float | None:
        """Compute and store small arrays."""
        return timing.once(lambda: self.store("array", folder, range(size)))

    def arrays_warm(self, folder: Path, size: int) -> float | None:
        """Read small arrays in a process that has read none."""
        return timing.once(lambda: items.use_arrays(self.read("array", folder, range(size)), size))

    def arrays_in_ram(self, folder: Path, size: int) -> float | None:
        """Ask the same object again for small arrays."""
        again = self.in_ram(folder, range(size))
        return timing.per_call(again) if again else None

    def one_item(self, folder: Path, size: int) -> float | None:
        """Read one of many items in a process that has read none."""
        numbers = [size // 2]
        return timing.once(lambda: next(iter(self.read("array", folder, numbers)))[-1])

    def one_new(self, folder: Path, size: int) -> float | None:
        """Add one item to many in a process that has read none."""
        number = int.from_bytes(os.urandom(7), "big")
        return timing.once(lambda: self.store("array", folder, [number]))

    def one_new_same_object(self, folder: Path, size: int) -> float | None:
        """Add items one by one through the same object: the mean of 20."""
        self.store("array", folder, range(size))
        add = self.adder(folder)
        add(size)
        return timing.once(lambda: deque(map(add, range(size + 1, size + 21)), maxlen=0)) / 20

    def one_cached_same_object(self, folder: Path, size: int) -> float | None:
        """Read items one by one from disk through the same object."""
        read = self.reader(folder)
        numbers = itertools.cycle(range(0, size, 7))
        return timing.per_call(lambda: read(next(numbers)))

    def texts_warm(self, folder: Path, size: int) -> float | None:
        """Read strings in a process that has read none."""
        return self._listed("text", folder, size)

    def records_warm(self, folder: Path, size: int) -> float | None:
        """Read dicts in a process that has read none."""
        return self._listed("record", folder, size)

    def blocks_cold(self, folder: Path, size: int) -> float | None:
        """Compute and store arrays of 4 MB."""
        return timing.once(lambda: self.store("block", folder, range(size)))

    def blocks_warm(self, folder: Path, size: int) -> float | None:
        """Read arrays of 4 MB one after the other."""
        return timing.once(lambda: items.use_blocks(self.read("block", folder, range(size)), size))

    def blocks_memory(self, folder: Path, size: int) -> float | None:
        """Return the MB that reading arrays of 4 MB one after the other takes, beyond those at the start."""
        before, _ = items.resident()
        items.use_blocks(self.read("block", folder, range(size)), size)
        return (items.resident()[1] - before) / 1e6

    def light_pool(self, folder: Path, size: int) -> float | None:
        """Compute light items in processes that already run."""
        return self._pooled("light", None, size)

    def light_pool_stored(self, folder: Path, size: int) -> float | None:
        """Compute light items in processes that already run, and store them."""
        return self._pooled("light", folder, size)

    def heavy_pool(self, folder: Path, size: int) -> float | None:
        """Compute items that keep a core busy, in processes that already run."""
        return self._pooled("heavy", None, size)

    def heavy_pool_stored(self, folder: Path, size: int) -> float | None:
        """Compute items that keep a core busy, in processes that already run, and store them."""
        return self._pooled("heavy", folder, size)

    def _listed(self, kind: str, folder: Path, size: int) -> float | None:
        if kind not in self.kinds:
            return None
        return timing.once(lambda: list(self.read(kind, folder, range(size))))

    def _pooled(self, kind: str, folder: Path | None, size: int) -> float | None:
        compute = self.pool(folder)
        if compute is None:
            return None
        compute("light", range(-100, 0))
        return timing.once(lambda: compute(kind, range(size)))
