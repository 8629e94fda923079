"""Clones, and configs rebuilt from their folders: by any alias, with private infras, and only true ones."""

from __future__ import annotations

import typing as tp
import warnings
from pathlib import Path

import numpy as np
import pydantic
import pytest

import exca


class Part(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    size: int = pydantic.Field(1, validation_alias=pydantic.AliasChoices(pydantic.AliasPath("s", 0), "sz"))
    deep: list[int] = [1]


class Aliased(pydantic.BaseModel):
    plain: int = pydantic.Field(1, validation_alias="Plain")
    lr: float = pydantic.Field(0.1, validation_alias=pydantic.AliasPath("optim", "lr"))
    steps: int = pydantic.Field(5, validation_alias=pydantic.AliasPath("optim", "steps"))
    second: int = pydantic.Field(0, validation_alias=pydantic.AliasPath("items", 1))
    first: int = pydantic.Field(0, validation_alias=pydantic.AliasPath("items", 0))
    choice: int = pydantic.Field(1, validation_alias=pydantic.AliasChoices("c", "ch"))
    part: Part = Part()
    infra: exca.TaskInfra = exca.TaskInfra()

    @infra.apply
    def run(self) -> float:
        return self.plain * self.lr


class ByName(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(validate_by_name=True, validate_by_alias=False)
    lr: float = pydantic.Field(0.1, validation_alias=pydantic.AliasChoices("learning_rate", "eta"))
    infra: exca.TaskInfra = exca.TaskInfra()

    @infra.apply
    def run(self) -> float:
        return self.lr


class Private(pydantic.BaseModel):
    x: int = 2
    where: Path | None = None
    _infra: exca.TaskInfra = exca.TaskInfra(version="1")

    def model_post_init(self, context: tp.Any, /) -> None:
        if self.where is not None:
            self._infra.folder = self.where

    @_infra.apply(exclude_from_cache_uid=["where"])
    def run(self) -> int:
        return self.x


class Inner(pydantic.BaseModel):
    n: int = 1


class Wider(Inner):
    a: int = 1


class Holding(pydantic.BaseModel):
    x: int = 1
    inner: Inner = Inner()
    secret: pydantic.SecretStr | None = None
    doubled: int = 0
    free: tp.Any = None
    infra: exca.TaskInfra = exca.TaskInfra()

    @pydantic.field_validator("doubled")
    @classmethod
    def _double(cls, value: int) -> int:
        return value * 2

    @infra.apply
    def run(self) -> int:
        return self.x


class TestCloning:
    def test_incident_05_a_change_in_place_of_a_default_is_cloned(self, tmp_path: Path) -> None:
        config = Aliased(infra={"folder": tmp_path})
        config.part.deep.append(2)
        clone = config.infra.clone_obj(plain=3)
        assert clone.part.deep == [1, 2]
        assert clone.part.deep is not config.part.deep

    def test_fields_of_any_alias(self) -> None:
        given = {"Plain": 2, "optim": {"lr": 0.2, "steps": 6}, "items": [7, 8], "c": 3, "part": {"sz": 4}}
        config = Aliased.model_validate(given)
        assert config.infra.clone_obj() == config
        clone = config.infra.clone_obj({"part.size": 9}, plain=10, steps=11, second=12, choice=13)
        assert (clone.plain, clone.lr, clone.steps, clone.first, clone.second) == (10, 0.2, 11, 7, 12)
        assert (clone.choice, clone.part.size) == (13, 9)
        assert config.infra.clone_obj({"Plain": 20}).plain == 20, "an alias will do as well"

    def test_names_where_the_model_takes_only_names(self) -> None:
        config = ByName(lr=0.2)
        assert config.infra.clone_obj().lr == 0.2
        assert config.infra.clone_obj(lr=0.3).lr == 0.3

    def test_a_private_infra_goes_along(self, tmp_path: Path) -> None:
        config = Private()
        config._infra.folder, config._infra.version = tmp_path, "5"
        clone = config._infra.clone_obj(x=3)
        assert (clone._infra.folder, clone._infra.version) == (tmp_path, "5")
        clone._infra.version = "6"
        assert config._infra.version == "5"
        moved = Private(where=tmp_path / "a")._infra.clone_obj(where=tmp_path / "b")
        assert moved._infra.folder == tmp_path / "b", "what the class derives from its fields stays derived"


class TestIterCached:
    def test_only_configs_that_find_their_result_and_one_warning(self, tmp_path: Path) -> None:
        base = Holding(infra={"folder": tmp_path})
        true = [Holding(x=x, infra={"folder": tmp_path}) for x in (1, 2)]
        lossy = [
            base.infra.clone_obj(secret="s"),
            base.infra.clone_obj(inner=Wider(a=4)),
            base.infra.clone_obj(doubled=3),
            base.infra.clone_obj(free=np.arange(3)),
        ]
        for config in (*true, *lossy):
            config.run()
        with pytest.warns(UserWarning, match=r"^4 stored results of Holding are left out") as caught:
            found = list(base.infra.iter_cached())
        assert len(caught) == 1
        assert sorted(config.x for config in found) == [1, 2]
        assert {config.infra.uid() for config in found} == {config.infra.uid() for config in true}

    def test_what_is_yielded_may_still_be_changed(self, tmp_path: Path) -> None:
        Holding(x=2, infra={"folder": tmp_path}).run()
        (found,) = Holding(infra={"folder": tmp_path}).infra.iter_cached()
        found.x = 3
        assert found.run() == 3

    def test_incident_08_a_damaged_result_hides_no_other(self, tmp_path: Path) -> None:
        configs = [Holding(x=x, infra={"folder": tmp_path}) for x in (1, 2)]
        for config in configs:
            config.run()
        folder = configs[0].infra.uid_folder()
        assert folder is not None
        (folder / "result.json").write_text("{")
        with pytest.warns(UserWarning, match="1 stored results"):
            assert [config.x for config in configs[0].infra.iter_cached()] == [2]

    def test_with_the_private_infra_of_the_one_that_asks(self, tmp_path: Path) -> None:
        config = Private()
        config._infra.folder, config._infra.version = tmp_path, "5"
        config.run()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            (found,) = config._infra.iter_cached()
        assert (found._infra.folder, found._infra.version) == (tmp_path, "5")
        found._infra.mode = "read-only"
        assert found.run() == 2


class Plain(pydantic.BaseModel):
    tag: str = ""
    _note: tp.Any = pydantic.PrivateAttr(default=None)
    infra: exca.TaskInfra = exca.TaskInfra()

    @infra.apply
    def run(self) -> str:
        return self.tag


def test_other_private_attributes_are_of_no_concern() -> None:
    config = Plain(tag="a")
    config._note = [1]
    assert config.infra.clone_obj(tag="b")._note is None
