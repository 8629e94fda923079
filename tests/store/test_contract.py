"""What every store promises, as a class that each implementation inherits."""

from __future__ import annotations

import datetime as dt
import decimal
import fractions
import importlib.util
import math
import pathlib
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exca.store import FolderStore, MemoryStore, Store


class OtherConstructor(Exception):
    """An exception whose constructor does not take its message."""

    def __init__(self, where: str, code: int) -> None:
        super().__init__(f"{where}: {code}")
        self.code = code


class StoreContract:
    """Inherited once for each implementation of `Store`."""

    @pytest.fixture
    def store(self) -> Store:
        raise NotImplementedError("each implementation gives its own")

    def test_nothing_is_stored_at_first(self, store: Store) -> None:
        assert store.entry("m/a").outcome() is None
        assert store.entries("m") == []

    def test_a_value_reads_back_with_its_facts(self, store: Store) -> None:
        entry = _prepared(store, "m/a")
        assert entry.write_value({"x": 1}, {"digest": "d"}, replace=False)
        outcome = store.entry("m/a").outcome()
        assert outcome is not None
        assert (outcome.status, outcome.facts["digest"], entry.load(outcome)) == ("completed", "d", {"x": 1})

    def test_the_first_writer_wins_unless_asked_to_replace(self, store: Store) -> None:
        entry = _prepared(store, "m/a")
        assert entry.write_value(1, {}, replace=False)
        assert not entry.write_value(2, {}, replace=False)
        assert entry.load(entry.outcome()) == 1
        assert entry.write_value(3, {}, replace=True)
        assert entry.load(entry.outcome()) == 3

    def test_incident_07_of_many_writers_one_wins_and_is_told(self, store: Store) -> None:
        entry = _prepared(store, "m/a")
        won: list[int] = []
        barrier = threading.Barrier(8)

        def write(value: int) -> None:
            barrier.wait()
            if entry.write_value(value, {}, replace=False):
                won.append(value)

        threads = [threading.Thread(target=write, args=(value,)) for value in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert won == [entry.load(entry.outcome())]

    def test_a_failure_reads_back_as_a_new_exception_each_time(self, store: Store) -> None:
        entry = _prepared(store, "m/a")
        entry.write_error(_raised(ValueError("no such data")), {}, replace=False)
        outcome = entry.outcome()
        assert outcome is not None
        assert outcome.status == "failed"
        first, second = entry.error(outcome), entry.error(outcome)
        assert first is not second
        assert isinstance(first, ValueError)
        assert str(first) == "no such data"
        assert any("in _raised" in note for note in first.__notes__)

    def test_incident_11_an_exception_with_another_constructor_keeps_its_type(self, store: Store) -> None:
        entry = _prepared(store, "m/a")
        entry.write_error(_raised(OtherConstructor("disk", 3)), {}, replace=False)
        outcome = entry.outcome()
        assert outcome is not None
        error = entry.error(outcome)
        assert isinstance(error, OtherConstructor)
        assert (str(error), error.code) == ("disk: 3", 3)
        assert any("in _raised" in note for note in error.__notes__)

    def test_the_status_is_known_without_the_record(self, store: Store) -> None:
        entry = _prepared(store, "m/a")
        assert entry.status() is None
        entry.write_error(KeyError("x"), {}, replace=False)
        assert entry.status() == "failed"
        entry.write_value(1, {}, replace=True)
        assert entry.status() == "completed"
        entry.delete()
        assert entry.status() is None

    def test_a_value_takes_the_place_of_a_failure_and_never_the_other_way(self, store: Store) -> None:
        entry = _prepared(store, "m/a")
        assert entry.write_error(KeyError("first"), {}, replace=False)
        assert not entry.write_error(KeyError("second"), {}, replace=False)
        assert entry.write_value(1, {}, replace=False)
        assert not entry.write_error(KeyError("third"), {}, replace=False)
        assert not entry.write_error(KeyError("fourth"), {}, replace=True)
        assert entry.load(entry.outcome()) == 1

    def test_a_failure_takes_the_place_of_a_failure_if_asked(self, store: Store) -> None:
        entry = _prepared(store, "m/a")
        assert entry.write_error(KeyError("first"), {}, replace=False)
        assert entry.write_error(KeyError("second"), {}, replace=True)
        outcome = entry.outcome()
        assert outcome is not None
        assert str(entry.error(outcome)) == "'second'"

    def test_nobody_shares_a_value_with_the_store(self, store: Store) -> None:
        entry = _prepared(store, "m/a")
        value = {"rows": [1, 2]}
        entry.write_value(value, {}, replace=False)
        value["rows"].append(3)
        entry.load(entry.outcome())["rows"].append(4)
        assert entry.load(entry.outcome()) == {"rows": [1, 2]}

    def test_delete_forgets_the_result_and_keeps_manifests(self, store: Store) -> None:
        entry = _prepared(store, "m/a")
        entry.write_value(1, {}, replace=False)
        entry.write_note("job.json", "{}")
        entry.delete()
        assert entry.outcome() is None
        assert entry.read_note("job.json") is None
        assert entry.read_note("uid.yaml") == "x: 1\n"

    def test_manifests_stay_unless_replaced(self, store: Store) -> None:
        entry = _prepared(store, "m/a")
        entry.prepare({"uid.yaml": "other"})
        assert entry.read_note("uid.yaml") == "x: 1\n"
        entry.prepare({"uid.yaml": "other"}, replace=True)
        assert entry.read_note("uid.yaml") == "other"

    def test_a_claim_is_exclusive_until_released(self, store: Store) -> None:
        entry = _prepared(store, "m/a")
        claim = entry.claim()
        assert claim is not None
        assert entry.claim() is None
        assert entry.watch().alive()
        claim.release()
        assert not entry.watch().alive()
        assert entry.claim() is not None

    def test_entries_are_those_of_the_prefix(self, store: Store) -> None:
        for uid in ("m/b", "m/a", "mm/c"):
            _prepared(store, uid)
        assert len(store.entries("m")) == 2


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> Store:
        return MemoryStore()


class TestFolderStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: pathlib.Path) -> Store:  # type: ignore[override]
        return FolderStore(tmp_path / "cache")


