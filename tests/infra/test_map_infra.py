"""MapInfra as a user meets it: declaring, calling, order, modes, copies, checks; no cluster."""

from __future__ import annotations

import copy
import inspect
import itertools
import os
import pickle
import stat
import sys
import types
import typing as tp
from pathlib import Path

import numpy as np
import pandas as pd
import pydantic
import pytest
from mapped import Batched, Counted, Listed, counts, first

import exca
from exca.errors import (
    CodeChanged,
    ConfigSealed,
    InfraNotBound,
    InvalidInfra,
    ResultNotFound,
    UidCollision,
    UnstableIdentity,
    WrongNumberOfResults,
)


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return tmp_path / "trace.txt"


PLACES = pytest.mark.parametrize("place", ["folder", "folder and ram", "ram"])


def infra_for(place: str, tmp_path: Path, **fields: tp.Any) -> dict[str, tp.Any]:
    return {"folder": None if place == "ram" else tmp_path / "cache", "keep_in_ram": "ram" in place, **fields}


# ---------------------------------------------------------------------- calling


@PLACES
@pytest.mark.parametrize("cls", [Counted, Listed, Batched])
def test_each_item_is_computed_once_and_read_in_the_order_of_the_call(
    cls: type[Counted], place: str, tmp_path: Path, trace: Path
) -> None:
    config = cls(trace=trace, infra=infra_for(place, tmp_path))
    assert first(config.process([3, 1, 2, 1, 3])) == [3, 1, 2, 1, 3]
    assert first(config.process([5, 3, 1])) == [5, 3, 1]
    assert counts(trace) == {1: 1, 2: 1, 3: 1, 5: 1}
    assert sorted(config.infra.cache_dict) == ["1", "2", "3", "5"]


def test_everything_is_computed_when_the_call_returns_and_nothing_is_read(tmp_path: Path, trace: Path) -> None:
    config = Counted(trace=trace, infra={"folder": tmp_path, "keep_in_ram": False})
    results = config.process([1, 2, 3])
    assert counts(trace) == {1: 1, 2: 1, 3: 1}
    assert iter(results) is results
    del config.infra.cache_dict["2"]
    assert first([next(results)]) == [1]
    with pytest.raises(ResultNotFound, match="'2' was deleted"):
        next(results)


def test_items_may_come_from_a_generator_by_name_or_not_at_all(tmp_path: Path, trace: Path) -> None:
    config = Counted(trace=trace, infra={"folder": tmp_path})
    assert first(config.process(items=(n for n in range(3)))) == [0, 1, 2]
    assert list(config.process([])) == []
    assert list(config.process(iter(()))) == []
    for wrong in ((), ([1], [2])):
        with pytest.raises(TypeError, match="positional argument"):
            config.process(*wrong)
    with pytest.raises(TypeError, match="thing"):
        config.process(thing=[1])


def test_name_doc_and_signature_are_the_users_own() -> None:
    assert Counted.process.__name__ == "process"
    assert Counted.process.__doc__ == "Compute items one by one."
    assert list(inspect.signature(Counted.process).parameters) == ["self", "items"]


def test_another_object_and_other_settings_find_what_is_stored(tmp_path: Path, trace: Path) -> None:
    Counted(trace=trace, infra={"folder": tmp_path}).process([1, 2])
    again = Counted(trace=trace, infra={"folder": tmp_path, "keep_in_ram": False})
    other = Counted(trace=trace, size=4, infra={"folder": tmp_path})
    assert first(again.process([2, 1])) == [2, 1]
    assert counts(trace) == {1: 1, 2: 1}
    assert next(other.process([1])).shape == (4,)


def test_without_a_cache_the_method_is_just_called_lazily(trace: Path) -> None:
    config = Counted(trace=trace, infra={"keep_in_ram": False})
    results = config.process(itertools.chain([1], [1, 2]))
    assert counts(trace) == {}
    assert first(itertools.islice(results, 1)) == [1]
    assert counts(trace) == {1: 1}
    assert first(results) == [1, 2]
    assert counts(trace) == {1: 2, 2: 1}
    with pytest.raises(InvalidInfra, match="keeps no results"):
        config.infra.cache_dict  # noqa: B018


