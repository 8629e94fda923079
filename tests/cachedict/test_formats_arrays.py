"""Arrays: every dtype, shape and layout comes back with the same bits, in memory of its own."""

from __future__ import annotations

import json
import pathlib
import tempfile
from typing import Any

import numpy as np
import pytest
from formats_double import round_trip, stored
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from exca.errors import CorruptResult, ResultNotStored

FOLDER = pathlib.Path(tempfile.gettempdir())  # never written to; hypothesis runs many examples in one test
DTYPES = hnp.scalar_dtypes() | hnp.nested_dtypes() | hnp.array_dtypes()
Array = np.ndarray[Any, np.dtype[Any]]


def assert_same(copy: Array, array: Array) -> None:
    assert type(copy) is np.ndarray
    assert (copy.dtype, copy.shape) == (array.dtype, array.shape)
    assert copy.dtype.isalignedstruct == array.dtype.isalignedstruct
    assert copy.tobytes() == array.tobytes()
    assert copy.flags.writeable
    assert not np.shares_memory(copy, array)


@st.composite
def layouts(draw: st.DrawFn) -> Array:
    """Arrays of any dtype and shape, then turned, cut, reversed or frozen."""
    dtype = draw(DTYPES.filter(lambda dtype: dtype.subdtype is None))
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
    bits = draw(st.binary(min_size=dtype.itemsize, max_size=dtype.itemsize)) if dtype.itemsize else b""
    array = np.empty(shape, dtype)
    if array.nbytes and len(bits) == dtype.itemsize:
        array = np.frombuffer(bits * array.size, dtype).reshape(shape)  # read-only, and any bits at all
    change = draw(st.sampled_from(["none", "turn", "cut", "reverse", "fortran", "freeze"]))
    if change == "turn":
        array = array.T
    elif change == "cut" and array.ndim:
        array = array[::2]
    elif change == "reverse" and array.ndim:
        array = array[..., ::-1]
    elif change == "fortran":
        array = np.asfortranarray(array).reshape(array.shape)
    elif change == "freeze":
        array = array.copy()
        array.flags.writeable = False
    return array


@given(layouts())
def test_incident_12_any_array_comes_back_bit_by_bit(array: Array) -> None:
    copy = round_trip(array, FOLDER)
    assert_same(copy, array)
    assert copy.flags.fnc == array.flags.fnc


@pytest.mark.parametrize("cache_type", ["MemmapArray", "MemmapArrayFile", "NumpyArray"])
@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0, 3), "f4"),
        np.array(2.5),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(20)[::3],
        np.broadcast_to(np.float32(1), (3, 4)),
        np.arange(4, dtype=">i2"),
        np.array(["2020-01-01", "NaT"], "M8[ns]"),
        np.array([1, -1], "m8[s]"),
        np.array(["ä", "bcd"]),
        np.array([b"x", b""], "S3"),
        np.array([True, False]),
        np.array([(1, 2.5)], dtype=[("a", "i1"), ("b", "f8")]),
        np.arange(4, dtype="f2").astype("c8"),
        np.arange(3000.0).reshape(30, 100)[:, ::-1],
    ],
    ids=lambda array: f"{array.dtype}{array.shape}" if isinstance(array, np.ndarray) else array,
)
def test_the_formats_of_arrays_by_name(array: Array, cache_type: str, tmp_path: pathlib.Path) -> None:
    assert_same(round_trip(array, tmp_path, cache_type=cache_type), array)


def test_large_arrays_reach_the_record_without_a_copy(tmp_path: pathlib.Path) -> None:
    class Views:
        def append(self, payload: bytes | memoryview) -> int:
            assert isinstance(payload, memoryview)
            assert np.shares_memory(np.frombuffer(payload, "u1"), array)
            return 0

    from exca.cachedict._formats import dump

    for array in (np.arange(5000.0), np.asfortranarray(np.arange(5000.0).reshape(50, 100))):
        assert dump(array, Views(), folder=tmp_path)["v"][0] == 0