# ---------------------------------------------------------------------- values

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.complex_numbers()
    | st.text()
    | st.text(alphabet="\ud83d\ude00a")  # halves of a surrogate pair
    | st.binary()
    | st.dates()
    | st.datetimes()
    | st.datetimes(timezones=st.just(dt.UTC))
    | st.times()
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.uuids()
    | st.text(alphabet="ab/.").map(pathlib.PurePosixPath)
    | st.text(alphabet="ab/.").map(pathlib.Path)
    | st.floats(width=32).map(np.float32)
    | st.integers(-5, 5).map(np.int64)
    | st.just(...)
    | st.integers(0, 9).map(range)
    | st.text(alphabet="a\0\u20ac").map(np.str_)
    | st.binary(max_size=3).map(np.bytes_)
    | st.just(np.zeros(1, [("a", "i4")])[0])
)
_HASHABLE = st.integers() | st.text() | st.tuples(st.integers(), st.text()) | st.binary() | st.booleans() | st.none()
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(_HASHABLE, inner)
        | st.sets(_HASHABLE)
        | st.frozensets(_HASHABLE)
        | st.dictionaries(st.sampled_from(["$", "v", "a"]), inner)
    ),
    max_leaves=8,
)


@given(value=_VALUES)
def test_incident_12_values_read_back_with_their_types(value: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    entry = _prepared(FolderStore(tmp_path_factory.mktemp("values")), "m/a")
    entry.write_value(value, {}, replace=False)
    outcome = entry.outcome()
    assert outcome is not None
    assert outcome.record["format"] != "pickle"
    assert _same(value, entry.load(outcome))


_ARRAYS = {
    "empty": np.zeros((0, 3)),
    "scalar": np.array(3.5),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "strided": np.arange(10)[::3],
    "big_endian": np.arange(3, dtype=">i4"),
    "structured": np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
    "dates": np.array(["2020-01-01", "NaT"], dtype="datetime64[D]"),
    "text": np.array(["ab", "c"]),
    "bool": np.array([True, False]),
    "complex": np.array([1 + 2j]),
    "half": np.array([1, np.nan], dtype="float16"),
}


@pytest.mark.parametrize("name", list(_ARRAYS))
@pytest.mark.parametrize("wrapped", [False, True])
def test_incident_12_arrays_read_back_writable_and_bit_equal(name: str, wrapped: bool, tmp_path: pathlib.Path) -> None:
    array = _ARRAYS[name]
    entry = _prepared(FolderStore(tmp_path), "m/a")
    entry.write_value({"deep": [array]} if wrapped else array, {}, replace=False)
    outcome = entry.outcome()
    assert outcome is not None
    assert outcome.record["format"] == "json"
    back = entry.load(outcome)
    back = back["deep"][0] if wrapped else back
    assert (back.dtype, back.shape, back.tobytes()) == (array.dtype, array.shape, array.tobytes())
    assert type(back) is np.ndarray
    assert back.flags.writeable


def test_incident_12_a_frame_keeps_text_that_looks_like_numbers(tmp_path: pathlib.Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"id": ["007", "1"], "x": [1.5, math.nan]}, index=["a", "b"])
    entry = _prepared(FolderStore(tmp_path), "m/a")
    entry.write_value(frame, {}, replace=False)
    outcome = entry.outcome()
    assert outcome is not None
    assert outcome.record["value"]["$"] == "frame"
    pandas.testing.assert_frame_equal(entry.load(outcome), frame)


