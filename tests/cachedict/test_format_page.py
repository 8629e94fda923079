"""The page about the format on disk is enough to read a cache: this reader knows nothing else."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exca.cachedict import CacheDict

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "cache-format.md"


def lines_of(log: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    at = 0
    for line in log.read_bytes().split(b"\n")[:-1]:
        yield at, json.loads(line)
        at += len(line) + 1


def read_folder(folder: Path) -> dict[str, Any]:
    """All items, as the page says: the record with the largest number counts."""
    assert json.loads((folder / "cache-format.json").read_text())["exca-cache"] == 1
    newest: dict[str, tuple[int, Path, dict[str, Any]]] = {}
    for log in folder.glob("*.log"):
        lines = list(lines_of(log))
        assert lines[0][1]["exca-cache"] == 1
        for _, record in lines[1:]:
            if "k" in record and record["n"] > newest.get(record["k"], (0,))[0]:
                newest[record["k"]] = (record["n"], log, record)
    return {key: value_of(log, record) for key, (_, log, record) in newest.items() if "x" not in record}


def value_of(log: Path, record: dict[str, Any]) -> Any:
    info = record["v"]
    if not isinstance(info, dict) or "$" not in info:
        return info
    assert info["$"] == "array"
    index, dtype, shape = info["v"]
    position, length = record["p"][index]
    assert position % 64 == 0
    with open(log.with_suffix(".data"), "rb") as data:
        data.seek(position)
        content = data.read(length)
    assert dtype == "<f4"
    return (*shape, *struct.unpack(f"<{length // 4}f", content))


def look_up(path: Path, key: str) -> list[int]:
    """Positions of lines that the index has for a key."""
    content = path.read_bytes()
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    at, found, end = len(content) - 64, [], None
    while at != 2**64 - 1:
        trailer = content[at : at + 64]
        magic, crc, table_crc, start, stop, count, _, previous, zero = struct.unpack(">8sIIQQQQQQ", trailer)
        assert (magic, zero) == (b"exca-ix\x01", 0)
        assert crc == zlib.crc32(trailer[:8] + bytes(4) + trailer[12:])
        assert end in (None, stop)
        table = content[at - 16 * count : at]
        assert table_crc == zlib.crc32(table)
        entries = [table[place : place + 16] for place in range(0, len(table), 16)]
        assert entries == sorted(entries)
        found += [int.from_bytes(entry[8:], "big") for entry in entries if entry[:8] == digest]
        at, end = previous, start
    assert end == 0
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for writer in range(3):
        cache: CacheDict[Any] = CacheDict(tmp_path)
        for number in range(300):
            cache[f"{writer}-{number}"] = np.full(number % 5 + 1, number, dtype="f4")
            cache[f"text-{number}"] = f"{writer} é \n {number}"
        del cache["text-7"]
        if writer < 2:
            cache.close()
    return tmp_path


def test_items_as_the_page_says(folder: Path) -> None:
    found = read_folder(folder)
    cache: CacheDict[Any] = CacheDict(folder)
    assert found.keys() == set(cache)
    assert "text-7" not in found
    for key, value in cache.items():
        expected = value if isinstance(value, str) else (*value.shape, *value.tolist())
        assert found[key] == expected
    cache.compact()
    assert read_folder(folder) == found


def test_indexes_as_the_page_says(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exca.cachedict._writer._SEALED_RECORDS", 8)
    cache: CacheDict[Any] = CacheDict(folder)
    for number in range(1000):
        cache[f"more-{number}"] = number
    indexes = list(folder.glob("*.index"))
    assert len(indexes) >= 3
    for index in indexes:
        lines = {at: record for at, record in lines_of(index.with_suffix(".log")) if "k" in record}
        covered = 0
        for key in {record["k"] for record in lines.values()}:
            for at in look_up(index, key):
                assert lines[at]["k"] == key
                covered += 1
        assert covered >= len({record["k"] for record in lines.values()}) - 1024


@pytest.mark.parametrize("name", ["exca-cache", "process", "created", "merges", "closed", "dead"])
def test_the_page_tells_of_every_key(folder: Path, name: str) -> None:
    cache: CacheDict[Any] = CacheDict(folder)
    cache.compact()
    cache["a"] = np.zeros(3)
    del cache["a"]
    page = PAGE.read_text()
    used = {key for log in folder.glob("*.log") for _, record in lines_of(log) for key in record}
    assert used <= {"exca-cache", "process", "created", "merges", "closed", "dead", *"knvpx"}
    assert f"`{name}`" in page or f'"{name}"' in page
