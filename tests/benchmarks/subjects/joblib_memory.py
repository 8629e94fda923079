"""The workloads for ``joblib.Memory``: a cache of function calls on disk."""

from __future__ import annotations

from pathlib import Path

import joblib
import numpy as np
import timing


def square(x: int) -> float:
    """Return the square of ``x``."""
    return float(x**2)


def block(seed: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return ten million numbers, 80 MB."""
    return np.random.default_rng(seed).random(10_000_000)


def _memory(folder: Path) -> joblib.Memory:
    return joblib.Memory(folder, verbose=0)


def store(folder: Path, size: int) -> None:
    """Store the results of ``size`` calls."""
    cached = _memory(folder).cache(square)
    for x in range(size):
        cached(x)


def store_block(folder: Path, size: int) -> None:
    """Store the result of 80 MB."""
    _memory(folder).cache(block)(0)


def warm_hit(folder: Path, size: int) -> float:
    """Read a stored result: seconds."""
    cached = _memory(folder).cache(square)
    return timing.per_call(lambda: cached(size // 2))


def fresh(folder: Path, size: int) -> float:
    """Read ``size`` stored results in a process that has read none: seconds."""
    return timing.once(lambda: store(folder, size))


def array_inline(folder: Path, size: int) -> float:
    """Compute and store ``size`` new calls in this process: seconds."""
    return timing.once(lambda: store(folder, size))


def array_local(folder: Path, size: int) -> float:
    """Compute and store ``size`` new calls in 4 processes of this machine: seconds."""
    cached = _memory(folder).cache(square)
    parallel = joblib.Parallel(n_jobs=4)
    return timing.once(lambda: parallel(joblib.delayed(cached)(x) for x in range(size)))


def status(folder: Path, size: int) -> float:
    """Ask whether a result of 80 MB is stored: seconds."""
    cached = _memory(folder).cache(block)
    return timing.per_call(lambda: cached.check_call_in_cache(0))
