"""Computing items of a map until none is left to take: what every worker does, and the caller without a cluster.

The method is called with items that were claimed just then. One that takes a stream is given more for as long as there
are some, so that it is started once; every other one is given a list, its fair share of what is left.
"""

from __future__ import annotations

import contextvars
from collections import deque
from collections.abc import Container, Iterator, Sequence
from typing import Any, Final

from exca.errors import ResultNotStored, WrongNumberOfResults
from exca.map._calling import results_of, wants_stream
from exca.map._claims import Claims
from exca.map._marks import Marks
from exca.map._patrol import PATROL
from exca.map._taking import Taker
from exca.map._work import Work

__all__ = ["Drain", "enclosing", "enclosing_all"]

GIVE_UP_AFTER: Final = 5  # failing items in a row

_ACTIVE: contextvars.ContextVar[tuple[Drain, ...]] = contextvars.ContextVar("exca_map_drains", default=())


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
        self.error: Exception | None = None
        self.stored = 0
        self._marks = marks
        self._tolerant = tolerant
        self._streams = wants_stream(work.function)
        self._taker = Taker(work, claims, marks, workers=workers, nested=nested, streams=self._streams)
        self._out: deque[str] = deque()  # given to the method, which owes their results
        self._doubtful: list[str] = []  # stored since the method last owed nothing
        self._taken = 0
        self._asked = False  # for items, in this call
        self._in_a_row = 0

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
                while not self._marks.stopped and self._taker.begin(self.stored):
                    self._call()
        finally:
            PATROL.forget(self._taker)
            _ACTIVE.reset(token)

    @property
    def elsewhere(self) -> list[str]:
        """What others had taken when this looked."""
        return self._taker.elsewhere

    def resume(self, keys: Sequence[str]) -> None:
        """Look again at items that others had taken."""
        self._taker.resume(keys)
        self.run()

    def expect_changes(self) -> None:
        """A nested call has computed items that may wait here."""
        self._taker.stale = True

    def asks_for(self, keys: Container[str]) -> str | None:
        """The item of these that is being computed right now, and cannot be waited for."""
        return self._out[0] if len(self._out) == 1 and self._out[0] in keys else None

    def _call(self) -> None:
        work = self.work
        self._taken = 0
        self._asked = False
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
        except BaseException as error:  # sys.exit() of the method, or Ctrl-C
            self._name(error, list(self._out))
            raise

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
                self.work.renewed.add(key)
            self.stored += 1
            self._in_a_row = 0
            advance(1)
        if out:
            raise self._wrong_number("fewer results than it took items", self._taken - len(out))
        if not self._taken and not self._asked:  # who asked and got none was late: others are at them
            raise WrongNumberOfResults(f"{self.work.function.__qualname__} ended without taking any of its items")

    # ------------------------------------------------------------------ what the method is given

    def _stream(self) -> Iterator[Any]:
        items = self.work.items
        self._asked = True
        while not self._marks.stopped and (key := self._taker.next_key(len(self._out), self.stored)) is not None:
            self._hand_out(key)
            yield items[key]

    def _batch(self) -> list[Any]:
        keys = self._taker.all_keys()
        for key in keys:
            self._hand_out(key)
        return [self.work.items[key] for key in keys]

    def _hand_out(self, key: str) -> None:
        if not self._out:
            self._doubtful.clear()  # each result so far belongs to its item for sure
        self._out.append(key)
        self._taken += 1

    # ------------------------------------------------------------------ what goes wrong

    def _failed(self, error: Exception) -> None:
        keys = list(self._out)
        self._out.clear()
        if self.error is None:
            self.error = error
        # A disk that takes nothing is not the item's fault: all others would be computed in vain.
        no_room = isinstance(error, ResultNotStored) and isinstance(error.__cause__, OSError)
        if no_room or not self._tolerant or not self._taken:
            self._name(error, keys)
            raise error
        if len(keys) > 1:
            self._taker.isolate(keys)
            return
        self._name(error, keys)
        self._marks.add("failed", keys)
        self._in_a_row += 1
        if self._in_a_row >= GIVE_UP_AFTER:
            error.add_note(f"this worker gave up after {GIVE_UP_AFTER} failing items in a row")
            raise error

    def _name(self, error: BaseException, keys: Sequence[str]) -> None:
        if keys:
            which = f"item {keys[0]!r}" if len(keys) == 1 else f"one of {len(keys)} items, {keys[0]!r} to {keys[-1]!r}"
            error.add_note(f"while {self.work.function.__qualname__} was computing {which}")

    def _wrong_number(self, what: str, got: int) -> WrongNumberOfResults:
        keys = [*self._doubtful, *self._out]
        shown = ", ".join(map(repr, keys[:5])) + (", ..." if len(keys) > 5 else "")
        return WrongNumberOfResults(
            f"{self.work.function.__qualname__} gave {what}: {got} for {self._taken}. It must take its items from "
            "what it is given, and yield one result for each, in order. "
            + (f"Which result belongs to which of these items is not known, so none is kept: {shown}" if keys else "")
        )

    def _give_back(self) -> None:
        """Remove what was stored under a name that may not be its own."""
        for key in self._doubtful:
            self.work.cache.pop(key, None)
        self.stored -= len(self._doubtful)
        self._doubtful.clear()
        self._out.clear()
