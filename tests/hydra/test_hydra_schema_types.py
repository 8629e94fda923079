"""Every type that a field may have is written as the documentation says: in YAML, as an override, and back."""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import json
import math
import pathlib
import re
import typing
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import pytest
from omegaconf import OmegaConf
from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field, computed_field, field_validator
from snippets import ROOT, blocks

import exca.hydra
from exca.errors import InvalidConfig
from exca.identity import identify

PAGE = ROOT / "docs" / "reference" / "yaml-and-overrides.md"
FAST = 8
"""One example of so many is among the fast tests."""

_ROW = re.compile(r"^\| `(?P<type>.+?)`[^`]* \| `(?P<yaml>.+?)` \| `(?P<override>.+?)` \| `(?P<value>.+?)` \|$", re.M)


def documented() -> Iterator[Any]:
    """Yield the examples of the documentation's tables."""
    for number, found in enumerate(_ROW.finditer(PAGE.read_text().replace("\\|", "¦"))):
        row = {name: text.replace("¦", "|") for name, text in found.groupdict().items()}
        marks = [pytest.mark.slow] if number % FAST else []
        yield pytest.param(row, id=f"{row['type']} {row['override']}", marks=marks)


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """Give the names that the documentation's examples may use: its own classes, and modules."""
    (code,) = (block.text for block in blocks(PAGE) if block.language == "python")
    known = {each.__name__: each for each in (datetime, decimal, math, pathlib, pydantic, re, typing, uuid)}
    module = {"__name__": __name__, **known}
    exec(compile(code, str(PAGE), "exec", dont_inherit=True), module)
    return module


def of(annotation: Any, *default: Any) -> type[BaseModel]:
    return pydantic.create_model("Model", f=(annotation, *(default or (...,))))


@pytest.mark.parametrize("row", [*documented()])
def test_each_row_of_the_documentation(
    row: dict[str, str], names: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "hush")
    value, model = eval(row["value"], names), of(eval(row["type"], names))
    (tmp_path / "app.yaml").write_text(row["yaml"] + "\n")
    from_file = exca.hydra.compose(model, config_dir=tmp_path, config_name="app")
    by_override = exca.hydra.compose(model, [row["override"]])
    assert from_file.f == by_override.f == value  # type: ignore[attr-defined]
    assert type(by_override.f) is type(value)  # type: ignore[attr-defined]
    given = json.dumps(value) if "Json" in row["type"] else value  # in Python, a field of JSON takes text alone
    assert identify(from_file) == identify(by_override) == identify(model(f=given))
    if "Secret" not in row["type"]:
        round_trip(by_override)


def round_trip(config: BaseModel) -> None:
    """Check that a config is given back by its overrides, and by its YAML."""
    again = exca.hydra.compose(type(config), exca.hydra.to_overrides(config))
    assert again == config
    assert identify(again) == identify(config)
    text = OmegaConf.to_yaml(exca.hydra.to_config(config))
    assert exca.hydra.to_model(OmegaConf.create(text), type(config)) == config


def test_the_documentation_has_an_example_of_each_kind() -> None:
    assert len(list(documented())) > 45


class Colour(enum.Enum):
    RED = "r"
    BLUE = "b"


class Pair(enum.Enum):
    ONE = (1, 1)
    TWO = (2, 2)


class Access(enum.IntFlag):
    READ = 1
    WRITE = 2


class Small(BaseModel):
    p: int = 1


class Large(BaseModel):
    p: int = 1
    q: int = 2


class A(BaseModel):
    name: Literal["a"] = "a"
    x: int = 1


class B(BaseModel):
    name: Literal["b"] = "b"
    y: float = 2.0


AB = Annotated[A | B, Field(discriminator="name")]
Table = dict[str, AB]


class Point(typing.NamedTuple):
    x: int = 1
    label: str = "a"


@pytest.mark.parametrize(
    ("annotation", "default", "override", "value"),
    [
        (list[Colour], [Colour.RED], "f.0=BLUE", [Colour.BLUE]),
        (dict[Colour, int], {Colour.RED: 1}, "f.BLUE=2", {Colour.RED: 1, Colour.BLUE: 2}),
        (Pair, Pair.ONE, "f=TWO", Pair.TWO),
        (list[Pair], [Pair.ONE], "f=[TWO,ONE]", [Pair.TWO, Pair.ONE]),
        (Access, Access.READ, "f=WRITE", Access.WRITE),
        (Colour | str, "x", "f=BLUE", "BLUE"),
        (Literal["a", 1, None, True], "a", "f=1", 1),
        (dict[int, float], {1: 1.0}, "f.2=3", {1: 1.0, 2: 3.0}),
        (dict[str, int], {"a": 1}, "~f.a", {}),
        (tuple[int, str], (1, "a"), "f.0=5", (5, "a")),
        (collections.deque[int], collections.deque([1]), "f=[2]", collections.deque([2])),
        (Point, Point(), "f=[2,b]", Point(2, "b")),
        (pydantic.RootModel[dict[str, int]], pydantic.RootModel[dict[str, int]]({}), "f.a=1", {"a": 1}),
        (pydantic.ByteSize, pydantic.ByteSize(1), "f=1KB", pydantic.ByteSize(1000)),
        (complex, 1j, "f=1+2j", 1 + 2j),
        (list[AB], [A()], "f.0.x=3", [A(x=3)]),
        (Table, {"k": A()}, "f.k={name: b}", {"k": B()}),
        (Table, {"k": A()}, "f.m={name: b}", {"k": A(), "m": B()}),
        (AB | None, None, "f.name=b", B()),
        (A | None, A(x=3), "f=null", None),
        (Small | Large, Small(), "f.p=3", Small(p=3)),
        (Small | Large, Small(), "f={q: 3}", Large(q=3)),
        (Small | int, 3, "f={p: 3}", Small(p=3)),
    ],
)
def test_a_default_is_overridden(annotation: Any, default: Any, override: str, value: Any) -> None:
    model = of(annotation, default)
    made = exca.hydra.compose(model, [override])
    got = getattr(made.f, "root", made.f)  # type: ignore[attr-defined]
    assert (got, type(got)) == (value, type(value))
    assert exca.hydra.compose(model) == model()
    assert exca.hydra.to_overrides(model()) == []
    round_trip(made)


