"""Finds jobs again by what the scheduler calls them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from exca.execution._array._layout import ArrayPaths
from exca.execution._array._schedule import Posting, Schedule
from exca.execution._queued import QueuedJob, job_from_folder
from exca.execution._scheduled import track
from exca.execution._slurm import describe_job

__all__ = ["find_jobs"]


def find_jobs(job_id: str, folder: Path | None) -> list[QueuedJob]:
    """The jobs that a scheduler's job runs or ran: one, or several where workers share the jobs of an array.

    Parameters
    ----------
    job_id: the scheduler's id (``"123_4"``, ``"123"``), or a job's own `Job.job_id`.
    folder: a folder above the log folders; None: ask Slurm, which knows its jobs until some minutes after their end.

    Raises
    ------
    LookupError: Slurm was asked, and does not know the job.
    """
    if folder is None:
        array, job_id = _ask_slurm(job_id)
        return list(_jobs_of(array, job_id))
    for own in _search(folder, job_id):
        if (own / "ticket").is_symlink():
            return [job_from_folder(own)]
    for name in dict.fromkeys((job_id, job_id.partition("_")[0])):  # submitit's file of one job, or of a whole array
        for submitted in _search(folder, f"{name}_submitted.pkl"):
            return list(_jobs_of(ArrayPaths(submitted.parents[1]), job_id))
    return []


def _search(folder: Path, name: str) -> Iterator[Path]:
    """Files of that name: first where log folders are by default, then anywhere."""
    for pattern in (f"logs/*/{name}", f"logs/*/*/scheduler/{name}"):
        yield from folder.glob(pattern)
    yield from folder.rglob(name)


def _jobs_of(array: ArrayPaths, job_id: str) -> Iterator[QueuedJob]:
    schedule = Schedule.read(array)
    if schedule is None or job_id not in schedule.ids:
        return
    tracked = track(array)
    if Posting.read(array).pinned:
        yield QueuedJob(tracked, schedule.ids.index(job_id))
        return
    for index in sorted(int(name) for name in os.listdir(array.tickets)):
        if (array.owner(index) or "").partition("@")[2] == job_id:
            yield QueuedJob(tracked, index)


def _ask_slurm(job_id: str) -> tuple[ArrayPaths, str]:
    """The array of a job that Slurm still knows, and the id by which it was submitted."""
    fields = describe_job(job_id)
    log = Path(fields.get("StdErr", ""))
    array = ArrayPaths(log.parents[1]) if len(log.parents) > 1 else ArrayPaths(log)
    if not Posting.is_there(array):
        raise LookupError(f"job {job_id} of Slurm was not submitted by this package: its log is {log}")
    if "ArrayJobId" in fields:
        return array, f"{fields['ArrayJobId']}_{fields['ArrayTaskId']}"
    return array, fields["JobId"]
