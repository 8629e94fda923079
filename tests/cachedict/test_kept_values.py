"""Values in RAM: whoever gets one can change it, at any depth, and nobody else sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from exca.cachedict import CacheDict
from exca.cachedict._folder_items import FolderItems
from exca.cachedict._ram import KeptValues


@dataclass
class Score:
    """Something that is neither plain nor immutable."""

    parts: list[int] = field(default_factory=lambda: [1])


def change(value: Any) -> None:
    """Change what is deepest in one of the values below."""
    if isinstance(value, Score):
        value.parts.append(9)
    elif isinstance(value, np.ndarray):
        value[...] = 9
    elif isinstance(value, (list, tuple)):
        change(value[0]) if value and not isinstance(value[0], int) else value.append(9)  # type: ignore[union-attr]
    else:
        change(next(iter(value.values())))


@pytest.mark.parametrize(
    "make",
    [
        lambda: {"a": {"b": [1, 2]}, "c": 1},
        lambda: [[[1]], "x"],
        lambda: ([1], (2, None)),
        lambda: {"a": Score()},
        lambda: [np.zeros(3), 1],
        lambda: {(1, 2): {3: [4]}},
    ],
    ids=["dicts", "lists", "tuple", "object", "array", "other keys"],
)
@pytest.mark.parametrize("where", ["ram", "folder"])
def test_incident_12_a_change_at_any_depth_stays_with_who_made_it(
    make: Callable[[], Any], where: str, tmp_path: Path
) -> None:
    cache: CacheDict[Any] = CacheDict(tmp_path if where == "folder" else None, keep_in_ram=True)
    given = make()
    cache["key"] = given
    change(given)
    reads: list[Callable[[], Any]] = [
        lambda: cache["key"],
        lambda: cache.get_many(["key"])[0],
        lambda: next(cache.iter_many(["key"])),
        lambda: next(iter(cache.values())),
    ]
    for read in reads:
        got = read()
        assert repr(got) == repr(make())
        change(got)
    assert repr(cache["key"]) == repr(make())


def test_a_list_that_contains_itself_is_copied_as_it_is() -> None:
    cache: CacheDict[Any] = CacheDict(None, keep_in_ram=True)
    loop: list[Any] = [1]
    loop.append(loop)
    cache["loop"] = loop
    found = cache["loop"]
    assert found is not loop
    assert found[1] is found


def test_many_come_from_ram_and_then_from_disk(tmp_path: Path) -> None:
    CacheDict[Any](tmp_path).update({str(number): np.full(3, number) for number in range(9)})
    cache: CacheDict[Any] = CacheDict(tmp_path, keep_in_ram=True)
    assert [int(value[0]) for value in cache.get_many(["0", "1", "5"])] == [0, 1, 5]
    keys = [str(number % 9) for number in range(12)]
    assert [int(value[0]) for value in cache.iter_many(keys)] == [number % 9 for number in range(12)]


def test_many_end_at_the_first_that_is_missing(tmp_path: Path) -> None:
    for folder, ram in ((None, True), (tmp_path / "a", False), (tmp_path / "b", True)):
        cache: CacheDict[int] = CacheDict(folder, keep_in_ram=ram)
        cache.update(a=1, b=2)
        values = cache.iter_many(["a", "b", "x", "a"])
        assert [next(values), next(values)] == [1, 2]
        with pytest.raises(KeyError, match="x"):
            next(values)


def test_what_is_written_again_meanwhile_is_not_left_out(tmp_path: Path) -> None:
    keys = [f"k{number}" for number in range(6)]
    CacheDict[Any](tmp_path).update({key: {"a": 1} for key in keys})
    cache: CacheDict[Any] = CacheDict(tmp_path, keep_in_ram=True)
    for key in keys[1:]:
        assert cache[key] == {"a": 1}
    seen = []
    for key, value in cache.items():
        seen.append((key, value["a"]))
        if key == "k1":
            cache["k4"] = {"a": 2}
    assert seen == [("k0", 1), ("k1", 1), ("k2", 1), ("k3", 1), ("k4", 2), ("k5", 1)]


def test_a_newer_value_is_not_replaced_by_what_a_thread_read_before() -> None:
    kept = KeptValues()
    kept.keep("a", [2], sequence=2)
    kept.keep("a", [1], sequence=1)
    assert kept.values["a"][1:3] == ([2], 2)


def test_what_another_thread_keeps_meanwhile_is_not_taken_for_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache: CacheDict[Any] = CacheDict(tmp_path, keep_in_ram=True)
    cache["a"] = 2
    CacheDict[Any](tmp_path)["b"] = 1
    assert "b" in cache, "something has changed: what is kept of a is looked up again"
    items = cast("FolderItems", cache._items)
    find, kept = items._catalog.find, items._kept
    assert kept is not None

    def found(key: str) -> Any:
        kept.values[key] = (None, 1, 0, 0)  # of an older record
        return find(key)

    monkeypatch.setattr(items._catalog, "find", found)
    assert cache["a"] == 2
    monkeypatch.undo()
    assert cache["a"] == 2


@pytest.mark.parametrize("keep", [False, True])
def test_incident_12_each_mention_of_a_key_gets_a_value_of_its_own(keep: bool, tmp_path: Path) -> None:
    CacheDict[Any](tmp_path).update(a={"x": [1]}, b=2)
    cache: CacheDict[Any] = CacheDict(tmp_path, keep_in_ram=keep)
    for _ in range(3):  # from disk, and from RAM
        one, two, _, three = cache.iter_many(["a", "a", "b", "a"])
        change(one["x"])
        change(two["x"])
        assert three == {"x": [1]}
        assert cache["a"] == {"x": [1]}
