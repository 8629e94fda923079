"""The points of a sweep, all looked at before any is run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from hydra.core.config_loader import ConfigLoader
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig
from pydantic import BaseModel

from ._builder import schema_of
from ._composer import Composer
from ._problems import InvalidComposition, Problem, raise_problems
from ._validation import Finder, read

__all__ = ["read_points"]

M = TypeVar("M", bound=BaseModel)

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
    reader = _PointReader(Composer(loader), master, model)
    models: list[Any] = []
    problems: list[Problem] = []
    for number, overrides in enumerate(points, first):
        config, found = reader.read(list(overrides))
        models.append(config)
        problems += [problem.at(number, overrides) for problem in found]
    raise_problems(model.__name__, problems, points=len(points))
    return models


class _PointReader:
    """Composes and validates points, one after the other."""

    def __init__(self, composer: Composer, master: DictConfig, model: type[BaseModel]) -> None:
        self._composer, self._master, self._schema = composer, master, schema_of(model)
        self._finder = Finder(model)

    def read(self, overrides: list[str]) -> tuple[BaseModel | None, list[Problem]]:
        try:
            cfg = self._composer.load_sweep_config(self._master, overrides)
        except InvalidComposition as error:
            return None, [*error.problems, *self._others(error, overrides)]
        except ConfigCompositionException as error:
            reason = str(error).splitlines() or str(error.__cause__).splitlines() or ["cannot be composed"]
            return None, [Problem((), reason[0])]
        config, found = read(cfg, self._schema)
        return config, list(self._finder.complete(found, cfg))

    def _others(self, error: InvalidComposition, overrides: list[str]) -> list[Problem]:
        """Return what is wrong with a point besides the overrides that an error is about."""
        named = {str(p.origin).removeprefix(_BY_OVERRIDE) for p in error.problems}
        rest = [text for text in overrides if text not in named]
        return self.read(rest)[1] if len(rest) < len(overrides) else []
