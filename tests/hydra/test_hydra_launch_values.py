"""Values read, written and dumped past OmegaConf's parser are those that OmegaConf gives."""

from __future__ import annotations

import enum
import typing as tp

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf

from exca.hydra._direct import assign, filled, plain_of, text_at
from exca.hydra._writing import yaml_of

CONFIG: dict[str, tp.Any] = {
    "name": "app",
    "number": 3,
    "half": 0.5,
    "flag": True,
    "nothing": None,
    "escaped": "a\\${b}",
    "deep": {"dir": "out/${name}", "file": "${deep.dir}/${name}_${number}.log", "whole": "${number}"},
    "list": ["${name}", "plain", {"inner": "${name}/${deep.dir}"}],
    "simple": "${name}/${number}/end",
    "quoted": "${oc.decode:'1'}",
    "relative": {"a": "x", "b": "${.a}"},
    "halves": "${half}-${flag}",
}
TEXTS = [
    "name",
    "number",
    "deep.dir",
    "deep.file",
    "deep.whole",
    "simple",
    "quoted",
    "relative.b",
    "halves",
    "escaped",
]


@pytest.mark.parametrize("path", [*TEXTS, "escaped"])
def test_a_text_is_what_omegaconf_says(path: str) -> None:
    config = OmegaConf.create(CONFIG)
    assert text_at(config, path) == str(OmegaConf.select(config, path))


def test_values_are_filled_in_for_a_while_and_mean_the_same() -> None:
    config = OmegaConf.create(CONFIG)
    expected = OmegaConf.to_container(config, resolve=True)
    for path in ("deep", "list", "simple"):
        with filled(config, path):
            assert OmegaConf.to_container(config, resolve=True) == expected
    assert OmegaConf.to_container(config) == CONFIG, "and afterwards they are as they were"


def test_a_value_is_set_whatever_the_flags_say() -> None:
    config = OmegaConf.create({"a": {"b": "???"}})
    OmegaConf.set_readonly(config, True)
    OmegaConf.set_struct(config, True)
    assign(config, "a.b", "set")
    assign(config, "a.new", 4)
    assert config == {"a": {"b": "set", "new": 4}}
    assert OmegaConf.is_readonly(config)


class Colour(enum.Enum):
    RED = "r"


WORDS = st.sampled_from([Colour.RED, "???", "1e3", "no", "on", "=", "a: b", "# c", "x" * 100, "word " * 40])
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="$\\{}"), max_size=200)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | WORDS | TEXT
NESTED = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", min_size=1), inner), max_leaves=8
)
TREES = st.dictionaries(st.text("abcdef_", min_size=1, max_size=5), NESTED, max_size=5)


@given(TREES)
def test_yaml_is_that_of_omegaconf_to_the_letter(tree: dict[str, tp.Any]) -> None:
    config = OmegaConf.create(tree)
    assert yaml_of(plain_of(config)) == OmegaConf.to_yaml(config)
    beneath = DictConfig({"hydra": tree})
    assert yaml_of(plain_of(beneath.hydra), beneath="hydra") == OmegaConf.to_yaml(beneath)
