"""Configs as plain data: validating it gives the config back; the identity as people read it."""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import enum
import fractions
import ipaddress
import math
import re
import uuid
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field, ImportString, RootModel, SecretStr

from exca.errors import UnstableIdentity
from exca.identity import dump_yaml, export, identify, load_yaml


class Color(enum.Enum):
    RED = "r"
    BLUE = "b"


class Mlp(BaseModel):
    name: Literal["mlp"] = "mlp"
    width: int = 8


class Conv(BaseModel):
    name: Literal["conv"] = "conv"
    channels: int = 8


class Optim(BaseModel):
    lr: float = 0.1
    momentum: float = 0.9


class Adam(Optim):
    beta: float = 0.99


class Pair(NamedTuple):
    x: int
    y: str


@pydantic.dataclasses.dataclass
class Point:
    x: float = 0.0
    y: tuple[int, ...] = ()


class Numbers(RootModel[dict[str, list[float]]]):
    pass


Model = Annotated[Mlp | Conv, Field(discriminator="name")]


class Everything(BaseModel):
    flag: bool = False
    count: int = 0
    rate: float = 0.0
    text: str = ""
    raw: bytes = b""
    color: Color = Color.RED
    folder: Path = Path("data")
    day: dt.date = dt.date(2024, 1, 1)
    moment: dt.datetime = dt.datetime(2024, 1, 1)
    clock: dt.time = dt.time(1)
    span: dt.timedelta = dt.timedelta(0)
    amount: decimal.Decimal = decimal.Decimal("1.0")
    ratio: fractions.Fraction = fractions.Fraction(1, 3)
    ident: uuid.UUID = uuid.UUID(int=0)
    address: ipaddress.IPv4Address = ipaddress.IPv4Address("1.1.1.1")
    pattern: re.Pattern[str] = re.compile("a")
    z: complex = 0j
    shape: tuple[int, float] = (1, 1.0)
    words: list[str] = []
    names: set[str] = set()
    frozen: frozenset[int] = frozenset()
    queue: collections.deque[int] = collections.deque()
    free: dict[str, Any] = {}
    grid: dict[tuple[int, int], float] = {}
    by_color: dict[Color, int] = {}
    pair: Pair = Pair(1, "a")
    point: Point = Field(default_factory=Point)
    numbers: Numbers = Numbers({})
    model: Model = Mlp()
    models: list[Model] = []
    optim: Optim | None = None
    kind: ImportString[Any] = math.sqrt
    mode: Literal["a", 1] = "a"


texts = st.text(st.characters(exclude_categories=["Cs"]))
configs = st.builds(
    Everything,
    flag=st.booleans(),
    count=st.integers(),
    rate=st.floats(allow_nan=False),
    text=texts,
    raw=st.binary(),
    color=st.sampled_from(Color),
    folder=st.builds(Path, st.text("ab/.", max_size=5)),
    day=st.dates(),
    moment=st.datetimes(timezones=st.none() | st.just(dt.UTC)),
    clock=st.times(),
    span=st.timedeltas(),
    amount=st.decimals(allow_nan=False, allow_infinity=False),
    ratio=st.fractions(),
    ident=st.uuids(),
    address=st.ip_addresses(v=4),
    z=st.complex_numbers(allow_nan=False, allow_infinity=False),
    shape=st.tuples(st.integers(), st.floats(allow_nan=False)),
    words=st.lists(texts, max_size=3),
    names=st.sets(texts, max_size=3),
    frozen=st.frozensets(st.integers(), max_size=3),
    queue=st.lists(st.integers(), max_size=3),
    free=st.dictionaries(
        texts, st.none() | st.booleans() | st.integers() | texts | st.lists(st.integers(), max_size=2), max_size=3
    ),
    grid=st.dictionaries(st.tuples(st.integers(0, 2), st.integers(0, 2)), st.floats(0, 1), max_size=3),
    by_color=st.dictionaries(st.sampled_from(Color), st.integers(0, 2)),
    pair=st.builds(Pair, st.integers(), texts),
    point=st.builds(Point, st.floats(0, 1), st.tuples(st.integers())),
    numbers=st.dictionaries(texts, st.lists(st.floats(0, 1), max_size=2), max_size=2),
    model=st.builds(Mlp, width=st.integers()) | st.builds(Conv, channels=st.integers()),
    models=st.lists(st.builds(Mlp) | st.builds(Conv), max_size=2),
    optim=st.none() | st.builds(Optim, lr=st.floats(0, 1)),
    kind=st.sampled_from([math.cos, dict]),
    mode=st.sampled_from(["a", 1]),
)


