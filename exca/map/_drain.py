"""Computing items of a map until none is left to take: what every worker does, and the caller without a cluster.

The method is called with items that were claimed just then. One that takes a stream is given more for as long as there
are some, so that it is started once; every other one is given a list, its fair share of what is left.
"""

from __future__ import annotations

import contextvars
import math
import time
from collections import deque
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from exca.cachedict import CacheDict
from exca.errors import WrongNumberOfResults
from exca.map._calling import results_of, wants_stream
from exca.map._claims import Claims
from exca.map._marks import Marks

__all__ = ["Drain", "Work", "enclosing", "enclosing_all"]

AIM_S: Final = 0.2  # work that a streaming method claims at once
GROWTH: Final = 8  # of a claim over the one before, until the pace is known
LOOK_AHEAD: Final = 256  # keys whose state is looked up together
GIVE_UP_AFTER: Final = 5  # failing items in a row

_ACTIVE: contextvars.ContextVar[tuple[Drain, ...]] = contextvars.ContextVar("exca_map_drains", default=())


@dataclass(frozen=True, slots=True)
class Work:
    """What there is to compute, and where results go.

    Attributes
    ----------
    place: names where the results of this map are; equal for all calls that share them.
    home: folder of the results and claims of this call; None: RAM.
    function: the user's method; called with the config and the items.
    items: key to item.
    force: whether what is stored is computed all the same.
    advance: told the number of items that were stored.
    """

    place: object
    home: str | None
    config: object
    function: Callable[..., Any]
    items: Mapping[str, Any]
    cache: CacheDict[Any]
    force: bool = False
    advance: Callable[[int], object] = int

    def open_among(self, keys: Sequence[str], marks: Marks) -> list[str]:
        """Of these, what is to be computed, by whomever."""
        marks.refresh()
        keys = marks.open_among(keys)
        return keys if self.force else self.cache.missing(keys)


def enclosing(place: object) -> Drain | None:
    """The computation of items of that map inside which this code runs, in this thread."""
    found = enclosing_all(place)
    return found[-1] if found else None


def enclosing_all(place: object) -> list[Drain]:
    """The computations of items of that map that wait for this code, the innermost last."""
    return [drain for drain in _ACTIVE.get() if drain.work.place == place]


