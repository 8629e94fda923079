"""Many processes on one folder, some of them killed: what was committed is there, bit for bit."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exca.cachedict import CacheDict

START = "import sys, time, numpy as np; from exca.cachedict import CacheDict; cache = CacheDict(sys.argv[1]); "
WRITER = (
    START
    + """
for number in range(int(sys.argv[3])):
    cache[f"{sys.argv[2]}-{number}"] = np.full(20 + number % 50, number)
    if number % 10 == 9:
        cache.close()
    if number % 7 == 0:
        cache[f"gone-{sys.argv[2]}-{number}"] = "x" * 100
        del cache[f"gone-{sys.argv[2]}-{number}"]
"""
)
READER = (
    START
    + """
want = [f"{writer}-{number}" for writer in range(int(sys.argv[2])) for number in range(int(sys.argv[3]))]
seen, deadline = set(), time.time() + 60
while len(seen) < len(want) and time.time() < deadline:
    stored = [key for key in want if key in cache]
    assert seen <= set(stored), "something was lost"
    for key, value in zip(stored, cache.get_many(stored)):
        number = int(key.split("-")[1])
        assert value.shape == (20 + number % 50,) and (value == number).all()
    for key in stored[::17]:
        assert (cache[key] == int(key.split("-")[1])).all()
    seen = set(stored)
assert len(seen) == len(want), (len(seen), len(want))
"""
)
COMPACTOR = (
    START
    + """
import os
while os.getppid() == int(sys.argv[2]):
    cache.compact()
    time.sleep(0.01)
"""
)
VICTIM = (
    START
    + """
import os
for number in range(10**6):
    key = f"{sys.argv[2]}-{number}"
    if number % 3 == 0:
        cache[key] = "text " * (number % 400)
    else:
        cache[key] = np.full(number % 5000, number)
    os.write(1, f"{key}\\n".encode())
    if number % 50 == 49:
        cache.close()
"""
)


def process(program: str, *arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-W", "error", "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, **options)


def concurrently(folder: Path, writers: int, items: int) -> None:
    compactor = process(COMPACTOR, folder, os.getpid())
    try:
        working = [process(WRITER, folder, number, items) for number in range(writers)]
        working += [process(READER, folder, writers, items) for _ in range(2)]
        assert [worker.wait(100) for worker in working] == [0] * len(working)
    finally:
        compactor.kill()
        compactor.wait()
    cache: CacheDict[Any] = CacheDict(folder)
    cache.compact()
    assert set(cache) == {f"{writer}-{number}" for writer in range(writers) for number in range(items)}
    assert len(list(folder.glob("*.log"))) <= 2


@pytest.mark.slow
def test_writers_readers_and_a_compactor(tmp_path: Path) -> None:
    concurrently(tmp_path, writers=2, items=60)


@pytest.mark.slow
def test_eight_writers_readers_and_a_compactor(tmp_path: Path) -> None:
    concurrently(tmp_path, writers=8, items=400)


def test_incident_13a_writers_with_one_name_and_pid(tmp_path: Path) -> None:
    """Incident 13a: containers with one host name and pids of their own wrote over each other's data."""
    names = set()
    caches: list[CacheDict[Any]] = [CacheDict(tmp_path) for _ in range(50)]  # one host, one pid, one instant
    for number, cache in enumerate(caches):
        cache[str(number)] = np.full(10, number)
        names |= {path.name for path in tmp_path.glob("*.log")}
    assert len(names) == 50
    assert all((value == int(key)).all() for key, value in CacheDict[Any](tmp_path).items())


def kill_and_check(folder: Path, moments: int) -> None:
    generator = random.Random(5)
    committed: list[str] = []
    for moment in range(moments):
        victim = process(VICTIM, folder, moment, stdout=subprocess.PIPE)
        assert victim.stdout is not None
        os.read(victim.stdout.fileno(), 1)  # it has begun
        time.sleep(generator.random() * 0.1)
        victim.send_signal(signal.SIGKILL)
        first, rest = str(moment)[0], victim.communicate()[0].decode()
        committed += f"{first}{rest}".split("\n")[:-1]
    check_all(folder, committed)
    following: CacheDict[Any] = CacheDict(folder)
    following["next"] = 1
    following.compact()
    check_all(folder, [*committed, "next"])


def check_all(folder: Path, committed: list[str]) -> None:
    cache: CacheDict[Any] = CacheDict(folder)
    assert len(committed) > 10
    assert cache.missing(committed) == []
    for key, value in zip(committed, cache.get_many(committed), strict=True):
        number = int(key.rpartition("-")[2]) if key != "next" else 1
        if key == "next":
            assert value == 1
        elif number % 3 == 0:
            assert value == "text " * (number % 400)
        else:
            assert value.shape == (number % 5000,)
            assert (value == number).all()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::exca.cachedict.DamagedCacheWarning")
def test_killed_writers_lose_nothing_that_was_committed(tmp_path: Path) -> None:
    kill_and_check(tmp_path, moments=4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::exca.cachedict.DamagedCacheWarning")
def test_writers_killed_at_fifty_moments_lose_nothing_that_was_committed(tmp_path: Path) -> None:
    kill_and_check(tmp_path, moments=50)


def test_a_fork_writes_its_own_segment(tmp_path: Path) -> None:
    cache: CacheDict[Any] = CacheDict(tmp_path, keep_in_ram=True)
    cache["parent"] = [1]
    child = os.fork()
    if not child:
        status = 1
        try:
            assert cache["parent"] == [1]
            cache["child"] = [2]
            cache.close()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    cache["after"] = [3]
    assert dict(cache) == {"parent": [1], "child": [2], "after": [3]}
    assert len(list(tmp_path.glob("*.log"))) == 2


def test_threads_share_one(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    cache: CacheDict[Any] = CacheDict(tmp_path, keep_in_ram=True)

    def work(thread: int) -> None:
        for number in range(100):
            with cache.write():
                cache[f"{thread}-{number}"] = np.full(5, number)
            assert cache[f"{thread}-{number}"][0] == number
            assert cache.get(f"{thread - 1}-{number}") is None or f"{thread - 1}-{number}" in cache
            if number % 30 == 0:
                cache.compact()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert len(cache) == len(CacheDict(tmp_path)) == 600


def test_a_process_that_ends_says_that_its_segment_is_complete(tmp_path: Path) -> None:
    program = START + "cache['a'] = 1"
    assert process(program, tmp_path).wait(60) == 0
    (log,) = tmp_path.glob("*.log")
    assert b'"closed"' in log.read_bytes().splitlines()[-1]
