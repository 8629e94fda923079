"""A job in an array folder, as seen by any process that can read the folder."""

from __future__ import annotations

import os
import pickle
from functools import cached_property
from pathlib import Path

from exca.errors import JobCancelled, JobFailed, JobNotStarted, UntrustedResult
from exca.execution._array._layout import CANCELLED, COMPLETED, NEVER_STARTED, RAISED, ArrayPaths, JobPaths, Verdict
from exca.execution._array._outcome import Raised, load, rebuild
from exca.execution._job import JobStatus
from exca.execution._polling import poll
from exca.execution._scheduled import track
from exca.execution._tracking import TrackedArray
from exca.trust import find_open_door

__all__ = ["QueuedJob", "job_from_folder"]

_TAIL = 15  # lines of a log that a message quotes


class QueuedJob:
    """A job in an array folder."""

    # docstrings of the methods inherited from `Job`

    def __init__(self, array: TrackedArray, index: int) -> None:
        self.array = array
        self.index = index
        self._verdict: Verdict | None = None

    @property
    def job_id(self) -> str:
        return self.array.spec.job_id(self.index)

    @cached_property
    def paths(self) -> JobPaths:
        return self.array.job(self.index)

    def status(self) -> JobStatus:
        verdict = self._find_verdict()
        if verdict:
            return "completed" if verdict.kind == COMPLETED else "failed"
        return "pending" if self.array.paths.owner(self.index) is None else "running"

    def done(self) -> bool:
        return self._find_verdict() is not None

    def wait(self, timeout: float | None = None) -> bool:
        return poll(self.done, timeout)

    def result(self) -> object:
        self.wait()
        error = self._error()
        if error is not None:
            raise error
        try:
            return load(self._read_result())
        except (JobFailed, UntrustedResult):
            raise
        except Exception as error:
            raise JobFailed(
                f"the value of {self} cannot be loaded here: {error!r}; it is in {self.paths.result}"
            ) from error

    def results(self) -> list[object]:
        return [self.result()]

    def exception(self) -> BaseException | None:
        self.wait()
        return self._error()

    def cancel(self) -> None:
        if not self.done():
            self.array.cancel(self.index)

    def stdout(self) -> str | None:
        return _read_log(self.paths.stdout)

    def stderr(self) -> str | None:
        return _read_log(self.paths.stderr)

    def __repr__(self) -> str:
        return f"QueuedJob({self.job_id!r}, {self.status()})"

    def __str__(self) -> str:
        return f"job {self.job_id}"

    def __reduce__(self) -> tuple[object, ...]:
        return job_from_folder, (self.paths.folder,)

    def _find_verdict(self) -> Verdict | None:
        if self._verdict is None:
            self._verdict = self.array.verdict(self.index)
        return self._verdict

    def _error(self) -> BaseException | None:
        verdict = self._find_verdict()
        if verdict is None or verdict.kind == COMPLETED:
            return None
        if verdict.kind == RAISED:
            try:
                raised = Raised(*pickle.loads(self._read_result()))
            except UntrustedResult:
                raise
            except Exception as problem:  # deleted, or written by another version
                return JobFailed(f"{self} failed with {verdict.reason} (no more is known: {problem})")
            return self._rebuild(raised)
        error: JobFailed
        if verdict.kind == CANCELLED:
            error = JobCancelled(f"{self} was {verdict.reason}")
        elif verdict.kind == NEVER_STARTED:
            error = JobNotStarted(f"{self} was not started: {verdict.reason}")
        else:
            error = JobFailed(f"{self} ended without a value: {verdict.reason}")
        return self._with_logs(error, quote=True)

    def _rebuild(self, raised: Raised) -> BaseException:
        error: BaseException
        try:
            if raised.pickled is None:
                raise JobFailed(f"{self} failed with {raised.one_line()}")
            error = rebuild(raised.pickled)
        except JobFailed as failure:
            error = failure.with_traceback(None)
        except Exception as problem:
            error = JobFailed(f"{self} failed with {raised.one_line()} (the class cannot be loaded here: {problem!r})")
        error.add_note(f"Traceback of {self}:\n\n{raised.traceback.rstrip()}\n")
        return self._with_logs(error, quote=False)

    def _with_logs(self, error: BaseException, *, quote: bool) -> BaseException:
        printed = (self.stderr() or "").rstrip().splitlines() if quote else []
        if printed:
            error.add_note("The end of its stderr:\n  " + "\n  ".join(printed[-_TAIL:]))
        error.add_note(f"Logs of {self}: {self.paths.stdout} and {self.paths.stderr.name}")
        return error

    def _read_result(self) -> bytes:
        path = self.paths.result
        try:
            open_door = find_open_door(path)
            if open_door:
                raise UntrustedResult(
                    f"{path} is a pickle, and {open_door}; loading it could run anybody's code. If you trust it, run "
                    "chmod o-w on it."
                )
            return path.read_bytes()
        except FileNotFoundError:
            raise JobFailed(f"{self} ended, but what it returned or raised, {path}, has gone") from None


def job_from_folder(path: str | Path) -> QueuedJob:
    """Find a job again, from another process or another day.

    Parameters
    ----------
    path: folder of the job, its `Job.paths.folder`.

    Raises
    ------
    FileNotFoundError: there is no job in that folder.
    """
    paths = JobPaths(path)
    try:
        ticket = os.path.normpath(paths.folder / os.readlink(paths.ticket))
    except FileNotFoundError:
        raise FileNotFoundError(f"no job in {path}: it has no link {paths.ticket.name!r}") from None
    tickets, index = os.path.split(ticket)
    return QueuedJob(track(ArrayPaths(os.path.dirname(tickets))), int(index))


def _read_log(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return None
