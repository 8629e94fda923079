"""The points of an app without infra: the whole task function is the computation, run as Hydra runs a job."""

from __future__ import annotations

import functools
import operator
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra.core import utils
from hydra.core.utils import JobStatus
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, OmegaConf
from pydantic import BaseModel

from exca.errors import InvalidInfra
from exca.infra import BaseInfra

from ._bound import Bound
from ._composer import Composer
from ._folders import anchor_folders
from ._launch_carried import AppConfig, AppJob, AppName, Session
from ._launch_job import PointReturn, described_point, run_and_log, write_to_log
from ._launch_points import Launcher, Point, config_of, share
from ._launch_sweep import SweepRefused
from ._plain import Missing, Where, plain, references, unresolved
from ._points import place_point, read_points
from ._problems import InvalidComposition, Problem, raise_problems
from ._suggestions import closest
from ._validation import to_model
from ._variables import variables_of
from ._volatile import VolatileValueWarning, consequence, is_volatile

__all__ = ["AppRunner"]


class AppRunner:
    """Points whose computation is the task function.

    Parameters
    ----------
    launcher: the plugin's; its fields are those of the infra.
    bound: of an app whose model has no infra; None: an app of ``hydra.main``.

    Raises
    ------
    InvalidInfra
        if the launcher asks for what a task function cannot have.
    """

    def __init__(self, launcher: Launcher, bound: Bound | None) -> None:
        self._launcher, self._bound = launcher, bound
        context = launcher.hydra_context
        self._composer = Composer(context.config_loader)
        self._session = Session(context, launcher.task_function)
        name = AppName(launcher.task_function)
        self._title = name.owner.__name__
        self._settings = self._read_settings(name.variant())
        self._resolved_once: dict[int, dict[str, Any]] = {}  # what ${now:} said when the point was named

    def _read_settings(self, variant: str) -> BaseInfra:
        launcher = self._launcher
        settings = BaseInfra(**{"folder": launcher.folder, **launcher.fields})
        assert settings.folder is not None
        settings.folder = Path(launcher.config.hydra.runtime.cwd) / settings.folder.expanduser()
        if variant:
            settings.version = f"{settings.version}-{variant}"
        if settings.cluster == "threadpool":
            raise InvalidInfra(
                "hydra.launcher.cluster=threadpool: a Hydra job has a folder, a log and a config of the whole "
                "process, so that two cannot run in one; choose processpool or local"
            )
        return settings

    # ------------------------------------------------------------------ before

    def read(self, job_overrides: Sequence[Sequence[str]], first: int) -> list[Point]:
        # docstring inherited
        numbered = list(enumerate(job_overrides, first))
        if self._bound is None:
            subjects: Sequence[BaseModel] = self._configs(numbered)
        else:
            loader, config = self._launcher.hydra_context.config_loader, self._launcher.config
            subjects = read_points(loader, config, job_overrides, self._bound.model, first=first)
            for subject in subjects:
                anchor_folders(subject, Path(config.hydra.runtime.cwd))
        points = []
        for (number, overrides), subject in zip(numbered, subjects, strict=True):
            compose = functools.partial(self._compose, number, overrides)
            job = AppJob(self._session, subject, self._settings, compose, self._reader())
            points.append(Point(number, overrides, subject, job.bound_task()))
        share(points)
        return points

    def _compose(self, number: int, overrides: Sequence[str]) -> DictConfig:
        config = config_of(self._launcher, number, overrides, self._composer.load_sweep_config)
        if number in self._resolved_once:
            OmegaConf.set_cache(config, self._resolved_once[number])
        return config

    def _reader(self) -> Callable[[DictConfig], BaseModel]:
        if self._bound is not None:
            return functools.partial(to_model, model=self._bound.model)
        return functools.partial(_resolved, exclude=tuple(self._launcher.exclude))

    def _configs(self, numbered: Sequence[tuple[int, Sequence[str]]]) -> list[AppConfig]:
        """Compose every point before any is run."""
        found: list[AppConfig] = []
        problems: list[Problem] = []
        absent = list(self._launcher.exclude)
        for number, overrides in numbered:
            try:
                config = self._composer.load_sweep_config(self._launcher.config, list(overrides))
            except ConfigCompositionException as error:
                problems += [problem.at(number, overrides) for problem in _problems_of(error)]
                continue
            place_point(config, self._launcher.config, number)
            self._warn_of_volatile(config)
            found.append(_resolved(config, tuple(self._launcher.exclude)))
            self._resolved_once[number] = OmegaConf.get_cache(config)
            absent = [key for key in absent if not _has(config, key)]
        raise_problems(self._title, problems, points=len(numbered))
        if absent and numbered:
            raise SweepRefused(_not_there(absent[0], config))
        return found

    def _warn_of_volatile(self, config: DictConfig) -> None:
        for path, text in references(unresolved(config)):
            key = ".".join(map(str, path))
            if not is_volatile(text) or (self._title, key) in _warned or _is_excluded(path, self._launcher.exclude):
                continue
            _warned.add((self._title, key))
            warnings.warn(
                f"{key} is {text}: a value of the run is part of the uid of {self._title}, so {consequence(text)}. "
                f"Give it a fixed value, or leave it out of the uid: hydra.launcher.exclude=[{key}]",
                VolatileValueWarning,
                stacklevel=2,
            )

    # ------------------------------------------------------------------ after

    def finish(self, point: Point) -> PointReturn:
        """Return what the job returned; for a point that no job of this launch ran, Hydra's files are written."""
        assert point.task is not None
        job: AppJob = point.task.carrier
        if point.source == "computed" and job.result is not None:
            return job.result
        compose = functools.partial(self._compose, point.number, point.overrides)
        config = compose()
        if point.source == "computed" and os.path.isdir(config.hydra.runtime.output_dir):
            result = described_point(config, *_outcome(point))
        else:
            result = run_and_log(self._launcher.hydra_context, functools.partial(_stored, point), config)
        result.release(compose)
        return result


