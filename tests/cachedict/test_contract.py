"""What every CacheDict keeps to, wherever its items are."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest

from exca.cachedict import CacheDict
from exca.errors import InvalidInfra

Make = Callable[[], "CacheDict[Any]"]


class CacheDictContract:
    """Inherited by one class for each place."""

    @pytest.fixture
    def make(self, tmp_path: Path) -> Make:
        raise NotImplementedError

    @pytest.fixture
    def cache(self, make: Make) -> CacheDict[Any]:
        return make()

    def test_a_new_one_is_empty(self, cache: CacheDict[Any]) -> None:
        assert len(cache) == 0
        assert not cache
        assert list(cache) == []
        assert "a" not in cache
        assert cache.get("a") is None
        assert cache.missing(["a", "b", "a"]) == ["a", "b"]
        with pytest.raises(KeyError, match="a"):
            cache["a"]
        with pytest.raises(KeyError, match="a"):
            del cache["a"]
        with pytest.raises(KeyError):
            cache.popitem()

    def test_items_come_back(self, cache: CacheDict[Any]) -> None:
        with cache.write() as same:
            assert same is cache
            cache["a"] = 1
            cache["b"] = {"x": (1, 2.5)}
            with cache.write():
                cache["c"] = "text"
        cache["d"] = None
        assert cache["b"] == {"x": (1, 2.5)}
        assert cache["d"] is None
        assert list(cache) == ["a", "b", "c", "d"]
        assert list(cache.keys()) == ["a", "b", "c", "d"]
        assert list(cache.values()) == [1, {"x": (1, 2.5)}, "text", None]
        assert next(iter(cache.items())) == ("a", 1)
        assert len(cache) == len(cache.items()) == len(cache.values()) == 4
        assert "d" in cache
        assert cache
        assert cache.missing(["d", "e", "a", "e"]) == ["e"]

    def test_the_same_as_a_dict(self, cache: CacheDict[Any]) -> None:
        same: dict[str, Any] = {}
        for this in (cache, same):
            this.update({"a": 1, "b": 2}, c=3)
            assert this.setdefault("a", 7) == 1
            assert this.setdefault("d", 4) == 4
            assert this.pop("b") == 2
            assert this.pop("b", None) is None
            this["a"] = 5
            del this["c"]
            assert this.popitem() in (("d", 4), ("a", 5))
            this.clear()
            assert len(this) == 0
            this["z"] = [1]
        assert cache == same
        assert cache != {"z": [2]}

    def test_many_at_once(self, cache: CacheDict[Any]) -> None:
        for number in range(100):
            cache[f"k{number}"] = np.full(3, number)
        keys = ["k7", "k3", "k7", "k99"]
        assert [value[0] for value in cache.get_many(keys)] == [7, 3, 7, 99]
        assert [value[0] for value in cache.iter_many(keys)] == [7, 3, 7, 99]
        assert cache.get_many(["nothing", "k0"], default=None)[0] is None
        for many in (cache.get_many, lambda keys: list(cache.iter_many(keys))):
            with pytest.raises(KeyError, match="nothing"):
                many(["k0", "nothing", "k1"])
            with pytest.raises(KeyError, match="nothing"):
                many(["k0", "nothing"])
        assert cache.get_many([]) == list(cache.iter_many([])) == []

    def test_incident_12_nobody_changes_what_the_next_one_gets(self, cache: CacheDict[Any]) -> None:
        given = {"array": np.zeros(3), "list": [1]}
        large, row = np.zeros(1 << 18), np.arange(4.0)
        cache["mixed"], cache["large"], cache["row"] = given, large, row
        given["list"].append(2)
        large[:] = row[:] = 7
        for _ in range(3):
            mixed = cache["mixed"]
            assert mixed["list"] == [1]
            mixed["list"].append(3)
            mixed["array"][:] = 1
            for many in (cache.get_many, lambda keys: list(cache.iter_many(keys))):
                rows = many(["row", "large", "row"])
                assert [float(rows[0][3]), float(rows[1][3]), float(rows[2][3])] == [3.0, 0.0, 3.0]
                rows[0][:] = rows[1][:] = 9
                assert rows[2][3] == 3.0
            assert cache["mixed"]["array"].sum() == 0
            cache["row"][:] = 5

    @pytest.mark.parametrize("key", [1, None, b"a", ("a",)])
    def test_keys_are_strings(self, cache: CacheDict[Any], key: Any) -> None:
        for call in (
            lambda: cache[key],
            lambda: cache.__setitem__(key, 1),
            lambda: cache.__delitem__(key),
            lambda: cache.get_many([key]),
            lambda: cache.missing([key]),
        ):
            with pytest.raises(TypeError, match="keys of a CacheDict are strings"):
                call()
        assert key not in cache

    @pytest.mark.parametrize("key", ["", "a/b", "\n", '"', "é", "\ud800", "\0", "x" * 5000, "k" * 100_000])
    def test_any_string_is_a_key(self, cache: CacheDict[Any], key: str) -> None:
        cache[key] = 1
        cache["other"] = 2
        assert cache[key] == 1
        assert list(cache) == [key, "other"]

    def test_repr_says_where_and_how_many(self, cache: CacheDict[Any]) -> None:
        cache["a"] = 1
        assert "1 item>" in repr(cache)
        assert (str(cache.folder) if cache.folder else "in RAM") in repr(cache)

    @pytest.mark.parametrize("copied", [copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))])
    def test_copies(self, cache: CacheDict[Any], copied: Callable[[Any], CacheDict[Any]]) -> None:
        cache["a"] = [1]
        other = copied(cache)
        assert other["a"] == [1]
        assert (other.folder, other.keep_in_ram) == (cache.folder, cache.keep_in_ram)
        other["b"] = 2
        assert ("b" in cache) == (cache.folder is not None)
        assert cloudpickle.loads(cloudpickle.dumps(other))["b"] == 2

    def test_maintenance_changes_nothing(self, cache: CacheDict[Any]) -> None:
        cache.compact()
        cache["a"] = 1
        cache["a"] = 2
        for act in (cache.refresh, cache.compact, cache.close, cache.compact):
            act()
            assert dict(cache) == {"a": 2}
        cache["b"] = 3
        assert dict(cache) == {"a": 2, "b": 3}


class TestRam(CacheDictContract):
    @pytest.fixture
    def make(self, tmp_path: Path) -> Make:
        return lambda: CacheDict(None, keep_in_ram=True)

    def test_what_cannot_be_copied_is_kept_itself(self, cache: CacheDict[Any]) -> None:
        generator = (number for number in range(3))
        cache["a"] = generator
        assert cache["a"] is generator


class _OnDisk(CacheDictContract):
    keep_in_ram = False

    @pytest.fixture
    def make(self, tmp_path: Path) -> Make:
        return lambda: CacheDict(tmp_path / "cache", keep_in_ram=self.keep_in_ram)

    def test_nothing_is_created_before_the_first_item(self, make: Make) -> None:
        cache = make()
        assert "a" not in cache
        cache.close()
        assert cache.folder is not None
        assert not cache.folder.exists()

    def test_another_object_sees_each_item_at_once(self, make: Make) -> None:
        one, other = make(), make()
        with one.write():
            for number in range(5):
                one[str(number)] = np.full(2, number)
                assert str(number) in other
                assert other[str(number)][0] == number
        del one["3"]
        one["4"] = "new"
        other.refresh()
        assert "3" not in other
        assert other["4"] == "new"
        assert other.missing(["3", "4"]) == ["3"]
        assert list(other) == list(one) == ["0", "1", "2", "4"]

    def test_every_object_may_write(self, make: Make) -> None:
        one, other = make(), make()
        one["a"], other["a"] = 1, 2
        one["b"], other["c"] = 3, 4
        one.refresh()
        assert dict(one) == {"a": 2, "b": 3, "c": 4}
        del one["a"]
        other.refresh()
        assert dict(other) == dict(make()) == {"b": 3, "c": 4}


class TestFolder(_OnDisk):
    pass


class TestFolderAndRam(_OnDisk):
    keep_in_ram = True


def test_a_place_is_needed() -> None:
    with pytest.raises(ValueError, match="keep_in_ram"):
        CacheDict(None)


def test_formats_are_checked_at_once(tmp_path: Path) -> None:
    with pytest.raises(InvalidInfra, match="Parquey"):
        CacheDict(tmp_path, cache_type="Parquey")


def test_one_format_for_all(tmp_path: Path) -> None:
    cache: CacheDict[Any] = CacheDict(tmp_path, cache_type="NumpyArray")
    cache["a"] = np.arange(3)
    with pytest.raises(OSError, match="NumpyArray"):
        cache["b"] = "text"
    assert list(cache) == ["a"]