@pytest.mark.slow
@given(configs, st.booleans())
def test_round_trip_through_yaml(config: Everything, exclude_defaults: bool) -> None:
    data = export(config, exclude_defaults=exclude_defaults)
    assert Everything(**data) == config
    again = Everything(**load_yaml(dump_yaml(data)))
    assert again == config
    assert identify(again) == identify(config)


def test_everything_is_there_in_the_order_of_the_class() -> None:
    assert list(export(Everything())) == list(Everything.model_fields)
    assert export(Everything(), exclude_defaults=True) == {}


def test_values_are_plain() -> None:
    data = export(Everything(color="b", model={"name": "conv"}, words=["a"], names={"b", "a"}, span=1.5))
    assert data["color"] == "b"
    assert data["folder"] == "data"
    assert data["names"] == ["a", "b"]
    assert data["span"] == "P0DT1.500000S"
    assert data["model"] == {"name": "conv", "channels": 8}
    assert data["kind"] == "math.sqrt"
    assert data["pair"] == [1, "a"]
    assert data["point"] == {"x": 0.0, "y": []}


def test_free_dicts_keep_their_keys() -> None:
    free = {"a.b": 1, "a": {"b": 2, 3: 4}, "": None}
    config = Everything(free=free)
    assert export(config)["free"] == free
    assert Everything(**load_yaml(dump_yaml(export(config)))) == config


def test_defaults_can_be_left_out_at_every_level() -> None:
    class Config(BaseModel):
        optim: Optim = Optim(lr=0.5)
        required: Optim
        model: Model = Mlp()

    config = Config(required={}, optim={})
    assert export(config, exclude_defaults=True) == {"optim": {}, "required": {}}
    assert Config(**export(config, exclude_defaults=True)) == config
    assert export(config, uid=True, exclude_defaults=True) == {"optim": {}}
    other = Config(required={"lr": 1}, model={"name": "conv"})
    assert export(other, exclude_defaults=True) == {"required": {"lr": 1.0}, "model": {"name": "conv"}}


def test_the_identity_shows_classes_that_the_annotation_leaves_open() -> None:
    class Config(BaseModel):
        optim: Optim = Optim()
        either: Mlp | Optim = Mlp()
        models: list[Model] = []
        anything: Any = None

    config = Config(optim=Adam(), either=Optim(), models=[Conv()], anything={"deep": Mlp(width=1)})
    assert export(config, uid=True, exclude_defaults=True) == {
        "anything": {"deep": {"=class=": f"{__name__}.Mlp", "width": 1}},
        "either": {"=class=": f"{__name__}.Optim"},
        "models": [{"name": "conv"}],
        "optim": {"=class=": f"{__name__}.Adam"},
    }
    assert "=class=" not in dump_yaml(export(config))
    assert export(Config(), uid=True)["either"] == {"=class=": f"{__name__}.Mlp", "name": "mlp", "width": 8}


def test_the_identity_leaves_excluded_fields_out() -> None:
    class Config(BaseModel):
        x: int = 1
        folder: Any = "a"
        _exclude_from_cls_uid: ClassVar[tuple[str, ...]] = ("folder",)

    config = Config(folder="b")
    assert export(config) == {"x": 1, "folder": "b"}
    assert export(config, exclude_defaults=True) == {"folder": "b"}
    assert export(config, uid=True) == {"x": 1}
    assert export(config, uid=True, exclude=["x"]) == {}
    assert export(config, exclude=["x"]) == {"folder": "b"}


def test_excluded_parts_of_a_nested_default_are_not_lost() -> None:
    class Quiet(BaseModel):
        folder: str = "a"
        _exclude_from_cls_uid: ClassVar[tuple[str, ...]] = ("folder",)

    class Config(BaseModel):
        quiet: Quiet = Quiet()

    assert export(Config(quiet={"folder": "b"}), exclude_defaults=True) == {"quiet": {"folder": "b"}}
    assert export(Config(quiet={"folder": "b"}), uid=True, exclude_defaults=True) == {}