def _frames() -> dict[str, Any]:
    pandas = pytest.importorskip("pandas")
    return {
        "mixed": pandas.DataFrame({"mixed": [1, "a", None]}),
        "bytearray": pandas.DataFrame({"raw": [bytearray(b"x"), bytearray(b"")]}),
        "nested": pandas.DataFrame({"raw": [{"a": bytearray(b"x")}, {"a": bytearray(b"y")}]}),
        "decimals": pandas.DataFrame({"price": [decimal.Decimal("1.0"), decimal.Decimal("1.00")]}),
        "large": pandas.DataFrame({"n": pandas.Series([10**30], dtype=object)}),
        "frequency": pandas.DataFrame({"x": [1, 2]}, index=pandas.date_range("2020-01-01", periods=2, freq="D")),
        "rows_only": pandas.DataFrame(index=pandas.date_range("2020-01-01", periods=2, freq="D")),
        "columns": pandas.DataFrame([[1, 2]], columns=pandas.date_range("2020-01-01", periods=2, freq="D")),
        "empty": pandas.DataFrame(),
        "unnamed": pandas.DataFrame(np.zeros((3, 2))),
        "attrs": _with_attrs(pandas.DataFrame({"x": [1]}), {"weights": np.arange(3)}),
    }


def _with_attrs(frame: Any, attrs: dict[str, Any]) -> Any:
    frame.attrs = attrs
    return frame


@pytest.mark.parametrize("name", list(_frames()) if importlib.util.find_spec("pandas") else [])
def test_incident_12_a_frame_that_parquet_would_change_is_pickled(name: str, tmp_path: pathlib.Path) -> None:
    frame = _frames()[name]
    entry = _prepared(FolderStore(tmp_path), "m/a")
    entry.write_value(frame, {}, replace=False)
    outcome = entry.outcome()
    assert outcome is not None
    assert outcome.record["format"] == "pickle"
    back = entry.load(outcome)
    assert [list(map(repr, row)) for row in back.to_numpy()] == [list(map(repr, row)) for row in frame.to_numpy()]
    for one, other in ((back.index, frame.index), (back.columns, frame.columns)):
        assert (type(one), getattr(one, "freq", None)) == (type(other), getattr(other, "freq", None))
    assert repr(back.attrs) == repr(frame.attrs)


@pytest.mark.parametrize(
    "value",
    [
        10**5000,
        [-(10**5000)],
        {10**5000: 1},
        2**2048,
        fractions.Fraction(10**5000, 3),
        range(10**5000),
        slice(None, 10**5000),
    ],
    ids=["int", "negative", "key", "edge", "fraction", "range", "slice"],
)
def test_incident_12_ints_of_any_size_read_back(value: Any, tmp_path: pathlib.Path) -> None:
    entry = _prepared(FolderStore(tmp_path), "m/a")
    entry.write_value(value, {}, replace=False)
    outcome = entry.outcome()
    assert outcome is not None
    assert outcome.record["format"] == "json"
    back = entry.load(outcome)
    assert type(back) is type(value)
    assert back == value


@pytest.mark.parametrize("value", [np.str_(""), np.bytes_(b""), np.str_("a\0"), np.bytes_(b"a\0"), np.void(b"")])
def test_incident_12_empty_numpy_text_reads_back(value: Any, tmp_path: pathlib.Path) -> None:
    entry = _prepared(FolderStore(tmp_path), "m/a")
    entry.write_value(value, {}, replace=False)
    back = entry.load(entry.outcome())
    assert (type(back), back.dtype, back.tobytes()) == (type(value), value.dtype, value.tobytes())


def _prepared(store: Store, uid: str) -> Any:
    entry = store.entry(uid)
    entry.prepare({"uid.yaml": "x: 1\n"})
    return entry


def _raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:
        return caught


def _same(one: Any, other: Any) -> bool:
    """Equality that also compares types, NaN and the sign of zero."""
    if type(one) is not type(other):
        return False
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, (set, frozenset)):
        return sorted(map(repr, one)) == sorted(map(repr, other))
    if isinstance(one, (float, complex, np.generic)):
        return repr(one) == repr(other)
    return bool(one == other) and repr(one) == repr(other)
