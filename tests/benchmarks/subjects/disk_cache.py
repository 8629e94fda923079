"""The workloads for ``diskcache``: a dictionary on disk, in SQLite."""

from __future__ import annotations

from pathlib import Path

import diskcache
import numpy as np
import timing


def square(x: int) -> float:
    """Return the square of ``x``."""
    return float(x**2)


def store(folder: Path, size: int) -> None:
    """Store the results of ``size`` calls."""
    with diskcache.Cache(folder) as cache:
        cached = cache.memoize()(square)
        for x in range(size):
            cached(x)


def store_block(folder: Path, size: int) -> None:
    """Store the result of 80 MB."""
    with diskcache.Cache(folder) as cache:
        cache["block"] = np.random.default_rng(0).random(10_000_000)


def warm_hit(folder: Path, size: int) -> float:
    """Read a stored result: seconds."""
    with diskcache.Cache(folder) as cache:
        cached = cache.memoize()(square)
        return timing.per_call(lambda: cached(size // 2))


def fresh(folder: Path, size: int) -> float:
    """Read ``size`` stored results in a process that has read none: seconds."""
    return timing.once(lambda: store(folder, size))


def array_inline(folder: Path, size: int) -> float:
    """Compute and store ``size`` new calls in this process: seconds."""
    return timing.once(lambda: store(folder, size))


def status(folder: Path, size: int) -> float:
    """Ask whether a result of 80 MB is stored: seconds."""
    with diskcache.Cache(folder) as cache:
        return timing.per_call(lambda: "block" in cache)
