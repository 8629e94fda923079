"""The run of one array: its workers, and what becomes of the calls they do not finish."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import NamedTuple

from ._crew import Post
from ._departures import BARREN, GRACE_S, Departure, OomWatch
from ._desk import Desk
from ._layout import LOST, ArrayPaths, Queue, Spec, Verdict
from ._losses import pronounce
from ._serving import serve
from ._slots import Slot, SlotPool, lend

__all__ = ["ArrayRun"]

_HEARTBEAT_S = 10.0


class Running(NamedTuple):
    """A call that a worker has taken and not ended."""

    worker: str
    since: float  # when the supervisor first saw it


class Sentence(NamedTuple):
    """A call that is being made to end: as what, and when it will be killed if it does not."""

    verdict: Verdict
    kill_at: float


class ArrayRun:
    """The run of one array by its supervisor.

    Parameters
    ----------
    desk: what the supervisor has for all its arrays.
    """

    def __init__(self, array: ArrayPaths, spec: Spec, queue: Queue, desk: Desk) -> None:
        self.array = array
        self.spec = spec
        self.queue = queue
        self._desk = desk
        self._crew = desk.crew
        self._keeps_crew = queue.keep_s > 0
        self._engaged: set[str] = set()  # workers that drain this array
        self._barren = 0
        self._taken: set[int] = set()
        self._running: dict[int, Running] = {}
        self._sentences: dict[int, Sentence] = {}
        self._stop: Verdict | None = None  # why no more calls are to be started
        self._clear = False  # the calls that are running are to end too
        self._idle_since: float | None = None
        self._next_beat = 0.0
        self._memory = OomWatch()
        self._slots = (
            SlotPool(queue.slots, queue.slot_names, queue.slots_per_worker, queue.lent_slots) if queue.slots else None
        )

    def is_at_work(self) -> bool:
        """Whether a worker is at it; else nothing happens but what its readers ask for."""
        return bool(self._engaged) or not self._keeps_crew

    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        left = self._engaged if self._keeps_crew else self._crew
        return self._is_spent() and not left

    def attend(self, reports: list[str], departures: list[Departure]) -> None:
        """See what has happened since the last time, and do something about it.

        Parameters
        ----------
        reports: workers that say that they have drained their array; of whichever array.
        departures: workers that have ended; of whichever array.
        """
        self._look()
        self._engaged.difference_update(reports)
        self._bury([departure for departure in departures if departure.name in self._engaged])
        if self._desk.stopped:
            self._end_all("the queue was stopped by SIGTERM")
        if self._desk.is_orphaned():
            self._end_all("the process that owned the pool has ended")
        self._pass_sentences()
        self._carry_out_sentences()
        self._see_idlers_off()
        self._show_life()

    def close(self) -> bool:
        """Whatever has no verdict now will never end; returns whether even that could be said."""
        verdict = self._stop or Verdict(LOST, "whoever took the call has gone")
        untaken = [index for index in range(self.spec.size) if index not in self._taken]
        for index in untaken:
            self.array.take(index, "supervisor")
        left = [index for index in (*untaken, *self._running) if not self.array.has_ended(index)]
        self._pronounce(dict.fromkeys(left, verdict))
        return self.array.finish()

    def abandon(self) -> None:
        """Its folder has gone."""
        for name in self._engaged:
            self._crew.signal(name, signal.SIGKILL)

    def _is_spent(self) -> bool:
        """Whether no call is left to start."""
        return self._stop is not None or len(self._taken) >= self.spec.size

    def _end_all(self, reason: str) -> None:
        if self._stop is None:
            self._stop = Verdict(LOST, reason)
        self._clear = True

    def _show_life(self) -> None:
        now = time.monotonic()
        if now > self._next_beat:
            self._next_beat = now + _HEARTBEAT_S
            self.array.heartbeat.touch()

    # Workers come and go

    def hire(self) -> Callable[[], int] | None:
        """Put as many workers to work as there are calls for, within the bound.

        Like `os.fork` this returns more than once: in each new worker, with the work to do there.
        """
        untaken = self.spec.size - len(self._taken)
        wanted = 0 if self._stop else len(self._running) + untaken
        while len(self._engaged) < wanted and self._crew.count_engaged() < self.queue.max_workers:
            name = self._crew.engage_idle(str(self.array.folder))
            if name is not None:
                self._engaged.add(name)
                continue
            slots = self._slots.acquire(starving=not self._crew) if self._slots else []
            if slots is None:
                break
            name = self._desk.next_name()
            self._engaged.add(name)
            post = self._crew.fork(name, tied=self.queue.tied)
            if post is not None:
                return self._prepare_work(post, slots)
            for slot in slots:
                slot.close()  # the worker holds it now
        return None

    def _prepare_work(self, post: Post, slots: list[Slot]) -> Callable[[], int]:
        """What a worker does, in its own process."""
        supervisor = os.getppid()
        self._desk.leave_to_supervisor()
        if self._slots:
            self._slots.release()
        if self.queue.slots:
            lend(self.queue.slots, slots)
        if self.queue.gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(slot.resource for slot in slots)
        share_at = time.monotonic() + self.queue.share_after_s

        def keep_going() -> bool:
            if os.getppid() != supervisor:
                return False
            return not (self._slots and time.monotonic() > share_at and self._slots.is_wanted())

        return lambda: serve(self.array, post, keep_going)

    def _bury(self, departures: list[Departure]) -> None:
        if not departures:
            return
        reasons = {departure.name: self._memory.explain(departure) for departure in departures}
        ended = {}
        for index, running in list(self._running.items()):
            if running.worker in reasons:
                sentence = self._sentences.pop(index, None)
                ended[index] = sentence.verdict if sentence else Verdict(LOST, reasons[running.worker])
                del self._running[index]
        self._pronounce(ended)
        failures = [departure for departure in departures if departure.exit_code != 0]
        self._barren = 0 if ended or len(failures) < len(departures) else self._barren + len(failures)
        if self._barren >= BARREN:
            why = f"workers end before they take a call: {failures[-1].reason}; see {self.array.log}"
            self._stop = Verdict(LOST, why)
        self._engaged -= reasons.keys()

    def _see_idlers_off(self) -> None:
        """A worker may be kept from leaving by threads that a call has left behind."""
        if self._running or not self._is_spent():
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = time.monotonic()
        elif time.monotonic() > self._idle_since + GRACE_S:
            for name in self._engaged if self._keeps_crew else self._crew.names():
                self._crew.signal(name, signal.SIGKILL)

    # What the calls are doing

    def _look(self) -> None:
        """Learn from the tickets and verdicts what is running."""
        now = time.monotonic()
        for name in os.listdir(self.array.tickets):
            index = int(name)
            if index not in self._taken:
                self._taken.add(index)
                self._running[index] = Running(self.array.owner(index) or "", now)
        for index in [index for index in self._running if self.array.has_ended(index)]:
            del self._running[index]
            self._sentences.pop(index, None)

    def _pass_sentences(self) -> None:
        """Find the calls that must end: asked for, out of time, or all of them."""
        asked = {int(name) for name in os.listdir(self.array.sentences)}
        limit = self.queue.timeout_s
        now = time.monotonic()
        for index, running in self._running.items():
            if index in self._sentences:
                continue
            verdict = self.array.sentence_of(index) if index in asked else None
            if self._stop and self._clear:
                verdict = self._stop
            elif limit is not None and now - running.since > limit:
                verdict = Verdict(LOST, f"timed out after {limit / 60:g} min (timeout_min)")
            if verdict:
                self.array.sentence(index, verdict)
                self._sentences[index] = Sentence(verdict, now + GRACE_S)
                self._strike(index, signal.SIGTERM)

    def _carry_out_sentences(self) -> None:
        for index, sentence in self._sentences.items():
            if time.monotonic() > sentence.kill_at:
                self._strike(index, signal.SIGKILL)

    def _strike(self, index: int, number: int) -> None:
        """Send a signal to the worker that runs a call, unless it is past that call."""
        worker = self._running[index].worker
        if worker not in self._crew:
            return
        self._crew.pause(worker)
        try:
            if not self.array.has_ended(index):
                self._crew.signal(worker, number)
        finally:
            self._crew.resume(worker)

    # What is said about calls that did not end by themselves

    def _pronounce(self, verdicts: dict[int, Verdict]) -> None:
        pronounce(self.array, self.spec, verdicts, (signal.SIGTERM, signal.SIGCHLD))