def test_one_identity_one_text() -> None:
    """What identifies a config must be written in one way, or a manifest would seem to disagree with itself."""

    class Config(BaseModel):
        x: float = 1
        flag: bool = 1  # type: ignore[assignment]
        folder: Path = "a"  # type: ignore[assignment]
        free: dict[str, Any] = {}
        names: set[str] = set()
        y: float = 0

    one = Config(free={"b": 1, "a": {"d": 1, "c": 2}}, names=["x", "y", "z"]).model_copy(update={"y": 2})
    other = Config(x=1.0, flag=True, folder="a", free={"a": {"c": 2, "d": 1}, "b": 1}, names=["z", "y", "x"], y=2.0)
    assert identify(one) == identify(other)
    for exclude_defaults in (True, False):
        texts = {dump_yaml(export(c, uid=True, exclude_defaults=exclude_defaults)) for c in (one, other)}
        assert len(texts) == 1


def test_secrets_are_masked_everywhere() -> None:
    class Config(BaseModel):
        token: SecretStr
        many: list[SecretStr] = []

    config = Config(token="hush", many=["hush"])
    for uid in (True, False):
        assert export(config, uid=uid) == {"token": "**********", "many": ["**********"]}
    assert identify(config) != identify(Config(token="hush!", many=["hush"]))
    assert "hush" not in identify(config).name


def test_incident_03_arrays_in_manifests() -> None:
    class Config(BaseModel):
        model_config = ConfigDict(arbitrary_types_allowed=True)
        weights: Any = None

    def uid(array: Any) -> Any:
        return export(Config(weights=array), uid=True)["weights"]

    assert re.fullmatch(r"ndarray\(float64, 2x3, [0-9a-f]{16}\)", uid(np.zeros((2, 3))))
    assert uid(np.zeros(3)) != uid(np.ones(3))
    assert uid(np.zeros(3)) == uid(np.zeros(3, ">f8"))
    assert export(Config(weights=np.zeros(2)))["weights"] == [0.0, 0.0]
    assert len(str(export(Config(weights=np.zeros(100_000)))["weights"])) < 60
    dump_yaml(export(Config(weights=[np.float32(1), np.datetime64("2024-01-01"), np.longdouble(1), np.complex64(1)])))


def test_what_has_no_identity_still_shows_in_the_complete_config() -> None:
    class Config(BaseModel):
        callback: Any = None

    config = Config(callback=lambda: 0)
    shown = export(config)["callback"]
    assert "lambda" in shown
    assert "0x" not in shown
    with pytest.raises(UnstableIdentity, match=r"Config\.callback"):
        export(config, uid=True)
    assert "0x" not in export(Config(callback=object()))["callback"]


def test_aliases() -> None:
    class ByAlias(BaseModel):
        x: int = Field(1, alias="ex")
        y: int = Field(1, validation_alias=AliasChoices("why", "wy"))
        z: int = Field(1, validation_alias=AliasPath("deep", "zed"))
        w: int = Field(1, serialization_alias="ww")

    class ByName(ByAlias):
        model_config = ConfigDict(populate_by_name=True)

    config = ByAlias(ex=2, why=3, deep={"zed": 4}, w=5)
    assert export(config) == {"ex": 2, "why": 3, "deep": {"zed": 4}, "w": 5}
    assert ByAlias(**export(config)) == config
    assert export(config, uid=True) == {"w": 5, "x": 2, "y": 3, "z": 4}
    named = ByName(x=2, y=3, z=4)
    assert export(named) == {"x": 2, "y": 3, "z": 4, "w": 1}
    assert ByName(**export(named)) == named


def test_aliases_do_not_enter_the_identity() -> None:
    class Plain(BaseModel):
        x: int = 1

    class Aliased(BaseModel):
        x: int = Field(1, alias="ex")

    assert identify(Plain(x=3)) == identify(Aliased(ex=3))


def test_objects_that_name_themselves_show_what_they_say() -> None:
    class Config(BaseModel):
        anything: Any = None

    class Thing:
        def _exca_uid_(self) -> Any:
            return {"size": 3}

    assert export(Config(anything=Thing()), uid=True)["anything"]["uid"] == {"size": 3}
    assert "Thing" in export(Config(anything=Thing()))["anything"]


def test_an_alias_that_is_a_path_through_a_list_reads_back() -> None:
    class Point(pydantic.BaseModel):
        x: int = pydantic.Field(1, validation_alias=pydantic.AliasPath("position", 0))
        y: int = pydantic.Field(1, validation_alias=pydantic.AliasPath("position", 1))

    point = Point.model_validate({"position": [2, 3]})
    assert export(point) == {"position": [2, 3]}
    assert Point.model_validate(export(point)) == point
