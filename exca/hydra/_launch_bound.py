"""The points of a bound app: each has its own infra, and the task function runs in this process."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from pydantic import BaseModel

from exca.errors import InvalidInfra
from exca.infra import TaskInfra, computations, task_of

from ._bound import Bound
from ._folders import anchor_folders
from ._launch_job import PointReturn, no_exit, run_and_log
from ._launch_points import Launcher, Point, config_of, share
from ._points import read_with_variables

__all__ = ["BoundRunner", "computation_field"]


class BoundRunner:
    """Points whose computation is a method of their model.

    Parameters
    ----------
    launcher: the plugin's.
    bound: what the app is about.
    infra: name of the infra's field.
    """

    def __init__(self, launcher: Launcher, bound: Bound, infra: str) -> None:
        self._launcher, self._bound, self._infra = launcher, bound, infra

    def read(self, job_overrides: Sequence[Sequence[str]], first: int) -> list[Point]:
        # docstring inherited
        launcher, loader = self._launcher, self._launcher.hydra_context.config_loader
        found = read_with_variables(loader, launcher.config, job_overrides, self._bound.model, first=first)
        points = [
            Point(number, overrides, subject, variables=variables)
            for number, (overrides, (subject, variables)) in enumerate(zip(job_overrides, found, strict=True), first)
        ]
        start = Path(launcher.config.hydra.runtime.cwd)
        for point in points:
            self._adapt(getattr(point.subject, self._infra))
            anchor_folders(point.subject, start)
            point.task = task_of(point.subject, self._infra)
        share(points)
        return points

    def _adapt(self, infra: TaskInfra) -> None:
        """The launcher's own fields win; and a sweep always has a folder."""
        for name, value in self._launcher.fields.items():
            setattr(infra, name, value)
        if infra.folder is None:
            infra.folder = Path(self._launcher.folder)

    def finish(self, point: Point) -> PointReturn:
        """Run the task function in the point's own output folder, its computation served from the cache."""
        function = functools.partial(_call, self._bound, point.subject)
        if point.error is not None:
            function = functools.partial(_not_submitted, point.error)
        functools.update_wrapper(function, self._bound.function)
        if point.task is not None and point.task.config is not point.subject:  # force was done for its equal
            task_of(point.subject, self._infra).mark_acted()
        context = self._launcher.hydra_context
        load = context.config_loader.load_sweep_config
        compose = functools.partial(config_of, self._launcher, point.number, point.overrides, load)
        result = run_and_log(context, function, compose())
        result.release(compose)
        return result


def _call(bound: Bound, model: BaseModel, _: DictConfig) -> Any:
    with no_exit():
        return bound.function(model)


def _not_submitted(error: Exception, _: DictConfig) -> Any:
    raise error


def computation_field(bound: Bound) -> str | None:
    """The infra field of the computation that the sweep is about; None if the model has none.

    Raises
    ------
    InvalidInfra
        if that is not clear.
    """
    found = computations(bound.model)
    if bound.method is not None:
        if bound.method not in found:
            known = ", ".join(found) or "none"
            raise InvalidInfra(
                f"method={bound.method!r}: {bound.model.__name__} has no such computation (has: {known})"
            )
        return found[bound.method]
    if len(found) > 1:
        raise InvalidInfra(
            f"{bound.model.__name__} has several computations ({', '.join(found)}): say which one the sweep is about, "
            "@exca.hydra.main(..., method='<name>')"
        )
    return next(iter(found.values()), None)
