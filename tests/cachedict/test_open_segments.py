"""However many caches a process holds on to, it has a bounded number of files open."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from exca.cachedict import CacheDict
from exca.cachedict._open_segments import OpenSegments


@pytest.fixture
def few_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 250, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("few_files")
def test_hundreds_of_caches_that_are_held_and_written(tmp_path: Path) -> None:
    caches = [CacheDict[bytes](tmp_path / str(number)) for number in range(180)]
    for turn in range(2):
        for number, cache in enumerate(caches):
            cache[f"{turn}"] = bytes([number % 256]) * 20_000  # a log and a data file
    for number, cache in enumerate(caches):
        assert dict(cache.items()) == dict.fromkeys("01", bytes([number % 256]) * 20_000)


class Owner:
    def __init__(self) -> None:
        self.busy = False
        self.retired = 0

    def retire(self) -> bool:
        self.retired += not self.busy
        return not self.busy


def test_the_first_one_that_is_not_busy_is_completed() -> None:
    segments, owners = OpenSegments(capacity=2), [Owner() for _ in range(5)]
    owners[0].busy = True
    for owner in owners:
        segments.add(owner)
    assert [owner.retired for owner in owners] == [0, 1, 1, 0, 0]
    owners[0].busy = False
    segments.add(owners[1])
    assert [owner.retired for owner in owners] == [1, 1, 1, 1, 0]


def test_those_that_are_no_more_do_not_count() -> None:
    segments, kept, other = OpenSegments(capacity=2), Owner(), Owner()
    segments.add(kept)
    for _ in range(5):
        segments.add(Owner())
    segments.add(other)
    assert (kept.retired, other.retired) == (0, 0)


def test_a_cache_that_another_thread_writes_is_left_alone(tmp_path: Path) -> None:
    cache: CacheDict[int] = CacheDict(tmp_path)
    cache["a"] = 1
    items = cache._items
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with items._lock:  # type: ignore[attr-defined]
            held.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    assert not items.retire()  # type: ignore[attr-defined]
    done.set()
    thread.join()
    assert items.retire()  # type: ignore[attr-defined]
    cache["b"] = 2
    assert dict(CacheDict(tmp_path).items()) == {"a": 1, "b": 2}
