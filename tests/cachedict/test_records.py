"""Lines of a log: what is written is read back, and nothing else is taken for a record."""

from __future__ import annotations

import gc
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exca.cachedict import _records as records

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
TABLES = st.lists(st.tuples(st.integers(0, 2**60), st.integers(0, 2**40)).map(list), max_size=3)
ODD = [("", "", "")]
KEYS = st.text(st.characters(codec=None))


@given(KEYS, st.integers(0, 2**63), JSON, TABLES)
def test_items(key: str, sequence: int, info: Any, table: list[list[int]]) -> None:
    line = records.item_line(key, sequence, info, table)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert line.isascii()
    record = records.parse_line(line[:-1])
    assert record is not None
    assert (record["k"], record["n"], record["v"], record.get("p", [])) == (key, sequence, info, table)
    assert records.keys_of([line[:-1]]) in (ODD, [(key, str(sequence), "v")])
    assert records.parse_items([key], [line[:-1]]) == [record]
    assert record[records.PLAIN] or b'"$"' in line
    assert records.parse_plain([key], [line[:-1]]) in (None, [info])


@given(KEYS, st.integers(0, 2**63))
def test_deletions(key: str, sequence: int) -> None:
    line = records.deletion_line(key, sequence)
    record = records.parse_line(line[:-1])
    assert record is not None
    assert (record["k"], record["n"], record["x"]) == (key, sequence, 1)
    assert records.keys_of([line[:-1]]) in (ODD, [(key, str(sequence), "x")])
    assert records.parse_items([key], [line[:-1]]) == [None]


def test_common_lines_take_the_short_way() -> None:
    line = records.item_line("sub-01/é"[:6], 1_790_000_000_000_000_000, {"a": 1}, [[0, 8]])[:-1]
    short = ("sub-01", "1790000000000000000", "v")
    assert records.keys_of([line, b"", line[:-1], line, b"\xff\r", b""]) == [short, *ODD * 2, short, *ODD * 2]


@given(st.lists(st.binary(max_size=8) | JSON.map(lambda data: records.item_line("a", 1, data, [])[:-1]), max_size=6))
def test_many_lines_are_what_they_are_one_by_one(lines: list[bytes]) -> None:
    assert records.parse_lines(lines) == [records.parse_line(line) for line in lines]


GOOD = b'{"k":"c","n":3,"v":3}'


@pytest.mark.parametrize(
    "lines",
    [
        [GOOD + b"," + GOOD, GOOD],
        [b"1", GOOD],
        [b'{"k":"c","n":3.0,"v":3}', GOOD],
        [b"", GOOD],
        [b'{"$":"c"}', GOOD],
    ],
)
def test_a_line_never_helps_its_neighbours(lines: list[bytes]) -> None:
    for found in (records.parse_lines(lines), records.parse_items(["c"] * len(lines), lines)):
        assert found[:-1] == [None] * (len(lines) - 1)
        assert found[-1] == records.parse_line(lines[-1])


def test_a_line_about_another_item_is_not_taken_for_it() -> None:
    other, deletion = records.item_line("d", 4, 4, [])[:-1], records.deletion_line("c", 5)[:-1]
    assert records.parse_items(["c", "c", "c"], [other, deletion, GOOD]) == [None, None, records.parse_line(GOOD)]


@pytest.mark.parametrize(
    "line",
    [
        records.item_line("d", 4, 4, [])[:-1],
        records.deletion_line("c", 5)[:-1],
        records.item_line("c", 4, {"$": "text", "v": 0}, [[0, 8]])[:-1],
        records.item_line("c", 4, 4, [[0, 8]])[:-1],
        GOOD[:-1] + b',"z":1}',
        GOOD[:-2] + b"1,2}",
        GOOD[:-2] + b"[}",
        GOOD + b"}",
        b"",
        b"\xff",
    ],
)
def test_values_are_read_without_their_records_only_where_all_are_plain(line: bytes) -> None:
    assert records.parse_plain(["c", "c"], [GOOD, GOOD]) == [3, 3]
    assert records.parse_plain(["c", "c"], [GOOD, line]) is None
    assert records.parse_plain(["c", "c"], [line, GOOD]) is None


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_is_as_it_was_after_a_pause(enabled: bool) -> None:
    seen: list[bool] = []

    @records.collector_paused
    def look() -> None:
        seen.append(gc.isenabled())
        raise ValueError

    before = gc.isenabled()
    try:
        gc.enable() if enabled else gc.disable()
        with pytest.raises(ValueError, match=r"^$"):
            look()
        assert seen == [False]
        assert gc.isenabled() == enabled
    finally:
        gc.enable() if before else gc.disable()


def test_no_constants_that_are_not_json() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        records.item_line("a", 1, float("nan"), [])


def test_importing_the_room_is_cheap() -> None:
    program = "import sys, exca.cachedict; print(sorted({'numpy', 'pandas', 'torch', 'pydantic'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() in ("[]", "['pydantic']")  # the front door `exca` imports pydantic
