"""Whether somebody is at work on a computation: a job of this process, of another one, or a claim."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from exca import execution
from exca.errors import CorruptResult, JobFailed, JobNotStarted
from exca.policy import Status
from exca.store import Entry, Outcome
from exca.task._job import FIRST_POLL_S, LAST_POLL_S, TaskJob

if TYPE_CHECKING:
    from exca.task._task import Task

__all__ = ["Tracker"]

_CANCEL_S: Final = 30.0
_LOG = logging.getLogger(__name__)


class Tracker:
    """Follows what happens to a task outside of this call.

    Parameters
    ----------
    task: whose job it is.
    """

    __slots__ = ("_replacing", "_task", "job")

    def __init__(self, task: Task) -> None:
        self._task = task
        self.job: TaskJob | None = None
        self._replacing: execution.Job | None = None

    def adopt(self, handle: execution.Job, *, replacing: bool) -> None:
        """Take what the executor gave for this computation.

        Parameters
        ----------
        handle: the executor's job.
        replacing: whether it replaces a result, which is then not to be read before the job has ended.
        """
        self.job = TaskJob(self._task, handle)
        self._replacing = handle if replacing else None

    def known_job(self) -> TaskJob:
        """The job, if it was submitted by whomever; else one without an executor's part."""
        if self.job is None:
            self.job = TaskJob(self._task)
        return self.job

    def find_job(self) -> execution.Job | None:
        """The job that was submitted for this uid last, by whomever, if its folder is still there."""
        path = self._task.log_folder()
        try:
            return None if path is None else execution.job_from_folder(path)
        except FileNotFoundError:  # logs may be deleted at any time
            return None

    def cancel(self) -> None:
        """End the job that runs, if there is one."""
        job = self.ask_to_end()
        if job is not None:
            job.wait(_CANCEL_S)  # so that its last words do not come after what follows
        self.job = None

    def ask_to_end(self) -> execution.Job | None:
        """Ask for the end of the job that runs, and return it; None if there is none."""
        job = None if self._task.entry is None else self._submitted_job()
        if job is None or job.done():
            return None
        job.cancel()
        return job

    def status(self, entry: Entry) -> Status:
        """The status: no file is opened for what has ended, and one or two for an array of what has not."""
        ended = None if self._is_being_replaced() else entry.status()
        return ended or self.look(entry)[0]

    def look(self, entry: Entry) -> tuple[Status, Outcome | None]:
        """The status, and the outcome if there is one."""
        if self._is_being_replaced():
            return "running", None
        try:
            outcome = entry.outcome()
        except CorruptResult:
            if self._task.mode in ("retry", "force"):
                return "failed", None
            raise
        if outcome is not None:
            return outcome.status, outcome
        job = self._submitted_job()
        if job is not None:
            if not job.done():
                return "running", None
            return self._settle(entry, job)
        return ("running" if entry.watch().alive() else "not submitted"), None

    def _is_being_replaced(self) -> bool:
        """Whether a job is at work that replaces what is stored."""
        return self._replacing is not None and not self._replacing.done()

    def _settle(self, entry: Entry, job: execution.Job) -> tuple[Status, Outcome | None]:
        """The executor says that a job ended: its outcome, or the reason why there is none, kept as a failure."""
        outcome = entry.outcome()  # it may have been written between the two looks
        if outcome is None:
            if job.paths is not None and not job.paths.folder.exists():
                self.job = None  # logs may be deleted at any time: who computes holds a claim
                return ("running" if entry.watch().alive() else "not submitted"), None
            error = job.exception()
            if error is None or isinstance(error, JobNotStarted):  # its result was cleared since; its queue died
                return "not submitted", None
            try:
                entry.write_error(error, self._task.facts(), replace=False)
            except OSError as full:
                _LOG.warning("that %s failed could not be stored in %s: %s", self._task.uid, entry.path, full)
            outcome = entry.outcome()
        return ("failed", None) if outcome is None else (outcome.status, outcome)

    def loss(self) -> BaseException:
        """Why a computation has no outcome, where not even that could be stored."""
        job = self._submitted_job()
        error = None if job is None else job.exception()
        return error or JobFailed(f"{self._task.uid} ended without a result")

    def _submitted_job(self) -> execution.Job | None:
        """The job that this process knows, else the one that the uid folder leads to."""
        return self.find_job() if self.job is None else self.job.handle

    def wait(self, entry: Entry) -> None:
        """Return when the running computation has ended, whoever runs it."""
        try:
            self._wait_for_end(entry)
        except KeyboardInterrupt as interrupt:
            job = self._submitted_job()
            who = entry.watch().holder() if job is None else f"job {job.job_id}"
            interrupt.add_note(f"{self._task.uid} goes on ({who}); call the method again to come back to it")
            raise

    def _wait_for_end(self, entry: Entry) -> None:
        replacing, self._replacing = self._replacing, None
        if replacing is not None:
            replacing.wait()
            self._raise_if_lost(entry, replacing)
            return
        watch = entry.watch()
        pause = FIRST_POLL_S
        while entry.outcome() is None:
            job = self._submitted_job()
            if job is not None:
                if job.wait(pause):
                    return
            elif not watch.alive():
                return
            else:
                time.sleep(pause)
            pause = min(pause * 1.5, LAST_POLL_S)

    def _raise_if_lost(self, entry: Entry, job: execution.Job) -> None:
        """A recomputation that was killed leaves the old result in place; its caller is told all the same."""
        error = job.exception()
        if error is not None:
            outcome = entry.outcome()
            if outcome is None or outcome.status == "completed":
                raise error
