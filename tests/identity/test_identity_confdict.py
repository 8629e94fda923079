"""The dict that splits on dots."""

from __future__ import annotations

import copy
import io
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from exca.errors import InvalidConfig, UnstableIdentity
from exca.identity import ConfDict, dump_yaml, export

names = st.text("abc", min_size=1, max_size=2)
leaves = st.none() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
trees = st.dictionaries(
    names, st.recursive(leaves, lambda inner: st.dictionaries(names, inner, max_size=3), max_leaves=6), max_size=3
)


class Model(BaseModel):
    free: dict[str, Any] = {}
    lr: float = 0.1


def all_dicts(value: Any) -> list[Any]:
    """All dicts anywhere in a value."""
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [*([value] if isinstance(value, dict) else []), *(found for item in items for found in all_dicts(item))]


def test_keys_split_on_dots() -> None:
    assert ConfDict({"training.optim.lr": 0.01}) == {"training": {"optim": {"lr": 0.01}}}
    assert ConfDict({"a": {"b.c": 1}}) == {"a": {"b": {"c": 1}}}
    assert ConfDict([("a.b", 1)], c=2) == {"a": {"b": 1}, "c": 2}
    assert ConfDict({"a.b": 1, "a.c": 2, "a": {"d": 3}}) == {"a": {"b": 1, "c": 2, "d": 3}}
    assert ConfDict({1: 2, (3,): 4}) == {1: 2, (3,): 4}
    assert ConfDict() == {}


def test_reading() -> None:
    config = ConfDict({"a.b": 1, "c": 2})
    assert config["a.b"] == config["a"]["b"] == 1
    assert "a.b" in config
    assert "a" in config
    assert "a.c" not in config
    assert "c.d" not in config
    assert config.get("a.b") == 1
    assert config.get("a.x") is None
    assert config.get("a.x", 3) == 3
    assert config.get("c.x", 3) == 3
    with pytest.raises(KeyError, match=r"a\.x"):
        config["a.x"]


def test_writing() -> None:
    config = ConfDict()
    config["a.b.c"] = 1
    assert config == {"a": {"b": {"c": 1}}}
    config["a.b"] = {"d.e": 2}
    assert config == {"a": {"b": {"d": {"e": 2}}}}
    assert isinstance(config["a.b.d"], ConfDict)
    assert config.setdefault("a.x", 5) == 5
    assert config.setdefault("a.x", 6) == 5
    assert config.setdefault("new.list", []) is config["new.list"]


def test_removing_takes_empty_parents_along() -> None:
    config = ConfDict({"a.b.c": 1, "d.e": 2, "d.f": 3})
    assert config.pop("a.b.c") == 1
    assert config == {"d": {"e": 2, "f": 3}}
    del config["d.e"]
    assert config == {"d": {"f": 3}}
    assert config.pop("d.x", None) is None
    assert config.pop("d") == {"f": 3}
    for key in ("d", "d.f", "nope"):
        with pytest.raises(KeyError):
            config.pop(key)
    with pytest.raises(KeyError):
        del config["d.f"]


def test_setting_through_a_value_is_refused() -> None:
    config = ConfDict({"x": {"a": 1}})
    with pytest.raises(InvalidConfig, match=r"Cannot set 'x\.a\.b': 'x\.a' is 1, not a dict"):
        config["x.a.b"] = 2
    assert config == {"x": {"a": 1}}


@pytest.mark.parametrize("data", [{"a.b": 1, "a": 2}, {"a": 2, "a.b": 1}, {"a.b": 1, "a": {"b": 1}}])
def test_one_key_with_two_values_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig, match="a"):
        ConfDict(data)


@pytest.mark.parametrize("key", ["a..b", ".a", "a.", "."])
def test_empty_parts_are_refused(key: str) -> None:
    with pytest.raises(InvalidConfig, match="empty part"):
        ConfDict({key: 1})