@PLACES
def test_incident_12_whoever_changes_a_value_changes_nobody_elses(place: str, tmp_path: Path) -> None:
    config = Counted(infra=infra_for(place, tmp_path))
    for _ in range(2):
        one, other = config.process([1, 1])
        assert one.flags.writeable
        one += 5
        assert first([other]) == [1]
        assert first(config.process([1])) == [1]


class Values(pydantic.BaseModel):
    """Gives back what a test wants to see again."""

    infra: exca.MapInfra = exca.MapInfra()
    _given: tp.ClassVar[dict[str, tp.Any]] = {}

    @infra.apply(item_uid=str)
    def process(self, items: tp.Iterable[str]) -> tp.Iterator[tp.Any]:
        for item in items:
            yield self._given[item]


@PLACES
def test_incident_12_values_come_back_as_they_were_computed(place: str, tmp_path: Path) -> None:
    given = {
        "tuple": (1, [2]),
        "keys": {1: "a", (2, 3): None},
        "nan": float("nan"),
        "scalar": np.float32(1.5),
        "text": "é\n\x00",
        "bytes": b"\x00\xff",
        "none": None,
        "array": np.arange(6).reshape(2, 3).T,
        "nested": {"a": [np.zeros(0), {"b": np.ones(2, "M8[s]")}]},
    }
    Values._given = given
    Values(infra=infra_for(place, tmp_path)).process(given)
    reader = Values(infra=infra_for(place, tmp_path))
    for key, value in zip(given, reader.process(given), strict=True):
        assert type(value) is type(given[key])
        np.testing.assert_equal(value, given[key])


# ---------------------------------------------------------------------- names of items


def test_incident_13a_long_uids_are_shortened_and_stay_apart(tmp_path: Path) -> None:
    class Long(pydantic.BaseModel):
        infra: exca.MapInfra = exca.MapInfra()

        @infra.apply(item_uid=str, item_uid_max_length=50)
        def process(self, items: tp.Iterable[str]) -> tp.Iterator[int]:
            for item in items:
                yield len(item)

    config = Long(infra={"folder": tmp_path})
    items = ["a" * n for n in range(40, 400)]
    assert list(config.process(items)) == [len(item) for item in items]
    keys = list(config.infra.cache_dict)
    assert len(set(keys)) == len(items)
    assert max(map(len, keys)) == 50
    assert all(key.startswith("a" * 17) for key in keys)
    assert len([key for key in keys if "-" in key]) == 349  # 128 bits, in hexadecimal
    assert {len(key.rpartition("-")[2]) for key in keys if "-" in key} == {32}


def with_item_uid(item_uid: tp.Any) -> pydantic.BaseModel:
    class Named(pydantic.BaseModel):
        infra: exca.MapInfra = exca.MapInfra()

        @infra.apply(item_uid=item_uid)
        def process(self, items: tp.Iterable[tp.Any]) -> tp.Iterator[tp.Any]:
            yield from items

    return Named()


def test_item_uid_must_give_text_that_another_process_gives_too() -> None:
    with pytest.raises(UnstableIdentity, match=r"gave 7 \(int\) for the item 7: it must return a str"):
        with_item_uid(lambda item: item).process([7])
    with pytest.raises(UnstableIdentity, match=r"gave b'x' \(bytes\)"):
        with_item_uid(lambda item: b"x").process([7])
    with pytest.raises(UnstableIdentity, match="address in memory"):
        with_item_uid(str).process([object()])
    assert list(with_item_uid(str).process(["crash at 0x7f"])) == ["crash at 0x7f"]


# ---------------------------------------------------------------------- what the method may be