def test_aligned_and_padded_structures_keep_their_layout(tmp_path: pathlib.Path) -> None:
    aligned = np.dtype([("a", "i1"), ("b", ">i4", (2,)), ("c", [("x", "f4")])], align=True)
    padded = np.dtype({"names": ["b", "a"], "formats": ["i2", "i1"], "offsets": [4, 0], "itemsize": 9})
    for dtype in (aligned, padded):
        array = np.zeros(3, dtype)
        array["a"] = [1, 2, 3]
        copy = round_trip(array, tmp_path)
        assert_same(copy, array)
        assert copy.dtype.fields == dtype.fields


def test_object_arrays_are_refused_unless_a_pickle_is_asked_for(tmp_path: pathlib.Path) -> None:
    array = np.array([1, "a", None], dtype=object)
    for value in (array, {"deep": [array]}, np.array([(1, "a")], dtype=[("n", "i4"), ("o", object)])):
        with pytest.raises(ResultNotStored, match=r"'k'.*holds Python objects.*cache_type='Pickle'") as caught:
            stored(value, tmp_path, key="k")
        assert caught.value.value is value
    assert round_trip(array, tmp_path, cache_type="Pickle").tolist() == [1, "a", None]
    with pytest.raises(ResultNotStored, match=r"does not fit cache_type='NumpyArray'.*Python objects"):
        stored(array, tmp_path, cache_type="NumpyArray")


@pytest.mark.parametrize(
    "array",
    [
        np.ma.masked_array([1, 2], [True, False]),
        np.eye(2).view(np.matrix),
        np.array([(1,)], [("a", "i4")]).view(np.recarray),
    ],
    ids=["masked", "matrix", "recarray"],
)
@pytest.mark.filterwarnings("ignore:values of type", "ignore:the matrix subclass")
def test_incident_12_subclasses_of_arrays_come_back_as_such(array: Any, tmp_path: pathlib.Path) -> None:
    copy = round_trip(array, tmp_path)
    assert type(copy) is type(array)
    assert repr(copy) == repr(array)
    with pytest.raises(ResultNotStored, match=r"it is not a numpy\.ndarray"):
        stored(array, tmp_path, cache_type="MemmapArray")


@pytest.mark.filterwarnings("ignore:values of type")
@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="numpy 1")
def test_arrays_of_text_of_any_length_come_back(tmp_path: pathlib.Path) -> None:
    array = np.array(["a", "a longer text than fits beside the others"], dtype=np.dtypes.StringDType())
    copy = round_trip(array, tmp_path)
    assert copy.dtype == array.dtype
    assert copy.tolist() == array.tolist()


@pytest.mark.filterwarnings("ignore:values of type")
def test_a_dtype_with_metadata_does_not_lose_it(tmp_path: pathlib.Path) -> None:
    plain, marked = np.zeros(2, "f4"), np.zeros(2, np.dtype("f4", metadata={"unit": "mV"}))
    round_trip(plain, tmp_path)  # whose dtype is equal to the other
    assert round_trip(marked, tmp_path).dtype.metadata == {"unit": "mV"}
    assert round_trip(plain, tmp_path).dtype.metadata is None


@pytest.mark.parametrize(
    "info",
    [
        {"$": "array", "v": [0, "<f4", [65]]},
        {"$": "array", "v": [0, "<f4", [63]]},
        {"$": "array", "v": [0, "O", [32]]},
        {"$": "array", "v": [0, {"names": ["a"], "formats": ["O"], "offsets": [0], "itemsize": 8}, [32]]},
        {"$": "array", "v": [0, "nonsense", [64]]},
        {"$": "array", "v": [3, "<f4", [64]]},
        {"$": "array", "v": None},
        {"$": "no such tag", "v": 0},
        {"$": "frame", "v": 0},
    ],
    ids=json.dumps,
)
def test_incident_08_damaged_infos_are_named(info: Any, tmp_path: pathlib.Path) -> None:
    record = stored(np.arange(64, dtype="f4"), tmp_path)
    record.info = info
    with pytest.raises(CorruptResult, match=r"item 'k'.*cannot be read"):
        record.load(key="k")


def test_a_value_read_twice_is_two_values(tmp_path: pathlib.Path) -> None:
    record = stored(np.arange(3), tmp_path)
    record.load()[:] = 7
    assert record.load().tolist() == [0, 1, 2]
