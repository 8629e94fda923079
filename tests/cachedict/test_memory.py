"""Reading far more than fits into RAM, one value after the other."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exca.cachedict import CacheDict

READ = """
import json, resource, sys, numpy as np
from exca.cachedict import CacheDict

def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) // 1024

cache = CacheDict(sys.argv[1], keep_in_ram=sys.argv[2] == "ram")
how = sys.argv[3]
keys = list(cache)
one = (cache[key] for key in keys)
values = cache.values() if how == "values" else cache.iter_many(keys) if how == "many" else one
total, seen = 0, []
for number, value in enumerate(values):
    total += value.nbytes
    assert value[::4096].max() == 0
    if number % 10 == 0:
        seen.append(resident())
    if number == 0:
        first = resident()
print(json.dumps({"total": total, "first": first, "most": max(seen)}))
"""


def sparse_cache(folder: Path, items: int, size: int) -> None:
    """A cache of arrays of zeros that take no room on the disk."""
    cache: CacheDict[Any] = CacheDict(folder)
    cache["0"] = np.zeros(1)
    cache.close()
    (log,) = folder.glob("*.log")
    header, _, _ = log.read_bytes().split(b"\n", 2)
    records = [
        {"k": str(number), "n": number + 1, "v": {"$": "array", "v": [0, "|u1", [size]]}, "p": [[number * size, size]]}
        for number in range(items)
    ]
    log.write_bytes(header + b"\n" + b"".join(json.dumps(record).encode() + b"\n" for record in records))
    with open(log.with_suffix(".data"), "wb") as data:
        data.truncate(items * size)


def grown(folder: Path, ram: str, how: str) -> tuple[float, float]:
    """GB read, and MB by which the process grew from the first value on."""
    done = subprocess.run([sys.executable, "-c", READ, str(folder), ram, how], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    told = json.loads(done.stdout)
    return told["total"] / 1e9, told["most"] - told["first"]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["values", "one"])
def test_memory_is_flat(tmp_path: Path, how: str) -> None:
    sparse_cache(tmp_path, items=50, size=8 << 20)
    total, growth = grown(tmp_path, "disk", how)
    assert total > 0.4
    assert growth < 40


@pytest.mark.slow
@pytest.mark.parametrize("size", [4 << 20, 64 << 20])
@pytest.mark.parametrize("ram", ["disk", "ram"])
@pytest.mark.parametrize("how", ["values", "many", "one"])
def test_memory_is_flat_over_ten_gigabytes(tmp_path: Path, size: int, ram: str, how: str) -> None:
    sparse_cache(tmp_path, items=10_000_000_000 // size + 1, size=size)
    total, growth = grown(tmp_path, ram, how)
    assert total >= 10
    assert growth < 150