class Named(pydantic.BaseModel):
    """Items by the last part of their path."""

    infra: exca.MapInfra = exca.MapInfra()

    @infra.apply(item_uid=lambda item: item if isinstance(item, str) and "/" not in item else os.path.basename(item))
    def process(self, items: tp.Iterable[tp.Any]) -> tp.Iterator[str]:
        for item in items:
            yield str(item)


@pytest.mark.parametrize("second", ["b/x.wav", Path("a/x.wav"), b"x.wav".decode()])
def test_different_items_of_one_name_are_told_of(second: tp.Any, tmp_path: Path) -> None:
    config = Named(infra={"folder": tmp_path})
    with pytest.warns(UserWarning, match=r"item_uid of .*Named.process gives 'x.wav' for both 'a/x.wav' and") as told:
        assert list(config.process(["a/x.wav", second, "a/x.wav"])) == ["a/x.wav"] * 3
    assert told[0].filename == __file__


def test_the_same_item_again_is_no_collision(tmp_path: Path) -> None:
    nan = float("nan")
    config = Counted(infra={"folder": tmp_path})
    assert len(list(config.process([1, 1, np.int64(1), int("1000"), int("1000")]))) == 5
    assert len(list(Named(infra={"folder": tmp_path}).process(["x", "x", "".join("x")]))) == 3

    class Floats(pydantic.BaseModel):
        infra: exca.MapInfra = exca.MapInfra()

        @infra.apply(item_uid=str)
        def process(self, items: tp.Iterable[float]) -> tp.Iterator[float]:
            yield from items

    assert len(list(Floats().process([nan, float("nan"), 1.5, 1.5]))) == 4


def test_what_is_no_collection_of_items_is_refused_in_words() -> None:
    for items in (None, 5, "a.wav", b"a", pd.DataFrame({"a": [1]})):
        with pytest.raises(
            TypeError, match=rf"(?s)Counted.process takes many items .* of type {type(items).__name__}:"
        ):
            Counted().process(items)  # type: ignore[arg-type]
    assert first(Counted().process(pd.Series([1, 2]))) == [1, 2]
    with pytest.raises(TypeError, match="NoneType") as caught:
        Named().process(["a/x", None])
    assert caught.value.__notes__ == ["while item_uid of Named.process was naming one of 2 items"]


def test_apply_says_what_is_wrong() -> None:
    with pytest.raises(InvalidInfra, match="item_uid=str"):
        exca.MapInfra().apply(lambda self, items: items)
    with pytest.raises(InvalidInfra, match="item_uid=str"):
        exca.MapInfra().apply()
    with pytest.raises(InvalidInfra, match="40 characters"):
        exca.MapInfra().apply(item_uid=str, item_uid_max_length=10)

    def none(self): ...
    def more(self, items, scale=1): ...
    def star(self, *items): ...
    def key(self, *, items): ...
    async def late(self, items): ...

    for method in (none, more, star, key):
        with pytest.raises(InvalidInfra, match=rf"must take the items.*defined as {method.__name__}\("):
            exca.MapInfra().apply(item_uid=str)(method)
    with pytest.raises(InvalidInfra, match="async"):
        exca.MapInfra().apply(item_uid=str)(late)
    infra = exca.MapInfra()
    infra.apply(item_uid=str)(lambda self, items: items)
    with pytest.raises(InvalidInfra, match=r"applied to .* already"):
        infra.apply(item_uid=str)(lambda self, items: items)
    with pytest.raises(InfraNotBound):
        exca.MapInfra().cache_dict  # noqa: B018


class Wrong(pydantic.BaseModel):
    """Gives a wrong number of results."""

    how: str
    infra: exca.MapInfra = exca.MapInfra()

    @infra.apply(item_uid=str)
    def process(self, items: tp.Iterable[int]) -> tp.Any:
        match self.how:
            case "skips":
                return (item for item in items if item != 3)
            case "twice":
                return (out for item in items for out in [item] * (1 + (item == 3)))
            case "none":
                return None
            case "dict":
                return {item: item for item in items}
            case "table":
                return pd.DataFrame({item: [item] for item in items})
            case "short list":
                return list(items)[1:]
            case "takes nothing":
                return iter(())
        return None