def _stored(point: Point, _: DictConfig) -> Any:
    """The task function's part, for a point that is not run."""
    outcome, status = _outcome(point)
    if status is JobStatus.FAILED:
        raise outcome
    assert point.task is not None
    write_to_log(f"not run: the value is that of {point.task.uid}")
    return outcome


def _outcome(point: Point) -> tuple[Any, JobStatus]:
    assert point.task is not None
    if point.error is not None:
        return point.error, JobStatus.FAILED
    try:
        return point.task.result(), JobStatus.COMPLETED
    except Exception as error:
        return error, JobStatus.FAILED


def _resolved(config: DictConfig, exclude: Sequence[str]) -> AppConfig:
    """What names a job: its config without Hydra's own node, as the task function would see it.

    A text that cannot be resolved stands for itself: the task function may never ask for it.
    """
    ignored: list[Problem] = []
    with utils.env_override(variables_of(config)):
        data: Any = plain(config, ignored)
    for path, text in references(unresolved(config)):
        holder = functools.reduce(operator.getitem, path[:-1], data)
        if isinstance(holder[path[-1]], Missing):
            holder[path[-1]] = text
    for key in exclude:
        _remove(data, key.split("."))
    return AppConfig(**data) if all(isinstance(key, str) for key in data) else AppConfig(config=data)


def _remove(data: Any, keys: Sequence[str]) -> None:
    for key in keys[:-1]:
        data = data.get(key) if isinstance(data, dict) else None
    if isinstance(data, dict):
        data.pop(keys[-1], None)


def _has(config: DictConfig, key: str) -> bool:
    data: Any = unresolved(config)
    for part in key.split("."):
        if not isinstance(data, dict) or part not in data:
            return False
        data = data[part]
    return True


def _not_there(key: str, config: DictConfig) -> str:
    """A mistyped key would leave nothing out, and every run would be new."""
    match = closest(key, [name for name in config if isinstance(name, str)])
    hint = f"; did you mean {match}?" if match else "."
    return (
        f"hydra.launcher.exclude: no point has a key {key!r}{hint} It leaves keys of the config out of what names a "
        "computation; to leave out nodes: hydra.launcher.slurm_additional_parameters={exclude: ...}"
    )


def _is_excluded(path: Where, exclude: Sequence[str]) -> bool:
    return any(path[: len(parts)] == parts for parts in (tuple(key.split(".")) for key in exclude))


def _problems_of(error: ConfigCompositionException) -> Sequence[Problem]:
    if isinstance(error, InvalidComposition):
        return error.problems
    reason = str(error).splitlines() or str(error.__cause__).splitlines() or ["cannot be composed"]
    return [Problem((), reason[0])]


_warned: set[tuple[str, str]] = set()
