"""A launch: all points validated first, finished ones skipped, the rest submitted together."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hydra.core.utils import JobReturn, JobStatus, configure_log, env_override, setup_globals
from pydantic import ValidationError

from exca.errors import ExcaError, InvalidInfra, JobNotStarted, ResultNotStored, SubmissionFailed, UnstableIdentity
from exca.execution import check_cluster
from exca.policy import Action
from exca.task import Task, submit_all

from ._bound import Bound
from ._launch_app import AppRunner
from ._launch_bound import BoundRunner, computation_field
from ._launch_interrupted import COMPUTED, INTERRUPTED, SUBMITTED, interruptions
from ._launch_job import PointReturn
from ._launch_points import Launcher, Point, Runner
from ._launch_progress import Display, follow, progress_display
from ._launch_report import report, say_how_to_retry
from ._launch_results import points_of
from ._launch_sweep import SweepRefused
from ._plugin_options import check_launcher

__all__ = ["Launch", "launch_points"]

_LOG = logging.getLogger(__name__)
_READY = (Action.LOAD, Action.RAISE)
_HERE = (None, "debug")
_TIED = (*_HERE, "threadpool", "processpool")


def launch_points(launcher: Launcher, job_overrides: Sequence[Sequence[str]], first: int) -> list[JobReturn]:
    """Compute the points of a sweep through the cache.

    In a bound app (`exca.hydra.main`) the task function then runs here on each point, in order, its computation
    served from the cache. In an app of ``hydra.main`` the task function is the computation.

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
    launch = Launch(launcher)
    points = launch.read(job_overrides, first)
    results = launch.finish(points)
    say_how_to_retry(points, launch.retry)
    return results


class Launch:
    """The steps of a launch, for sweepers that look between them.

    Parameters
    ----------
    launcher: the plugin, after its ``setup``.
    """

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        setup_globals()
        self._log_as_hydra()
        check_launcher(launcher)
        with _refusals():
            self._runner = _runner_of(launcher)
        if launcher.exclude and isinstance(self._runner, BoundRunner):
            raise SweepRefused(
                "hydra.launcher.exclude: the computations of this app are named by its model; leave fields out of the "
                "name there: @infra.apply(exclude_from_cache_uid=[...])"
            )
        self.retry = "infra.mode=retry" if isinstance(self._runner, BoundRunner) else "hydra.launcher.mode=retry"

    def _log_as_hydra(self) -> None:
        """Jobs configure the logging of the process for themselves."""
        node = self._launcher.config.hydra
        configure_log(node.hydra_logging, node.verbose)

    def read(self, job_overrides: Sequence[Sequence[str]], first: int = 0) -> list[Point]:
        """Compose and validate points, and give each its computation.

        Raises
        ------
        InvalidConfig
            Listing every problem of every point.
        SweepRefused
            if something that concerns all points makes it impossible to name or place their results.
        """
        with _refusals(), interruptions("nothing was submitted", self._log_as_hydra):
            points = self._runner.read(job_overrides, first)
            _check_clusters(points)
            return points

    def finish(self, points: Sequence[Point]) -> list[JobReturn]:
        """Submit what is missing, wait for everything, finish every point in order, and report."""
        with _refusals(), interruptions(SUBMITTED, self._log_as_hydra):
            self._compute(points)
        results: list[PointReturn] = []
        with interruptions(COMPUTED, self._log_as_hydra):
            for point in points:
                point.result = self._runner.finish(point)
                results.append(point.result)
            self._log_as_hydra()
            report(self._launcher, points)
        return [self._told(result) for result in results]

    def _told(self, result: PointReturn) -> JobReturn:
        """What the sweeper hears: a study that ends at the first failure may be told a value instead."""
        if self._launcher.failure_value is None or result.status is JobStatus.COMPLETED:
            return result
        told = copy.copy(result)
        told.status, told.return_value = JobStatus.COMPLETED, self._launcher.failure_value
        return told

    def submit(self, points: Sequence[Point]) -> int:
        """Submit what is missing and wait for nothing.

        Returns
        -------
        int: how many computations are queued or running now.

        Raises
        ------
        SweepRefused
            if jobs would end with this process, or cannot be submitted.
        """
        with _refusals():
            todo = _sort(_distinct(points))
            tied = [cluster for point in todo if (cluster := _cluster(point)) in _TIED]
            if tied:
                raise SweepRefused(
                    f"hydra.sweeper.detach: the jobs of cluster={tied[0] or 'null'} end with this process; choose "
                    "infra=local or infra=slurm (or hydra/launcher=exca_local, exca_slurm)"
                )
            try:
                with interruptions(SUBMITTED, self._log_as_hydra):
                    _submit_each(todo)
            except (SubmissionFailed, ResultNotStored) as error:
                raise SweepRefused(f"{error}; what was submitted before goes on") from error
        return sum(not task.tracker.known_job().done() for task in _tasks(todo))

    def _compute(self, points: Sequence[Point]) -> None:
        """Submit what is missing and wait for it; say of each point where its value comes from."""
        own = _distinct(points)
        todo = _sort(own)
        cached = sum(point.source == "cached" for point in own)
        if own:
            _LOG.info("%s: %d cached, %d to compute", points_of(len(points)), cached, len(todo))
        with progress_display(len(own), cached, wanted=self._launcher.progress) as display:
            away = [point for point in todo if _cluster(point) not in _HERE]
            here = [point for point in todo if _cluster(point) in _HERE]
            lost = _submit(away)
            for point in points:
                if id(point.task) in lost:
                    point.source, point.error = "refused", lost[id(point.task)]
            away = [point for point in away if point.error is None]
            for point in away:  # another process submitted it between our look and our claim
                if point.source == "computed" and point.task is not None and point.task.tracker.job is None:
                    point.source = "shared"
            _wait(_tasks(away), display, *self._compute_here(here, display))
            for point in away:
                point.error = _why_not_started(point)
                point.source = point.source if point.error is None else "refused"

    def _compute_here(self, points: Sequence[Point], display: Display) -> tuple[int, int]:
        """Compute one after the other; return how many ended well, and how many failed."""
        done = failed = 0
        for point in points:
            display.show(running=1, done=done, failed=failed)
            try:
                _submit_each([point])
            except KeyboardInterrupt:  # whose traceback says where the user's code was
                self._log_as_hydra()
                _LOG.warning("interrupted in point #%d; the same command goes on there", point.number, exc_info=True)
                raise SystemExit(INTERRUPTED) from None
            assert point.task is not None
            bad = point.task.status() == "failed"
            failed, done = failed + bad, done + (not bad)
        return done, failed


