"""The points of a sweep of a bound app: all validated first, finished ones skipped, the rest submitted together."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from hydra.core.utils import JobReturn, JobStatus, configure_log, filter_overrides, setup_globals
from hydra.types import HydraContext
from omegaconf import DictConfig
from pydantic import BaseModel, ValidationError

from exca.errors import ExcaError, InvalidInfra, JobFailed, SubmissionFailed
from exca.infra import TaskInfra, computations, task_of
from exca.policy import Action
from exca.task import Task, submit_all

from ._bound import Bound
from ._folders import anchor_folders
from ._launch_job import run_point
from ._launch_progress import follow, progress_display
from ._launch_results import Row, as_text, print_table, write_csv
from ._launch_sweep import SweepRefused
from ._points import place_point, read_points

__all__ = ["launch_points"]

_LOG = logging.getLogger(__name__)
_READY = (Action.LOAD, Action.RAISE)
_HERE = (None, "debug")


Source = Literal["computed", "cached", "shared", "refused"]


class Launcher(Protocol):
    """What is used of the plugin's launcher."""

    hydra_context: HydraContext
    task_function: Callable[[Any], Any]
    config: DictConfig
    folder: str
    progress: bool
    fields: dict[str, Any]


@dataclass(slots=True)
class Point:
    """One combination of overrides, and what it composed to."""

    number: int
    overrides: Sequence[str]
    model: BaseModel
    task: Task | None = None
    source: Source = "computed"
    result: JobReturn = field(default_factory=JobReturn)


def launch_points(launcher: Launcher, job_overrides: Sequence[Sequence[str]], first: int) -> list[JobReturn]:
    """Compute the points of a sweep through the cache and run the task function on each, in order.

    Parameters
    ----------
    launcher: the plugin, after its ``setup``.
    job_overrides: the overrides of each point.
    first: number of the first point.

    Returns
    -------
    list of JobReturn: one for each point, in order. A point that failed carries its exception; its siblings their
        values.

    Raises
    ------
    InvalidConfig
        if any point does not validate; nothing was submitted then.
    """
    setup_globals()
    bound: Bound | None = getattr(launcher.task_function, "__exca_bound__", None)
    if bound is None:
        raise InvalidInfra(
            "hydra/launcher=exca needs an app made with @exca.hydra.main(Model, ...); for a plain @hydra.main app "
            "choose hydra/launcher=basic"
        )
    logs = launcher.config.hydra
    configure_log(logs.hydra_logging, logs.verbose)
    loader = launcher.hydra_context.config_loader
    models = read_points(loader, launcher.config, job_overrides, bound.model, first=first)
    points = [Point(number, *both) for number, both in enumerate(zip(job_overrides, models, strict=True), first)]
    try:
        _attach_tasks(launcher, bound, points)
        _compute(points, launcher.progress)
    except (InvalidInfra, ValidationError) as error:  # concerns them all, and is no fault of the code
        raise SweepRefused(f"{type(error).__name__}: {error}") from error
    for point in points:
        _run(launcher, bound, point)
    configure_log(logs.hydra_logging, logs.verbose)
    _report(launcher, points)
    return [point.result for point in points]


def _attach_tasks(launcher: Launcher, bound: Bound, points: Sequence[Point]) -> None:
    name = _computation_field(bound)
    if name is None:
        _LOG.warning("%s has no TaskInfra: its points run here, one after the other, uncached", bound.model.__name__)
        return
    first: dict[tuple[str, Path | None], Task] = {}
    for point in points:
        _adapt_infra(launcher, getattr(point.model, name))
        anchor_folders(point.model, Path(launcher.config.hydra.runtime.cwd))
        task = task_of(point.model, name)
        known = first.setdefault((task.uid, task.settings.folder), task)
        if known is not task:
            point.source = "shared"  # two points of one uid are one computation
        point.task = known


def _computation_field(bound: Bound) -> str | None:
    """The infra field of the computation that the sweep is about."""
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


def _adapt_infra(launcher: Launcher, infra: TaskInfra) -> None:
    """The launcher's own fields win; and a sweep always has a folder."""
    for name, value in launcher.fields.items():
        setattr(infra, name, value)
    if infra.folder is None:
        infra.folder = Path(launcher.folder)