@PLACES
@pytest.mark.parametrize(
    ("how", "message", "kept"),
    [
        ("skips", "fewer results than it took items: 4 for 5", {0, 1}),
        ("twice", "more results than it took items: 5 for 4", {0, 1, 2}),
        ("none", "returned NoneType", set()),
        ("dict", "returned dict", set()),
        ("table", "returned DataFrame", set()),
        ("short list", "fewer results than it took items: 4 for 5", set()),
        ("takes nothing", "without taking any", set()),
    ],
)
def test_a_wrong_number_of_results_is_named_and_nothing_is_kept_under_a_wrong_name(
    how: str, message: str, kept: set[int], place: str, tmp_path: Path
) -> None:
    config = Wrong(how=how, infra=infra_for(place, tmp_path))
    with pytest.raises(WrongNumberOfResults, match=message) as caught:
        config.process(range(5))
    assert "Wrong.process" in str(caught.value)
    stored = dict(config.infra.cache_dict.items())
    assert {int(key) for key in stored} >= kept - {2}
    assert all(stored[key] == int(key) for key in stored), "no result stands under another item's name"


def test_a_wrong_number_of_results_is_named_without_a_cache_too() -> None:
    for how in ("skips", "twice"):
        with pytest.raises(WrongNumberOfResults, match=r"results than items: \d for 5"):
            list(Wrong(how=how, infra={"keep_in_ram": False}).process(range(5)))


def test_a_list_returned_for_a_list_is_counted_before_anything_is_stored(tmp_path: Path) -> None:
    class Short(pydantic.BaseModel):
        infra: exca.MapInfra = exca.MapInfra()

        @infra.apply(item_uid=str)
        def process(self, items):  # not annotated: gets a list
            assert type(items) is list
            return items[:-1]

    config = Short(infra={"folder": tmp_path})
    with pytest.raises(WrongNumberOfResults, match="returned 4 results for 5 items"):
        config.process(range(5))
    assert len(config.infra.cache_dict) == 0


# ---------------------------------------------------------------------- failures


@PLACES
def test_a_failing_item_is_named_and_costs_none_of_the_others(place: str, tmp_path: Path, trace: Path) -> None:
    config = Counted(trace=trace, fail=(3,), infra=infra_for(place, tmp_path))
    with pytest.raises(ValueError, match="bad 3") as caught:
        config.process([1, 2, 3, 4])
    notes = "\n".join(caught.value.__notes__)
    assert "item '3'" in notes
    assert "2 of 4 items were stored" in notes
    assert first(config.process([1, 2])) == [1, 2]
    assert counts(trace) == {1: 1, 2: 1, 3: 1}


def test_the_item_in_which_the_method_leaves_is_named(tmp_path: Path) -> None:
    class Leaving(pydantic.BaseModel):
        infra: exca.MapInfra = exca.MapInfra()

        @infra.apply(item_uid=str)
        def process(self, items: tp.Iterable[int]) -> tp.Iterator[int]:
            for item in items:
                if item == 3:
                    sys.exit("no more")
                yield item

    config = Leaving(infra={"folder": tmp_path})
    with pytest.raises(SystemExit, match="no more") as caught:
        config.process(range(5))
    assert any("computing item '3'" in note for note in caught.value.__notes__)
    assert sorted(config.infra.cache_dict) == ["0", "1", "2"]


def test_an_item_that_failed_is_computed_again_by_the_next_call(tmp_path: Path, trace: Path) -> None:
    with pytest.raises(ValueError, match="bad"):
        Counted(trace=trace, fail=(3,), infra={"folder": tmp_path}).process([3])
    assert first(Counted(trace=trace, infra={"folder": tmp_path}).process([3])) == [3]
    assert counts(trace) == {3: 2}


