"""The points of a launch on their way to those who compute them: what is missing, together, and what is not taken."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from hydra.core.utils import env_override

from exca.errors import (
    ExcaError,
    InvalidInfra,
    JobNotStarted,
    ResultNotStored,
    SchedulerRefused,
    SubmissionFailed,
)
from exca.execution import check_cluster
from exca.policy import Action
from exca.task import Task, submit_all

from ._launch_points import Point
from ._launch_sweep import SweepRefused

__all__ = ["check_clusters", "cluster_of", "distinct", "sort", "submit", "submit_each", "tasks_of", "why_not_started"]

_LOG = logging.getLogger(__name__)
_READY: Final = (Action.LOAD, Action.RAISE)
_HOPELESS: Final = 2  # points that fail alone before any was submitted: it is not the points


def distinct(points: Sequence[Point]) -> list[Point]:
    return [point for point in points if point.task is not None and point.source == "computed"]


def tasks_of(points: Sequence[Point]) -> list[Task]:
    return [point.task for point in points if point.task is not None]


def cluster_of(point: Point) -> str | None:
    assert point.task is not None
    return point.task.settings.resources().cluster


def check_clusters(points: Sequence[Point]) -> None:
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


def sort(points: Sequence[Point]) -> list[Point]:
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


def submit_each(points: Sequence[Point]) -> None:
    """Submit each point with the environment variables it has from ``hydra.job.env_set``."""
    for group in _alike(points):
        with env_override(dict(group[0].variables)):
            submit_all(tasks_of(group))


def _alike(points: Sequence[Point]) -> list[list[Point]]:
    """Points that one array can hold: of the same variables and resources."""
    groups: dict[tuple[object, ...], list[Point]] = {}
    for point in points:
        assert point.task is not None
        key = (*point.variables.items(), point.task.settings.resources())
        groups.setdefault(key, []).append(point)
    return list(groups.values())


def submit(points: Sequence[Point]) -> dict[int, ExcaError]:
    """Submit together; where that fails, without those that fail alone (a value that cannot be pickled).

    Returns
    -------
    dict: id of each task that could not be submitted, and why.

    Raises
    ------
    SweepRefused
        if the scheduler takes none of them.
    """
    lost: dict[int, ExcaError] = {}
    for group in _alike(points):
        lost |= _submit_alike(group)
    refusal = next((error for error in lost.values() if isinstance(error, SchedulerRefused)), None)
    if refusal is not None and len(lost) == len(points) > 1:
        raise SweepRefused(f"{refusal}; nothing was submitted") from refusal
    return lost


def _submit_alike(points: Sequence[Point]) -> dict[int, ExcaError]:
    lost: dict[int, ExcaError] = {}
    pending, submitted = [list(points)], False
    while pending:
        group = pending.pop()
        try:
            submit_each(group)
            submitted = True
        except (SubmissionFailed, ResultNotStored) as error:
            alone = len(group) == 1 or any(task.settings.mode in ("retry", "force") for task in tasks_of(group))
            hopeless = isinstance(error, SchedulerRefused) or (not submitted and len(lost) >= _HOPELESS)
            if alone or hopeless:
                lost.update(dict.fromkeys(map(id, tasks_of(group)), error))
            else:
                pending += [group[len(group) // 2 :], group[: len(group) // 2]]
    return lost


def why_not_started(point: Point) -> ExcaError | None:
    """Why a job that has ended never began: cancelled in the queue, its queue died.

    Its task function would submit it again, and wait for it before the next point's is submitted.
    """
    assert point.task is not None
    if point.task.status() != "not submitted":
        return None
    handle = point.task.tracker.known_job().handle
    error = None if handle is None else handle.exception()
    return error if isinstance(error, JobNotStarted) else None
