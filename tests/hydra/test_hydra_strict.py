"""Strict models, which take from YAML what they would take from JSON; JSON itself; members named by an enum."""

from __future__ import annotations

import datetime
import enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, Json, SecretStr

import exca
import exca.hydra
from exca.errors import InvalidConfig


class Kind(enum.Enum):
    SMALL = "s"
    BIG = "b"


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)
    size: tuple[int, int] = (1, 2)
    tags: set[str] = {"a"}
    path: Path = Path("a")
    day: datetime.date = datetime.date(2024, 1, 1)
    limit: datetime.timedelta = datetime.timedelta(1)
    kind: Kind = Kind.SMALL
    raw: bytes = b"x"
    pairs: dict[int, tuple[int, ...]] = {}
    count: int = 1
    token: SecretStr | None = None
    infra: exca.TaskInfra = exca.TaskInfra(version="1")

    @infra.apply
    def run(self) -> int:
        return sum(self.size)


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("size=[3,4]", (3, 4)),
        ("tags=[b,c]", {"b", "c"}),
        ("path=b/c", Path("b/c")),
        ("day=2024-05-01", datetime.date(2024, 5, 1)),
        ("limit=PT2H", datetime.timedelta(hours=2)),
        ("kind=b", Kind.BIG),
        ("kind=BIG", Kind.BIG),
        ("pairs={1: [2, 3]}", {1: (2, 3)}),
    ],
)
def test_a_strict_model_takes_what_text_can_say(override: str, value: Any) -> None:
    name = override.partition("=")[0]
    config = exca.hydra.compose(Strict, [override, "token=hush"])
    expected = Strict(**{name: value}, token=SecretStr("hush"))
    assert config == expected
    assert config.infra.uid() == expected.infra.uid()
    assert config.model_fields_set - {"infra"} == {name, "token"}
    plain = exca.hydra.compose(Strict, [override])
    assert exca.hydra.compose(Strict, exca.hydra.to_overrides(plain)) == plain


def test_a_strict_model_is_strict_about_what_text_can_tell_apart() -> None:
    with pytest.raises(InvalidConfig) as caught:
        exca.hydra.compose(Strict, ["size=[3,4]", "count='2'"])
    (problem,) = caught.value.problems  # type: ignore[attr-defined]
    assert (problem.field, problem.value) == ("count", "'2'")


class Small(BaseModel):
    kind: Literal[Kind.SMALL] = Kind.SMALL
    a: int = 1


class Big(BaseModel):
    kind: Literal[Kind.BIG] = Kind.BIG
    b: int = 1


class Chooser(BaseModel):
    part: Annotated[Small | Big, Field(discriminator="kind")] = Small()


@pytest.mark.parametrize(
    "overrides",
    [
        ["part=BIG", "part.b=3"],
        ["part.kind=BIG", "part.b=3"],
        ["part={kind: BIG, b: 3}"],
        ["part=SMALL", "part.kind=b", "part.b=3"],
    ],
)
def test_incident_25_a_member_is_chosen_by_the_name_of_its_enum(overrides: list[str]) -> None:
    assert exca.hydra.compose(Chooser, overrides) == Chooser(part=Big(b=3))


def test_a_file_names_a_member_by_its_enum(tmp_path: Path) -> None:
    (tmp_path / "app.yaml").write_text("part: {kind: BIG, b: 3}\n")
    assert exca.hydra.compose(Chooser, config_dir=tmp_path, config_name="app") == Chooser(part=Big(b=3))
    assert exca.hydra.compose(Chooser, ["part=s"], config_dir=tmp_path, config_name="app") == Chooser()


class Texts(BaseModel):
    given: Json[dict[str, int]] = {"a": 1}
    perhaps: Json[list[int]] | None = None
    anything: Json = None
    raw: bytes = b"x"


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["given={a: 2}"], {"given": '{"a": 2}'}),
        (["given='{\"a\": 2}'"], {"given": '{"a": 2}'}),
        (["perhaps=[1,2]"], {"perhaps": "[1, 2]"}),
        (["perhaps=null"], {}),
        (["anything={x: [1, null]}"], {"anything": '{"x": [1, null]}'}),
        ([], {}),
    ],
)
def test_json_is_written_as_such_or_as_text(overrides: list[str], expected: dict[str, str]) -> None:
    config = exca.hydra.compose(Texts, overrides)
    assert config == Texts(**expected)
    assert exca.hydra.compose(Texts, exca.hydra.to_overrides(config)) == config


def test_a_default_that_needs_a_literal_in_the_tree_is_not_set() -> None:
    assert exca.hydra.compose(Texts, ["perhaps=[1]"]).model_fields_set == {"perhaps"}
    assert exca.hydra.compose(Texts, ["raw=yz"]).raw == b"yz"