def leftovers(folder: Path) -> list[str]:
    """Files of claims and runs."""
    return [str(path) for path in folder.rglob("*") if path.is_file() and path.parent.name in ("claims", "runs")]


def test_incident_21a_nothing_of_a_process_stays_behind(tmp_path: Path, trace: Path) -> None:
    """Incident 21a: force, or a full disk, left claims of the process itself behind."""
    config = Counted(trace=trace, fail=(3,), infra={"folder": tmp_path})
    with pytest.raises(ValueError, match="bad"):
        config.process([1, 3])
    assert not leftovers(tmp_path)
    Counted(infra={"folder": tmp_path, "mode": "force"}).process([1, 3])
    assert not leftovers(tmp_path)

    class Interrupted(Counted):
        def compute(self, item: int) -> np.ndarray:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        Interrupted(infra={"folder": tmp_path}).process([7])
    assert "0 of 1 items were stored; the next call goes on from there" in caught.value.__notes__
    assert not leftovers(tmp_path)


# ---------------------------------------------------------------------- modes


@PLACES
def test_force_computes_each_item_again_once_for_each_config(place: str, tmp_path: Path, trace: Path) -> None:
    Counted(trace=trace, infra=infra_for(place, tmp_path)).process([1, 2])
    before = counts(trace)
    config = Counted(trace=trace, infra=infra_for(place, tmp_path, mode="force"))
    for _ in range(2):
        assert first(config.process([1, 2, 1])) == [1, 2, 1]
    config.process([3])
    assert counts(trace) - before == {1: 1, 2: 1, 3: 1}
    assert set(config.infra.cache_dict) == {"1", "2", "3"}


def test_incident_10_force_keeps_the_old_value_until_there_is_a_new_one(tmp_path: Path) -> None:
    Counted(infra={"folder": tmp_path}).process([1, 2])
    with pytest.raises(ValueError, match="bad"):
        Counted(fail=(2,), infra={"folder": tmp_path, "mode": "force"}).process([1, 2])
    assert first(Counted(infra={"folder": tmp_path, "mode": "read-only"}).process([1, 2])) == [1, 2]


@PLACES
def test_force_goes_on_after_a_failure_and_after_a_deletion(place: str, tmp_path: Path, trace: Path) -> None:
    config = Counted(trace=trace, fail=(2,), infra=infra_for(place, tmp_path, mode="force"))
    for _ in range(2):
        with pytest.raises(ValueError, match="bad 2"):
            config.process([0, 1, 2])
    assert counts(trace) == {0: 1, 1: 1, 2: 2}
    del config.infra.cache_dict["1"]
    assert first(config.process([0, 1])) == [0, 1]
    assert counts(trace) == {0: 1, 1: 2, 2: 2}


@PLACES
def test_read_only_computes_nothing_and_says_what_is_missing(place: str, tmp_path: Path, trace: Path) -> None:
    config = Counted(trace=trace, infra=infra_for(place, tmp_path, mode="read-only"))
    with pytest.raises(ResultNotFound, match=r"5 items of .*mode is 'read-only': '0', '1', '2', \.\.\."):
        config.process(range(5))
    assert counts(trace) == {}
    assert not (tmp_path / "cache").exists()


def test_read_only_without_any_cache_is_refused() -> None:
    with pytest.raises(ResultNotFound, match=r"set infra\.folder"):
        Counted(infra={"keep_in_ram": False, "mode": "read-only"}).process([1])


def test_retry_is_cached_as_failures_are_not_stored(tmp_path: Path, trace: Path) -> None:
    for _ in range(2):
        Counted(trace=trace, infra={"folder": tmp_path, "mode": "retry"}).process([1])
    assert counts(trace) == {1: 1}


def test_a_single_item_may_be_forbidden(tmp_path: Path, trace: Path) -> None:
    config = Counted(trace=trace, infra={"folder": tmp_path, "forbid_single_item_computation": True})
    with pytest.raises(InvalidInfra, match="single item '1'"):
        config.process([1])
    config.process([1, 2])
    assert first(config.process([1])) == [1]


