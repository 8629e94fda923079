"""Asks again and again, less and less often."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

__all__ = ["pauses", "poll"]

_SHORTEST_S = 0.0003
_LONGEST_S = 0.5


def pauses() -> Iterator[float]:
    """Seconds to sleep between two questions: from 0.3 ms, a fifth longer each time, up to 0.5 s."""
    pause = _SHORTEST_S
    while True:
        yield pause
        pause = min(pause * 1.2, _LONGEST_S)


def poll(ready: Callable[[], bool], timeout: float | None) -> bool:
    """Ask until the answer is yes, at most `timeout` seconds; returns the last answer."""
    end = None if timeout is None else time.monotonic() + timeout
    for pause in pauses():
        if ready():
            return True
        if end is not None:
            pause = min(pause, end - time.monotonic())
            if pause <= 0:
                return False
        time.sleep(pause)
    raise AssertionError("pauses() never ends")
