"""Which config an infra belongs to, however the config came about, and what a copy must not carry along."""

from __future__ import annotations

import copy
import functools
import pickle
import typing as tp
from pathlib import Path

import pydantic
import pytest

import exca


class Derived(pydantic.BaseModel):
    x: int = 1
    infra: exca.TaskInfra = exca.TaskInfra(version="7")

    @functools.cached_property
    def n(self) -> int:
        return self.x * 10

    @infra.apply
    def run(self) -> int:
        return self.n


class Asking(pydantic.BaseModel):
    """Wants its own name as soon as it is made."""

    x: int = 1
    infra: exca.TaskInfra = exca.TaskInfra(version="7")
    name: tp.ClassVar[str] = ""

    def model_post_init(self, context: tp.Any, /) -> None:
        type(self).name = self.infra.uid()

    @infra.apply
    def run(self) -> int:
        return self.x


class TestDerivedValues:
    """A cached property of the original says nothing about a changed copy (incident 5)."""

    @pytest.mark.parametrize(
        "changed",
        [
            lambda c: c.model_copy(update={"x": 5}),
            lambda c: c.model_copy(update={"x": 5}, deep=True),
            lambda c: c.infra.clone_obj(x=5),
            lambda c: pickle.loads(pickle.dumps(c.model_copy(update={"x": 5}))),
            lambda c: copy.copy(c).model_copy(update={"x": 5}),
            lambda c: c.model_copy(update={"x": 5, "infra": {"folder": c.infra.folder}}),
        ],
    )
    def test_incident_05_a_copy_computes_its_cached_properties_itself(
        self, tmp_path: Path, changed: tp.Callable[[Derived], Derived]
    ) -> None:
        config = Derived(infra={"folder": tmp_path})
        assert config.run() == 10
        assert changed(config).run() == 50
        assert Derived(x=5, infra={"folder": tmp_path}).run() == 50
        assert config.__dict__["n"] == 10, "the original keeps its own"

    def test_a_field_that_is_assigned_drops_what_was_derived_from_it(self) -> None:
        config = Derived()
        assert config.n == 10
        config.x = 5
        assert (config.n, config.run()) == (50, 50)


class TestAssignedInfra:
    def test_an_object_is_seeded_from_the_class_as_a_dict_is(self, tmp_path: Path) -> None:
        given = exca.TaskInfra(folder=tmp_path)
        config = Derived()
        config.infra = given
        assert (config.infra.version, config.infra.folder) == ("7", tmp_path)
        assert given.version == "0", "the caller's object is left alone"
        config.infra = exca.TaskInfra(version="0")
        assert config.infra.version == "0", "what was said is not overruled"

    def test_the_uid_is_the_same_during_and_after_construction(self) -> None:
        config = Asking(x=3, infra={"keep_in_ram": True})
        assert Asking.name == config.infra.uid()
        assert ",7/" in config.infra.uid()


class Frozen(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True)
    x: int = 1
    infra: exca.TaskInfra = exca.TaskInfra()

    @infra.apply
    def run(self) -> int:
        return self.x


def test_a_frozen_config_is_hashable_and_its_hash_stays(tmp_path: Path) -> None:
    one, two = Frozen(x=2, infra={"folder": tmp_path}), Frozen(x=2, infra={"folder": tmp_path})
    before = hash(one)
    assert one == two
    assert hash(one) == hash(two)
    assert one.run() == 2
    one.infra.mode = "retry"
    assert hash(one) == before
    assert len({one, two, Frozen(x=3)}) == 3
    assert two in {Frozen(x=2, infra={"folder": tmp_path})}


def test_what_one_config_sets_is_not_the_default_of_the_others(tmp_path: Path) -> None:
    class Fresh(pydantic.BaseModel):
        x: int = 1
        infra: exca.TaskInfra = exca.TaskInfra(version="7")

        @infra.apply
        def run(self) -> int:
            return self.x

    first = Fresh()
    first.infra.folder = tmp_path
    first.infra.mode = "force"
    assert (Fresh().infra.folder, Fresh().infra.mode) == (None, "cached")
    assert first.infra.folder == tmp_path
    assert first.infra.version == Fresh().infra.version == "7"


def test_names_that_differ_in_underscores_alone_are_two_infras(tmp_path: Path) -> None:
    class Both(pydantic.BaseModel):
        infra: exca.TaskInfra = exca.TaskInfra(version="2")
        infra_: exca.TaskInfra = exca.TaskInfra(version="4")
        _infra: exca.TaskInfra = exca.TaskInfra(version="3")

        @infra.apply
        def run(self) -> int:
            return 1

        @infra_.apply
        def walk(self) -> int:
            return 2

        @_infra.apply
        def rest(self) -> int:
            return 3

    config = Both(infra={"folder": tmp_path}, infra_={"folder": tmp_path})  # the version is that of the class
    dumped = config.model_dump()
    assert [dumped["infra"]["version"], dumped["infra_"]["version"]] == ["2", "4"]
    assert [infra.uid().split("/")[0][-6:] for infra in (config.infra, config.infra_, config._infra)] == [
        ".run,2",
        "walk,4",
        "rest,3",
    ]
    assert (config.run(), config.walk(), config.rest()) == (1, 2, 3)