def _compute(points: Sequence[Point], progress: bool) -> None:
    """Submit what is missing, and return when everything has ended."""
    own = [point for point in points if point.task is not None and point.source == "computed"]
    todo: list[Task] = []
    for point in own:
        assert point.task is not None
        try:
            action = point.task.planned().action
        except ExcaError as error:  # this point's own: its task function will meet the same
            _LOG.debug("point #%d: %s", point.number, error)
            point.source = "refused"
            continue
        if action is Action.REFUSE:
            point.source = "refused"
        elif action in _READY:
            point.source = "cached"
        else:
            point.source = "shared" if action is Action.WAIT else "computed"
            todo.append(point.task)
    cached = sum(point.source == "cached" for point in own)
    if own:
        _LOG.info("%d points: %d cached, %d to compute", len(points), cached, len(todo))
    with progress_display(len(own), cached, wanted=progress) as display:
        away = [task for task in todo if task.settings.resources().cluster not in _HERE]
        try:
            submit_all(away)
        except SubmissionFailed as error:
            _LOG.error("nothing was submitted: %s", error)
            away = []
        jobs = [task.tracker.known_job() for task in away]
        done = failed = 0
        for task in (task for task in todo if task.settings.resources().cluster in _HERE):
            display.show(running=1, done=done, failed=failed)
            submit_all([task])
            bad = task.status() == "failed"
            failed, done = failed + bad, done + (not bad)
        try:
            follow(jobs, display, done=done, failed=failed)
        except KeyboardInterrupt:
            left = sum(not job.done() for job in jobs)
            _LOG.warning("%d points are still queued or running and go on; the same command finds them again", left)
            raise SystemExit(130) from None


def _run(launcher: Launcher, bound: Bound, point: Point) -> None:
    """The task function on one point, in its own output folder, its computation served from the cache."""
    task_function = functools.partial(_call, bound, point.model)
    functools.update_wrapper(task_function, bound.function)
    if point.task is not None and point.task.config is not point.model:  # what force asks for was done for its equal
        task_of(point.model, point.task.method.field).mark_acted()
    point.result = run_point(launcher.hydra_context, task_function, _config_of(launcher, point))
    if point.result.status is JobStatus.FAILED:
        _log_failure(point.result._return_value)


def _config_of(launcher: Launcher, point: Point) -> DictConfig:
    """The point's config with its ``hydra`` node; made again when it is needed, so that few are held at once."""
    config = launcher.hydra_context.config_loader.load_sweep_config(launcher.config, list(point.overrides))
    place_point(config, launcher.config, point.number)
    return config


def _call(bound: Bound, model: BaseModel, _: DictConfig) -> Any:
    try:
        return bound.function(model)
    except SystemExit as error:  # ends this point, not its siblings
        raise JobFailed(f"the task function left with SystemExit({error.code!r})") from error


def _log_failure(error: BaseException) -> None:
    """The traceback belongs to the point's own log file; on the screen it would drown the table."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            record = _LOG.makeRecord(
                _LOG.name,
                logging.ERROR,
                __file__,
                0,
                "the point failed",
                (),
                (type(error), error, error.__traceback__),
            )
            handler.handle(record)
            handler.flush()


def _report(launcher: Launcher, points: Sequence[Point]) -> None:
    rows = [_row(point) for point in points]
    path = Path(launcher.config.hydra.sweep.dir) / "results.csv"
    write_csv(path, rows, append=bool(points) and points[0].number > 0)
    print_table(rows, path)
    for point, row in zip(points, rows, strict=True):
        if row.status == "failed":
            _LOG.error("point #%d failed: %s; %s", point.number, _first_line(row.value), _where(point, row))


def _row(point: Point) -> Row:
    result = point.result
    keys = {}
    for override in filter_overrides(point.overrides):
        key, _, value = override.partition("=")
        keys[key.lstrip("+~")] = value
    note = {} if point.task is None else point.task.note()
    return Row(
        number=point.number,
        overrides=keys,
        value=result._return_value,
        status="completed" if result.status is JobStatus.COMPLETED else "failed",
        source=point.source,
        duration_s=note.get("duration_s"),
        uid="" if point.task is None else point.task.uid,
        log=str(result.hydra_cfg.hydra.runtime.output_dir) if result.hydra_cfg is not None else "",
    )


def _first_line(error: BaseException) -> str:
    return next(iter(as_text(error).splitlines()), "")


def _where(point: Point, row: Row) -> str:
    text = f"traceback in {_log_file(row.log)}"
    job = None if point.task is None else point.task.log_folder()
    return text if job is None else f"{text}, output in {job}"


def _log_file(folder: str) -> str:
    with suppress(OSError):
        for name in sorted(os.listdir(folder)):
            if name.endswith(".log"):
                return os.path.join(folder, name)
    return folder
