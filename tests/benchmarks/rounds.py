"""Rounds of measurements: subjects take turns, so that a change of load hits all of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping

ONCE_ABOVE_S = 10.0

Command = Callable[[], float | None]


def alternate(rounds: int, commands: Mapping[str, Command]) -> dict[str, list[float]]:
    """Run the commands in turn, A B C A B C, and return the seconds each of them says.

    A command that says None cannot do the work and is left out. One that says more than `ONCE_ABOVE_S` is run once:
    it would decide how long the whole takes, and its own variation does not matter for the comparison.
    """
    found: dict[str, list[float]] = {}
    left = dict(commands)
    for _ in range(rounds):
        for name, command in list(left.items()):
            seconds = command()
            if seconds is not None:
                found.setdefault(name, []).append(seconds)
            if seconds is None or seconds > ONCE_ABOVE_S:
                del left[name]
    return found


def medians(rounds: int, commands: Mapping[str, Command]) -> dict[str, float]:
    """Return the median of every command that can do the work."""
    return {name: statistics.median(values) for name, values in alternate(rounds, commands).items()}
