"""An array whose workers a scheduler starts, as seen by a process that waits for it."""

from __future__ import annotations

import collections
import contextlib
import os
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from exca.execution._array._layout import CANCELLED, LOST, NEVER_STARTED, ArrayPaths, Spec, Verdict
from exca.execution._array._schedule import Posting, Schedule
from exca.execution._sighting import FORGOTTEN, Sighting
from exca.execution._tracking import TrackedArray
from exca.liveness import Stamp

__all__ = ["ScheduledArray", "Watch", "track"]

_SUBMITTING_S = 300.0  # a submission that was not answered for so long has died, if its submitter cannot be seen
_SETTLING_S = 30.0  # whoever gave a call its ticket to end it has done so by then
_TAIL = 3  # lines of a worker's log that a message quotes


class Watch(Protocol):
    """Somebody who can be asked about a scheduler's jobs."""

    def sighting(self, schedule: Schedule, job: str) -> Sighting:
        """What is known of one of the scheduler's jobs."""

    def cancel(self, schedule: Schedule, jobs: Sequence[str]) -> None:
        """Ask the scheduler to end some of its jobs."""


class ScheduledArray(TrackedArray):
    """An array whose workers a scheduler starts.

    Files come first: a call that has its verdict costs no question. The scheduler's word counts only for calls without
    one, and only if it says that nobody is left who might end them.
    """

    def __init__(self, paths: ArrayPaths, spec: Spec) -> None:
        super().__init__(paths, spec)
        self._posting = Posting.read(paths)
        self._schedule: Schedule | None = None
        self._plugin: Watch | None = None
        self._orphaned: float | None = None  # since when it is known that its submitter will not answer any more
        self._unknown = False  # to the scheduler

    def verdict(self, index: int) -> Verdict | None:
        if str(index) not in self._list_ended() and self._may_end(index):
            return None
        return self.paths.verdict(index) or self._settle(index)

    def is_supervised(self) -> bool:
        """Whether a worker of the array may still take calls, as far as is known."""
        schedule = self.schedule()
        if schedule is None:
            return self._is_being_submitted()
        return any(not self._sighting(schedule, job).ended for job in schedule.ids)

    def cancel(self, index: int) -> None:
        schedule = self.schedule()
        with self._explain_refusal():
            if not self._condemn(index):  # of a call that runs, its worker's agent, on its node, sees this and ends it
                return
        if schedule and self._posting.pinned:
            jobs = {*self._jobs_for(schedule, index), self._taker(index)}
            self._watch(schedule).cancel(schedule, sorted(job for job in jobs if job))

    def schedule(self) -> Schedule | None:
        """Where the workers are; None if that is not known (yet)."""
        if self._schedule is None:
            self._schedule = Schedule.read(self.paths) or self._recover()
        return self._schedule

    def _recover(self) -> Schedule | None:
        """Learn from Slurm what a submitter had no time to write down."""
        if not self._is_orphaned() or self._orphaned is None:
            return None
        if self._posting.cluster != "slurm":
            self._unknown = True
            return None
        from exca.execution._slurm import watch_of

        try:
            status = os.stat(self.paths.spec)
        except FileNotFoundError:  # the folder has gone
            return None
        ids = watch_of(status.st_uid).ids_of(self.spec.array, self._orphaned)
        if not ids:
            self._unknown = ids is not None
            return None
        schedule = Schedule("slurm", status.st_mtime, status.st_uid, self.spec.array, ids)
        with contextlib.suppress(OSError):  # somebody else's folder
            schedule.write(self.paths)
        return schedule

    def _is_orphaned(self) -> bool:
        """Whether its submitter has ended, or may be taken to have."""
        if self._orphaned is None:
            submitter = Stamp.from_dict(self._posting.submitter)
            life = "elsewhere" if submitter is None else submitter.liveness()
            if (life == "dead" and self._posting.cluster == "slurm") or (life != "alive" and not self._is_new()):
                self._orphaned = time.time()
        return self._orphaned is not None

    def _is_new(self) -> bool:
        try:
            return time.time() - os.stat(self.paths.spec).st_mtime < _SUBMITTING_S
        except FileNotFoundError:
            return False

    def _jobs_for(self, schedule: Schedule, index: int) -> Sequence[str]:
        """The scheduler's jobs that may take a call; none if its submitter did not come so far."""
        return schedule.ids[index : index + 1] if self._posting.pinned else schedule.ids

    def _taker(self, index: int) -> str:
        """The scheduler's job that has taken a call, "" if none has.

        It may be one that is not in the schedule: a submission whose answer was lost is tried again.
        """
        return (self.paths.owner(index) or "").partition("@")[2]

    def _sighting(self, schedule: Schedule, job: str) -> Sighting:
        return self._watch(schedule).sighting(schedule, job)

    def _watch(self, schedule: Schedule) -> Watch:
        """Whom to ask."""
        if schedule.cluster == "slurm":
            from exca.execution._slurm import watch_of

            return watch_of(schedule.user_id)
        if self._plugin is None:
            from exca.execution._submitit import PluginWatch

            self._plugin = PluginWatch(schedule.cluster, self.paths.folder / "scheduler")
        return self._plugin

    def _may_end(self, index: int) -> bool:
        schedule = self.schedule()
        if schedule is None:
            return self._is_being_submitted()
        taker = self._taker(index)
        if taker:
            return not self._sighting(schedule, taker).ended
        if self._posting.pinned:
            return any(not self._sighting(schedule, job).ended for job in self._jobs_for(schedule, index))
        return self.is_supervised()

    def _is_being_submitted(self) -> bool:
        """Whether a scheduler may have workers that nobody has written down yet."""
        return not self._unknown and self.paths.spec.exists()

    def _settle(self, index: int) -> Verdict | None:
        """No worker is left that could end the call, the scheduler says."""
        if not self.paths.folder.exists():
            return Verdict(LOST, f"the folder of its array, {self.paths.folder}, has gone")
        schedule = self.schedule()
        owner = self.paths.owner(index)
        try:
            if owner is None and self.paths.take(index, "reader"):
                return self.end(index, self._never_started(index, schedule))
        except OSError:  # somebody else's folder
            return Verdict(LOST, f"its worker ended; {self._last_words()}")
        taker = self._taker(index)
        if not taker and time.time() - os.lstat(f"{self.paths.tickets}/{index}").st_mtime < _SETTLING_S:
            return self.paths.verdict(index)  # somebody is about to say
        sighting = self._sighting(schedule, taker) if schedule and taker else FORGOTTEN
        if not sighting.ended:  # it has taken the call just now
            return self.paths.verdict(index)
        verdict = self.paths.sentence_of(index) or self._died(sighting, taker)
        return self.paths.verdict(index) or self.end(index, verdict)

    def _died(self, sighting: Sighting, job: str) -> Verdict:
        kind = CANCELLED if sighting.state == "CANCELLED" else LOST
        return Verdict(kind, f"{sighting.reason}; {self._log_end(job)}")

    def _never_started(self, index: int, schedule: Schedule | None) -> Verdict:
        """Nobody took the call: it can be submitted again, unless its workers cannot even begin."""
        if schedule is None:
            return Verdict(NEVER_STARTED, "its submitter ended before the scheduler had answered")
        jobs = self._jobs_for(schedule, index)
        if not any(jobs):
            return Verdict(NEVER_STARTED, "its submitter ended before it was submitted")
        seen = {job: self._sighting(schedule, job) for job in jobs}
        if all(sighting.state == "CANCELLED" for sighting in seen.values()):
            return Verdict(CANCELLED, f"cancelled in Slurm before it started (job {jobs[0]})")
        begun = os.listdir(self.paths.workers)
        for job, sighting in seen.items():
            if sighting.state in ("FAILED", "COMPLETED", "BOOT_FAIL") and not any(
                name.partition("@")[2] == job for name in begun
            ):
                return Verdict(LOST, f"its worker could not begin: {sighting.reason}; {self._log_end(job)}")
        reasons = dict.fromkeys(sighting.reason for sighting in seen.values())
        return Verdict(NEVER_STARTED, f"no worker was left to take it: {'; '.join(list(reasons)[:3])}")

    def _log_end(self, job: str) -> str:
        """Where the log of a worker is, and what stands at its end."""
        log = self.paths.folder / "scheduler" / f"{job}_0_log.err"
        try:
            lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        except OSError:
            return f"no log in {log}: do the nodes see this folder?"
        return f"{log} ends with: {' / '.join(lines[-_TAIL:]) or 'nothing'}"


# What this process has opened: the jobs of one array share one listing of its folder.
_opened: weakref.WeakValueDictionary[Path, TrackedArray] = weakref.WeakValueDictionary()
_lately: collections.deque[TrackedArray] = collections.deque(maxlen=16)  # also when they are asked after one by one


def track(paths: ArrayPaths) -> TrackedArray:
    """The array of a folder, as this process sees it.

    Raises
    ------
    FileNotFoundError: it has gone.
    """
    array = _opened.get(paths.folder)
    if array is None:
        spec, _ = paths.read_spec()
        array = ScheduledArray(paths, spec) if Posting.is_there(paths) else TrackedArray(paths, spec)
        _opened[paths.folder] = array
        _lately.append(array)
    return array
