"""What a launch is made of: the plugin's launcher, the points, and who knows how to read and finish them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from hydra.core.utils import JobStatus
from hydra.types import HydraContext
from omegaconf import DictConfig
from pydantic import BaseModel

from exca.task import Task

from ._launch_job import PointReturn
from ._points import place_point

__all__ = ["Launcher", "Point", "Runner", "Source", "config_of", "share"]

Source = Literal["computed", "cached", "shared", "refused"]
"""Where the value of a point comes from; ``results.csv`` says it."""


class Launcher(Protocol):
    """What is used of the plugin's launcher.

    Attributes
    ----------
    folder: cache of points whose infra names none.
    progress: whether to show progress on a terminal.
    exclude: dotted keys that do not enter the uid of a plain app's point.
    failure_value: what a sweeper is told of a failed point; None: its exception.
    fields: fields of the infra that were set; they win over a point's own.
    """

    hydra_context: HydraContext
    task_function: Callable[[Any], Any]
    config: DictConfig
    folder: str
    progress: bool
    exclude: list[str]
    failure_value: Any
    fields: dict[str, Any]


@dataclass(slots=True)
class Point:
    """One combination of overrides, and what it composed to.

    Attributes
    ----------
    number: Hydra's job number.
    overrides: as the sweeper gave them.
    subject: the validated model, or the resolved config of a plain app.
    task: its computation; None where nothing is cached.
    source: where its value comes from.
    error: why it was not submitted.
    variables: what ``hydra.job.env_set`` gives its computation; that of a plain app sets them itself.
    """

    number: int
    overrides: Sequence[str]
    subject: BaseModel
    task: Task | None = None
    source: Source = "computed"
    error: Exception | None = None
    result: PointReturn | None = None
    variables: Mapping[str, str] = field(default_factory=dict)

    def has_stored_failure(self) -> bool:
        """Whether it failed, and will fail again until it is computed again."""
        failed = self.result is not None and self.result.status is JobStatus.FAILED
        return failed and self.source != "refused"


class Runner(Protocol):
    """Reads the points of one kind of app, and finishes them when their computations have ended."""

    def read(self, job_overrides: Sequence[Sequence[str]], first: int) -> list[Point]:
        """Return the points, composed and validated, each with its task.

        Raises
        ------
        InvalidConfig
            Listing what is wrong with any of them.
        """

    def finish(self, point: Point) -> PointReturn:
        """Return what became of a point whose computation has ended, or that is computed by this."""


def config_of(
    launcher: Launcher, number: int, overrides: Sequence[str], load: Callable[..., DictConfig]
) -> DictConfig:
    """The config of a point with its ``hydra`` node; made when it is needed, so that few are held at once.

    Parameters
    ----------
    load: composes; ``load_sweep_config`` of a loader, or of one with a memory.
    """
    config = load(launcher.config, list(overrides))
    place_point(config, launcher.config, number)
    return config


def share(points: Sequence[Point]) -> None:
    """Two points of one uid are one computation: the later gets the task of the first."""
    first: dict[tuple[str, Path | None], Task] = {}
    for point in points:
        if point.task is not None:
            known = first.setdefault((point.task.uid, point.task.settings.folder), point.task)
            if known is not point.task:
                point.source, point.task = "shared", known
