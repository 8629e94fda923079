"""Sorted tables beside a log: every key is found, by few reads, whatever was written last."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest

from exca.cachedict import CacheDict
from exca.cachedict import _index as index
from exca.cachedict import _segment as segment
from exca.cachedict._open_files import OPEN_FILES, OpenFile


def written(path: Path, count: int, parts: int = 1) -> list[bytes]:
    """An index of keys ``0 ... count-1``, whose lines are 100 bytes each, in so many blocks."""
    blocks: list[index.Block] = []
    entries = [index.digest_of(str(number)) + (100 * number).to_bytes(8, "big") for number in range(count)]
    content = b""
    for part in range(parts):
        first, stop = part * count // parts, (part + 1) * count // parts
        more, block = index.make_block(
            sorted(entries[first:stop]),
            100 * first,
            100 * stop,
            stop,
            path=str(path),
            position=len(content),
            previous=blocks[-1] if blocks else None,
        )
        content += more
        blocks.append(block)
    path.write_bytes(content)
    assert index.read_blocks(str(path)) == blocks
    return entries


@pytest.mark.parametrize("count", [1, 2, 31, 1000, 20_000])
def test_every_key_is_found(tmp_path: Path, count: int) -> None:
    path = tmp_path / "a.index"
    written(path, count)
    (block,) = index.read_blocks(str(path))
    assert all(block.offsets(index.digest_of(str(n))) == [100 * n] for n in range(0, count, max(1, count // 500)))
    assert all(block.offsets(index.digest_of(f"no {number}")) == [] for number in range(500))
    assert block.offsets(bytes(8)) == block.offsets(b"\xff" * 8) == []


def test_one_read_is_nearly_always_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.index"
    written(path, 50_000)
    (block,) = index.read_blocks(str(path))
    sizes: list[int] = []
    read = OpenFile.read
    monkeypatch.setattr(OpenFile, "read", lambda self, at, size: sizes.append(size) or read(self, at, size))
    for number in range(1000):
        block.offsets(index.digest_of(str(number)))
    assert len(sizes) < 1050
    assert max(sizes[:1000]) <= 16 * 1000


def test_digests_that_are_not_spread_evenly(tmp_path: Path) -> None:
    """Somebody could choose keys so; it only takes more reads."""
    numbers = [*range(1000), *range(2**64 - 1000, 2**64)]
    table = sorted(number.to_bytes(8, "big") + number.to_bytes(8, "big") for number in numbers)
    path = tmp_path / "a.index"
    content, block = index.make_block(table, 0, 1, 1, path=str(path), position=0, previous=None)
    path.write_bytes(content)
    for number in numbers[::37]:
        assert block.offsets(number.to_bytes(8, "big")) == [number]
    assert block.offsets((2**63).to_bytes(8, "big")) == []


def test_many_lines_of_one_digest(tmp_path: Path) -> None:
    digest = index.digest_of("a")
    table = sorted([digest + at.to_bytes(8, "big") for at in range(3000)] + [bytes(16), b"\xff" * 16])
    path = tmp_path / "a.index"
    content, block = index.make_block(table, 0, 1, 1, path=str(path), position=0, previous=None)
    path.write_bytes(content)
    assert block.offsets(digest) == list(range(3000))[::-1]


@pytest.mark.parametrize("seed", range(20))
def test_a_torn_index_is_read_up_to_where_it_is_whole(tmp_path: Path, seed: int) -> None:
    generator = random.Random(seed)
    path = tmp_path / "a.index"
    written(path, 200, parts=5)
    content = path.read_bytes()
    cut = generator.randrange(len(content))
    torn = content[:cut] + generator.randbytes(generator.choice([0, 0, 30, 64, 500]))
    other = tmp_path / "b.index"
    other.write_bytes(torn)
    blocks = index.read_blocks(str(other))
    covered = blocks[-1].end if blocks else 0
    whole = max((block.end for block in index.read_blocks(str(path)) if block.trailer + 64 <= cut), default=0)
    assert covered == whole
    for block in blocks:
        assert block.start == 0 or any(other.end == block.start for other in blocks)


def test_a_chain_that_does_not_reach_the_start_is_no_index(tmp_path: Path) -> None:
    path = tmp_path / "a.index"
    written(path, 200, parts=4)
    content = bytearray(path.read_bytes())
    content[50 * 16 + 20] ^= 1  # in the trailer of the first block
    path.write_bytes(bytes(content))
    OPEN_FILES.forget(str(path))
    assert index.read_blocks(str(path)) == []


def test_blocks_are_merged_as_they_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exca.cachedict._writer._SEALED_RECORDS", 4)
    cache: CacheDict[Any] = CacheDict(tmp_path)
    for number in range(3000):
        cache[f"k{number}"] = number
    (path,) = tmp_path.glob("*.index")
    blocks = index.read_blocks(str(path))
    assert len(blocks) <= 7 * 4
    assert blocks[-1].end - blocks[0].start > 0.99 * os.path.getsize(path.with_suffix(".log"))
    assert path.stat().st_size < 6 * 16 * 3000
    reader: CacheDict[Any] = CacheDict(tmp_path)
    assert [reader[f"k{number}"] for number in range(0, 3000, 61)] == list(range(0, 3000, 61))
    cache.close()
    assert len(index.read_blocks(str(path))) == 1


def test_a_newer_value_behind_another_index_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that looked a key up, or has it in RAM, learns that others have stored a newer value."""
    monkeypatch.setattr(segment, "_WORTH_SKIPPING", 100)
    first, second = (CacheDict[Any](tmp_path) for _ in range(2))
    first.update({f"k{number}": "old" for number in range(300)})
    readers = [CacheDict[Any](tmp_path, keep_in_ram=ram) for ram in (False, True)]
    for reader in readers:
        assert [reader[f"k{number}"] for number in range(0, 300, 10)] == ["old"] * 30
    for cache, value in ((second, "new"), (first, "newest"), (second, "last")):
        with cache.write():
            cache.refresh()
            for number in range(300):
                cache[f"k{number}"] = value
        for reader in readers:
            reader.refresh()
            assert [reader[f"k{number}"] for number in range(0, 300, 10)] == [value] * 30
        fresh: CacheDict[Any] = CacheDict(tmp_path)
        assert fresh["k7"] == value


def test_clocks_that_disagree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who overwrites what it has seen wins, though its clock is an hour behind."""
    import time

    ahead, behind = (CacheDict[Any](tmp_path) for _ in range(2))
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now + 3_600_000_000_000)
    ahead["a"] = ahead["b"] = "first"
    monkeypatch.setattr(time, "time_ns", lambda: now)
    behind["a"] = "second"
    del behind["b"]
    assert dict(CacheDict(tmp_path)) == {"a": "second"}
