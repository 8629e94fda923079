"""Runs calls in worker processes of this machine: the executors "local" and "processpool"."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

from exca.execution._array._layout import Queue
from exca.execution._array._slots import lent_slots
from exca.execution._call import Call
from exca.execution._job import Announce, Job
from exca.execution._kept import KEEP_S, start_pool
from exca.execution._places import Place, choose_place, discard_when_forgotten
from exca.execution._queued import QueuedJob
from exca.execution._runtime import user_folder
from exca.execution._spawning import start_supervisor
from exca.execution._tracking import TrackedArray
from exca.execution._writing import Surroundings, remove_array, write_array

__all__ = ["ENVIRONMENT", "Bounds", "QueueExecutor"]

ENVIRONMENT = {  # what submitit's JobEnvironment reads
    "SUBMITIT_EXECUTOR": "local",
    "SUBMITIT_FOLDER": "%f",
    "SUBMITIT_LOCAL_JOB_ID": "%j",
    "SUBMITIT_LOCAL_NTASKS": "1",
    "SUBMITIT_LOCAL_JOB_NUM_NODES": "1",
    "SUBMITIT_LOCAL_NODEID": "0",
    "SUBMITIT_LOCAL_GLOBALID": "0",
    "SUBMITIT_LOCAL_LOCALID": "0",
}


@dataclass(frozen=True)
class Bounds:
    """What the workers of a queue may use.

    Attributes
    ----------
    max_workers: workers alive at once.
    timeout_s: seconds a call may take; None: no limit.
    gpus: names of the GPUs to share out; empty: none.
    gpus_per_worker: how many of them each worker holds.
    share_after_s: a worker that has held its slots this long gives them to an array that has no worker at all, after
        the call it is in.
    """

    max_workers: int
    timeout_s: float | None = None
    gpus: tuple[str, ...] = ()
    gpus_per_worker: int = 0
    share_after_s: float = 60.0


class QueueExecutor:
    """Runs each array of calls under a supervisor process of its own.

    Parameters
    ----------
    logs: template of a job's folder; None: a temporary folder.
    tied: the workers end with this process, and the bounds are those of one array. Else they go on without it, and the
        bounds hold for all arrays of this user that have the same `logs` on this host.
    """

    def __init__(self, bounds: Bounds, logs: str | None, around: Surroundings, *, tied: bool) -> None:
        self._bounds = bounds
        self._logs = logs
        self._around = around
        self._tied = tied

    def submit(self, calls: Sequence[Call], announce: Announce | None = None) -> list[Job]:
        if not calls:
            return []
        place = choose_place(self._logs)
        spec = write_array(place, calls, self._around, self._describe_queue(place))
        array = TrackedArray(place.paths, spec)
        jobs: list[Job] = [QueuedJob(array, index) for index in range(len(calls))]
        try:
            if announce:
                announce(jobs)
            if self._tied:
                start_pool(place.paths, spec, self._around.interpreter, keep=self._can_be_kept())
            else:
                start_supervisor(place.paths, self._around.interpreter, None)
        except BaseException:
            remove_array(place, spec)
            raise
        if place.private:
            discard_when_forgotten(array)
        return jobs

    def _can_be_kept(self) -> bool:
        """Not where workers hold GPUs, or have imported from a copy of the code that was made for one array."""
        return self._tied and self._around.code is None and not self._bounds.gpus

    def _describe_queue(self, place: Place) -> Queue:
        bounds = self._bounds
        slots, names = None, [str(number) for number in range(bounds.max_workers)]
        if bounds.gpus:
            slots, names = str(user_folder() / "gpus"), list(bounds.gpus)
        elif not self._tied:
            key = hashlib.sha256(os.fsencode(os.path.realpath(place.root))).hexdigest()[:16]
            slots = str(user_folder() / "slots" / key)
        return Queue(
            max_workers=bounds.max_workers,
            timeout_s=bounds.timeout_s,
            slots=slots,
            slot_names=names,
            slots_per_worker=bounds.gpus_per_worker if bounds.gpus else 1,
            gpus=bool(bounds.gpus),
            share_after_s=bounds.share_after_s,
            tied=self._tied,
            keep_s=KEEP_S if self._can_be_kept() else 0.0,
            private=place.private,
            lent_slots=lent_slots(slots) if slots else (),
        )