def test_update_merges() -> None:
    config = ConfDict({"model": {"name": "mlp", "width": 3}, "lr": 1})
    config.update({"model.width": 4, "data": {"path.x": 1}}, lr=2)
    assert config == {"model": {"name": "mlp", "width": 4}, "data": {"path": {"x": 1}}, "lr": 2}
    config.update(model={"depth": 1})
    config.update([("lr", {"min": 0})])
    assert config["model"] == {"name": "mlp", "width": 4, "depth": 1}
    assert config["lr"] == {"min": 0}
    config |= {"lr.max": 1}
    assert (config | {"lr.min": 5})["lr"] == {"min": 5, "max": 1}
    assert ({"lr": {"min": 5, "x": 0}} | config)["lr"] == {"min": 0, "max": 1, "x": 0}


def test_update_can_replace() -> None:
    config = ConfDict({"a": {"b": {"x": 1, "y": 2}, "c": 3}})
    config.update({"a": {"b": {"z": 3, "=replace=": True}}})
    assert config == {"a": {"b": {"z": 3}, "c": 3}}
    config.update({"a.b": {"=replace=": False, "w": 1}})
    assert config == {"a": {"b": {"z": 3, "w": 1}, "c": 3}}
    config.update({"a.x": 1, "a.=replace=": True})
    assert config == {"a": {"x": 1}}
    config.update({"=replace=": True, "q": 1})
    assert config == {"q": 1}


def test_a_marker_survives_until_it_is_used() -> None:
    change = ConfDict({"a.b": {"=replace=": True, "z": 3}})
    config = ConfDict({"a.b": {"x": 1}})
    config.update(change)
    assert config == {"a": {"b": {"z": 3}}}
    config = ConfDict({"other": 1})
    config.update(change)
    assert config == {"other": 1, "a": {"b": {"z": 3}}}


def test_what_enters_is_copied() -> None:
    inner = {"x": [{"y.z": 1}]}
    data = {"a": inner}
    config = ConfDict(data)
    config["a.x"][0]["y.z"] = 2
    config["a.new"] = 1
    assert data == {"a": {"x": [{"y.z": 1}]}}
    assert config["a.x"] == [{"y": {"z": 2}}]


@pytest.mark.slow
@given(trees)
def test_all_dicts_inside_are_confdicts(tree: dict[str, Any]) -> None:
    config = ConfDict({"list": [tree, [tree]], "tree": tree})
    assert all(isinstance(found, ConfDict) for found in all_dicts(config))


@given(trees)
def test_flat_round_trip(tree: dict[str, Any]) -> None:
    config = ConfDict(tree)
    flat = config.flat()
    assert ConfDict(flat) == config == tree
    assert type(flat) is dict
    assert not any(isinstance(value, dict) and value for value in flat.values())
    for key, value in flat.items():
        assert config[key] == value
        assert key in config


@given(trees)
def test_other_round_trips(tree: dict[str, Any]) -> None:
    config = ConfDict(tree)
    for again in (config.copy(), copy.copy(config), copy.deepcopy(config), pickle.loads(pickle.dumps(config))):
        assert again == config
        assert again is not config
        assert type(again) is ConfDict
        again["new.key"] = 1
        assert "new" not in config
    assert ConfDict.from_yaml(config.to_yaml()) == config
    if isinstance(tree, dict):
        assert ConfDict(tree).to_uid() == ConfDict(config.flat()).to_uid()


@given(trees, trees)
def test_updating_leaves_the_other_alone(tree: dict[str, Any], other: dict[str, Any]) -> None:
    before = copy.deepcopy(other)
    config = ConfDict(tree)
    config.update(other)
    config.update(other)
    assert other == before
    for key, value in ConfDict(other).flat().items():
        assert config[key] == value or value == {}


def test_copies_do_not_share_sub_dicts() -> None:
    config = ConfDict({"a.b": 1, "l": [{"x": 1}]})
    other = config.copy()
    other["a.b"] = 2
    other["l"][0]["x"] = 2
    assert config == {"a": {"b": 1}, "l": [{"x": 1}]}


def test_subclasses_stay_subclasses() -> None:
    class Mine(ConfDict):
        pass

    config = Mine({"a.b": 1})
    assert type(config.copy()) is Mine
    assert type(copy.deepcopy(config)) is Mine


