"""Values of every type come back as what was stored, or are refused by name."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import json
import math
import pathlib
import subprocess
import sys
import tempfile
import uuid
import warnings
import zoneinfo
from typing import Any, NamedTuple

import numpy as np
import pytest
from formats_double import Record, round_trip, stored
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from exca.cachedict import _formats
from exca.errors import CorruptResult, InvalidInfra, ResultNotStored, UntrustedResult

FOLDER = pathlib.Path(tempfile.gettempdir())  # never written to; hypothesis runs many examples in one test


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1


class Named(enum.StrEnum):
    A = "a"


class Right(enum.Flag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: float
    y: Any


@dataclasses.dataclass
class Report:
    loss: float
    curve: Any = None
    tags: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    color: Color
    when: dt.date


@dataclasses.dataclass
class Stateful:
    x: int

    def __post_init__(self) -> None:
        self.extra = self.x + 1


class Plain:
    def __init__(self, x: int) -> None:
        self.x = x

    def __eq__(self, other: object) -> bool:
        return type(other) is Plain and other.x == self.x

    __hash__ = None  # type: ignore[assignment]


def same(one: Any, other: Any) -> bool:
    """Equal in type and bits, all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return bool((one.dtype, one.shape) == (other.dtype, other.shape) and one.tobytes() == other.tobytes())
    if isinstance(one, float):
        return (math.isnan(one) and math.isnan(other)) or repr(one) == repr(other)
    if isinstance(one, complex):
        return repr(one) == repr(other)
    if isinstance(one, dict):
        return len(one) == len(other) and all(
            same(key, twin) and same(one[key], other[twin]) for key, twin in zip(one, other, strict=True)
        )
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if dataclasses.is_dataclass(one):
        return all(same(getattr(one, field.name), getattr(other, field.name)) for field in dataclasses.fields(one))
    return bool(one == other)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.complex_numbers() | st.text() | st.binary()
TEXTS = st.text(st.characters(exclude_categories=()), max_size=8)  # halves of surrogate pairs, too
KEYS = st.booleans() | st.integers() | TEXTS | st.binary() | st.dates() | st.tuples(st.integers(), TEXTS)
ARRAYS = st.sampled_from([np.arange(3.0), np.array(["a", ""]), np.zeros((0, 2), "i2"), np.array(1 + 2j)])
NESTED = st.recursive(
    SCALARS | TEXTS | ARRAYS | st.sampled_from([Color.RED, Point(1.0, np.float32(2))]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.dictionaries(st.sampled_from(["$", "v", "own"]), inner)
        | st.builds(Report, st.floats(), inner)
    ),
    max_leaves=12,
)


@given(NESTED)
def test_incident_12_nested_values_come_back_as_they_were(value: Any) -> None:
    assert same(round_trip(value, FOLDER), value)


@given(TEXTS)
def test_any_string_comes_back(text: str) -> None:
    assert round_trip(text, FOLDER) == text
    assert round_trip({text: [text]}, FOLDER) == {text: [text]}
    assert round_trip(text, FOLDER, cache_type="String") == text


def test_halves_of_a_surrogate_pair_are_not_joined(tmp_path: pathlib.Path) -> None:
    halves = "\ud83d\ude00"
    assert round_trip([halves, {halves: 1}], tmp_path) == [halves, {halves: 1}]
    assert len(round_trip(halves, tmp_path)) == 2


@pytest.mark.parametrize(
    "value",
    [
        (1, [2, (3,)]),
        {1: "a", "1": "b", None: 0, (1, 2): 3, 1.5: 4},
        {"$": "array", "v": [0, "<f4", [1]]},
        float("nan"),
        -0.0,
        [math.inf, -math.inf],
        2**3000,
        True,
        b"\x00\xff",
        bytearray(b"ab"),
        {1, 2},
        frozenset({"a"}),
        dt.datetime(2020, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC, fold=1),
        dt.date(2020, 1, 2),
        dt.timedelta(days=-1, microseconds=1),
        decimal.Decimal("1.00"),
        fractions.Fraction(1, 3),
        uuid.UUID(int=5),
        pathlib.Path("a/ü"),
        pathlib.PurePosixPath("b"),
        1 + 2j,
        range(1, 9, 2),
        np.float32(1.5),
        np.int8(-3),
        np.datetime64("2020-01-01", "D"),
        np.str_("é"),
        np.bool_(True),
        np.array([(1, 2.5)], dtype=[("a", "i1"), ("b", "f8")])[0],
        Color.BLUE,
        Level.LOW,
        Named.A,
        Point(1.0, (2, Color.RED)),
        Report(float("inf"), {"a": [1]}, ("x",)),
        Frozen(Color.RED, dt.date(2020, 1, 1)),
        {"nested": [Report(1.0), {"deep": Point(1.0, np.int16(2))}]},
        "",
        [],
        {},
        (),
        "x" * 100_000,
        ["ü" * 100_000],
        list(range(20_000)),
        {f"key{i}": (i, 0.1 * i) for i in range(5_000)},
    ],
    ids=lambda value: f"{type(value).__name__}-{value!r:.30}",
)
def test_incident_12_values_come_back_as_they_were(value: Any, tmp_path: pathlib.Path) -> None:
    record = stored(value, tmp_path)
    copy = record.load()
    assert same(copy, value)
    assert len(json.dumps(record.info)) < 20_000, "a record must stay short to read"


