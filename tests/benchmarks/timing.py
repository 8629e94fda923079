"""How long a call takes; standard library only, because it runs in the environments of the peers too."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def once(function: Callable[[], object]) -> float:
    """Return the seconds of one call, for work that changes what the next call would find."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def per_call(function: Callable[[], object], *, seconds: float = 0.05, repeats: int = 5) -> float:
    """Return the seconds of one call: the median of ``repeats`` loops that each last about ``seconds``."""
    calls = 1
    while (elapsed := _loop(function, calls)) < seconds / 4:
        calls *= 4
    calls = max(1, round(calls * seconds / elapsed))
    return statistics.median(_loop(function, calls) for _ in range(repeats)) / calls


def _loop(function: Callable[[], object], calls: int) -> float:
    started = time.perf_counter()
    for _ in range(calls):
        function()
    return time.perf_counter() - started
