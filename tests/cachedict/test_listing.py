"""A folder is listed again when, and only when, something has come or gone."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from exca.cachedict import CacheDict
from exca.cachedict._listing import Listing


def test_new_writers_are_seen_however_fast_they_come(tmp_path: Path) -> None:
    reader: CacheDict[int] = CacheDict(tmp_path / "cache")
    assert reader.missing(["0"]) == ["0"], "there is no folder yet"
    for number in range(15):
        CacheDict[int](tmp_path / "cache")[str(number)] = number
        assert reader.missing([str(number)]) == []


def test_a_folder_at_rest_is_not_listed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer: CacheDict[int] = CacheDict(tmp_path)
    writer["a"] = 1
    listing = Listing(str(tmp_path))
    names = listing.changes()
    time.sleep(0.15)
    assert listing.changes() == names
    with monkeypatch.context() as patch:
        patch.setattr(os, "listdir", lambda _: pytest.fail("it was listed"))
        assert listing.changes() is None
    CacheDict[int](tmp_path)["b"] = 2
    later = listing.changes()
    assert names is not None
    assert later is not None
    assert len(later) == len(names) + 1


def test_a_cache_at_rest_that_is_replaced_is_seen(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    CacheDict[int](cache)["a"] = 1
    time.sleep(0.15)
    reader: CacheDict[int] = CacheDict(cache)
    assert reader.missing(["a", "b"]) == ["b"]
    os.rename(cache, tmp_path / "old")
    CacheDict[int](cache)["b"] = 2
    assert reader.missing(["a", "b"]) == ["a"]
    assert reader["b"] == 2
