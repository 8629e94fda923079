"""Runs calls in this process, at once."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence

from exca.errors import JobFailed
from exca.execution._call import Call
from exca.execution._job import Announce, Job, JobStatus

__all__ = ["InlineExecutor", "InlineJob"]

_numbers = itertools.count()


class InlineJob:
    """A call that has been run in this process."""

    # docstrings of the methods inherited from `Job`

    __slots__ = ("_error", "_number", "_value")
    paths = None

    def __init__(self, call: Call) -> None:
        self._number = next(_numbers)
        self._value: object = None
        self._error: BaseException | None = None
        try:
            self._value = call.function(*call.arguments())
        except Exception as error:
            self._error = error
        except SystemExit as error:
            self._error = JobFailed(f"{call.name} left with SystemExit({error.code!r}); its siblings go on")
            self._error.__cause__ = error

    @property
    def job_id(self) -> str:
        return f"inline-{os.uname().nodename}-{os.getpid()}-{self._number}"

    def status(self) -> JobStatus:
        return "failed" if self._error else "completed"

    def done(self) -> bool:
        return True

    def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002 - there is nothing to wait for
        return True

    def result(self) -> object:
        if self._error is not None:
            raise self._error
        return self._value

    def results(self) -> list[object]:
        return [self.result()]

    def exception(self) -> BaseException | None:
        return self._error

    def cancel(self) -> None:
        """It has ended."""

    def stdout(self) -> str | None:
        return None

    def stderr(self) -> str | None:
        return None

    def __repr__(self) -> str:
        return f"InlineJob({self.job_id!r}, {self.status()})"


class InlineExecutor:
    """Runs calls in this process, in order, at `submit`.

    Parameters
    ----------
    debug: let exceptions through, from inside `submit`, so that a debugger stops in the user's own frame.
    """

    def __init__(self, *, debug: bool = False) -> None:
        self._debug = debug

    def submit(self, calls: Sequence[Call], announce: Announce | None = None) -> list[Job]:  # noqa: ARG002
        jobs: list[Job] = []
        for call in calls:
            job = InlineJob(call)
            if self._debug:
                job.result()
            jobs.append(job)
        return jobs
