"""Waits for many jobs at once."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from exca.execution._job import Job
from exca.execution._polling import pauses

__all__ = ["as_completed", "wait_all"]

_RESTS = 5  # asking after ten thousand jobs takes a while: rest this many times as long


def as_completed(jobs: Iterable[Job], timeout: float | None = None) -> Iterator[Job]:
    """Yield jobs as they end, whichever end first.

    Parameters
    ----------
    timeout: seconds in all; None: no limit.

    Raises
    ------
    TimeoutError: some have not ended in time; those that have were yielded.
    KeyboardInterrupt: with a note that says which jobs go on, and how to find them again.

    Examples
    --------
    >>> for job in as_completed(executor.submit(calls)):  # doctest: +SKIP
    ...     print(job.job_id, job.status())
    """
    left = list(jobs)
    end = None if timeout is None else time.monotonic() + timeout
    pause = pauses()
    try:
        while left:
            asked_at = time.monotonic()
            ended = [job.done() for job in left]
            cost_s = time.monotonic() - asked_at
            yield from (job for job, done in zip(left, ended, strict=True) if done)
            left = [job for job, done in zip(left, ended, strict=True) if not done]
            if any(ended):
                pause = pauses()
            if left and end is not None and time.monotonic() >= end:
                raise TimeoutError(f"{len(left)} jobs have not ended after {timeout:g} s: {_name(left)}")
            if left:
                time.sleep(max(next(pause), _RESTS * cost_s))
    except KeyboardInterrupt as interrupt:
        interrupt.add_note(f"{len(left)} jobs were not waited for: {_name(left)}")
        raise


def wait_all(jobs: Iterable[Job], timeout: float | None = None) -> bool:
    """Wait until all jobs have ended, at most `timeout` seconds; returns whether they have."""
    try:
        for _ in as_completed(jobs, timeout):
            pass
    except TimeoutError:
        return False
    return True


def _name(jobs: list[Job], most: int = 3) -> str:
    paths = [str(job.paths.folder) if job.paths else job.job_id for job in jobs[:most]]
    return ", ".join(paths) + (", ..." if len(jobs) > most else "") + " (job_from_folder finds them again)"