# ---------------------------------------------------------------------- configs


def test_copies_and_reassigned_infras_never_mix_up_results(tmp_path: Path, trace: Path) -> None:
    config = Counted(size=2, trace=trace, infra={"folder": tmp_path})
    config.process([1])
    other = config.model_copy(update={"size": 5})
    assert next(other.process([1])).shape == (5,)
    for twin in (copy.copy(config), copy.deepcopy(config), pickle.loads(pickle.dumps(config))):
        assert next(twin.process([1])).shape == (2,)
    assert next(config.infra.clone_obj(size=4).process([1])).shape == (4,)
    config.infra = {"folder": tmp_path / "other"}
    assert next(config.process([1])).shape == (2,)
    assert (tmp_path / "other").exists()


def test_a_config_is_sealed_by_a_call(tmp_path: Path) -> None:
    config = Counted(infra={"folder": tmp_path})
    config.process([1])
    with pytest.raises(ConfigSealed):
        config.size = 7


def test_overrides_and_super(tmp_path: Path) -> None:
    class Doubled(Counted):
        def process(self, items: tp.Iterable[int]) -> tp.Iterator[np.ndarray]:
            for value in super().process(items):
                yield value * 2

    assert first(Doubled(infra={"folder": tmp_path}).process([1, 2])) == [2, 4]
    assert first(Counted(infra={"folder": tmp_path}).process([1, 2])) == [1, 2]
    assert len(list(tmp_path.glob("*/*/items"))) == 2


def test_an_override_that_is_no_map_is_refused_where_it_is_written() -> None:
    with pytest.raises(InvalidInfra, match="must take the items"):

        class Bad(Counted):
            def process(self) -> None: ...


def test_two_infras_and_a_private_one_on_one_model(tmp_path: Path) -> None:
    class Two(pydantic.BaseModel):
        infra: exca.MapInfra = exca.MapInfra()
        _hidden: exca.MapInfra = exca.MapInfra()
        task: exca.TaskInfra = exca.TaskInfra()

        @infra.apply(item_uid=str)
        def process(self, items: tp.Iterable[int]) -> tp.Iterator[int]:
            yield from items

        @_hidden.apply(item_uid=str)
        def again(self, things: tp.Iterable[int]) -> tp.Iterator[int]:
            yield from (2 * n for n in things)

        @task.apply
        def total(self) -> int:
            return sum(self.process([1, 2])) + sum(self.again([1, 2]))

    config = Two(infra={"folder": tmp_path}, task={"folder": tmp_path})
    config._hidden = exca.MapInfra(folder=tmp_path)
    assert config.total() == 9
    assert list(config.again(things=[4])) == [8]
    assert len(list(tmp_path.glob("*/*/items"))) == 2
    assert exca.infra.computations(Two) == {"total": "task"}


def test_config_uid_and_iter_cached(tmp_path: Path) -> None:
    for size in (2, 5):
        Counted(size=size, infra={"folder": tmp_path}).process([1])
    config = Counted(size=2, infra={"folder": tmp_path})
    config.infra.uid_folder(create=True)
    Counted(size=9, infra={"folder": tmp_path}).infra.uid_folder(create=True)  # nothing is stored there
    assert sorted(found.size for found in config.infra.iter_cached()) == [2, 5]
    assert config.infra.uid().startswith("mapped.Counted.process,1/size=2-")
    assert config.infra.config()["size"] == 2
    assert "trace" not in config.infra.config()
    assert config.infra.obj_infras() == {"infra": config.infra}


