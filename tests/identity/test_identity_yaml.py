"""The YAML of manifests and config files."""

from __future__ import annotations

import datetime as dt
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from exca.errors import InvalidConfig
from exca.identity import dump_yaml, load_yaml

texts = st.text(st.characters(exclude_categories=["Cs"]))
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts | st.binary()
plain = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts | st.integers() | st.tuples(texts), inner),
    max_leaves=8,
)


@given(plain)
def test_round_trip(data: Any) -> None:
    assert repr(load_yaml(dump_yaml(data))) == repr(data)


@given(st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=8))
def test_others_read_the_same(data: Any) -> None:
    assert repr(yaml.safe_load(dump_yaml(data))) == repr(data)


def test_text_that_looks_like_something_else_stays_text() -> None:
    data = ["1e-3", "1.5", "2024-01-01", "yes", "null", "~", "1:30", "0x1", ".nan", "- a", "a: b", "#", "=class="]
    assert load_yaml(dump_yaml(data)) == data
    assert yaml.safe_load(dump_yaml(data)) == data


def test_numbers_and_dates_are_read_as_hydra_reads_them() -> None:
    text = "{a: 1e-3, b: 2024-01-01, c: .inf, d: 1_000, e: 1E5, f: 0.1, g: .5}"
    data = load_yaml(text)
    assert data == {"a": 0.001, "b": "2024-01-01", "c": math.inf, "d": 1000, "e": 1e5, "f": 0.1, "g": 0.5}
    omegaconf = pytest.importorskip("omegaconf")
    assert omegaconf.OmegaConf.to_container(omegaconf.OmegaConf.create(text)) == data


def test_repeated_objects_are_written_in_full() -> None:
    shared = [1, 2]
    assert "&" not in dump_yaml({"a": shared, "b": shared})


def test_order_is_kept_and_text_is_readable() -> None:
    assert dump_yaml({"b": 1, "a": "é", "c": [1]}) == "b: 1\na: é\nc:\n- 1\n"


def test_a_key_given_twice_is_refused_with_its_line() -> None:
    with pytest.raises(InvalidConfig, match=r"'lr' is given twice(.|\n)*line 3"):
        load_yaml("lr: 1\nx: 2\nlr: 3\n")
    with pytest.raises(InvalidConfig, match="'a' is given twice"):
        load_yaml("x: {a: 1, a: 1}")


def test_merge_keys_still_work() -> None:
    assert load_yaml("a: &x {k: 1, l: 2}\nb:\n  <<: *x\n  l: 3\n") == {"a": {"k": 1, "l": 2}, "b": {"k": 1, "l": 3}}


def test_broken_yaml_says_where() -> None:
    with pytest.raises(InvalidConfig, match="line 3"):
        load_yaml("a: 1\nb: [\n")


def test_nothing_unsafe_is_read() -> None:
    with pytest.raises(InvalidConfig, match="python/object"):
        load_yaml("!!python/object/apply:os.system ['true']")


def test_files_and_bytes(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("a: 1\n")
    with path.open() as file:
        assert load_yaml(file) == {"a": 1}
    assert load_yaml(path.read_bytes()) == {"a": 1}


def test_incident_23_yaml_of_others_is_left_alone() -> None:
    dump_yaml({"a": 1.5})
    load_yaml("a: 1e-3")
    assert yaml.safe_load("{a: 1e-3, b: 2024-01-01}") == {"a": "1e-3", "b": dt.date(2024, 1, 1)}
    assert yaml.safe_load("{a: 1, a: 2}") == {"a": 2}
    shared: list[int] = []
    assert "&id001" in yaml.safe_dump([shared, shared])
    with pytest.raises(yaml.YAMLError):
        yaml.safe_load("? [1, 2]\n: 3\n")
    with pytest.raises(yaml.YAMLError):
        yaml.safe_dump(Path("x"))