def _runner_of(launcher: Launcher) -> Runner:
    bound: Bound | None = getattr(launcher.task_function, "__exca_bound__", None)
    infra = None if bound is None else computation_field(bound)
    if bound is None or infra is None:
        return AppRunner(launcher, bound)
    return BoundRunner(launcher, bound, infra)


@contextmanager
def _refusals() -> Iterator[None]:
    """What concerns all points, and is no fault of the code, is said without a traceback."""
    try:
        yield
    except (InvalidInfra, UnstableIdentity, ValidationError) as error:
        raise SweepRefused(f"{type(error).__name__}: {error}") from error


def _distinct(points: Sequence[Point]) -> list[Point]:
    return [point for point in points if point.task is not None and point.source == "computed"]


def _tasks(points: Sequence[Point]) -> list[Task]:
    return [point.task for point in points if point.task is not None]


def _cluster(point: Point) -> str | None:
    assert point.task is not None
    return point.task.settings.resources().cluster


def _check_clusters(points: Sequence[Point]) -> None:
    """Nothing is submitted where one of the points could not be.

    Raises
    ------
    InvalidInfra
        A cluster that is not there, or that has no variables for each job.
    """
    pairs = {(task.settings.resources().cluster, bool(point.variables)) for point in points if (task := point.task)}
    for cluster, variables in pairs:
        check_cluster(cluster)
        if variables and cluster == "threadpool":
            raise InvalidInfra(
                "hydra.job.env_set: variables are those of a whole process, which threads share; choose "
                "infra.cluster=processpool or local"
            )


def _sort(points: Sequence[Point]) -> list[Point]:
    """Say of each point where its value will come from; return what is to be waited for or computed."""
    todo: list[Point] = []
    for point in points:
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
            todo.append(point)
    return todo


def _submit_each(points: Sequence[Point]) -> None:
    """Submit together what has the same environment variables (``hydra.job.env_set``)."""
    groups: dict[tuple[tuple[str, str], ...], list[Point]] = {}
    for point in points:
        groups.setdefault(tuple(point.variables.items()), []).append(point)
    for variables, group in groups.items():
        with env_override(dict(variables)):
            submit_all(_tasks(group))


def _submit(points: Sequence[Point]) -> dict[int, ExcaError]:
    """Submit together; where that fails, without those that fail alone (a value that cannot be pickled).

    Returns
    -------
    dict: id of each task that could not be submitted, and why.

    Raises
    ------
    SweepRefused
        if nothing could be submitted, and not because of single points.
    """
    lost: dict[int, ExcaError] = {}
    pending, submitted = [list(points)] if points else [], False
    while pending:
        group = pending.pop()
        try:
            _submit_each(group)
            submitted = True
        except (SubmissionFailed, ResultNotStored) as error:
            if len(group) == 1 or any(task.settings.mode in ("retry", "force") for task in _tasks(group)):
                lost.update(dict.fromkeys(map(id, _tasks(group)), error))
            elif submitted:
                pending += [group[len(group) // 2 :], group[: len(group) // 2]]
            else:
                pending += [part for part in (group[2:], group[1:2], group[:1]) if part]
        if len(lost) > 1 and not submitted and (pending or len(set(map(str, lost.values()))) == 1):
            first = next(iter(lost.values()))  # it is the scheduler, not the points
            raise SweepRefused(f"{first}; nothing was submitted") from first
    return lost


def _why_not_started(point: Point) -> ExcaError | None:
    """Why a job that has ended never began: cancelled in the queue, its queue died.

    Its task function would submit it again, and wait for it before the next point's is submitted.
    """
    assert point.task is not None
    if point.task.status() != "not submitted":
        return None
    handle = point.task.tracker.known_job().handle
    error = None if handle is None else handle.exception()
    return error if isinstance(error, JobNotStarted) else None


def _wait(tasks: Sequence[Task], display: Display, done: int, failed: int) -> None:
    jobs = [task.tracker.known_job() for task in tasks]
    try:
        follow(jobs, display, done=done, failed=failed)
    except KeyboardInterrupt:
        left = [task for task, job in zip(tasks, jobs, strict=True) if not job.done()]
        ended = sum(task.settings.resources().cluster in _TIED for task in left)
        if ended:
            _LOG.warning("%s end with this process; the same command computes them", points_of(ended))
        if len(left) > ended:
            text = "%s are still queued or running and go on; the same command finds them again"
            _LOG.warning(text, points_of(len(left) - ended))
        raise SystemExit(INTERRUPTED) from None
