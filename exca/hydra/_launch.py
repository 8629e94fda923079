"""A launch: all points validated first, finished ones skipped, the rest submitted together."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hydra.core.utils import JobReturn, JobStatus, configure_log, setup_globals
from pydantic import ValidationError

from exca.errors import InvalidInfra, ResultNotStored, SubmissionFailed, UnstableIdentity
from exca.execution import ends_with_this_process
from exca.task import Task

from ._bound import Bound
from ._launch_app import AppRunner
from ._launch_bound import BoundRunner, computation_field
from ._launch_interrupted import COMPUTED, INTERRUPTED, SUBMITTED, interruptions
from ._launch_job import PointReturn
from ._launch_points import Launcher, Point, Runner
from ._launch_progress import Display, follow, progress_display
from ._launch_report import report, say_how_to_retry
from ._launch_results import points_of
from ._launch_submission import (
    check_clusters,
    cluster_of,
    distinct,
    sort,
    submit,
    submit_each,
    tasks_of,
    why_not_started,
)
from ._launch_sweep import SweepRefused
from ._plugin_options import check_launcher

__all__ = ["Launch", "launch_points"]

_LOG = logging.getLogger(__name__)
_HERE = (None, "debug")


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
            check_clusters(points)
            return points

    def finish(self, points: Sequence[Point]) -> list[JobReturn]:
        """Submit what is missing, wait for everything, finish every point in order, and report."""
        with _refusals(), interruptions(SUBMITTED, self._log_as_hydra):
            self._compute(points)
        results: list[PointReturn] = []
        with interruptions(COMPUTED, self._log_as_hydra):
            for point in points:
                point.result = self._finished(point)
                results.append(point.result)
            self._log_as_hydra()
            report(self._launcher, points)
        return [self._told(result) for result in results]

    def _finished(self, point: Point) -> PointReturn:
        try:
            return self._runner.finish(point)
        except OSError as error:  # of Hydra's files: what the task function raises is in the result
            raise SweepRefused(
                f"the files of point #{point.number} cannot be written: {error}; what was computed is stored, and "
                "the same command finds it"
            ) from error

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
            todo = sort(distinct(points))
            tied = [cluster for point in todo if ends_with_this_process(cluster := cluster_of(point))]
            if tied:
                raise SweepRefused(
                    f"hydra.sweeper.detach: the jobs of cluster={tied[0] or 'null'} end with this process; choose "
                    "infra=local or infra=slurm (or hydra/launcher=exca_local, exca_slurm)"
                )
            try:
                with interruptions(SUBMITTED, self._log_as_hydra):
                    submit_each(todo)
            except (SubmissionFailed, ResultNotStored) as error:
                raise SweepRefused(f"{error}; what was submitted before goes on") from error
        return sum(not task.tracker.known_job().done() for task in tasks_of(todo))

    def _compute(self, points: Sequence[Point]) -> None:
        """Submit what is missing and wait for it; say of each point where its value comes from."""
        own = distinct(points)
        todo = sort(own)
        cached = sum(point.source == "cached" for point in own)
        if own:
            _LOG.info("%s: %d cached, %d to compute", points_of(len(points)), cached, len(todo))
        with progress_display(len(own), cached, wanted=self._launcher.progress) as display:
            away = [point for point in todo if cluster_of(point) not in _HERE]
            here = [point for point in todo if cluster_of(point) in _HERE]
            lost = submit(away)
            for point in points:
                if id(point.task) in lost:
                    point.source, point.error = "refused", lost[id(point.task)]
            away = [point for point in away if point.error is None]
            for point in away:  # another process submitted it between our look and our claim
                if point.source == "computed" and point.task is not None and point.task.tracker.job is None:
                    point.source = "shared"
            _wait(tasks_of(away), display, *self._compute_here(here, display))
            for point in away:
                point.error = why_not_started(point)
                point.source = point.source if point.error is None else "refused"

    def _compute_here(self, points: Sequence[Point], display: Display) -> tuple[int, int]:
        """Compute one after the other; return how many ended well, and how many failed."""
        done = failed = 0
        for point in points:
            display.show(running=1, done=done, failed=failed)
            try:
                submit_each([point])
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


def _wait(tasks: Sequence[Task], display: Display, done: int, failed: int) -> None:
    jobs = [task.tracker.known_job() for task in tasks]
    try:
        follow(jobs, display, done=done, failed=failed)
    except KeyboardInterrupt:
        left = [task for task, job in zip(tasks, jobs, strict=True) if not job.done()]
        ended = sum(ends_with_this_process(task.settings.resources().cluster) for task in left)
        if ended:
            _LOG.warning("%s end with this process; the same command computes them", points_of(ended))
        if len(left) > ended:
            text = "%s are still queued or running and go on; the same command finds them again"
            _LOG.warning(text, points_of(len(left) - ended))
        raise SystemExit(INTERRUPTED) from None
