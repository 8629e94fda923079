"""The points of a sweep, all looked at before any is run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, TypeVar

from hydra.core.config_loader import ConfigLoader
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig
from pydantic import BaseModel

from ._builder import schema_of
from ._composer import Composer
from ._direct import assign, text_at
from ._guard import Guard
from ._problems import InvalidComposition, Problem, raise_problems
from ._shortcut import Shortcut
from ._validation import Finder, model_of, read
from ._variables import variables_of

__all__ = ["place_point", "read_points", "read_with_variables"]

M = TypeVar("M", bound=BaseModel)

_Reading = tuple[BaseModel | None, dict[str, str], list[Problem]]

_BY_OVERRIDE = "override "


def read_points(
    loader: ConfigLoader,
    master: DictConfig,
    points: Sequence[Sequence[str]],
    model: type[M],
    *,
    first: int = 0,
) -> list[M]:
    """Compose and validate every point of a sweep.

    No composed config is kept, so ten thousand points take as much memory as their models.

    Parameters
    ----------
    loader
        The config loader of the app.
    master
        The config of the sweep as a whole.
    points
        The overrides of each point.
    model
        The experiment.
    first
        Number of the first point.

    Raises
    ------
    InvalidConfig
        Listing every problem of every point: what does not compose as well as what does not validate.
    """
    return [config for config, _ in read_with_variables(loader, master, points, model, first=first)]


def read_with_variables(
    loader: ConfigLoader,
    master: DictConfig,
    points: Sequence[Sequence[str]],
    model: type[M],
    *,
    first: int = 0,
) -> list[tuple[M, dict[str, str]]]:
    """Do as `read_points`, and return with each model the environment variables of its job."""
    reader = _PointReader(Composer(loader), master, model)
    read_so_far: list[tuple[Any, dict[str, str]]] = []
    problems: list[Problem] = []
    guard = Guard(schema_of(model))  # a sweeper may have made the overrides by itself
    for number, overrides in enumerate(map(guard.overrides, points), first):
        config, variables, found = reader.read(overrides, number)
        read_so_far.append((config, variables))
        problems += [problem.at(number, overrides) for problem in found]
    raise_problems(model.__name__, problems, points=len(points))
    return read_so_far


def place_point(cfg: DictConfig, master: DictConfig, number: int) -> None:
    """Write into a point's config what Hydra knows of it when it runs: ``${hydra:...}`` may refer to that."""
    assign(cfg, "hydra.job.id", str(number))
    assign(cfg, "hydra.job.num", number)
    assign(cfg, "hydra.sweep.dir", text_at(master, "hydra.sweep.dir"))  # which may have been given a number
    folder = os.path.join(text_at(cfg, "hydra.sweep.dir"), text_at(cfg, "hydra.sweep.subdir"))
    assign(cfg, "hydra.runtime.output_dir", os.path.abspath(folder))


class _PointReader:
    """Composes and validates points, one after the other."""

    def __init__(self, composer: Composer, master: DictConfig, model: type[BaseModel]) -> None:
        self._composer, self._master, self._schema = composer, master, schema_of(model)
        self._finder = Finder(model)
        self._shortcut = Shortcut(composer.own, master, self._schema)

    def read(self, overrides: list[str], number: int) -> _Reading:
        found = self._shortcut.point(overrides)
        config = None if found is None else model_of(found[0], self._schema)
        return (config, found[1], []) if found and config is not None else self._composed(overrides, number)

    def _composed(self, overrides: list[str], number: int) -> _Reading:
        try:
            cfg = self._composer.load_sweep_config(self._master, overrides)
        except InvalidComposition as error:
            return None, {}, [*error.problems, *self._others(error, overrides, number)]
        except ConfigCompositionException as error:
            reason = str(error).splitlines() or str(error.__cause__).splitlines() or ["cannot be composed"]
            return None, {}, [Problem((), reason[0])]
        place_point(cfg, self._master, number)
        config, found = read(cfg, self._schema)
        return config, variables_of(cfg), list(self._finder.complete(found, cfg))

    def _others(self, error: InvalidComposition, overrides: list[str], number: int) -> list[Problem]:
        """Return what is wrong with a point besides the overrides that an error is about."""
        named = {str(p.origin).removeprefix(_BY_OVERRIDE) for p in error.problems}
        rest = [text for text in overrides if text not in named]
        return self.read(rest, number)[2] if len(rest) < len(overrides) else []
