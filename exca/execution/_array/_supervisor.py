"""The supervisor of an array, or of all that come to a pool that is kept: see `ArrayRun` for what it does for each.

It runs no call itself and imports nothing of the user's, so that it stays small and outlives everything it started.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from exca.liveness import Stamp

from ._departures import Departure
from ._desk import Desk
from ._layout import ArrayPaths
from ._run import ArrayRun
from ._serving import redirect_output

__all__ = ["supervise"]

_TICK_S = 0.2  # how late a request to cancel, a time limit or a free slot may be noticed
_RESTS = 20  # but with thousands of arrays, no sooner than after so many times what looking at all of them took


def supervise(folder: str) -> int:
    """Run the array of a folder to its end, and those its owner sends; returns the exit code of the process."""
    _, queue = ArrayPaths(folder).read_spec()
    if queue is None:
        raise ValueError(f"{folder} describes no queue: its workers are started by somebody else")
    desk = Desk(tied=queue.tied, keep_s=queue.keep_s)
    work = Supervisor(desk).run(folder)
    if work is not None:
        return work()
    desk.close()
    return 0


class Supervisor:
    """Runs arrays at the same time, with one crew of workers."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._runs: list[ArrayRun] = []
        self._next_round = 0.0  # when to look at those too that have no worker

    def run(self, folder: str) -> Callable[[], int] | None:
        """Run arrays until no more come. Like `os.fork` this returns more than once: in each worker, with its work."""
        self._begin(folder)
        while True:
            for run in self._runs:
                work = run.hire()
                if work is not None:
                    return work
            order = self._desk.next_order() if self._runs else self._desk.wait_for_order()
            if order:
                self._begin_another(order)
            elif self._runs:
                self._desk.wait(_TICK_S)
                self._attend()
            else:
                return None

    def _begin(self, folder: str) -> None:
        array = ArrayPaths(folder)
        spec, queue = array.read_spec()
        assert queue is not None
        array.sign(Stamp.current())
        if queue.private:
            self._desk.private.append(folder)
        self._runs.append(ArrayRun(array, spec, queue, self._desk))

    def _begin_another(self, folder: str) -> None:
        with suppress(FileNotFoundError):  # removed since
            redirect_output(folder)
            self._begin(folder)

    def _attend(self) -> None:
        """Look after the arrays that are worked on, and now and then after those that wait for a worker."""
        reports = self._desk.read_reports()
        departures = self._desk.crew.reap()
        is_ending = self._desk.stopped or self._desk.is_orphaned()
        if self._desk.is_orphaned():
            self._desk.kill_crew()
        started = time.monotonic()
        is_round = is_ending or started > self._next_round
        for run in list(self._runs):
            if is_round or run.is_at_work():
                self._attend_to(run, reports, departures)
        if is_round:
            ended = time.monotonic()
            self._next_round = ended + max(_TICK_S, _RESTS * (ended - started))

    def _attend_to(self, run: ArrayRun, reports: list[str], departures: list[Departure]) -> None:
        try:
            run.attend(reports, departures)
            if run.is_over():
                self._runs.remove(run)
                # Else whoever waits for its jobs must learn from the end of this process that no more will come.
                self._desk.keep_s *= run.close()
        except FileNotFoundError:
            if run.array.folder.exists():
                raise
            run.abandon()  # others have arrays here too
            if run in self._runs:
                self._runs.remove(run)