@pytest.mark.filterwarnings("ignore:values of type")
@pytest.mark.parametrize(
    "value",
    [
        Plain(1),
        Stateful(3),
        collections.OrderedDict(a=1),
        collections.Counter("aab"),
        Right.READ | Right.WRITE,
        dt.datetime(2020, 1, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Paris")),
        ValueError("x", 1),
        int,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_format_comes_back_from_a_pickle(value: Any, tmp_path: pathlib.Path) -> None:
    record = stored({"weights": np.arange(2), "it": value}, tmp_path)
    assert record.info["weights"]["$"] == "array", "only the part that needs it is pickled"
    copy = record.load()["it"]
    assert type(copy) is type(value)
    assert vars(copy) == vars(value) if hasattr(value, "__dict__") and value is not int else copy == value


def test_a_pickle_as_the_last_resort_is_warned_of_once_for_a_type(tmp_path: pathlib.Path) -> None:
    class Once:
        pass

    with pytest.warns(
        UserWarning, match=r"Once are stored as pickles.*DumpContext\.register.*cache_type='Pickle'"
    ) as caught:
        stored(Once(), tmp_path)
    assert pathlib.Path(caught[0].filename).name == "formats_double.py", "it points to the line of the user"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stored([Once()], tmp_path)


@pytest.mark.parametrize("cache_type", ["Pickle", "AutoPickle"])
def test_a_pickle_that_was_asked_for_is_not_warned_of(cache_type: str, tmp_path: pathlib.Path) -> None:
    class Silent(Plain):
        __eq__ = object.__eq__

    value = [Silent(2), np.array([1, None], dtype=object)]
    copy = round_trip(value, tmp_path, cache_type=cache_type)
    assert copy[0].x == 2
    assert copy[1].tolist() == [1, None]


@pytest.mark.filterwarnings("ignore:values of type")
def test_what_contains_itself_comes_back(tmp_path: pathlib.Path) -> None:
    value: list[Any] = [1]
    value.append(value)
    copy = round_trip(value, tmp_path)
    assert copy[1] is copy


def test_what_cannot_be_pickled_is_named_and_not_lost(tmp_path: pathlib.Path) -> None:
    value = {"rows": (row for row in [1])}
    with pytest.raises(
        ResultNotStored, match=r"item 'k', of type dict.*generator.*does not pickle.*register"
    ) as caught:
        stored(value, tmp_path, key="k")
    assert caught.value.value is value


def test_incident_12_an_open_file_does_not_come_back_as_a_buffer(tmp_path: pathlib.Path) -> None:
    with open(__file__) as file:
        for value in (file, {"source": file}):
            with pytest.raises(ResultNotStored, match=r"_formats.py.* is an open file"):
                stored(value, tmp_path)


@pytest.mark.parametrize("place", ["file", "log", "folder"])
def test_a_pickle_that_anybody_could_have_written_is_refused(place: str, tmp_path: pathlib.Path) -> None:
    record = stored([1, 2], tmp_path / "cache", cache_type="Pickle")
    log = record.path.with_suffix(".log")
    log.touch()
    {"file": record.path, "log": log, "folder": record.path.parent}[place].chmod(0o777)
    with pytest.raises(UntrustedResult, match=r"holds a pickle.*can be written by every user.*chmod o-w"):
        record.load()
    assert record.load(permissions=0o777) == [1, 2]
    record.path.chmod(0o600)
    log.chmod(0o600)
    record.path.parent.chmod(0o700)
    assert record.load() == [1, 2]


def test_a_class_to_be_imported_is_refused_where_anybody_could_have_named_it(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "named_by_a_stranger.py").write_text("raise AssertionError('it was imported')")
    monkeypatch.syspath_prepend(tmp_path)
    record = stored(Color.RED, tmp_path / "cache")
    record.info["v"][0] = "named_by_a_stranger:Color"
    record.path.parent.chmod(0o777)
    with pytest.raises(UntrustedResult, match="names a module to be imported"):
        record.load()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no_such_module:Color", "no_such_module:Color, which is not found here"),
        (f"{__name__}:NoSuchClass", "not found here"),
        (f"{__name__}:same", "no class here"),
        (f"{__name__}:Point", "it is no enum"),
    ],
)
def test_a_class_that_is_gone_is_named(path: str, message: str, tmp_path: pathlib.Path) -> None:
    record = stored(Color.RED, tmp_path)
    record.info["v"][0] = path
    with pytest.raises(CorruptResult, match=message):
        record.load()


def test_a_dataclass_that_changed_has_its_new_defaults_or_is_refused(tmp_path: pathlib.Path) -> None:
    record = stored(Report(1.0, 2, ("x",)), tmp_path)
    fields = record.info["v"][1]
    del fields["tags"], fields["curve"]
    assert record.load() == Report(1.0)
    fields["gone"] = 1
    with pytest.raises(CorruptResult, match=r"does not fit its class .*Report any more.*'gone'"):
        record.load()
    del fields["gone"], fields["loss"]
    with pytest.raises(CorruptResult, match="its field 'loss' is new, without a default"):
        record.load()


@pytest.mark.parametrize(
    ("cache_type", "value", "message"),
    [
        ("MemmapArray", [1.0], "of type list.*it is not a numpy.ndarray"),
        ("NumpyArray", np.float64(1), "of type numpy.float64.*it is not a numpy.ndarray"),
        ("PandasDataFrame", {"a": [1]}, "it is not a pandas.DataFrame"),
        ("ParquetPandasDataFrame", np.zeros(2), "it is not a pandas.DataFrame"),
        ("TorchTensor", np.zeros(2), "it is not a torch.Tensor"),
        ("Json", {"a": np.zeros(2)}, "no place for bulk data"),
        ("Json", Plain(1), "no safe format for .*Plain"),
        ("String", 3, "it is not a str"),
        ("DataDict", [1], "it is not a dict"),
    ],
)
def test_a_value_that_does_not_fit_the_format_asked_for_is_named(
    cache_type: str, value: Any, message: str, tmp_path: pathlib.Path
) -> None:
    with pytest.raises(ResultNotStored, match=f"'k'.*does not fit cache_type='{cache_type}': {message}|{message}"):
        stored(value, tmp_path, cache_type=cache_type, key="k")


@pytest.mark.parametrize("value", [(1, float("nan")), {1: "a"}, Report(1.0), "x" * 50_000, list(range(9_000))])
def test_json_keeps_types_too(value: Any, tmp_path: pathlib.Path) -> None:
    copy = round_trip(value, tmp_path, cache_type="Json")
    assert same(copy, value) or copy == value


def test_damage_inside_a_dataclass_is_not_blamed_on_its_class(tmp_path: pathlib.Path) -> None:
    record = stored(Report(1.0, np.arange(3)), tmp_path)
    record.payloads[0] = b""
    with pytest.raises(CorruptResult, match=r"0 bytes|buffer is too small"):
        record.load()


def test_an_unknown_format_is_refused_with_those_there_are(tmp_path: pathlib.Path) -> None:
    with pytest.raises(InvalidInfra, match=r"cache_type='Numpy'.*Auto, .*MemmapArray, .*TorchTensor"):
        _formats.check_cache_type("Numpy")
    with pytest.raises(InvalidInfra):
        stored(1, tmp_path, cache_type="Numpy")
    _formats.check_cache_type("MemmapArrayFile")
    _formats.check_cache_type(None)


FRAMES = {
    "text": lambda pd: pd.DataFrame({"a": ["007", "x"], "b": [1.5, float("nan")]}),
    "index": lambda pd: pd.DataFrame({"v": [1, 2]}, index=pd.MultiIndex.from_tuples([(1, "a"), (2, "b")])),
    "empty": lambda pd: pd.DataFrame(),
    "categories": lambda pd: pd.DataFrame({"c": pd.Categorical(["x", "y"])}),
    "times": lambda pd: pd.DataFrame({"t": pd.to_datetime(["2020-01-01", None])}),
    "columns": lambda pd: pd.DataFrame([[1, 2]], columns=[3, 4]),
}


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.filterwarnings("ignore:values of type")
def test_incident_12_frames_come_back_as_they_were(name: str, tmp_path: pathlib.Path) -> None:
    pd = pytest.importorskip("pandas")
    frame = FRAMES[name](pd)
    for value in (frame, {"in": [frame]}):
        copy = round_trip(value, tmp_path)
        pd.testing.assert_frame_equal(copy if value is frame else copy["in"][0], frame, check_exact=True)
    if name == "text":
        assert stored(frame, tmp_path, cache_type="ParquetPandasDataFrame").info["$"] == "frame"
        assert round_trip(frame, tmp_path)["a"][0] == "007"


@given(
    columns=st.dictionaries(
        st.text(max_size=3), hnp.arrays(st.sampled_from("?bBhHiIqQfd").map(np.dtype), 3), min_size=1, max_size=4
    ),
    start=st.integers(-3, 3),
    step=st.sampled_from([1, 2, -1]),
)
def test_incident_12_frames_of_numbers_come_back_as_they_were(columns: dict[str, Any], start: int, step: int) -> None:
    """They are the frames that are not read back and compared when they are stored."""
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(columns, index=pd.RangeIndex(start, start + 3 * step, step))
    record = stored(frame, FOLDER)
    assert record.info["$"] == "frame"
    copy = record.load()
    pd.testing.assert_frame_equal(copy, frame, check_exact=True, check_index_type="exact", check_column_type="exact")
    assert copy.index.equals(frame.index)
    assert type(copy.index) is pd.RangeIndex


SERIES = {
    "text": lambda pd: pd.Series(["007", None], name=("a", 1)),
    "empty": lambda pd: pd.Series([], dtype="f4"),
    "categories": lambda pd: pd.Series(pd.Categorical(["a", "b"]), name=3),
    "index": lambda pd: pd.Series([1.5], index=pd.Index(["x"], name="v")),
    "levels": lambda pd: pd.Series([1, 2], index=pd.MultiIndex.from_tuples([(1, "a"), (2, "b")], names=["p", "q"])),
}


@pytest.mark.parametrize("name", SERIES)
def test_incident_12_series_come_back_as_they_were(name: str, tmp_path: pathlib.Path) -> None:
    pd = pytest.importorskip("pandas")
    series = SERIES[name](pd)
    record = stored([series], tmp_path)
    assert record.info[0]["$"] == "series"
    (copy,) = record.load()
    assert type(copy.name) is type(series.name)
    pd.testing.assert_series_equal(copy, series, check_exact=True, check_index_type="exact")


def test_a_frame_that_parquet_would_change_is_pickled_or_refused(tmp_path: pathlib.Path) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [1, "x", (2,)]})
    with pytest.raises(ResultNotStored, match="parquet would change this data frame"):
        stored(frame, tmp_path, cache_type="PandasDataFrame")
    copy = round_trip(frame, tmp_path, cache_type="AutoPickle")
    assert copy["a"].tolist() == [1, "x", (2,)]


