"""The job of a computation, as the user holds it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from exca import execution
from exca.errors import JobFailed, NotSubmitted
from exca.policy import Status
from exca.task._note import read_note

if TYPE_CHECKING:
    from exca.task._task import Task

__all__ = ["FIRST_POLL_S", "LAST_POLL_S", "TaskJob"]

FIRST_POLL_S: Final = 0.005
LAST_POLL_S: Final = 1.0


class TaskJob:
    """The job of a computation: where it stands, what it printed, what it gave.

    The result is read from the store, so that it is there even when the job's own folder is gone.
    """

    def __init__(self, task: Task, handle: execution.Job | None = None) -> None:
        self._task = task
        self._handle = handle

    @property
    def handle(self) -> execution.Job | None:
        """The executor's part, found once it is there: another process may be about to submit the computation."""
        if self._handle is None:
            self._handle = self._task.tracker.find_job()
        return self._handle

    @property
    def job_id(self) -> str:
        """The executor's id of the job; empty if the result was there before and its job is forgotten."""
        if self.handle is not None:
            return self.handle.job_id
        entry = self._task.entry
        note = {} if entry is None else read_note(entry)
        return str(note.get("job_id", ""))

    @property
    def paths(self) -> execution.JobPaths | None:
        """The job's folder and log files; None if it ran in this process."""
        return None if self.handle is None else self.handle.paths

    def done(self) -> bool:
        """Whether nothing more will come of the job: it ended, well or not, or was never started."""
        return self.status() != "running"

    def status(self) -> Status:
        """``running`` (also while it waits in a queue), ``completed``, ``failed`` or ``not submitted``."""
        if self._task.entry is not None:
            return self._task.status()
        if self.handle is None:
            return "not submitted"
        status = self.handle.status()
        return "running" if status == "pending" else status

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the computation has ended.

        Parameters
        ----------
        timeout: longest time to wait, in seconds; None: as long as it takes.

        Returns
        -------
        bool: whether it has ended.
        """
        end = None if timeout is None else time.monotonic() + timeout
        pause = FIRST_POLL_S
        while self.status() == "running":
            left = pause if end is None else min(pause, end - time.monotonic())
            if left <= 0:
                return False
            if self.handle is not None:
                self.handle.wait(left)
            else:
                time.sleep(left)
            pause = min(pause * 1.5, LAST_POLL_S)
        return self.done()

    def result(self) -> Any:
        """The value; waits for it.

        Raises
        ------
        Exception
            what the computation raised, with the remote traceback as a note.
        JobFailed
            if the job ended without a value (killed, timed out), with the reason and the path of its log.
        """
        self.wait()
        entry = self._task.entry
        if entry is None:
            assert self.handle is not None
            return self.handle.result()
        outcome = entry.outcome()
        if outcome is None:
            handle = self.handle
            error = None if handle is None else handle.exception()
            if error is not None:
                raise error
            raise JobFailed(f"the result of {self._task.uid} is gone from {entry.path}; call the method to recompute")
        return self._task.open(entry, outcome)

    def results(self) -> list[Any]:
        """The value of each of the job's tasks: always one here."""
        return [self.result()]

    def exception(self) -> BaseException | None:
        """What `result` would raise; None if there is a value."""
        try:
            self.result()
        except Exception as error:
            return error
        return None

    def cancel(self) -> None:
        """End the job if it has not ended.

        Raises
        ------
        NotSubmitted
            if it is no job, but computed by a process that called the method.
        """
        handle, entry = self.handle, self._task.entry
        if handle is not None and not handle.done():
            handle.cancel()
        elif entry is not None and self.status() == "running":
            raise NotSubmitted(
                f"{self._task.uid} is no job, but computed by {entry.watch().holder()}: end that process"
            )

    def stdout(self) -> str | None:
        """What the job printed; None if it ran in this process or its log is gone."""
        return None if self.handle is None else self.handle.stdout()

    def stderr(self) -> str | None:
        """What the job wrote to its standard error; None as for `stdout`."""
        return None if self.handle is None else self.handle.stderr()