def test_iter_cached_gives_maps_that_hold_items(tmp_path: Path) -> None:
    kept, emptied, failed = (Counted(size=size, infra={"folder": tmp_path}) for size in (2, 5, 9))
    kept.process([1, 2])
    emptied.process([1, 2])
    del kept.infra.cache_dict["1"]
    emptied.infra.cache_dict.clear()
    with pytest.raises(TypeError):
        failed.process([{}])
    folder = failed.infra.uid_folder()
    assert folder is not None
    (folder / "items").mkdir(exist_ok=True)
    (folder / "items" / "cache-format.json").write_text('{"exca-cache": 1}')  # its writer was killed before an item
    assert [found.size for found in kept.infra.iter_cached()] == [2]


def test_folder_of_a_map(tmp_path: Path) -> None:
    config = Counted(infra={"folder": tmp_path})
    config.process([1])
    folder = config.infra.uid_folder()
    assert folder is not None
    assert {path.name for path in folder.iterdir()} >= {
        "config.yaml",
        "uid.yaml",
        "full-uid.yaml",
        "map.json",
        "items",
    }
    assert Path(config.infra.cache_dict.folder) == folder / "items"


def test_permissions_of_folders_and_files(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        Counted(infra={"folder": tmp_path / "cache", "permissions": 0o770}).process([1, 2])
    finally:
        os.umask(old)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "cache").rglob("*") if path.is_dir()}
    assert modes == {0o770}
    files = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "cache").rglob("*") if path.is_file()}
    assert files == {0o660}


# ---------------------------------------------------------------------- checks


def test_a_folder_of_another_config_is_refused(tmp_path: Path) -> None:
    config = Counted(infra={"folder": tmp_path})
    config.process([1])
    other = Counted(size=8, infra={"folder": tmp_path})
    os.rename(config.infra.uid_folder(), other.infra.uid_folder())
    with pytest.raises(UidCollision):
        other.process([1])


def model_with(factor: int, policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pydantic.BaseModel:
    """The same class, with other code."""
    source = f"""
import typing as tp, pydantic, exca
class Model(pydantic.BaseModel):
    infra: exca.MapInfra = exca.MapInfra()
    @infra.apply(item_uid=str)
    def process(self, items: tp.Iterable[int]) -> tp.Iterator[int]:
        for item in items:
            yield {factor} * item
"""
    file = tmp_path / f"code_{factor}.py"
    file.write_text(source)
    module = types.ModuleType("changing_module")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(source, str(file), "exec"), vars(module))
    model: pydantic.BaseModel = module.Model(infra={"folder": tmp_path / "cache", "code_change": policy})
    return model


def test_code_that_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(factor: int, policy: str) -> pydantic.BaseModel:
        return model_with(factor, policy, tmp_path, monkeypatch)

    assert list(changed(1, "warn").process([1, 2])) == [1, 2]
    with pytest.warns(exca.task.CodeChangedWarning, match="changed since"):
        assert list(changed(2, "warn").process([1])) == [1]
    assert list(changed(2, "ignore").process([1])) == [1]
    with pytest.raises(CodeChanged):
        changed(2, "error").process([1])
    assert list(changed(2, "recompute").process([1])) == [2]
    assert list(changed(2, "error").process([1, 2])) == [2, 4]
    aside = next((tmp_path / "cache").glob("*/*/items.*"))
    assert dict(exca.cachedict.CacheDict(aside).items()) == {"1": 1, "2": 2}, "the old results are kept beside"


@pytest.mark.skipif(os.getuid() != 0, reason="becomes another user")
def test_incident_15_a_cache_of_another_user_and_read_only_is_read(tmp_path: Path) -> None:
    """Incident 15: a cache in a read-only folder, or of another user, could not be read."""
    Counted(infra={"folder": tmp_path}).process([1, 2])
    tmp_path.chmod(0o755)
    for parent in list(tmp_path.parents)[:3]:
        parent.chmod(parent.stat().st_mode | 0o055)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setuid(65534)
            for mode in ("cached", "read-only"):
                if first(Counted(infra={"folder": tmp_path, "mode": mode}).process([2, 1])) != [2, 1]:
                    os._exit(2)
            try:
                Counted(infra={"folder": tmp_path}).process([3])
            except exca.errors.ResultNotStored:
                code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