def test_tensors_come_back_as_they_were(tmp_path: pathlib.Path) -> None:
    torch = pytest.importorskip("torch")
    tensors = [
        torch.arange(6).reshape(2, 3),
        torch.ones(3, dtype=torch.bfloat16),
        torch.zeros(0, 2),
        torch.tensor(1.5),
        torch.arange(6.0).reshape(2, 3).T,
        torch.tensor([1 + 2j]),
        torch.tensor([True]),
    ]
    for tensor in tensors:
        for copy in (
            round_trip(tensor, tmp_path),
            round_trip(tensor, tmp_path, cache_type="TorchTensor"),
            round_trip({"t": [tensor]}, tmp_path)["t"][0],
        ):
            assert type(copy) is torch.Tensor
            assert (copy.dtype, copy.shape) == (tensor.dtype, tensor.shape)
            assert torch.equal(copy, tensor)
            copy.add_(1) if copy.dtype != torch.bool else None  # it can be written to
    assert stored(tensors[1], tmp_path).info["$"] == "tensor"
    with pytest.raises(ResultNotStored, match="does not fit cache_type='TorchTensor'"):
        stored(torch.ones(2, requires_grad=True), tmp_path, cache_type="TorchTensor")


GOLDEN: dict[str, tuple[Any, Any]] = {
    "number": (1.5, 1.5),
    "text": ("ä", "ä"),
    "dict": ({"a": [1, None, True]}, {"a": [1, None, True]}),
    "nan": (math.nan, {"$": "float", "v": "nan"}),
    "tuple": ((1, "a"), {"$": "tuple", "v": [1, "a"]}),
    "int key": ({1: 2}, {"$": "dict", "v": [[1, 2]]}),
    "dollar": ({"$": 1}, {"$": "dict", "v": [["$", 1]]}),
    "bytes": (b"ab", {"$": "bytes", "v": "YWI="}),
    "surrogate": ("\ud800", {"$": "str", "v": "ANgAAA=="}),
    "date": (dt.date(2020, 1, 2), {"$": "date", "v": "2020-01-02"}),
    "scalar": (np.float32(1), {"$": "numpy", "v": ["<f4", "AACAPw=="]}),
    "array": (np.zeros((2, 3), "f4"), {"$": "array", "v": [0, "<f4", [2, 3]]}),
    "fortran": (np.zeros((2, 3), "f4", order="F"), {"$": "array", "v": [0, "<f4", [2, 3], "F"]}),
    "empty array": (np.zeros((0, 3), ">i2"), {"$": "array", "v": [None, ">i2", [0, 3]]}),
    "structure": (
        np.zeros(1, [("a", "i1"), ("b", "f4", (2,))]),
        {
            "$": "array",
            "v": [
                0,
                {
                    "names": ["a", "b"],
                    "formats": ["|i1", ["<f4", [2]]],
                    "offsets": [0, 1],
                    "itemsize": 9,
                    "aligned": False,
                },
                [1],
            ],
        },
    ),
    "two arrays": (
        [np.zeros(1), {"b": np.zeros(2, "?")}],
        [{"$": "array", "v": [0, "<f8", [1]]}, {"b": {"$": "array", "v": [1, "|b1", [2]]}}],
    ),
    "enum": (Color.RED, {"$": "enum", "v": [f"{__name__}:Color", "RED"]}),
    "named tuple": (Point(1.0, "y"), {"$": "namedtuple", "v": [f"{__name__}:Point", {"x": 1.0, "y": "y"}]}),
    "dataclass": (
        Report(0.5),
        {"$": "dataclass", "v": [f"{__name__}:Report", {"loss": 0.5, "curve": None, "tags": {"$": "tuple", "v": []}}]},
    ),
    "long text": ("x" * 20_000, {"$": "text", "v": 0}),
    "long list": ([0] * 5_000, {"$": "json", "v": 0}),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_what_stands_on_disk_does_not_change(name: str, tmp_path: pathlib.Path) -> None:
    value, info = GOLDEN[name]
    assert stored(value, tmp_path).info == info


def test_payloads_are_the_plain_bytes(tmp_path: pathlib.Path) -> None:
    assert stored(np.arange(3, dtype="<i2"), tmp_path).payloads == [b"\0\0\1\0\2\0"]
    assert stored("x" * 20_000, tmp_path).payloads == [b"x" * 20_000]
    assert json.loads(stored([0] * 5_000, tmp_path).payloads[0]) == [0] * 5_000
    assert stored(np.arange(2), tmp_path, cache_type="NumpyArray").payloads[0].startswith(b"\x93NUMPY")


def test_importing_the_room_loads_no_library_of_arrays() -> None:
    code = "import exca.cachedict, sys; print({'numpy', 'pandas', 'torch'} & set(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed == "set()\n"


def test_a_fresh_process_reads_arrays_and_classes(tmp_path: pathlib.Path) -> None:
    """What was loaded or registered in the writing process must not be needed."""
    (tmp_path / "elsewhere.py").write_text("import enum\nclass Kind(enum.Enum):\n    A = 1\n")
    code = f"""
import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(pathlib.Path(__file__).parent)!r}]
from formats_double import Record
import pathlib
record = Record(pathlib.Path({str(tmp_path)!r}))
record.payloads = [bytes([1, 0, 2, 0])]
record.info = [{{"$": "array", "v": [0, "<i2", [2]]}}, {{"$": "enum", "v": ["elsewhere:Kind", "A"]}}]
print(record.load())
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.stdout == "[array([1, 2], dtype=int16), <Kind.A: 1>]\n", done.stderr


def test_a_failing_disk_is_not_taken_for_a_bad_value(tmp_path: pathlib.Path) -> None:
    class Full(Record):
        def append(self, payload: bytes | memoryview) -> int:
            raise OSError(28, "No space left on device")

        def array_buffer(self, index: int) -> bytearray:
            raise OSError(5, "Input/output error")

    record = Full(tmp_path)
    for value in (np.zeros(2), {"a": np.zeros(2)}, "x" * 50_000):
        with pytest.raises(OSError, match="No space left"):
            _formats.dump(value, record, folder=tmp_path)
    record.info = {"$": "array", "v": [0, "<f8", [2]]}
    with pytest.raises(OSError, match="Input/output error"):
        record.load()
