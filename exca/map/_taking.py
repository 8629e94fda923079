"""Taking items: a few at a time, so that whoever works at the same items gets some too.

How many is a matter of pace: what a streaming method computes in a fifth of a second, and never more than a fair
share of what is left. What has been taken and not begun goes back when the item before it takes long.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

from exca.map._claims import Claims, Others
from exca.map._marks import Marks
from exca.map._patrol import PATROL
from exca.map._work import Work

__all__ = ["Taker"]

AIM_S: Final = 0.2  # work that a streaming method takes at once
SHARED_S: Final = 0.05  # work that is not worth being shared more than once
LEAST_S: Final = 0.02  # work that is not worth being shared at all
FIRST: Final = 16  # items at first, when nothing is known of the pace
GROWTH: Final = 32  # of what is taken over what was taken before, at most: the first items may have been light ones
HOLD_S: Final = 0.5  # time after which what was not begun goes back


class Taker:
    """Takes items of some work that nobody else is at.

    Parameters
    ----------
    work: what there is to compute.
    claims: what this claimant takes, and the others' claims.
    marks: what is settled in this run.
    workers: how many share the items, as far as is known.
    nested: never wait for others: take in the end what they are at.
    streams: whether the method gets its items one by one, or a list for each call.
    """

    def __init__(self, work: Work, claims: Claims, marks: Marks, *, workers: int, nested: bool, streams: bool) -> None:
        self.elsewhere: list[str] = []  # taken by others when this looked; some may be stored by now
        self.stale = False  # a nested call may have computed what waits here
        self._work = work
        self._claims = claims
        self._marks = marks
        self._peers = self._workers = workers
        self._nested = nested
        self._streams = streams
        self._lock = threading.Lock()  # of the buffer: others may ask for it back
        self._waiting = deque(work.items)
        self._buffer: deque[str] = deque()  # claimed, not begun
        self._moved = time.monotonic()
        self._groups: deque[list[str]] = deque()
        self._share = 0
        self._begun = False  # whether this call of the method was given anything
        self._size = 0
        self._pace = (0, 0.0)

    # ------------------------------------------------------------------ for the method

    def begin(self, stored: int) -> bool:
        """Before a call of the method: whether there is anything to compute.

        Parameters
        ----------
        stored: how many items were stored so far.
        """
        with self._lock:
            self._begun = False
        if not self._buffer and self._groups:
            with self._lock:
                self._share = 0  # nothing else beside it, and nothing of it goes back
                self._buffer.extend(self._groups.popleft())
            return True
        self._share = math.ceil((len(self._waiting) + len(self._buffer)) / self._peers)
        return bool(self._buffer) or self._claim(0, stored)

    def next_key(self, owed: int, stored: int) -> str | None:
        """One item for a streaming method; None if it is to end.

        Parameters
        ----------
        owed: how many items it has taken and given no results for: one that reads ahead gets its fair share.
        stored: how many items were stored so far.
        """
        if self.stale:
            self.stale = False
            with self._lock:
                self._buffer = deque(self._work.open_among(list(self._buffer), self._marks))
        while True:
            with self._lock:
                if self._buffer:
                    self._moved = time.monotonic()
                    self._begun = True
                    return self._buffer.popleft()
            if owed >= self._share or not self._claim(owed, stored):
                return None

    def all_keys(self) -> list[str]:
        """What was taken, for a method that wants a list."""
        with self._lock:
            keys = list(self._buffer)
            self._buffer.clear()
        return keys

    def isolate(self, keys: Sequence[str]) -> None:
        """One of these fails, nobody knows which: give them in halves."""
        middle = len(keys) // 2
        self._groups.extendleft((list(keys[middle:]), list(keys[:middle])))

    def resume(self, keys: Sequence[str]) -> None:
        """Look again at items that others had taken."""
        self._waiting.extend(keys)
        self.elsewhere.clear()

    def let_go(self) -> None:
        """Give back what waits here while something else takes long; called by another thread.

        One item stays until the method has asked for its first: it may be loading a model, to no avail without any.
        """
        with self._lock:
            first = 0 if self._begun else 1
            if len(self._buffer) <= first or not self._share or time.monotonic() - self._moved < HOLD_S:
                return
            kept, keys = list(self._buffer)[:first], list(self._buffer)[first:]
            self._claims.give_back(keys)
            self._waiting.extendleft(reversed(keys))
            self._buffer = deque(kept)

    # ------------------------------------------------------------------ claiming

    def _claim(self, owed: int, stored: int) -> bool:
        """Take items that nobody has computed or is at; returns whether there are any now."""
        if self._waiting and self._claim_some(owed, stored, ignore_others=False):
            return True
        if not self._nested or not self.elsewhere:
            return False
        self._waiting.extend(self.elsewhere)
        self.elsewhere.clear()
        return self._claim_some(owed, stored, ignore_others=True)

    def _claim_some(self, owed: int, stored: int, *, ignore_others: bool) -> bool:
        if self._peers > 1:
            self._work.cache.refresh()  # most of what others have stored is read while nobody waits for it
        with self._claims.turn():
            others = self._claims.others()  # before the cache: who stores, then lets go, is seen in one of them
            self._peers = max(self._workers, others.count + 1)
            wanted = self._wanted(owed, stored)
            picked = self._pick(wanted, None if ignore_others else others, others.abandoned)
            if picked:
                self._claims.take(picked)
        with self._lock:
            self._buffer.extend(picked)
            self._moved = time.monotonic()
        self._pace = (stored, self._moved)  # from here on: waiting for a turn says nothing about the method
        if self._streams and len(picked) > 1:
            PATROL.watch(self)
        return bool(picked)

    def _pick(self, wanted: int, others: Others | None, abandoned: frozenset[str]) -> list[str]:
        """Some of the items that wait; those that others are at are set aside."""
        waiting = self._waiting
        picked: list[str] = []
        last: list[str] = []
        size = wanted
        while waiting and len(picked) < wanted:
            block = [waiting.popleft() for _ in range(min(len(waiting), size))]
            size *= 4  # where others have been, there may be nothing left for long
            free = self._set_aside(block, others)
            if not free:
                continue
            left = self._work.open_among(free, self._marks)
            if not abandoned.isdisjoint(left):
                last += [key for key in left if key in abandoned]  # it may have been the end of who was at it
                left = [key for key in left if key not in abandoned]
            room = wanted - len(picked)
            picked += left[:room]
            waiting.extendleft(reversed(left[room:]))
        if last and not picked:
            picked, last = last[:wanted], last[wanted:]
        waiting.extend(last)
        return picked

    def _set_aside(self, keys: list[str], others: Others | None) -> list[str]:
        """Those keys that others are not at; the rest is looked up later, be it stored or not."""
        free = keys if others is None else others.without(keys)
        if len(free) < len(keys):
            known = frozenset(free)
            self.elsewhere += [key for key in keys if key not in known]
        return free

    def _wanted(self, owed: int, stored: int) -> int:
        """How many items to take now."""
        share = math.ceil(len(self._waiting) / self._peers)
        if not self._streams:
            return max(1, share)
        before, since = self._pace
        fair = share if self._peers == 1 else share // 2  # what others take in the meantime is theirs
        most, least = self._size * GROWTH, 1
        if not most:
            self._size = FIRST
        elif stored > before:
            pace = (stored - before) / max(time.monotonic() - since, 1e-6)
            self._size = min(most, int(pace * AIM_S))
            least = min(most, max(int(pace * LEAST_S), min(int(pace * SHARED_S), share)))
        elif owed:  # the method reads ahead: nothing is known of its pace
            self._size = most
        self._size = max(1, min(max(least, min(self._size, fair)), self._share - owed))
        return self._size
