"""Runs calls in threads of this process."""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor

from exca.errors import JobCancelled, JobFailed
from exca.execution._call import Call
from exca.execution._job import Announce, Job, JobStatus

__all__ = ["ThreadExecutor", "ThreadJob"]


class ThreadJob:
    """A call in a thread of this process."""

    # docstrings of the methods inherited from `Job`

    paths = None

    def __init__(self, job_id: str, future: Future[object]) -> None:
        self.job_id = job_id
        self._future = future

    def status(self) -> JobStatus:
        if self._future.running():
            return "running"
        if not self._future.done():
            return "pending"
        return "completed" if self.exception() is None else "failed"

    def done(self) -> bool:
        return self._future.done()

    def wait(self, timeout: float | None = None) -> bool:
        # Not `concurrent.futures.wait`: to it a cancelled call has ended only when a thread has come across it.
        try:
            self._future.exception(timeout)
        except CancelledError:
            return True
        except TimeoutError:
            return self._future.done()
        return True

    def result(self) -> object:
        error = self.exception()
        if error is not None:
            raise error
        return self._future.result()

    def results(self) -> list[object]:
        return [self.result()]

    def exception(self) -> BaseException | None:
        try:
            error = self._future.exception()
        except CancelledError:
            return JobCancelled(f"job {self.job_id} was cancelled before it started")
        if error is None or isinstance(error, Exception):
            return error
        failure = JobFailed(f"job {self.job_id} left with {error!r}; its siblings go on")
        failure.__cause__ = error
        return failure

    def cancel(self) -> None:
        """Never started if it is pending; a thread that runs cannot be stopped, and goes on."""
        self._future.cancel()

    def stdout(self) -> str | None:
        return None

    def stderr(self) -> str | None:
        return None

    def __repr__(self) -> str:
        return f"ThreadJob({self.job_id!r}, {self.status()})"


class ThreadExecutor:
    """Runs calls in threads of this process.

    Parameters
    ----------
    max_workers: threads alive at once, over all calls submitted here.
    """

    def __init__(self, max_workers: int) -> None:
        self._max_workers = max_workers
        self._pool: ThreadPoolExecutor | None = None

    def submit(self, calls: Sequence[Call], announce: Announce | None = None) -> list[Job]:  # noqa: ARG002
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._max_workers, thread_name_prefix="exca")
        array = f"thread-{os.uname().nodename}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        return [ThreadJob(f"{array}_{i}", self._pool.submit(call.run)) for i, call in enumerate(calls)]
