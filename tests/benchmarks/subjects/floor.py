"""The raw floor of every workload: the least that any package would have to do."""

from __future__ import annotations

import json
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import configs
import timing


def square(x: int) -> float:
    """Return the square of ``x``."""
    return float(x**2)


def store(folder: Path, size: int) -> None:
    """Write ``size`` small files, each as a whole or not at all, and safe from a crash of the machine."""
    for x in range(size):
        temporary = folder / f"{x}.part"
        with temporary.open("w") as file:
            json.dump({"value": square(x)}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(folder / f"{x}.json")


def store_block(folder: Path, size: int) -> None:
    """Write a file of 80 MB."""
    (folder / "block").write_bytes(bytes(80_000_000))


def warm_hit(folder: Path, size: int) -> float:
    """Open a small file and parse it: seconds."""
    path = str(folder / f"{size // 2}.json")
    return timing.per_call(lambda: _read(path))


def identity(folder: Path, size: int) -> float:
    """Build the nested config, without a uid: seconds."""
    return timing.per_call(lambda: configs.Training(**configs.values()))


def clone(folder: Path, size: int) -> float:
    """Build the nested config ``size`` times: seconds."""
    return timing.once(lambda: [configs.Training(**configs.values()) for _ in range(size)])


def fresh(folder: Path, size: int) -> float:
    """Open and parse ``size`` small files: seconds."""
    return timing.once(lambda: [_read(f"{folder}/{x}.json") for x in range(size)])


def array_inline(folder: Path, size: int) -> float:
    """Write ``size`` small files: seconds."""
    return timing.once(lambda: store(folder, size))


def array_local(folder: Path, size: int) -> float:
    """Start a pool of 4 processes and compute ``size`` tasks, storing nothing: seconds."""

    def compute() -> None:
        with ProcessPoolExecutor(4) as pool:
            list(pool.map(square, range(size)))

    return timing.once(compute)


def status(folder: Path, size: int) -> float:
    """Ask whether a file exists: seconds."""
    path = str(folder / "block")
    return timing.per_call(lambda: os.stat(path))


def _read(path: str) -> object:
    with open(path, "rb") as file:
        return json.loads(file.read())
