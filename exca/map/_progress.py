"""How far a map is: one live line on a terminal, a line now and then in a log."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

__all__ = ["progress_of"]

_AFTER_S: Final = 1.0  # shorter work needs no bar
_LINE_EVERY_S: Final = 30.0
_REDRAW_S: Final = 0.1
_LOG = logging.getLogger(__name__)


@contextlib.contextmanager
def progress_of(what: str, total: int, cached: int) -> Iterator[Callable[[int], None]]:
    """Show how far some work is.

    Parameters
    ----------
    what: the method.
    total: items to compute.
    cached: items that were asked for and needed no work.

    Yields
    ------
    advance: to be called with the number of items that were done.
    """
    progress = _Progress(what, total, cached)
    try:
        yield progress.advance
    finally:
        progress.close()


class _Progress:
    def __init__(self, what: str, total: int, cached: int) -> None:
        self._what, self._total, self._cached = what, total, cached
        self._done = 0
        self._began = time.monotonic()
        self._next = self._began + _AFTER_S
        self._bar: Any = None
        self._terminal = sys.stderr is not None and sys.stderr.isatty()

    def advance(self, count: int) -> None:
        """Some more items are done."""
        self._done += count
        now = time.monotonic()
        if now > self._next:
            self._next = now + self._show(now)

    def _show(self, now: float) -> float:
        """Show where it stands, and return the time until the next look, in seconds."""
        rate = self._done / (now - self._began)
        if self._terminal:
            if self._bar is None:
                self._start_bar()
            self._bar.update(0, completed=self._done, rate=f"{rate:.3g}/s")
            return _REDRAW_S
        if now - self._began > _LINE_EVERY_S:
            left = (self._total - self._done) / rate
            _LOG.info("%s: %d of %d items, %.3g items/s, %.0f s left", self._what, self._done, self._total, rate, left)
        return _LINE_EVERY_S

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _start_bar(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        cached = f" ({self._cached} cached)" if self._cached else ""
        self._bar.start()
        self._bar.add_task(f"{self._what}{cached}", total=self._total, rate="")
