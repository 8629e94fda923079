"""Disks that fill up, logs that are torn, folders of others, formats of tomorrow."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exca.cachedict import CacheDict, DamagedCacheWarning
from exca.cachedict import _segment as segment
from exca.cachedict._catalog import MARKER
from exca.cachedict._index import read_blocks
from exca.errors import CorruptResult, ResultNotStored
from exca.liveness import Stamp

JUNK = [
    b"\n",
    b"garbage\n",
    b'{"k":"b","n":1\n',
    b'{"k":"b","n":"1","v":2}\n',
    b'{"k":2,"n":1,"v":2}\n',
    b'{"k":"b","n":1}\n',
    b'"text"\n',
    b"\x00\xff\xfe\n",
    b'],[\n{"k":\n',
    b"[" * 100_000 + b"\n",
]


def torn(folder: Path, junk: bytes) -> None:
    """Two items of one writer with junk between them."""
    first, second = (CacheDict[Any](folder) for _ in range(2))
    first["a"] = np.arange(3)
    second["c"] = "kept"
    logs = sorted(folder.glob("*.log"))
    lines = logs[1].read_bytes().split(b"\n", 1)
    logs[1].write_bytes(lines[0] + b"\n" + junk + lines[1])


def test_a_folder_that_is_none_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    for folder in (tmp_path / "file", tmp_path / "file" / "items"):
        for act in (len, list, lambda cache: "key" in cache, lambda cache: cache.missing(["key"])):
            with pytest.raises(NotADirectoryError) as caught:
                act(CacheDict(folder))
            [note] = caught.value.__notes__
            assert f"The cache {folder} cannot be read" in note
            assert "choose another folder" in note


@pytest.mark.parametrize("junk", JUNK)
def test_incident_08_a_bad_line_hides_nothing_else(tmp_path: Path, junk: bytes) -> None:
    """Incident 8: one bad index line made a whole map cache unreadable."""
    torn(tmp_path, junk)
    reader: CacheDict[Any] = CacheDict(tmp_path)
    with pytest.warns(DamagedCacheWarning, match=r"\.log, byte \d+.*counts as not stored") as told:
        assert list(reader) == ["a", "c"]
    assert len(told) == junk.count(b"\n")
    assert {each.filename for each in told} == {__file__}
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it is said once in a process
        again: CacheDict[Any] = CacheDict(tmp_path)
        assert again["c"] == "kept"
        assert again.get_many(["a", "c"])[1] == "kept"
        assert "b" not in again


def test_incident_08_a_torn_end_is_reported_once_its_writer_is_dead(tmp_path: Path) -> None:
    program = (
        "import os, sys; from exca.cachedict import CacheDict; c = CacheDict(sys.argv[1]); c['a'] = 1;"
        'os.write(c._items._appender._writer._log, b\'{"k":"b","n":9\'); os._exit(0)'
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
    reader: CacheDict[Any] = CacheDict(tmp_path)
    with pytest.warns(DamagedCacheWarning, match="not written to its end"):
        assert "b" not in reader
    assert reader["a"] == 1
    reader["b"] = 2
    reader.compact()
    assert dict(CacheDict(tmp_path)) == {"a": 1, "b": 2}


def test_a_line_being_written_is_waited_for(tmp_path: Path) -> None:
    writer: CacheDict[Any] = CacheDict(tmp_path)
    writer["a"] = 1
    (log,) = tmp_path.glob("*.log")
    with open(log, "ab") as stream:
        stream.write(b'{"k":"b","n":9,')
    reader: CacheDict[Any] = CacheDict(tmp_path)
    assert "b" not in reader
    with open(log, "ab") as stream:
        stream.write(b'"v":7}\n')
    assert reader["b"] == 7


@pytest.mark.parametrize("cut", [1, 700])
def test_payloads_that_never_reached_the_disk_count_as_not_stored(tmp_path: Path, cut: int) -> None:
    """After a power cut the log may be ahead of the data."""
    cache: CacheDict[Any] = CacheDict(tmp_path)
    cache["a"] = np.zeros(4)
    cache["b"] = "older"
    cache["b"] = np.ones(100)
    (data,) = tmp_path.glob("*.data")
    os.truncate(data, data.stat().st_size - 64 - cut)
    for read in (lambda reader: reader["b"], lambda reader: reader.get_many(["a", "b"])[1]):
        reader: CacheDict[Any] = CacheDict(tmp_path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DamagedCacheWarning)
            assert read(reader) == "older"
    assert reader["a"].sum() == 0


@pytest.mark.parametrize("cut", [1, 40, 64, 200, 1000])
def test_a_torn_index_hides_nothing(tmp_path: Path, cut: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exca.cachedict._writer._SEALED_RECORDS", 8)
    writer: CacheDict[Any] = CacheDict(tmp_path)
    for number in range(100):
        writer[f"k{number}"] = number
    (index,) = tmp_path.glob("*.index")
    os.truncate(index, index.stat().st_size - cut)
    for reader in (CacheDict[Any](tmp_path), CacheDict[Any](tmp_path)):
        assert [reader[f"k{number}"] for number in (99, 0, 50)] == [99, 0, 50]
        assert len(reader) == 100
        index.unlink(missing_ok=True)


def test_a_damaged_line_behind_the_index(tmp_path: Path) -> None:
    first, writer = (CacheDict[Any](tmp_path) for _ in range(2))
    first["k7"] = "older"
    for number in range(200):
        writer[f"k{number}"] = number
    writer.close()
    log = sorted(tmp_path.glob("*.log"))[-1]
    content = log.read_bytes()
    at = content.rindex(b'"v":7}')
    log.write_bytes(content[:at] + b'#v":7}' + content[at + 6 :])
    reader: CacheDict[Any] = CacheDict(tmp_path)
    with pytest.warns(DamagedCacheWarning):
        assert reader["k7"] == "older"
    assert reader["k8"] == 8


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_incident_08_a_full_disk_that_is_freed_again(small_disk: Path) -> None:
    """Incident 8: after a full disk was freed, half a line glued itself to the next."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(200_000))
    writer: CacheDict[Any] = CacheDict(small_disk / "cache")
    stored: dict[str, Any] = {}
    told: dict[str, ResultNotStored] = {}
    for number in range(2000):
        try:
            writer[f"k{number}"] = value = "x" * (number % 700) if number % 2 else np.full(number % 90, number)
            stored[f"k{number}"] = value
        except ResultNotStored as error:
            told[f"k{number}"] = error
        if told and number - int(next(iter(told))[1:]) == 4:
            assert set(CacheDict[Any](small_disk / "cache")) == set(stored)
            ballast.unlink()
        if len(told) == 8:
            break
    assert len(told) == 8
    for key, error in told.items():
        assert f"item '{key}' was not stored" in str(error)
        assert "items before it are kept" in str(error)
        assert error.value is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedCacheWarning)
        reader: CacheDict[Any] = CacheDict(small_disk / "cache")
        assert set(reader) == set(stored)
        assert all(np.array_equal(reader[key], value) for key, value in stored.items())


