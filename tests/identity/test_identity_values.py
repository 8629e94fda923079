"""Every supported type of value: different values differ, equal values agree, the rest is refused."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import functools
import ipaddress
import json
import math
import operator
import pathlib
import re
import struct
import sys
import uuid
import zoneinfo
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from pydantic import BaseModel, SecretStr

from exca.errors import UnstableIdentity
from exca.identity import export, identify


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Paint(enum.Enum):
    RED = 1


class Word(enum.StrEnum):
    A = "a"


class Mode(enum.Flag):
    R = 1
    W = 2


class Int(int):
    pass


class Slotted(str):
    __slots__ = ("note",)
    note: str


class Strings(list[str]):
    pass


@dataclasses.dataclass
class Point:
    x: Any = 0
    y: int = 0


@dataclasses.dataclass(frozen=True)
class Place:
    x: Any = 0
    y: int = 0


class Pair(NamedTuple):
    x: int
    y: int


class Twin(NamedTuple):
    x: int
    y: int


class Model(BaseModel):
    x: int = 0


class Named:
    """Says itself what it is."""

    def __init__(self, what: Any) -> None:
        self.what = what

    def _exca_uid_(self) -> Any:
        return self.what


class Holder(BaseModel):
    value: Any = None


def digest(value: Any) -> str:
    """Digest of a value in a field that takes anything."""
    identity = identify(Holder.model_construct(value=value))
    return identity.digest


def slotted(value: str, note: str) -> Slotted:
    out = Slotted(value)
    out.note = note
    return out


PARIS = zoneinfo.ZoneInfo("Europe/Paris")

# All different from each other.
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**70, 0.0, -0.0, 1.0, math.nan, math.inf, -math.inf),
    *(1j, complex(0, 0), complex(math.nan, 1), complex(1, math.nan)),
    *("", "a", "1", "None", "nan", "\udce9", "é", b"", b"a", bytearray(b"a"), ...),
    *([], [1], [[1]], [1, 1], (), (1,), ((1,),), set(), {1}, frozenset(), frozenset({1}), {}, {1: 1}),
    *({"a": 1}, {"a": 1.0}, {(1, 2): 3}, {"a": {"b": 1}}, {"a.b": 1}, {b"a": 1}),
    *(Color.RED, Color.BLUE, Paint.RED, Word.A, Mode.R, Mode.W, Mode.R | Mode.W, Mode(0)),
    *(Int(1), slotted("a", "x"), slotted("a", "y"), Slotted("a"), Strings(["a"]), collections.Counter("a")),
    *(collections.OrderedDict(a=1), collections.defaultdict(int, a=1), collections.defaultdict(list, a=1)),
    *(collections.deque([1]), collections.deque([1], maxlen=3)),
    *(Point(), Point(x=1), Place(), Place(x=[]), Pair(1, 2), Twin(1, 2), Model(), Model(x=1), Named(1), Named(2)),
    *(pathlib.Path("a"), pathlib.Path("a/b"), pathlib.Path("/a"), pathlib.PurePosixPath("A")),
    *(dt.date(2024, 1, 1), dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, tzinfo=dt.UTC)),
    *(dt.datetime(2024, 1, 1, tzinfo=PARIS), dt.datetime(2024, 7, 1, tzinfo=PARIS)),
    *(dt.time(1), dt.time(1, tzinfo=dt.UTC), dt.time(1, tzinfo=PARIS), dt.timedelta(1), dt.timedelta(0, 1)),
    *(dt.UTC, dt.timezone(dt.timedelta(hours=1)), dt.timezone(dt.timedelta(hours=2), "UTC"), PARIS),
    *(decimal.Decimal("1.0"), decimal.Decimal("1.00"), decimal.Decimal("NaN"), fractions.Fraction(1, 3)),
    *(uuid.UUID(int=1), range(3), range(0, 3, 2), slice(3), slice(0, 3), re.compile("a"), re.compile(b"a")),
    re.compile("a", re.IGNORECASE),
    *(ipaddress.ip_address("1.1.1.1"), ipaddress.ip_address("::1"), ipaddress.ip_network("1.1.1.0/24")),
    ipaddress.ip_interface("1.1.1.0/24"),
    *(SecretStr("a"), SecretStr("b"), pydantic.SecretBytes(b"a"), pydantic.Secret[int](1)),
    *(pydantic.AnyUrl("http://a.b"), pydantic.HttpUrl("http://a.b"), pydantic.PostgresDsn("postgres://a:b@c/d")),
    *(pydantic.ByteSize(1), int, bool, list, list[int], list[str], dict[str, int], int | None, Model, Color),
    *(json.dumps, len, math.sqrt, Model.model_validate, dt.datetime.now, str.upper, json, math),
    *(functools.partial(int, base=2), functools.partial(int, base=3), functools.partial(float, "1")),
    *(np.float32(1), np.float64(1), np.int64(1), np.bool_(True), np.str_("a"), np.datetime64("2024-01-01")),
    *(np.datetime64("2024-01-01", "s"), np.timedelta64(1), np.longdouble(1) / 3, np.longdouble(2) / 3),
    *(np.zeros(3), np.zeros(3, "f4"), np.zeros((3, 1)), np.zeros((1, 3)), -np.zeros(3), np.zeros(0), np.array(0.0)),
    *(np.zeros((0, 3)), np.array(["a"]), np.array(["a"], "U2"), np.array([b"a"]), np.array(["a", None], object)),
    *(np.array([1, None], object), np.array([math.nan, 1]), np.array([1j]), np.array([True]), np.array([1], "u1")),
    *(np.array([(1, 2.0)], [("a", "i4"), ("b", "f8")]), np.array([(1, 2.0)], [("a", "i4"), ("c", "f8")])),
    *(np.ma.array([1, 2], mask=[0, 1]), np.ma.array([1, 2], mask=[1, 0]), np.array([1, 2])),
    *(np.array([1], np.longdouble) / 3, np.dtype("f4"), np.dtype("f8"), np.float32, np.sin, np.cos, np.mean),
    *(pd.Series([1, 2]), pd.Series([1, 2], name="x"), pd.Series([1, 2], index=[1, 2]), pd.Series([1.0, 2.0])),
    *(pd.Series(["a", None]), pd.Series(["a", "b"], dtype="category"), pd.Series([1, None], dtype="Int64")),
    *(pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]}), pd.DataFrame({"a": ["1"]}), pd.DataFrame(index=[0])),
    *(pd.DataFrame({"a": [1]}, index=pd.Index([0], name="i")), pd.Index([1]), pd.RangeIndex(3)),
    pd.DataFrame({"a": [1]}, index=pd.MultiIndex.from_tuples([(0, 1)])),
    *(pd.Timestamp("2024-01-01"), pd.Timestamp("2024-01-01", tz="UTC"), pd.Timedelta(1, "D"), pd.NA, pd.NaT),
    *(pd.Period("2024-01"), pd.Period("2024-01", "D"), pd.Interval(0, 1), pd.Interval(0, 1, closed="left")),
]


def test_incident_01_no_two_values_share_a_digest() -> None:
    found: dict[str, Any] = {}
    for value in VALUES:
        other = found.setdefault(digest(value), value)
        assert other is value, f"{value!r} and {other!r}"


def test_nested_in_containers_they_stay_different() -> None:
    for wrap in (lambda value: [value], lambda value: {"k": (value, None)}, lambda value: Place(x=value)):
        assert len({digest(wrap(value)) for value in VALUES}) == len(VALUES)


def test_values_can_be_exported_and_named() -> None:
    for value in VALUES:
        identity = identify(Holder.model_construct(value=value))
        assert re.fullmatch(r"default|[A-Za-z0-9_+=,][A-Za-z0-9._=,+-]{0,199}", identity.name), value
        export(Holder.model_construct(value=value), uid=True)
        export(Holder.model_construct(value=value))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pathlib.Path("a/b"), pathlib.PurePosixPath("a/b")),
        (pathlib.PureWindowsPath("a\\b"), pathlib.PurePosixPath("a/b")),
        (np.arange(6.0).reshape(2, 3), np.asfortranarray(np.arange(6.0).reshape(2, 3))),
        (np.arange(6)[::2], np.array([0, 2, 4])),
        (np.arange(3, dtype=">i4"), np.arange(3, dtype="<i4")),
        (np.array([math.nan]), -np.array([math.nan])),
        (np.array([complex(1, math.nan)]), np.array([complex(1, -math.nan)])),
        (np.array(["a", 1], object), np.array(["a", 1], object)),
        (np.ma.array([1, 2], mask=[0, 1]), np.ma.array([1, 9], mask=[0, 1])),
        (np.array([(1, 2)], np.dtype([("a", "i1"), ("b", "i8")], align=True)), np.array([(1, 2)], "i1,i8").view()),
        (pd.DataFrame({"a": [1.0, None]}), pd.DataFrame({"a": [1.0, math.nan]})),
        (dt.datetime(2024, 1, 1, tzinfo=PARIS), dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1)))),
    ],
)
def test_equal_values_agree(one: Any, other: Any) -> None:
    if isinstance(other, np.ndarray) and other.dtype.names == ("f0", "f1"):
        other.dtype.names = ("a", "b")
    assert digest(one) == digest(other)


def test_nan_has_one_form_whatever_its_bits() -> None:
    payload = struct.unpack("<d", struct.pack("<Q", 0x7FF8_0000_0000_00FF))[0]
    assert digest(payload) == digest(math.nan)
    assert digest(np.array([payload])) == digest(np.array([math.nan]))


def test_large_arrays_by_every_byte() -> None:
    large = np.arange(100_000, dtype="f4")
    assert digest(large) == digest(large.copy()) == digest(large.astype(">f4")) == digest(np.repeat(large, 2)[::2])
    assert digest(large[::-1]) != digest(large)
    for index in (0, 50_000, 99_999):
        other = large.copy()
        other[index] = -1
        assert digest(other) != digest(large)
    assert digest(large.reshape(1000, 100).T) == digest(np.ascontiguousarray(large.reshape(1000, 100).T))
    days = np.arange("2000", "2010", dtype="M8[D]")
    assert digest(days) == digest(days.copy()) != digest(days.astype("i8"))
    words = np.array(["a" * 2000, "b"])
    assert digest(words) == digest(words.copy()) != digest(words[::-1])
    assert digest(np.zeros(3, "U0")) != digest(np.zeros(4, "U0"))


def test_padding_of_structured_arrays_does_not_count() -> None:
    dtype = np.dtype([("a", "i1"), ("b", "i8")], align=True)
    arrays = [np.full(dtype.itemsize, fill, "u1").view(dtype) for fill in (0, 255)]
    for array in arrays:
        array["a"], array["b"] = 1, 2
    assert arrays[0].tobytes() != arrays[1].tobytes()
    assert digest(arrays[0]) == digest(arrays[1])


def test_a_memory_map_is_the_array_it_shows(tmp_path: pathlib.Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(3))
    assert digest(np.load(tmp_path / "a.npy", mmap_mode="r")) == digest(np.arange(3))


def test_huge_integers() -> None:
    assert digest(10**5000) != digest(10**5000 + 1)
    assert len(identify(Holder(value=10**5000)).name) <= 200


def test_all_of_pydantics_urls_are_known() -> None:
    urls = [
        value
        for name, value in vars(pydantic.networks).items()
        if name.endswith(("Url", "Dsn")) and isinstance(value, type) and not name.startswith("_")
    ]
    assert len(urls) > 15
    for url in urls:
        hosts = "mongodb://h/d" if "Mongo" in url.__name__ else None
        for text in filter(None, [hosts, "http://h/d", "ftp://h/d", "file:///h", "ws://h/d", "amqp://h/d"]):
            try:
                value = pydantic.TypeAdapter(url).validate_python(text)
            except pydantic.ValidationError:
                continue
            digest(value)


def local_function() -> Any:
    def inner() -> None: ...

    return inner


@functools.wraps(json.dumps)
def imposter() -> None: ...


def top_level() -> None: ...


class Handle:
    """Has no identity."""


UNSTABLE: list[tuple[Any, str]] = [
    (lambda: 0, "a lambda is not defined at the top level"),
    (local_function(), "not defined at the top level"),
    (imposter, "the name leads to another one"),
    (Handle(), "another process could not tell"),
    (object(), "another process could not tell"),
    (Named(1)._exca_uid_, "not something that can be imported"),
    (iter([]), "another process could not tell"),
    (np.random.default_rng(0), "another process could not tell"),
    (np.frompyfunc(ord, 1, 1), "not the function that numpy calls"),
    (operator.itemgetter(1), "another process could not tell"),
    (np.array([Handle()], object), "another process could not tell"),
]


@pytest.mark.parametrize(("value", "reason"), UNSTABLE, ids=lambda item: str(item)[:20])
def test_incident_04_what_has_no_identity_is_refused(value: Any, reason: str) -> None:
    with pytest.raises(UnstableIdentity, match=reason) as caught:
        digest(value)
    assert "Holder.value" in str(caught.value)
    assert "exclude_from_cache_uid=['value']" in str(caught.value)
    assert "0x" not in str(caught.value)


def test_incident_04_open_file_names_the_field(tmp_path: pathlib.Path) -> None:
    with (tmp_path / "x").open("w") as file, pytest.raises(UnstableIdentity, match=r"Holder\.value\['a'\]\[1\]\.x "):
        digest({"a": [0, Place(x=file)]})


def test_incident_04_excluding_the_field_helps() -> None:
    assert identify(Holder(value=lambda: 0), exclude=["value"]).name == "default"


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(UnstableIdentity, match="contains itself"):
        digest(loop)


def test_an_object_can_offer_its_identity() -> None:
    assert digest(Named([1])) == digest(Named([1]))
    assert digest(Named([1])) != digest([1])
    with pytest.raises(UnstableIdentity, match=r"Holder\.value"):
        digest(Named(lambda: 0))

    class Hooked(BaseModel):
        x: int = 0
        y: int = 0

        def _exca_uid_(self) -> Any:
            return self.x

    assert digest(Hooked(x=1, y=1)) == digest(Hooked(x=1, y=2))
    assert digest(Hooked(x=1)) != digest(Hooked(x=2))
    assert identify(Holder(value=Hooked())).mutable


def test_caches_of_an_object_do_not_change_it() -> None:
    class Text(str):
        @functools.cached_property
        def length(self) -> int:
            return len(self)

    text = Text("a")
    before = digest(text)
    assert text.length == 1
    assert digest(text) == before


def test_a_tensor_by_content() -> None:
    torch = pytest.importorskip("torch")
    ones = torch.ones(2, 3)
    assert digest(ones) == digest(torch.ones(3, 2).T.contiguous()) == digest(torch.ones(3, 2).T)
    different = [
        ones,
        torch.ones(3, 2),
        torch.ones(2, 3, dtype=torch.bfloat16),
        torch.zeros(2, 3),
        torch.ones(2, 3, dtype=torch.int64),
        torch.ones(()),
        torch.ones(2, 3, dtype=torch.complex64),
        torch.nn.Parameter(ones),
        ones.to_sparse(),
        ones.numpy(),
        torch.float32,
        torch.device("cpu"),
        torch.relu,
        torch.nn.functional.gelu,
        torch.nn.Linear,
    ]
    assert len({digest(value) for value in different}) == len(different)
    assert digest(torch.tensor([math.nan])) == digest(-torch.tensor([math.nan]))
    assert digest(torch.tensor([1j]).conj()) == digest(torch.tensor([complex(0, -1)]))
    for value in different:
        config = Holder.model_construct(value=value)
        assert export(config, uid=True)["value"]
        assert "0x" not in str(export(config)) + identify(config).name
    with pytest.raises(UnstableIdentity, match=r"Holder\.value"):
        digest(torch.nn.Linear(1, 1))


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.complex_numbers()
    | st.text()
    | st.binary()
    | st.decimals()
    | st.fractions()
    | st.uuids()
    | st.dates()
    | st.datetimes()
    | st.datetimes(timezones=st.just(dt.UTC))
    | st.times()
    | st.timedeltas()
    | st.ip_addresses()
    | st.builds(pathlib.Path, st.text("ab/.", max_size=6))
    | st.sampled_from([Color.RED, Color.BLUE, Paint.RED, Word.A, Mode.R, int, len, Model(), Model(x=2)])
    | st.builds(SecretStr, st.text(max_size=3))
    | st.builds(Int, st.integers(0, 2))
    | npst.arrays(st.sampled_from(["f8", "f4", "i4", "?", "U2"]), st.integers(0, 2), elements=None)
)
hashable = st.none() | st.booleans() | st.integers(-2, 2) | st.text(max_size=2) | st.binary(max_size=2) | st.floats()
nested = st.recursive(
    scalars | st.sets(hashable, max_size=3) | st.frozensets(hashable, max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(hashable, inner, max_size=3)
        | st.builds(Place, inner)
        | st.builds(Pair, st.integers(0, 1), st.integers(0, 1))
    ),
    max_leaves=6,
)


def normal(value: Any) -> Any:
    """A value as something whose ``==`` is what identity means: typed, NaN equal to itself, zeros signed.

    An independent definition, against which the bytes are checked.
    """
    cls = type(value)
    if isinstance(value, enum.Enum | type) or cls is type(len):
        return "object", id(value)
    if isinstance(value, float):
        return cls, repr(value)
    if isinstance(value, complex):
        return cls, repr(value.real), repr(value.imag)
    if isinstance(value, list | tuple):
        return cls, tuple(normal(item) for item in value)
    if isinstance(value, set | frozenset):
        return cls, tuple(sorted(repr(normal(item)) for item in value))
    if isinstance(value, dict):
        return cls, tuple(sorted(repr((normal(key), normal(item))) for key, item in value.items()))
    if isinstance(value, np.ndarray):
        return cls, value.dtype.str, value.shape, tuple(normal(item) for item in value.tolist())
    if isinstance(value, SecretStr):
        return cls, value.get_secret_value()
    if isinstance(value, Place):
        return cls, normal(value.x), value.y
    if isinstance(value, decimal.Decimal | dt.datetime | dt.time | BaseModel):
        return cls, str(value)
    return cls, value


@given(nested, nested)
def test_injective_over_the_supported_types(one: Any, other: Any) -> None:
    assert (digest(one) == digest(other)) == (normal(one) == normal(other))


@given(st.lists(nested, min_size=2, max_size=4))
def test_concatenations_stay_apart(values: list[Any]) -> None:
    splits = [[values[:cut], values[cut:]] for cut in range(len(values) + 1)]
    assert len({digest(split) for split in splits}) == len(splits)


@given(st.dictionaries(hashable, nested, max_size=4), st.randoms())
def test_order_never_matters(data: dict[Any, Any], chance: Any) -> None:
    items = list(data.items())
    chance.shuffle(items)
    assert digest(dict(items)) == digest(data)
    keys = list(data)
    chance.shuffle(keys)
    assert digest(frozenset(keys)) == digest(frozenset(data))


@given(nested)
def test_the_same_value_has_the_same_digest(value: Any) -> None:
    import pickle

    assert digest(value) == digest(pickle.loads(pickle.dumps(value)))


def test_numpy_and_pandas_are_not_needed() -> None:
    import subprocess

    code = (
        "import sys; from pydantic import BaseModel; from exca.identity import identify, export\n"
        "class A(BaseModel):\n  x: int = 1\n"
        "identify(A(x=2)); export(A())\n"
        "assert not {'numpy', 'pandas', 'torch'} & set(sys.modules), sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
