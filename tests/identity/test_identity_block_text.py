"""What is written fast is, byte for byte, what PyYAML writes."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exca.identity import dump_yaml, load_yaml
from exca.identity._block_text import NotSimple, block_text
from exca.identity._dialect import write

# Texts that mean something else to YAML, or that it must quote, are rare among random ones.
AWKWARD = [
    *(
        "",
        " ",
        "~",
        "null",
        "Null",
        "y",
        "n",
        "N",
        "yes",
        "No",
        "ON",
        "off",
        "true",
        "FALSE",
        "=",
        "<<",
        "-",
        "--",
        "---",
    ),
    *(
        "1",
        "-1",
        "0x1f",
        "0o7",
        "1_000",
        "1:30",
        "1e3",
        "1e-3",
        "1.",
        ".5",
        ".inf",
        "-.Inf",
        ".nan",
        "2024-01-02",
        "...",
    ),
    *("a: b", "a:", ":a", "a #b", "#a", "a#b", "[a]", "{a}", "{folder}/logs/{user}/%j", "a,b", "&a", "*a", "!a", "%a"),
    *("@a", "`a", "'", '"', "it's", 'say "x"', " a", "a ", "a  b", "a\nb", "a\n", "\n", "a\tb", "\x07", "\x85", "é"),
    *("\U0001f600", "/a/b-c.d", "-a", "a-", "?a", "? a", "|", ">", "x" * 99, "x" * 100, "x" * 101, "x" * 129),
    *(
        "a " * 600,
        "/",
        "_",
        "E",
        "e5",
        "_1",
        "inf",
        "nan",
        "NaN",
        "0",
        "08",
        "0b1",
        "a/",
        "\\",
        "a\\b",
        "\u2028",
        "\ufeff",
    ),
]
TEXTS = st.sampled_from(AWKWARD) | st.text(max_size=12) | st.text(alphabet="aeEnNyoOfF01.:-_/ '#{[\"\\\\", max_size=8)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
DATA = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(TEXTS, DATA, max_size=5))
@example({})
@example({"a": [[1, [2]], [{"b": [{"c": {}}, []]}], {"d": {"e": [None]}}]})
def test_it_is_the_text_of_pyyaml(data: dict[str, Any]) -> None:
    try:
        text = block_text(data)
    except NotSimple:
        return
    assert text == write(data)


@given(st.dictionaries(st.sampled_from(["lr", "path", "a_b"]), DATA, min_size=1, max_size=5))
def test_what_is_written_reads_back(data: dict[str, Any]) -> None:
    assert _same(load_yaml(dump_yaml(data)), data)


@pytest.mark.parametrize("text", AWKWARD)
def test_awkward_texts_are_written_as_pyyaml_writes_them(text: str) -> None:
    for data in ({"key": text}, {"key": [text, [text]]}, {"key": {"inner": text}}, {text: 1}):
        assert dump_yaml(data) == write(data)


def test_configs_are_simple() -> None:
    """Else they would be written by PyYAML, and the tests above would say nothing."""
    data = {
        "data": {"path": "/data/sub-01", "low_hz": 1e-5, "clip": None, "shuffle": True, "tags": {}, "of": [1, 2.5]}
    }
    assert block_text(data | {"infra": {"logs": "{folder}/logs/{user}/%j"}}) == (
        "data:\n  path: /data/sub-01\n  low_hz: 1.0e-05\n  clip: null\n  shuffle: true\n  tags: {}\n  of:\n  - 1\n"
        "  - 2.5\ninfra:\n  logs: '{folder}/logs/{user}/%j'\n"
    )


@pytest.mark.parametrize("data", [None, 3, "a", [], [1], {1: 2}, {"a": b"x"}, {"a": (1,)}, {"a": "two\nlines"}])
def test_the_rest_is_left_to_pyyaml(data: object) -> None:
    with pytest.raises(NotSimple):
        block_text(data)
    if data != {"a": (1,)}:
        assert dump_yaml(data) == write(data)


def _same(one: object, other: object) -> bool:
    """Equal, where NaN equals NaN and 1 is not 1.0."""
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return type(one) is type(other) and one == other
