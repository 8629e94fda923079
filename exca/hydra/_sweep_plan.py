"""What a sweep would do: each point with its overrides, its uid, where it stands, and what it would ask for."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Final

from exca.errors import ExcaError
from exca.execution import Resources
from exca.policy import Action
from exca.task import Task

from ._launch_points import Point
from ._launch_report import keys_of
from ._launch_results import any_text, points_of
from ._secrets import without_secrets

__all__ = ["counts", "print_plan", "standings"]

_STANDING: Final = {
    Action.LOAD: "cached",
    Action.RAISE: "failed",
    Action.WAIT: "running",
    Action.COMPUTE: "missing",
    Action.RECOMPUTE: "recompute",
    Action.CANCEL_AND_RECOMPUTE: "recompute",
    Action.REFUSE: "refused",
}
_DEFAULTS: Final = Resources()
_SHOWN: Final = 500


def standings(points: Sequence[Point]) -> list[str]:
    """Where each point stands, in one word: cached, failed, running, missing, recompute, refused or shared.

    A failed point stays as it is under ``mode=cached``; ``mode=retry`` says that it is to be recomputed. ``shared`` is
    the computation of a point above.
    """
    above: set[int] = set()
    found = []
    for point in points:
        found.append("shared" if id(point.task) in above else _standing(point.task))
        above |= set() if point.task is None else {id(point.task)}
    return found


def _standing(task: Task | None) -> str:
    if task is None:
        return "missing"
    try:
        return _STANDING[task.planned().action]
    except ExcaError as error:  # a changed default, changed code: its task function would meet the same
        return f"refused ({type(error).__name__})"


def counts(places: Sequence[str]) -> str:
    """Say how many points stand where: ``6 points: 4 cached, 2 missing``."""
    found = Counter(places)
    return f"{points_of(len(places))}: " + ", ".join(f"{count} {name}" for name, count in found.items())


def print_plan(points: Sequence[Point]) -> None:
    """Print one line for each point, and one that counts."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    places = standings(points)
    keys = _varying(points)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("job", *keys, "status", "resources", "uid"):
        table.add_column(escape(name), overflow="fold")
    for point, where in list(zip(points, places, strict=True))[:_SHOWN]:
        given = keys_of(point.overrides)
        values = [without_secrets(given.get(key, "")) for key in keys]
        uid = "" if point.task is None else point.task.uid
        cells = [str(point.number), *values, where, _resources(point), uid]
        table.add_row(*map(escape, cells), style="dim" if where == "cached" else "")
    console = Console(soft_wrap=True)
    if not console.is_terminal:
        console.width = max(200, *(len(point.task.uid) + 150 for point in points if point.task is not None), 0)
    with any_text():
        console.print(table)
        if len(points) > _SHOWN:
            console.print(f"... and {len(points) - _SHOWN} more", style="dim")
        console.print(escape(f"{counts(places)}; a dry run: nothing was submitted or written"), highlight=False)


def _varying(points: Sequence[Point]) -> list[str]:
    given = [keys_of(point.overrides) for point in points]
    keys = dict.fromkeys(key for values in given for key in values)
    return [key for key in keys if len({values.get(key) for values in given}) > 1]


def _resources(point: Point) -> str:
    """The cluster, and what differs from its defaults."""
    if point.task is None:
        return ""
    resources = point.task.settings.resources()
    others = [
        f"{field.name}={value}"
        for field in dataclasses.fields(Resources)
        if field.name != "cluster" and (value := getattr(resources, field.name)) != getattr(_DEFAULTS, field.name)
    ]
    return " ".join([resources.cluster or "inline", *others])
