"""Computing items in this process, beside whoever else is at them."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Final

from exca.map._claims import Claims
from exca.map._drain import Drain, enclosing_all
from exca.map._marks import Marks
from exca.map._work import Work

__all__ = ["compute_here", "compute_nested", "wait_for_others"]

_FIRST_PAUSE_S: Final = 0.002
_LAST_PAUSE_S: Final = 0.2
_LOG = logging.getLogger(__name__)


def compute_here(work: Work, claims: Claims) -> None:
    """Compute all items of some work; what others are at is waited for.

    Raises
    ------
    Exception
        what the method raised, at the first item that fails. What was stored before stays.
    """
    marks = Marks()
    drain = Drain(work, claims, marks)
    try:
        drain.run()
        while drain.elsewhere:
            drain.resume(wait_for_others(work, marks, claims, drain.elsewhere))
    except BaseException as error:
        error.add_note(f"{drain.stored} of {len(work.items)} items were stored; the next call goes on from there")
        raise
    finally:
        claims.release()


def compute_nested(work: Work, parent: Drain) -> None:
    """Compute items for the computation of other items of the same cache, inside which this code runs.

    Raises
    ------
    RecursionError
        if an item asks for itself.
    """
    waiting = enclosing_all(work.place)
    for drain in waiting:
        key = drain.asks_for(work.items)
        if key is not None:
            raise RecursionError(
                f"{work.function.__qualname__} asks for item {key!r} while it computes that very item"
            )
    Drain(work, parent.claims, Marks(), nested=True).run()
    for drain in waiting:
        drain.expect_changes()


def wait_for_others(work: Work, marks: Marks, claims: Claims, keys: Sequence[str]) -> list[str]:
    """Wait until nobody alive is at some items that are not stored, or all are.

    Returns
    -------
    list: those that are not stored; some of them may be taken now.
    """
    left, pause = list(keys), _FIRST_PAUSE_S
    told = time.monotonic()
    while left:
        others = claims.others()  # before the cache: who stores first and then lets go is seen in one of them
        left = work.open_among(left, marks)
        if any(key not in others for key in left):
            break
        if time.monotonic() - told > 30:
            told = time.monotonic()
            _LOG.info("waiting for %d items that %d other processes compute", len(left), others.count)
        time.sleep(pause)
        pause = min(pause * 1.5, _LAST_PAUSE_S)
    return left
