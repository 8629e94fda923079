"""The workload that ``functools.lru_cache`` can do: a hit in RAM."""

from __future__ import annotations

import functools
from pathlib import Path

import timing


class Square:
    """An object with a cached method, as a config has."""

    def __init__(self, x: int) -> None:
        self.x = x

    @functools.lru_cache(maxsize=None)  # noqa: B019, UP033 - the peer is lru_cache, and the object lives on anyway
    def run(self) -> float:
        """Return the square of ``x``."""
        return float(self.x**2)


def ram_hit(folder: Path, size: int) -> float:
    """Call the same object again: seconds."""
    square = Square(3)
    square.run()
    return timing.per_call(square.run)
