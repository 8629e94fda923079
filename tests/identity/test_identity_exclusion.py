"""What is left out of an identity, by the caller or by the classes themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, ConfigDict, Field

from exca.errors import ConfigError
from exca.identity import export, identify


class Data(BaseModel):
    path: str = "data"
    workers: int = 4
    size: int = 32


class QuietData(Data):
    _exclude_from_cls_uid: ClassVar[tuple[str, ...]] = ("workers",)


class Experiment(BaseModel):
    data: Data = Data()
    quiet: QuietData = QuietData()
    other: Data | None = None
    options: dict[str, Any] = {}
    seed: int = 0
    device: str = "cpu"


def test_a_field_given_by_name() -> None:
    one, other = Experiment(seed=1, device="cuda"), Experiment(seed=1)
    assert identify(one) != identify(other)
    assert identify(one, exclude=["device"]) == identify(other, exclude=("device",))
    assert identify(one, exclude={"device", "seed"}).name == "default"


def test_a_single_text_is_one_name() -> None:
    assert identify(Experiment(seed=1), exclude="seed").name == "default"


def test_an_excluded_field_is_in_neither_digest() -> None:
    one, other = (identify(Experiment(seed=seed, device="x"), exclude=["seed"]) for seed in (1, 2))
    assert (one.digest, one.full_digest) == (other.digest, other.full_digest)


def test_a_dotted_path() -> None:
    moved = Experiment(data={"path": "/elsewhere"})
    assert identify(moved, exclude=["data.path"]).name == "default"
    assert identify(moved, exclude=["data.path"]) == identify(Experiment(), exclude=["data.path"])
    both = Experiment(data={"path": "/elsewhere", "size": 8})
    assert identify(both, exclude=["data.path"]).name.startswith("data.size=8-")
    assert identify(both, exclude=["data.path", "data.size"]).name == "default"
    assert identify(both, exclude=["data.path", "data"]).name == "default"


def test_a_default_with_an_excluded_part_is_still_the_default() -> None:
    class Config(BaseModel):
        data: Data = Data(size=7)

    same = Config(data={"size": 7, "path": "x"})
    assert identify(same, exclude=["data.path"]).name == "default"
    assert identify(same, exclude=["data.path"]).full_digest == identify(Config(), exclude=["data.path"]).full_digest
    assert identify(Config(data={}), exclude=["data.path"]).name != "default"


def test_a_path_through_an_optional_model_that_is_not_there() -> None:
    assert identify(Experiment(), exclude=["other.path"]).name == "default"
    there = Experiment(other={"path": "x"})
    assert identify(there, exclude=["other.path"]).name.startswith("other=Data-")


def test_a_path_into_one_member_of_a_union() -> None:
    class Other(BaseModel):
        size: int = 1

    class Config(BaseModel):
        data: Data | Other = Data()
        many: list[Data | Other] = []

    assert identify(Config(data=Data(path="x")), exclude=["data.path"]).name == "default"
    assert identify(Config(data=Other()), exclude=["data.path"]).name.startswith("data=Other-")
    assert export(Config(data=Other()), exclude=["data.path"], uid=True)["data"]["size"] == 1
    with pytest.raises(ConfigError, match=r"data\.pth.*Other has no field 'pth'.*data\.path"):
        identify(Config(data=Other()), exclude=["data.pth"])


def test_a_path_into_a_dict() -> None:
    config = Experiment(options={"a": 1, "b": 2})
    assert identify(config, exclude=["options.a"]).name.startswith("options.b=2-")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("sed", "Did you mean 'seed'"),
        ("data.pth", "Did you mean 'data.path'"),
        ("other.pth", "Did you mean 'other.path'"),
        ("seed.x", "has no field 'x'"),
        ("zzz", "Its fields: data, device"),
    ],
)
def test_a_name_that_no_field_has_is_refused(name: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        identify(Experiment(), exclude=[name])
    with pytest.raises(ConfigError, match=hint):
        export(Experiment(), exclude=[name], uid=True)


def test_a_misspelt_field_is_refused_in_a_complete_export_too() -> None:
    with pytest.raises(ConfigError, match=r"Did you mean 'data\.path'"):
        export(Experiment(), exclude=["data.pth"])


def test_what_a_class_says_about_itself() -> None:
    assert identify(QuietData(workers=1)).name == "default"
    assert identify(QuietData(path="x")).name.startswith("path=x-")
    assert identify(Experiment(quiet={"workers": 1})) == identify(Experiment())


def test_dotted_paths_of_a_class() -> None:
    class Config(BaseModel):
        data: Data = Data()
        seed: int = 0
        _exclude_from_cls_uid: ClassVar[Sequence[str]] = ["data.path", "seed"]

    assert identify(Config(seed=1, data={"path": "x"})).name == "default"
    assert identify(Config(seed=1, data={"size": 1})).name.startswith("data.size=1-")


def test_a_class_method_or_a_method_or_a_plain_attribute() -> None:
    class ByClass(BaseModel):
        x: int = 0
        folder: str = "a"

        @classmethod
        def _exclude_from_cls_uid(cls) -> list[str]:
            return [name for name in cls.model_fields if name != "x"]

    class ByInstance(BaseModel):
        x: int = 0
        folder: str = "a"
        debug: bool = False

        def _exclude_from_cls_uid(self) -> list[str]:
            return ["folder", "debug"] if self.debug else ["folder"]

    class Plain(BaseModel):
        x: int = 0
        folder: str = "a"
        _exclude_from_cls_uid = ("folder",)

    for cls in (ByClass, ByInstance, Plain):
        assert identify(cls(folder="b")).name == "default", cls
        assert identify(cls(folder="b", x=1)).name.startswith("x=1-"), cls
    assert identify(ByInstance(debug=True)).name == "default"


def test_an_infra_contributes_what_it_does_not_exclude() -> None:
    class Infra(BaseModel):
        version: str = Field("0", frozen=True)
        folder: str | None = None
        hook: Any = None

        @classmethod
        def _exclude_from_cls_uid(cls) -> list[str]:
            return [name for name in cls.model_fields if name != "version"]

    class Config(BaseModel):
        x: int = 1
        infra: Infra = Infra(version="1")

    quiet = Config(infra=Infra(version="1", folder="somewhere", hook=lambda: 0))
    assert identify(quiet) == identify(Config())
    assert not identify(quiet).mutable
    assert identify(Config(infra={})).name.startswith("infra=Infra-")
    assert identify(Config(infra={"version": "2"})).name.startswith("infra.version=2-")


def test_a_misspelt_exclusion_of_a_class_is_refused() -> None:
    class Config(BaseModel):
        folder: str = "a"
        _exclude_from_cls_uid: ClassVar[tuple[str, ...]] = ("foldr",)

    with pytest.raises(ConfigError, match="Did you mean 'folder'"):
        identify(Config())


def test_a_text_instead_of_a_sequence_is_refused() -> None:
    class Config(BaseModel):
        folder: str = "a"
        _exclude_from_cls_uid: ClassVar[str] = "folder"

    with pytest.raises(ConfigError, match="sequence of field names"):
        identify(Config())


def test_an_extra_can_be_excluded() -> None:
    class Config(BaseModel):
        model_config = ConfigDict(extra="allow")

    assert identify(Config(note="x"), exclude=["note"]).name == "default"
    assert identify(Config(note="x", y=1), exclude=["note"]) == identify(Config(y=1))