@pytest.mark.parametrize(
    ("annotation", "default", "override", "field", "message"),
    [
        (Colour, Colour.RED, "f=BLU", "f", "Input should be 'r' or 'b'"),
        (dict[Colour, int], {Colour.RED: 1}, "f.RED=2", "f.RED", "RED and r are one key, given twice"),
        (list[A], [], "f=[{x: 1, z: 2}]", "f.0.z", "no such key"),
        (dict[str, A], {}, "f.k.z=2", "f.k.z", "no such key"),
        (list[AB], [A()], "f.0.y=3", "f.0.y", "no such key"),
        (list[AB], [A()], "f=[{name: c}]", "f.0.name", "no such member; there are a, b"),
        (list[AB], [A()], "f=[{}]", "f.0", "Unable to extract tag using discriminator 'name'"),
        (Small | Large, ..., "f={p: 3}", "f", "may be Small or Large: these fields do not tell"),
        (list[Small | Large], [], "f=[{q: 1},{p: 3}]", "f.1", "may be Small or Large: these fields do not tell"),
        (Small | Large, Small(), "f={z: 3}", "f.z", "no such key"),
        (pydantic.ImportString, print, "f=math.cosi", "f", "Invalid python path"),
        (datetime.date, datetime.date(2020, 1, 1), "f=soon", "f", "Input should be a valid date"),
    ],
)
def test_a_value_that_is_wrong_is_named(
    annotation: Any, default: Any, override: str, field: str, message: str
) -> None:
    with pytest.raises(InvalidConfig) as caught:
        exca.hydra.compose(of(annotation, default), [override])
    (problem,) = caught.value.problems  # type: ignore[attr-defined]
    assert problem.field == field
    assert problem.message.startswith(message)
    assert problem.origin == f"override {override}"


def test_what_only_order_would_tell_apart_has_no_overrides() -> None:
    model = of(Small | Large)
    with pytest.raises(InvalidConfig, match="may be Small or Large"):
        exca.hydra.to_overrides(model(f=Small(p=3)))
    round_trip(model(f=Large(q=3)))
    assert exca.hydra.compose(of(Annotated[Small | Large, Field(union_mode="left_to_right")]), ["f={p: 3}"])


class Aliased(BaseModel):
    rate: float = Field(0.1, alias="lr")
    size: int = Field(1, validation_alias=AliasChoices("size", "width"))
    deep: int = Field(1, validation_alias=AliasPath("box", 0))
    more: int = Field(1, validation_alias=AliasPath("table", "more"))


class ByName(BaseModel):
    model_config = ConfigDict(populate_by_name=True)

    rate: float = Field(0.1, alias="lr")
    part: AB = Field(A(), alias="module")


def test_a_field_is_set_by_each_of_its_keys(tmp_path: Path) -> None:
    made = exca.hydra.compose(Aliased, ["lr=1", "width=2", "deep=3", "more=4"])
    assert made.model_dump() == {"rate": 1.0, "size": 2, "deep": 3, "more": 4}
    round_trip(made)
    assert exca.hydra.compose(ByName, ["lr=1", "module=b", "module.y=3"]) == ByName(rate=1, part=B(y=3))
    (tmp_path / "app.yaml").write_text("lr: 0.5\n")
    assert exca.hydra.compose(ByName, config_dir=tmp_path, config_name="app").rate == 0.5
    with pytest.raises(InvalidConfig, match="lr: lr and rate are one field, given twice"):
        exca.hydra.compose(ByName, ["rate=3"], config_dir=tmp_path, config_name="app")
    with pytest.raises(InvalidConfig, match="rate: no such key"):
        exca.hydra.compose(Aliased, ["rate=1"])


class Changing(BaseModel):
    """Validators that change values, and a value that is computed."""

    x: int = 1
    low: int = 0
    names: list[str] = []

    @computed_field  # type: ignore[prop-decorator]
    @property
    def double(self) -> int:
        return 2 * self.x

    @field_validator("x")
    @classmethod
    def _one_more(cls, value: int) -> int:
        return value + 1

    @field_validator("low")
    @classmethod
    def _at_least(cls, value: int) -> int:
        return max(value, 5)

    @field_validator("names", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return value.split(",") if isinstance(value, str) else value


def test_validators_see_what_was_written() -> None:
    made = exca.hydra.compose(Changing, ["low=3", "names='a,b'"])
    assert (made.low, made.names, made.x) == (5, ["a", "b"], 1)
    round_trip(made)
    assert exca.hydra.compose(Changing, ["x=3"]).double == 8
    with pytest.raises(InvalidConfig, match=r"x: a validator makes 5 of it"):
        exca.hydra.to_overrides(Changing(x=3))
    with pytest.raises(InvalidConfig, match="double: no such key"):
        exca.hydra.compose(Changing, ["double=3"])


def test_a_validator_may_take_keys_that_are_ignored() -> None:
    class Old(BaseModel):
        model_config = ConfigDict(extra="ignore")

        rate: float = 0.1

        @pydantic.model_validator(mode="before")
        @classmethod
        def _renamed(cls, data: Any) -> Any:
            return {"rate": data["lr"]} if "lr" in data else data

    assert exca.hydra.compose(Old, ["+lr=0.5"]).rate == 0.5
