"""What is wrong with a configuration, said the way a compiler says it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hydra.errors import CompactHydraException, MissingConfigException

from exca.errors import InvalidConfig

from ._secrets import MASK, without_secrets

__all__ = ["QUOTE", "InvalidComposition", "Problem", "UnknownOption", "as_error", "raise_problems", "shown"]

QUOTE = "put it in quotes"
"""Hint about a value that was meant to be text; where it came from decides how that is written."""

_MOST_POINTS = 12
"""Points listed with their overrides under one problem; the others by number only."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in one point.

    Parameters
    ----------
    path
        Keys and indices from the root of the config to the field; empty for the config as a whole.
    message
        What is wrong, without a full stop.
    value
        The value as text, secrets masked; None where there is no value.
    origin
        Where the value came from: ``override lr=-1``, ``conf/config.yaml:12``, ``default of Optim.lr``.
    hint
        What to do about it.
    point
        Number of the point in its sweep; None outside sweeps.
    overrides
        The overrides of the point.
    """

    path: tuple[str | int, ...]
    message: str
    value: str | None = None
    origin: str | None = None
    hint: str | None = None
    point: int | None = None
    overrides: tuple[str, ...] = field(default=(), repr=False)

    @property
    def field(self) -> str:
        """The path as dotted text (``layers.0.width``)."""
        return ".".join(map(str, self.path))

    def at(self, point: int, overrides: Sequence[str]) -> Problem:
        """Return the same problem as one of a point of a sweep."""
        return replace(self, point=point, overrides=tuple(overrides))


class InvalidComposition(InvalidConfig, CompactHydraException):
    """An ``InvalidConfig`` that Hydra reports as its own errors: the message, no traceback, exit code 1."""

    problems: tuple[Problem, ...] = ()


class UnknownOption(InvalidComposition, MissingConfigException):
    """An option that no config group has was asked for, perhaps among other things."""


def raise_problems(name: str, problems: Sequence[Problem], points: int | None = None) -> None:
    """Raise an error that lists all problems; do nothing where there are none.

    Parameters
    ----------
    name
        Name of the model.
    problems
        What was found.
    points
        How many points were looked at, for a sweep.

    Raises
    ------
    InvalidConfig
        Always, unless ``problems`` is empty; they are its attribute ``problems``.
    """
    if problems:
        raise as_error(name, problems, points)


def as_error(
    name: str,
    problems: Sequence[Problem],
    points: int | None = None,
    kind: type[InvalidComposition] = InvalidComposition,
) -> InvalidComposition:
    """Return the error of some kind that lists problems; other parameters as of ``raise_problems``."""
    error = kind(render(name, problems, points))
    error.problems = tuple(problems)
    return error


def render(name: str, problems: Sequence[Problem], points: int | None = None) -> str:
    """Return the message for a list of problems; equal problems of several points are said once."""
    alike: dict[Problem, list[Problem]] = {}
    for problem in _without_secrets(problems):
        alike.setdefault(replace(problem, point=None, overrides=()), []).append(problem)
    lines = [_headline(name, len(alike), problems, points)]
    for problem, same in alike.items():
        lines += ["", *_lines(problem), *_points(same)]
    return without_secrets("\n".join(lines))


def _without_secrets(problems: Sequence[Problem]) -> list[Problem]:
    """The same problems, the overrides that set a refused secret without its text."""
    secret = {problem.field for problem in problems if problem.value == MASK}
    if not secret:
        return list(problems)

    def masked(text: str) -> str:
        key, assigned, _ = text.partition("=")
        return f"{key}={MASK}" if assigned and key.split()[-1].lstrip("+~") in secret else text

    return [
        replace(
            problem,
            origin=None if problem.origin is None else masked(problem.origin),
            overrides=tuple(map(masked, problem.overrides)),
        )
        for problem in problems
    ]


def _headline(name: str, count: int, problems: Iterable[Problem], points: int | None) -> str:
    text = f"{name}: {count} problem{'s' if count > 1 else ''}"
    if points is None:
        return f"{text} in the configuration; nothing was run."
    bad = len({problem.point for problem in problems})
    return f"{text} in {bad} of {points} points; nothing was submitted."


def _lines(problem: Problem) -> list[str]:
    lines = [f"  {problem.field or '(config)'}: {problem.message}"]
    details = {"value": problem.value, "from": problem.origin, "hint": problem.hint}
    return lines + [f"      {name:<6} {text}" for name, text in details.items() if text is not None]


def _points(problems: Sequence[Problem]) -> list[str]:
    listed = [problem for problem in problems if problem.point is not None]
    lines = [f"      point  #{problem.point}  {' '.join(problem.overrides)}" for problem in listed[:_MOST_POINTS]]
    rest = [problem.point for problem in listed[_MOST_POINTS:] if problem.point is not None]
    return [*lines, f"      points {_ranges(rest)}"] if rest else lines


def _ranges(numbers: Sequence[int]) -> str:
    """Return numbers as ranges: ``#3-5, #8``."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(f"#{first}" if first == last else f"#{first}-{last}" for first, last in runs)


def shown(value: Any, limit: int = 120) -> str:
    """Return a value for a message: short, and without the secrets that a mapping or text may hold."""
    text = repr(dict(value)) if isinstance(value, Mapping) else repr(value)
    return text if len(text) <= limit else f"{text[: limit - 4]} ..."