def test_incident_01_keys_of_a_model_are_kept() -> None:
    model = Model(free={"a.b": 1, "c": {"d.e": 2}})
    config = ConfDict.from_model(model)
    assert config["free"] == {"a.b": 1, "c": {"d.e": 2}}
    assert Model(**config) == model
    for again in (config.copy(), copy.deepcopy(config), pickle.loads(pickle.dumps(config)), ConfDict(config)):
        assert again == config
        assert Model(**again) == model
    assert config["free.a.b"] == 1
    config["free.a.b"] = 5
    assert config["free"] == {"a.b": 5, "c": {"d.e": 2}}
    del config["free.c.d.e"]
    assert config["free"] == {"a.b": 5}
    assert config.to_uid() != ConfDict({"free": {"a": {"b": 5}}, "lr": 0.1}).to_uid()


def test_verbatim() -> None:
    config = ConfDict.verbatim({"a.b": {"c.d": [{"e.f": 1}]}})
    assert config == {"a.b": {"c.d": [{"e.f": 1}]}}
    assert isinstance(config["a.b"]["c.d"][0], ConfDict)


def test_from_model() -> None:
    model = Model(lr=1)
    assert ConfDict.from_model(model) == {"free": {}, "lr": 1.0}
    assert ConfDict.from_model(model, exclude_defaults=True) == {"lr": 1.0}
    assert ConfDict.from_model(model, uid=True, exclude_defaults=True) == {"lr": 1.0}


def test_yaml(tmp_path: Path) -> None:
    config = ConfDict({"a.b": 1, "p": Path("x"), "t": (1, 2)})
    path = tmp_path / "config.yaml"
    text = config.to_yaml(path)
    assert path.read_text() == text == "a:\n  b: 1\np: x\nt:\n- 1\n- 2\n"
    expected = {"a": {"b": 1}, "p": "x", "t": [1, 2]}
    with path.open("rb") as file:
        sources = [path, str(path), text, text.encode(), io.StringIO(text), file]
        assert all(ConfDict.from_yaml(source) == expected for source in sources)
    assert ConfDict.from_yaml("{a.b: 1e-3}") == {"a": {"b": 0.001}}
    with pytest.raises(FileNotFoundError):
        ConfDict.from_yaml("nowhere.yaml")
    with pytest.raises(InvalidConfig, match=r"pathlib\.Path"):
        ConfDict.from_yaml("/some/where")
    with pytest.raises(InvalidConfig, match="mapping"):
        ConfDict.from_yaml("- a")


def test_yaml_of_a_model_is_that_of_its_export() -> None:
    model = Model(free={"a.b": {"x": [1, {"y": None}]}}, lr=3)
    assert ConfDict.from_model(model).to_yaml() == dump_yaml(export(model))


def test_uids() -> None:
    assert ConfDict().to_uid() == "default"
    assert ConfDict({"optim.lr": 0.1}).to_uid().startswith("optim.lr=0.1-")
    assert ConfDict({"a": 1, "b": 2}).to_uid() == ConfDict({"b": 2, "a": 1}).to_uid()
    assert ConfDict({"a": 1}).to_uid() != ConfDict({"a": 1.0}).to_uid()
    assert ConfDict({"a": 1}).to_uid(version=1) == ConfDict({"a": 1}).to_uid()
    with pytest.raises(InvalidConfig, match="format"):
        ConfDict().to_uid(version=99)
    with pytest.raises(UnstableIdentity):
        ConfDict({"a": lambda: 0}).to_uid()


def test_arguments() -> None:
    config = ConfDict.from_args(["--a.b=1", "--c", "x", "--d=a=b", "--e=", "--f", "-1", "--a.g", "2"])
    assert config == {"a": {"b": "1", "g": "2"}, "c": "x", "d": "a=b", "e": "", "f": "-1"}
    assert ConfDict.from_args([]) == {}
    assert Model(**ConfDict.from_args(["--lr=1e-3"])).lr == 0.001


@pytest.mark.parametrize("args", [["--a"], ["--a", "--b=1"], ["a=1"], ["-a=1"], ["--=1"], ["--", "x"]])
def test_arguments_that_make_no_sense(args: list[str]) -> None:
    with pytest.raises(InvalidConfig, match=r"value|--key"):
        ConfDict.from_args(args)


def test_repr_can_be_read_back() -> None:
    config = ConfDict({"a.b": [{"c": 1}]})
    assert eval(repr(config)) == config
