"""How far a sweep is: a live line on a terminal, a line now and then in a log."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Protocol

from exca.task import TaskJob

__all__ = ["Display", "follow", "progress_display"]

_LOG = logging.getLogger(__name__)
_LINE_EVERY_S: Final = 10.0
_FIRST_POLL_S: Final = 0.02
_LAST_POLL_S: Final = 1.0


class Display(Protocol):
    """Shows counts."""

    def show(self, *, running: int, done: int, failed: int) -> None:
        """Say how many points are at work, have ended well, and have failed, beside those that were cached."""


def follow(jobs: Sequence[TaskJob], display: Display, *, done: int = 0, failed: int = 0) -> None:
    """Return when all jobs have ended, keeping the display up to date.

    Parameters
    ----------
    jobs: what to wait for.
    display: what to tell.
    done, failed: counts of what has ended before.
    """
    pending = list(jobs)
    pause = _FIRST_POLL_S
    while pending:
        ended = [job for job in pending if job.done()]
        pending = [job for job in pending if job not in ended]
        for job in ended:
            bad = job.status() != "completed"
            failed, done = failed + bad, done + (not bad)
        running = sum(job.handle is None or job.handle.status() == "running" for job in pending)
        display.show(running=running, done=done, failed=failed)
        if pending:
            time.sleep(pause)
            pause = _FIRST_POLL_S if ended else min(pause * 1.5, _LAST_POLL_S)


@contextmanager
def progress_display(total: int, cached: int, *, wanted: bool) -> Iterator[Display]:
    """A display for a sweep; a terminal gets a live line, anything else a line in the log at times.

    Parameters
    ----------
    total: number of points.
    cached: how many of them need no work.
    wanted: whether to show anything but the log lines.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not wanted or not console.is_terminal or cached == total:
        yield _Lines(total, cached)
        return
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, TextColumn("left"), TimeRemainingColumn(), console=console, transient=True) as bar:
        yield _Bar(bar, total, cached)


class _Bar:
    def __init__(self, bar: object, total: int, cached: int) -> None:
        from rich.progress import Progress

        assert isinstance(bar, Progress)
        self._bar = bar
        self._cached = cached
        self._task = bar.add_task(_text(cached, 0, 0, 0), total=total, completed=cached)

    def show(self, *, running: int, done: int, failed: int) -> None:
        text = _text(self._cached, running, done, failed)
        self._bar.update(self._task, description=text, completed=self._cached + done + failed)


class _Lines:
    def __init__(self, total: int, cached: int) -> None:
        self._total = total
        self._cached = cached
        self._next = time.monotonic() + _LINE_EVERY_S

    def show(self, *, running: int, done: int, failed: int) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _LINE_EVERY_S
            _LOG.info("%d points: %s", self._total, _text(self._cached, running, done, failed))


def _text(cached: int, running: int, done: int, failed: int) -> str:
    return f"{cached} cached, {running} running, {done} done, {failed} failed"