class Drain:
    """Takes items and computes them, until none is left that nobody else is at.

    Parameters
    ----------
    work: what there is to compute.
    claims: what this claimant takes, and the others' claims.
    marks: what is settled in this run.
    workers: how many drain these items, as far as is known.
    tolerant: whether to go on with other items after one has failed.
    nested: whether a computation of items of the same cache waits for this one: then it never waits for others.
    """

    def __init__(
        self,
        work: Work,
        claims: Claims,
        marks: Marks,
        *,
        workers: int = 1,
        tolerant: bool = False,
        nested: bool = False,
    ) -> None:
        self.work = work
        self.claims = claims
        self.elsewhere: list[str] = []  # taken by others when this looked
        self.error: Exception | None = None
        self.stored = 0
        self.stale = False  # a nested call may have computed what waits in the buffer
        self._marks = marks
        self._peers = self._workers = workers
        self._tolerant = tolerant
        self._nested = nested
        self._streams = wants_stream(work.function)
        self._waiting = deque(work.items)
        self._buffer: deque[str] = deque()  # claimed
        self._out: deque[str] = deque()  # given to the method, which owes their results
        self._doubtful: list[str] = []  # stored since the method last owed nothing
        self._groups: deque[list[str]] = deque()  # in each of them something failed
        self._share = 0
        self._size = 0
        self._in_a_row = 0
        self._taken = 0
        self._pace = (0, 0.0)

    # ------------------------------------------------------------------ rounds

    def run(self) -> None:
        """Compute until there is nothing left to take.

        Raises
        ------
        Exception
            what the method raised; if tolerant, only when too much failed in a row. `error` holds the first one.
        WrongNumberOfResults
            if results and items do not match; what cannot be told apart any more is not kept.
        """
        token = _ACTIVE.set((*_ACTIVE.get(), self))
        try:
            with self.work.cache.write():
                while self._next_round():
                    self._call()
        finally:
            _ACTIVE.reset(token)

    def resume(self, keys: Sequence[str]) -> None:
        """Look again at items that others had taken."""
        self._waiting.extend(keys)
        self.elsewhere.clear()
        self.run()

    def asks_for(self, keys: Container[str]) -> str | None:
        """The item of these that is being computed right now, and cannot be waited for."""
        return self._out[0] if len(self._out) == 1 and self._out[0] in keys else None

    def _next_round(self) -> bool:
        self._taken, self._share = 0, math.ceil((len(self._waiting) + len(self._buffer)) / self._peers)
        if not self._buffer and self._groups:
            self._buffer.extend(self._groups.popleft())
            self._share = 0  # nothing else beside it
            return True
        return bool(self._buffer) or self._claim()

    def _call(self) -> None:
        work = self.work
        self._doubtful.clear()
        try:
            items = self._stream() if self._streams else self._batch()
            results = results_of(work.function, work.config, items)
            try:
                self._collect(results)
            finally:
                close = getattr(results, "close", None)
                if close is not None:
                    close()
        except WrongNumberOfResults:
            self._give_back()
            raise
        except Exception as error:
            self._failed(error)

    def _collect(self, results: Iterator[Any]) -> None:
        cache, out, doubtful, advance = self.work.cache, self._out, self._doubtful, self.work.advance
        for result in results:
            if not out:
                raise self._wrong_number("more results than it took items", self._taken + 1)
            key = out[0]
            cache[key] = result
            out.popleft()
            doubtful.append(key)
            if self.work.force:
                self._marks.add("renewed", (key,))
            self.stored += 1
            self._in_a_row = 0
            advance(1)
        if out:
            raise self._wrong_number("fewer results than it took items", self._taken - len(out))
        if not self._taken:
            raise WrongNumberOfResults(f"{self.work.function.__qualname__} ended without taking any of its items")

    # ------------------------------------------------------------------ what the method is given

    def _stream(self) -> Iterator[Any]:
        items = self.work.items
        while (key := self._next_key()) is not None:
            self._hand_out(key)
            yield items[key]

    def _batch(self) -> list[Any]:
        keys = list(self._buffer)
        self._buffer.clear()
        for key in keys:
            self._hand_out(key)
        return [self.work.items[key] for key in keys]

    def _hand_out(self, key: str) -> None:
        if not self._out:
            self._doubtful.clear()  # each result so far belongs to its item for sure
        self._out.append(key)
        self._taken += 1

    def _next_key(self) -> str | None:
        if self.stale:
            self.stale = False
            self._buffer = deque(self.work.open_among(list(self._buffer), self._marks))
        if not self._buffer and (len(self._out) >= self._share or not self._claim()):
            return None
        return self._buffer.popleft()

    # ------------------------------------------------------------------ claiming

    def _claim(self) -> bool:
        """Take items that nobody has computed or is at; returns whether there are any in the buffer now."""
        if self._nested and not self._waiting:
            self._waiting.extend(self.elsewhere)
            self.elsewhere.clear()
            return self._claim_from(ignore_others=True)
        return self._claim_from(ignore_others=False) or (self._nested and bool(self.elsewhere) and self._claim())

    def _claim_from(self, *, ignore_others: bool) -> bool:
        if not self._waiting:
            return False
        with self.claims.turn():
            others = self.claims.others()  # before the cache: who stores first and then lets go is seen in one of them
            self._peers = max(self._workers, others.count + 1)
            wanted = self._wanted()
            self._pick(wanted, () if ignore_others else others, others.abandoned)
            if self._buffer:
                self.claims.take(self._buffer)
        return bool(self._buffer)

    def _pick(self, wanted: int, taken: Container[str], abandoned: Container[str]) -> None:
        """Move items from those that wait to the buffer."""
        waiting, buffer, last = self._waiting, self._buffer, list[str]()
        while waiting and len(buffer) < wanted:
            block = [waiting.popleft() for _ in range(min(len(waiting), max(wanted, LOOK_AHEAD)))]
            rest: list[str] = []
            for key in self.work.open_among(block, self._marks):
                if key in taken:
                    self.elsewhere.append(key)
                elif key in abandoned:
                    last.append(key)  # it may have been the end of who was at it
                else:
                    (buffer if len(buffer) < wanted else rest).append(key)
            waiting.extendleft(reversed(rest))
        waiting.extend(last)
        if last and not buffer:
            buffer.extend(waiting.popleft() for _ in range(min(len(waiting), wanted)))

    def _wanted(self) -> int:
        """How many items to take now."""
        share = math.ceil(len(self._waiting) / self._peers)
        if not self._streams:
            return max(1, share)
        now = time.monotonic()
        stored, since = self._pace
        self._pace = (self.stored, now)
        grown = self._size * GROWTH
        if self.stored > stored:
            self._size = min(grown, int((self.stored - stored) * AIM_S / max(now - since, 1e-6)))
        elif self._out:  # the method reads ahead: nothing is known of its pace
            self._size = grown
        fair = share if self._peers == 1 else share // 2  # what others take in the meantime is theirs
        self._size = max(1, min(self._size, fair, self._share - len(self._out)))
        return self._size

    # ------------------------------------------------------------------ what goes wrong

    def _failed(self, error: Exception) -> None:
        keys = list(self._out)
        self._out.clear()
        if self.error is None:
            self.error = error
        if not self._tolerant or not self._taken:
            self._name(error, keys)
            raise error
        if len(keys) > 1:  # halves, and again, until it is known which one it is
            middle = len(keys) // 2
            self._groups.extendleft((keys[middle:], keys[:middle]))
            return
        self._name(error, keys)
        self._marks.add("failed", keys)
        self._in_a_row += 1
        if self._in_a_row >= GIVE_UP_AFTER:
            error.add_note(f"this worker gave up after {GIVE_UP_AFTER} failing items in a row")
            raise error

    def _name(self, error: Exception, keys: Sequence[str]) -> None:
        if keys:
            which = f"item {keys[0]!r}" if len(keys) == 1 else f"one of {len(keys)} items, {keys[0]!r} to {keys[-1]!r}"
            error.add_note(f"while {self.work.function.__qualname__} was computing {which}")

    def _wrong_number(self, what: str, got: int) -> WrongNumberOfResults:
        keys = [*self._doubtful, *self._out]
        shown = ", ".join(map(repr, keys[:5])) + (", ..." if len(keys) > 5 else "")
        return WrongNumberOfResults(
            f"{self.work.function.__qualname__} gave {what}: {got} for {self._taken}. It must yield one result "
            "for each item, in order. Which result belongs to which of these items is not known, so none of them is "
            f"kept: {shown}"
        )

    def _give_back(self) -> None:
        """Remove what was stored under a name that may not be its own."""
        for key in self._doubtful:
            self.work.cache.pop(key, None)
        self.stored -= len(self._doubtful)
        self._doubtful.clear()
        self._out.clear()
