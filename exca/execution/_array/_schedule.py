"""What an array folder holds in addition when a scheduler starts its workers.

posting.json     what each worker needs to know (`Posting`); written before the scheduler is asked
scheduler.json   where the workers are (`Schedule`); written when the scheduler has taken them
workers/NAME.N   for the worker NAME that ran into its time limit N times
"""

from __future__ import annotations

import json
import os
from typing import NamedTuple

from ._layout import ArrayPaths, write_atomically

__all__ = ["Posting", "Schedule", "timeouts_of", "worker_name"]


class Posting(NamedTuple):
    """What the workers of an array need to know."""

    pinned: bool  # worker k runs call k and no other; else each worker takes what is left
    limit_s: float | None  # how long the scheduler lets a worker live; None: not known
    warning_s: float = 90.0  # the warning signal comes so long before the limit, or up to a minute earlier
    max_timeouts: int = 3  # how often a call that checkpoints may run into the limit and go on
    cluster: str = ""  # "slurm", or the name of a submitit plugin
    submitter: dict[str, object] | None = None  # stamp of the process that asks the scheduler

    def write(self, array: ArrayPaths) -> None:
        write_atomically(array.folder / "posting.json", json.dumps(self._asdict()).encode(), durable=True)

    @staticmethod
    def is_there(array: ArrayPaths) -> bool:
        """Whether a scheduler starts the workers of this array."""
        return (array.folder / "posting.json").exists()

    @classmethod
    def read(cls, array: ArrayPaths) -> Posting:
        return cls(**json.loads((array.folder / "posting.json").read_bytes()))


class Schedule(NamedTuple):
    """Where the workers of an array are."""

    cluster: str  # "slurm", or the name of a submitit plugin
    submitted: float  # seconds since the epoch
    user_id: int  # the user they belong to
    token: str  # in the comment of the scheduler's jobs: a job of the same id without it is another's
    ids: list[str]  # the scheduler's id of each worker

    def write(self, array: ArrayPaths) -> None:
        write_atomically(array.folder / "scheduler.json", json.dumps(self._asdict(), indent=1).encode(), durable=True)

    @classmethod
    def read(cls, array: ArrayPaths) -> Schedule | None:
        """The schedule; None if the scheduler has not answered yet, or the submitter was killed before it did."""
        try:
            content = json.loads((array.folder / "scheduler.json").read_bytes())
        except FileNotFoundError:
            return None
        if "uid" in content:  # what it was called before, in arrays that may still be queued
            content["user_id"] = content.pop("uid")
        return cls(**content)


def worker_name(number: int, scheduler_id: str) -> str:
    """Name of a worker; it stays the same when the scheduler starts the worker anew."""
    return f"{number}@{scheduler_id}"


def timeouts_of(array: ArrayPaths, worker: str, *, one_more: bool = False) -> int:
    """How often a worker ran into its time limit."""
    count = 0
    while os.path.lexists(f"{array.workers}/{worker}.{count + 1}"):
        count += 1
    if one_more:
        count += 1
        os.symlink("timeout", f"{array.workers}/{worker}.{count}")
    return count