def test_incident_08_a_limit_on_file_sizes(tmp_path: Path) -> None:
    """The same without root: the disk takes a part of a write, then refuses."""
    writer: CacheDict[Any] = CacheDict(tmp_path)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    stored = 0
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))
        for number in range(100):
            try:
                writer[f"k{number}"] = "x" * 333
                stored += 1
            except ResultNotStored:
                writer[f"k{number}"] = "again"
                stored += 1
        with pytest.raises(ResultNotStored):
            writer["large"] = np.zeros(1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    writer["last"] = 1
    assert set(CacheDict[Any](tmp_path)) == {*(f"k{number}" for number in range(100)), "last"}
    assert stored == 100


def test_incident_15_a_folder_that_cannot_be_written_is_read(tmp_path: Path) -> None:
    """Incident 15: a cache in a read-only folder, or of another user, could not be read."""
    writer: CacheDict[Any] = CacheDict(tmp_path / "cache")
    for number in range(2000):
        writer[f"k{number}"] = np.full(3, number)
    del writer
    shown = sorted(path.name for path in (tmp_path / "cache").iterdir())
    program = """
import os, sys, numpy as np
from exca.cachedict import CacheDict
from exca.errors import ResultNotStored, StoreError
if not os.getuid():
    os.setgid(65534); os.setuid(65534)
cache = CacheDict(sys.argv[1], keep_in_ram=True)
assert cache["k1999"][0] == 1999
assert "nothing" not in cache and cache.missing(["k0", "no"]) == ["no"]
with cache.write():
    pass
assert len(cache) == 2000 and len(list(cache.values())) == 2000
for refused in (lambda: cache.__setitem__("a", 1), lambda: cache.__delitem__("k0"), cache.compact):
    try:
        refused()
    except StoreError as error:
        assert sys.argv[1] in str(error), error
    else:
        raise AssertionError
cache.close()
assert cache["k0"][0] == 0
"""
    for path in [tmp_path / "cache", *(tmp_path / "cache").iterdir()]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    for parent in (tmp_path, *tmp_path.parents[:4]):
        if parent.stat().st_uid == os.getuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    command = [sys.executable, "-W", "error", "-c", program, str(tmp_path / "cache")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == shown


def test_permissions_are_those_asked_for(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        cache: CacheDict[Any] = CacheDict(tmp_path / "a" / "b", permissions=0o770)
        cache.update({f"k{number}": np.zeros(3) for number in range(200)})
        cache.close()
    finally:
        os.umask(old)
    modes = {path.suffix: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "a" / "b").iterdir()}
    assert modes == dict.fromkeys((".log", ".data", ".index", ".json"), 0o660)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o770


@pytest.mark.parametrize("place", [MARKER, "*.log"])
def test_a_newer_format_is_refused_clearly(tmp_path: Path, place: str) -> None:
    cache: CacheDict[Any] = CacheDict(tmp_path)
    cache["a"] = 1
    (path,) = tmp_path.glob(place)
    path.write_text(path.read_text().replace('"exca-cache":1', '"exca-cache":2').replace('-cache": 1', '-cache": 2'))
    reader: CacheDict[Any] = CacheDict(tmp_path)
    for use in (lambda: reader["a"], lambda: list(reader), lambda: reader.__setitem__("b", 1)):
        with pytest.raises(CorruptResult, match=r"format 2 of the cache, and this version of exca reads 1"):
            use()


def test_a_folder_removed_while_writing(tmp_path: Path) -> None:
    import shutil

    cache: CacheDict[Any] = CacheDict(tmp_path / "cache")
    cache["a"] = 1
    shutil.rmtree(tmp_path / "cache")
    cache["b"] = 2
    assert dict(cache) == dict(CacheDict(tmp_path / "cache")) == {"b": 2}


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("not a folder")
    with pytest.raises(ResultNotStored, match="'a' was not stored"):
        CacheDict[Any](tmp_path / "cache")["a"] = 1


def test_reading_what_is_new_does_not_read_what_is_sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer: CacheDict[Any] = CacheDict(tmp_path)
    for number in range(5000):
        writer[f"k{number}"] = number
    read = 0
    take = segment.Segment._take

    def counted(this: segment.Segment, lines: list[bytes], at: int, found: dict[str, Any]) -> int:
        nonlocal read
        read += len(lines)
        return take(this, lines, at, found)

    monkeypatch.setattr(segment.Segment, "_take", counted)
    reader: CacheDict[Any] = CacheDict(tmp_path)
    assert reader["k17"] == 17
    assert read <= 1024
    read = 0
    for number in range(50):
        writer[f"new-{number}"] = number
        assert reader[f"new-{number}"] == number
    assert read == 50


@pytest.mark.parametrize("wiped", ["first", "last", "all"])
def test_tables_that_never_reached_the_disk_hide_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wiped: str
) -> None:
    """After a power cut a file may hold zeros where something was written."""
    monkeypatch.setattr("exca.cachedict._writer._SEALED_RECORDS", 16)
    writer: CacheDict[Any] = CacheDict(tmp_path)
    for number in range(100):
        writer[f"k{number}"] = number
    (log,) = tmp_path.glob("*.log")
    boot = Stamp.current().boot
    log.write_bytes(log.read_bytes().replace(boot.encode(), boot[::-1].encode()))  # the machine was started anew
    index = log.with_suffix(".index")
    blocks = read_blocks(str(index))
    content = bytearray(index.read_bytes())
    for block in {"first": blocks[:1], "last": blocks[-1:], "all": blocks}[wiped]:
        content[block.trailer - 16 * block.count : block.trailer] = bytes(16 * block.count)
    index.write_bytes(bytes(content))
    reader: CacheDict[Any] = CacheDict(tmp_path)
    assert [reader[f"k{number}"] for number in (0, 50, 99)] == [0, 50, 99]
    assert len(reader) == 100


def test_on_a_network_disk_a_payload_is_sent_before_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise another machine could see the line first, and zeros in the place of the payload."""
    monkeypatch.setattr("exca.cachedict._writer.is_remote", lambda path: True)
    sync = os.fdatasync
    sent: list[tuple[str, int, int]] = []

    def sending(descriptor: int) -> None:
        sync(descriptor)
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        log = path.with_suffix(".log").read_bytes()
        sent.append((path.suffix, path.stat().st_size, log.count(b'"k"')))

    monkeypatch.setattr(os, "fdatasync", sending)
    cache: CacheDict[Any] = CacheDict(tmp_path)
    cache["a"] = np.zeros(8)
    cache["b"] = "inline"
    cache["c"] = np.zeros(16)
    assert [(suffix, lines) for suffix, _, lines in sent] == [
        (".data", 0),
        (".log", 1),
        (".log", 2),
        (".data", 2),
        (".log", 3),
    ]
    assert [size for suffix, size, _ in sent if suffix == ".data"] == [64, 192]
