"""The points of a sweep: a grid, paired values, and rows of a file."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import ChoiceSweep, Override, Sweep
from hydra.errors import HydraException

from ._grammar import text_of
from ._launch_sweep import SweepRefused
from ._parsing import parse

__all__ = ["expand", "read_rows"]

_KEY = re.compile(r"[^\s;,='\"]+")

Choice = tuple[str, ...]
"""Overrides that are given together."""


def expand(
    overrides: Sequence[Override], zipped: Sequence[Sequence[str]] = (), rows: Sequence[Choice] | None = None
) -> list[list[str]]:
    """Return the overrides of each point, in the order of Hydra's basic sweeper: the last key varies fastest.

    Parameters
    ----------
    overrides
        As on the command line; ``key=a,b`` varies.
    zipped
        Groups of keys whose values go together: the first of each, then the second of each.
    rows
        Points of a file: the grid is made for each of them. They vary slowest.

    Raises
    ------
    SweepRefused
        Paired keys that do not vary, or not in equal numbers; a key that is given twice.

    Examples
    --------
    >>> expand(parse(["lr=1,2", "batch=8,16", "seed=0,1"]), zipped=[["lr", "batch"]])[:3]
    [['lr=1', 'batch=8', 'seed=0'], ['lr=1', 'batch=8', 'seed=1'], ['lr=2', 'batch=16', 'seed=0']]
    """
    axes = {override.get_key_element(): _axis(override) for override in overrides}
    names = {override.get_key_element(): str(override.key_or_group) for override in overrides}
    given = {name.lstrip("+") for name in names.values()}
    for row in rows or ():
        twice = given & {_key(text) for text in row}
        if twice:
            raise SweepRefused(f"hydra.sweeper.points: {min(twice)} is also set on the command line or in the params")
    order: list[list[Choice]] = [list(rows)] if rows is not None else []
    groups = {member: group for group in zipped for member in group}
    joined: set[int] = set()
    for key, axis in axes.items():
        group = groups.get(names[key])
        if group is None:
            order.append(axis)
        elif id(group) not in joined:
            joined.add(id(group))
            order.append(_joined(group, [axes[k] for k in axes if names[k] in group]))
    missing = [member for member in groups if member not in names.values()]
    if missing:
        raise SweepRefused(f"hydra.sweeper.zip: {missing[0]} is not swept; give it values: {missing[0]}=a,b")
    return [[text for choice in point for text in choice] for point in itertools.product(*order)]


def _axis(override: Override) -> list[Choice]:
    key = override.get_key_element()
    if not override.is_sweep_override():
        return [(f"{key}={override.get_value_element_as_str()}",)]
    if not override.is_discrete_sweep():
        assert override.value_type is not None
        raise HydraException(
            f"hydra/sweeper=exca does not support sweep type : {override.value_type.name} ({override.input_line}); "
            "give the values, or choose a sweeper that searches (hydra/sweeper=optuna)"
        )
    values = override.value()
    if isinstance(values, ChoiceSweep) and any(isinstance(value, Sweep) for value in values.list):
        raise SweepRefused(f"{override.input_line}: a range among other values; Hydra expands it only if it is alone")
    return [(f"{key}={value}",) for value in override.sweep_string_iterator()]


def _joined(group: Sequence[str], axes: Sequence[list[Choice]]) -> list[Choice]:
    sizes = {len(axis) for axis in axes}
    if len(sizes) > 1:
        counts = ", ".join(f"{_key(axis[0][0])} has {len(axis)}" for axis in axes)
        raise SweepRefused(f"hydra.sweeper.zip=[{','.join(group)}]: the numbers of values differ ({counts})")
    return [tuple(itertools.chain(*together)) for together in zip(*axes, strict=True)]


def _key(text: str) -> str:
    return text.partition("=")[0].lstrip("+~").partition("@")[0]


def read_rows(path: Path) -> list[Choice]:
    """Read the points of a file.

    Parameters
    ----------
    path
        CSV: a header of keys, and in each line values as they stand after the ``=`` on the command line; an empty
        cell leaves its key alone. JSON: a list of objects, key to value; or of lists of overrides.

    Raises
    ------
    SweepRefused
        The file cannot be read, or a line of it is no point; the message says where.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SweepRefused(f"hydra.sweeper.points={path}: cannot be read: {error}") from error
    rows: list[Choice] = []
    for place, choice in _json_rows(path, text) if path.suffix == ".json" else _csv_rows(path, text):
        try:
            parsed = parse(choice)
        except HydraException as error:
            raise SweepRefused(f"{place}: {str(error).splitlines()[0]}") from error
        swept = next((override for override in parsed if override.is_sweep_override()), None)
        if swept is not None:
            raise SweepRefused(
                f"{place}: {swept.input_line} is a sweep, not a value; a list is written [a,b], "
                "a text with a comma 'a,b' (with quotes in the cell)"
            )
        rows.append(choice)
    if not rows:
        raise SweepRefused(f"hydra.sweeper.points={path}: there are no points in it")
    return rows


def _csv_rows(path: Path, text: str) -> Iterator[tuple[str, Choice]]:
    reader = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True)
    header = [name.strip() for name in next(reader, [])]
    if not all(header) or len(set(header)) < len(header):
        raise SweepRefused(f"{path}:1: every column needs a key of its own in the header")
    odd = next((name for name in header if not _KEY.fullmatch(name)), None)
    if odd is not None:
        raise SweepRefused(f"{path}:1: {odd!r} is no key; columns are separated by commas")
    for cells in reader:
        place = f"{path}:{reader.line_num}"
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise SweepRefused(f"{place}: {len(cells)} cells under {len(header)} keys; quote a value with a comma")
        pairs = zip(header, (cell.strip() for cell in cells), strict=True)
        yield place, tuple(f"{key}={cell}" for key, cell in pairs if cell)


def _json_rows(path: Path, text: str) -> Iterator[tuple[str, Choice]]:
    try:
        data: Any = json.loads(text)
    except ValueError as error:
        raise SweepRefused(f"{path}: not JSON: {error}") from error
    for number, item in enumerate(data if isinstance(data, list) else [None]):
        place = f"{path}: point {number}"
        if isinstance(item, dict):
            yield place, tuple(f"{key}={text_of(value)}" for key, value in item.items())
        elif isinstance(item, list) and all(isinstance(word, str) for word in item):
            yield place, tuple(item)
        else:
            raise SweepRefused(f"{place}: neither an object (key to value) nor a list of overrides")
