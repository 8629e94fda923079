"""The items of the map workloads: what is computed for each, and how a reader shows that he has read it.

Standard library and numpy only, because it runs in the environments of the peers too.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

LENGTH = 64  # float32 in a small array: 256 bytes
BLOCK = 1_000_000  # float32 in a large array: 4 MB

Array = np.ndarray[Any, np.dtype[np.float32]]


def array(x: int) -> Array:
    """Return a small array that holds ``x``."""
    return np.full(LENGTH, x, np.float32)


def block(x: int) -> Array:
    """Return an array of 4 MB that holds ``x``."""
    return np.full(BLOCK, x, np.float32)


def text(x: int) -> str:
    """Return a sentence."""
    return f"recording {x} of the pilot study, channel {x % 64}, accepted"


def record(x: int) -> dict[str, Any]:
    """Return a small dict, as scores and labels come."""
    return {
        "name": f"recording {x}",
        "score": x / 7,
        "tags": ["pilot", "accepted"],
        "shape": {"rows": x, "columns": 3},
    }


def light(x: int) -> float:
    """Return the square of ``x``."""
    return float(x**2)


def heavy(x: int) -> float:
    """Keep one core busy for some 10 ms."""
    return float(sum(i * i % 7 for i in range(150_000)) + x)


MAKE = {"array": array, "block": block, "text": text, "record": record, "light": light, "heavy": heavy}


def use_arrays(values: Iterable[Any], size: int) -> None:
    """Read one number of each array; fail if one is not what was computed."""
    assert [int(value[-1]) for value in values] == list(range(size))


def use_blocks(values: Iterable[Any], size: int) -> None:
    """Read every number of each array, holding one array at a time."""
    assert [int(value.max()) for value in values] == list(range(size))


def resident() -> tuple[int, int]:
    """Return the resident memory of this process and the most it ever was, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    found = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith(("VmRSS", "VmHWM"))}
    return int(found["VmRSS"]) * 1024, int(found["VmHWM"]) * 1024
