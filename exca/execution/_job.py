"""The seam of this room: what submits calls, and what a submitted call looks like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from exca.execution._call import Call

if TYPE_CHECKING:
    from exca.execution._array._layout import JobPaths

__all__ = ["Announce", "Executor", "Job", "JobStatus"]

JobStatus = Literal["pending", "running", "completed", "failed"]


@runtime_checkable
class Job(Protocol):
    """One submitted call."""

    @property
    def job_id(self) -> str:
        """Names the job for ever: no other job, on any machine, gets the same id."""

    @property
    def paths(self) -> JobPaths | None:
        """Where its files are; None for a job of this very process."""

    def status(self) -> JobStatus:
        """How far it is. A job that was killed, timed out or was cancelled is ``"failed"``."""

    def done(self) -> bool:
        """Whether it has ended, well or not."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has ended, at most `timeout` seconds; returns whether it has.

        An interrupt (Ctrl-C) ends the waiting, not the job.
        """

    def result(self) -> object:
        """Wait, then return what the call returned.

        Raises
        ------
        Exception: what the call raised, of its own type where that can be rebuilt, with the traceback of the
            worker and the paths of the logs as notes.
        JobFailed: the call raised something that cannot be rebuilt here, or never came to its end.
        JobCancelled: it was cancelled.
        """

    def results(self) -> list[object]:
        """Wait, then return what each task of the job returned: `result` in a list, as a job is one task here."""

    def exception(self) -> BaseException | None:
        """Wait, then return what `result` would raise, or None."""

    def cancel(self) -> None:
        """Ask for its end: not started if it is pending, killed with its child processes if it runs.

        Does not wait. Has no effect on a job that has ended.

        Raises
        ------
        PermissionError: it is somebody else's.
        """

    def stdout(self) -> str | None:
        """What it printed so far; None if that was not captured, or nothing has started yet."""

    def stderr(self) -> str | None:
        """What it printed as errors so far; None if that was not captured, or nothing has started yet."""


Announce = Callable[[Sequence[Job]], None]


@runtime_checkable
class Executor(Protocol):
    """Somewhere to run calls."""

    def submit(self, calls: Sequence[Call], announce: Announce | None = None) -> list[Job]:
        """Submit an array of calls; one call is an array of one.

        Parameters
        ----------
        announce: called with the jobs before any of them can start, so that what it writes down about them is there
            even if this process is killed a moment later; what it raises ends the submission. Not called for jobs of
            this very process, which nobody else could find.

        Returns
        -------
        list: one job per call, in the order of the calls.

        Raises
        ------
        SubmissionFailed: the calls were not taken; none of them will run.
        """
