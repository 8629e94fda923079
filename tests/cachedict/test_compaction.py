"""Merging segments: space is given back, files stay few, and nothing is lost, whoever writes meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exca.cachedict import CacheDict, DumpContext
from exca.cachedict import _compaction as compaction
from exca.cachedict._catalog import Catalog
from exca.errors import StoreError
from exca.liveness import Stamp


def segments(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.log"))


def bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())


def test_incident_14_space_is_given_back(tmp_path: Path) -> None:
    """Incident 14: space of overwritten or deleted items was never given back."""
    cache: CacheDict[Any] = CacheDict(tmp_path)
    for _ in range(5):
        cache.update({f"k{number}": np.full(1000, number) for number in range(20)})
    for number in range(10):
        del cache[f"k{number}"]
    before = bytes_in(tmp_path)
    cache.compact()
    assert bytes_in(tmp_path) < before / 8
    assert len(segments(tmp_path)) == 1
    assert list(cache) == list(CacheDict(tmp_path)) == [f"k{number}" for number in range(10, 20)]
    assert all((value == int(key[1:])).all() for key, value in cache.items())


def test_incident_14_overwriting_for_ever_takes_bounded_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exca.cachedict._writer._DEAD_BYTES", 100_000)
    monkeypatch.setattr(compaction, "_DEAD_BYTES", 100_000)
    cache: CacheDict[Any] = CacheDict(tmp_path)
    cache["other"] = 1
    largest = 0
    for number in range(400):
        cache["state"] = np.full(1000, number)
        largest = max(largest, bytes_in(tmp_path))
    assert largest < 500_000 < 400 * 8000
    assert cache["state"][0] == 399
    assert cache["other"] == 1


def test_incident_14_one_item_by_each_of_many_writers_makes_few_files(tmp_path: Path) -> None:
    """Incident 14: one index file for each writer, never merged."""
    most = 0
    for number in range(200):
        cache: CacheDict[Any] = CacheDict(tmp_path)
        cache[f"k{number}"] = np.full(8, number)
        cache.close()
        most = max(most, len(segments(tmp_path)))
    assert most <= 18
    reader: CacheDict[Any] = CacheDict(tmp_path)
    assert [value[0] for value in reader.values()] == list(range(200))


@pytest.mark.slow
def test_merging_rewrites_each_byte_few_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied = 0
    run = compaction._Merge.run

    def counted(merge: compaction._Merge) -> None:
        nonlocal copied
        copied += sum(map(compaction._size, merge._sources))
        run(merge)

    monkeypatch.setattr(compaction._Merge, "run", counted)
    monkeypatch.setattr(compaction, "_TINY_BYTES", 1000)
    for number in range(150):
        cache: CacheDict[Any] = CacheDict(tmp_path)
        cache[f"k{number}"] = np.zeros(256)
        cache.close()
    assert copied < 6 * bytes_in(tmp_path)


def test_a_reader_finds_what_was_merged_under_it(tmp_path: Path) -> None:
    cache: CacheDict[Any] = CacheDict(tmp_path)
    for part in range(4):
        cache.update({f"{part}-{number}": np.full(100, number) for number in range(50)})
        cache.close()
    keys = list(cache)
    for read in (
        lambda reader: [reader[key] for key in keys],
        lambda reader: reader.get_many(keys),
        lambda reader: list(reader.values()),
    ):
        reader: CacheDict[Any] = CacheDict(tmp_path)
        reader.get_many(keys[::7])
        stream = reader.iter_many(keys)
        next(stream)
        cache["more"] = 1
        CacheDict(tmp_path)["and more"] = 2
        del cache["more"], cache["and more"]
        cache.compact()
        from exca.cachedict._open_files import OPEN_FILES

        OPEN_FILES._files.clear()  # as after reading many other files
        assert [value[0] for value in read(reader)] == [int(key[2:]) for key in keys]
        assert len(list(stream)) == len(keys) - 1


def test_a_live_writer_is_left_alone(tmp_path: Path) -> None:
    writer: CacheDict[Any] = CacheDict(tmp_path)
    writer["a"] = 1
    other: CacheDict[Any] = CacheDict(tmp_path)
    other["b"] = 2
    other.compact()
    assert len(segments(tmp_path)) == 2
    writer["c"] = 3
    writer.close()
    other.compact()
    assert len(segments(tmp_path)) == 1
    assert dict(other) == dict(writer) == {"a": 1, "b": 2, "c": 3}


def test_a_killed_writer_is_merged(tmp_path: Path) -> None:
    program = (
        "import os, sys; from exca.cachedict import CacheDict; c = CacheDict(sys.argv[1]); c['a'] = 1; os._exit(0)"
    )
    for _ in range(2):
        subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
    cache: CacheDict[Any] = CacheDict(tmp_path)
    cache.compact()
    assert len(segments(tmp_path)) == 1
    assert dict(cache) == {"a": 1}


def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stamp, "liveness", lambda self: "elsewhere")


def test_a_writer_elsewhere_is_left_alone_for_a_day_and_loses_nothing_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, other = (CacheDict[Any](tmp_path) for _ in range(2))
    slow["a"] = 1
    other["b"] = 2
    elsewhere(monkeypatch)
    other.compact()
    assert len(segments(tmp_path)) == 2
    for log in tmp_path.glob("*.log"):
        os.utime(log, (time.time() - 100_000,) * 2)
    other.compact()
    assert len(segments(tmp_path)) == 1
    slow["c"] = 3  # its segment is no longer there
    assert dict(CacheDict(tmp_path)) == dict(slow) == {"a": 1, "b": 2, "c": 3}


def test_what_a_slow_writer_appends_in_the_last_moment_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, other = (CacheDict[Any](tmp_path) for _ in range(2))
    slow["a"] = 1
    other["b"] = 2
    elsewhere(monkeypatch)
    for log in tmp_path.glob("*.log"):
        os.utime(log, (time.time() - 100_000,) * 2)
    remove = compaction._remove

    def late(source: Any) -> None:
        if "c" not in slow:
            slow["c"] = 3
        remove(source)

    monkeypatch.setattr(compaction, "_remove", late)
    other.compact()
    assert dict(CacheDict(tmp_path)) == {"a": 1, "b": 2, "c": 3}
    slow["d"] = 4
    assert dict(CacheDict(tmp_path)) == {"a": 1, "b": 2, "c": 3, "d": 4}


def test_a_deletion_outlives_the_item_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer: CacheDict[Any] = CacheDict(tmp_path)
    writer["a"] = writer["b"] = 1
    other: CacheDict[Any] = CacheDict(tmp_path)
    del other["a"]
    other.compact()
    assert list(CacheDict(tmp_path)) == ["b"]
    writer.close()
    monkeypatch.setattr(compaction, "_DAY_S", 0.0)
    for _ in range(2):
        other.compact()
        assert list(CacheDict(tmp_path)) == ["b"]
    assert b'"x":1' not in b"".join(log.read_bytes() for log in tmp_path.glob("*.log"))


def test_deletions_are_remembered_for_a_day(tmp_path: Path) -> None:
    cache: CacheDict[Any] = CacheDict(tmp_path)
    cache["a"] = 1
    del cache["a"]
    cache.compact()
    assert b'"x":1' in b"".join(log.read_bytes() for log in tmp_path.glob("*.log"))
    assert not cache


@pytest.mark.parametrize("moment", ["append", "close", "rename", "unlink"])
def test_an_interrupted_merge_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    cache: CacheDict[Any] = CacheDict(tmp_path)
    for number in range(6):
        cache.update({f"{number}-{part}": np.full(50, number) for part in range(4)})
        cache.close()
    del cache["0-0"]
    expected = set(cache)
    calls = 0

    def dying(act: Callable[..., Any]) -> Callable[..., Any]:
        def acted(*args: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == 3:
                raise OSError("the disk is gone")
            return act(*args, **options)

        return acted

    with monkeypatch.context() as patch:
        where: Any = {"append": compaction.SegmentWriter, "close": os, "rename": os, "unlink": compaction}[moment]
        name = {"append": "append", "close": "fdatasync", "rename": "rename", "unlink": "remove_quietly"}[moment]
        patch.setattr(where, name, dying(getattr(where, name)))
        with pytest.raises(StoreError, match="Nothing is lost"):
            cache.compact()
    for _ in range(2):
        reader: CacheDict[Any] = CacheDict(tmp_path)
        assert set(reader) == expected
        assert all((value == int(key[0])).all() for key, value in reader.items())
        cache.compact()
    assert len(segments(tmp_path)) == 1
    assert {path.suffix for path in tmp_path.iterdir()} <= {".log", ".data", ".index", ".json"}


def test_two_at_once_do_not_merge(tmp_path: Path) -> None:
    from exca.store import Claim

    cache: CacheDict[Any] = CacheDict(tmp_path)
    for number in range(3):
        cache[str(number)] = number
        cache.close()
    claim = Claim.take(str(tmp_path / "compact.claim"))
    assert claim is not None
    cache.compact()
    assert len(segments(tmp_path)) == 3
    claim.release()
    cache.compact()
    assert len(segments(tmp_path)) == 1


def test_large_segments_are_only_written_again_for_their_dead_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "_BIG_BYTES", 50_000)
    cache: CacheDict[Any] = CacheDict(tmp_path)
    cache.update({f"large-{number}": np.zeros(1000) for number in range(10)})
    cache.close()
    (large,) = segments(tmp_path)
    for number in range(3):
        cache[f"small-{number}"] = number
        cache.close()
    cache.compact()
    assert large in segments(tmp_path)
    assert len(segments(tmp_path)) == 2
    for number in range(5):
        del cache[f"large-{number}"]
    cache.compact()
    assert large not in segments(tmp_path)
    assert len(cache) == 8


@DumpContext.register
class OwnFile:
    """A value with a file of its own."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __dump_info__(self, ctx: DumpContext) -> dict[str, Any]:
        path = ctx.new_file(".txt")
        path.write_text(self.text)
        return {"path": ctx.relative(path)}

    @classmethod
    def __load_from_info__(cls, ctx: DumpContext, path: str) -> OwnFile:
        return cls((ctx.folder / path).read_text())


def test_files_of_users_formats_go_with_their_items(tmp_path: Path) -> None:
    cache: CacheDict[Any] = CacheDict(tmp_path)
    cache["a"], cache["b"] = OwnFile("first"), OwnFile("b")
    cache["a"] = OwnFile("second")
    cache.close()
    cache["c"] = OwnFile("c")
    del cache["b"]
    cache.compact()
    assert {path.read_text() for path in (tmp_path / "files").iterdir()} == {"second", "c"}
    assert cache["a"].text == "second"
    cache.compact()
    assert CacheDict[Any](tmp_path)["c"].text == "c"


def test_a_catalog_without_segments_has_nothing_to_merge(tmp_path: Path) -> None:
    assert not compaction.is_worth_it(Catalog(str(tmp_path)))
