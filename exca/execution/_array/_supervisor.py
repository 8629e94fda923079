"""The supervisor of an array: starts its workers, and says what became of the calls they did not finish.

It runs no call itself and imports nothing of the user's, so that it stays small and outlives everything it started.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import NamedTuple

from exca.liveness import Stamp

from ._crew import Crew, Departure, oom_kills
from ._layout import LOST, ArrayPaths, Queue, Spec, Verdict
from ._slots import Slot, SlotPool
from ._worker import WorkSite, drain, report_lost, update_state

__all__ = ["supervise"]

_TICK_S = 0.2  # how late a request to cancel, a time limit or a free slot may be noticed
_HEARTBEAT_S = 10.0
_GRACE_S = 5.0  # between SIGTERM and SIGKILL, and for a worker to leave when nothing is left to do
_ON_LOST_S = 60  # time limit of one call of `on_lost`
_BARREN = 3  # workers that end in a row without having taken a call: more of them would not help


def supervise(folder: str) -> int:
    """Run the array of a folder to its end; returns the exit code of the process."""
    array = ArrayPaths(folder)
    spec, queue = array.read_spec()
    if queue is None:
        raise ValueError(f"{array.spec} describes no queue: its workers are started by somebody else")
    array.sign(Stamp.current())
    supervisor = Supervisor(array, spec, queue)
    work = supervisor.run()
    if work is not None:
        return work()
    if queue.private and supervisor.is_orphaned():
        import shutil  # 2 ms that most supervisors do not need

        shutil.rmtree(folder, ignore_errors=True)
    return 0


class Running(NamedTuple):
    """A call that a worker has taken and not ended."""

    worker: str
    since: float  # when the supervisor first saw it


class Sentence(NamedTuple):
    """A call that is being made to end: as what, and when it will be killed if it does not."""

    verdict: Verdict
    kill_at: float


class Supervisor:
    """One run of an array."""

    def __init__(self, array: ArrayPaths, spec: Spec, queue: Queue) -> None:
        self.array = array
        self.spec = spec
        self.queue = queue
        self._owner = os.getppid()
        self._crew = Crew()
        self._hired = 0
        self._barren = 0
        self._taken: set[int] = set()
        self._running: dict[int, Running] = {}
        self._sentences: dict[int, Sentence] = {}
        self._stop: Verdict | None = None  # why no more calls are to be started
        self._clear = False  # the calls that are running are to end too
        self._idle_since: float | None = None
        self._next_beat = 0.0
        self._oom_kills = oom_kills()
        self._slots = SlotPool(queue.slots, queue.slot_names, queue.slots_per_worker) if queue.slots else None
        self._wake, self._wake_end = os.pipe()
        if queue.tether is not None:
            os.set_inheritable(queue.tether, False)

    def run(self) -> Callable[[], int] | None:
        """Run the array. Like `os.fork` this returns more than once: in each worker, with the work to do there."""
        self._watch_signals()
        while True:
            work = self._hire()
            if work is not None:
                return work
            if not self._crew and (self._stop or len(self._taken) >= self.spec.size):
                break
            self._wait()
            self._look()
            departures = self._crew.reap()
            if departures:
                self._look()  # at the calls they took since
                self._bury(departures)
            self._pass_sentences()
            self._carry_out_sentences()
            self._see_idlers_off()
        self._give_up_rest()
        return None

    # Workers come and go

    def _hire(self) -> Callable[[], int] | None:
        untaken = self.spec.size - len(self._taken)
        wanted = 0 if self._stop else min(self.queue.max_workers, len(self._running) + untaken)
        while len(self._crew) < wanted:
            slots = self._slots.acquire(starving=not self._crew) if self._slots else []
            if slots is None:
                break
            self._hired += 1
            name = f"{os.uname().nodename}-{os.getpid()}-{self._hired}"
            supervisor = os.getpid()
            if self._crew.fork(name, tied=self.queue.tether is not None):
                return lambda: self._work(name, supervisor, slots)
            for slot in slots:
                slot.close()  # the worker holds it now
        return None

    def _work(self, name: str, supervisor: int, slots: list[Slot]) -> int:
        """What a worker does, in its own process."""
        for descriptor in (self._wake, self._wake_end, self.queue.tether):
            if descriptor is not None:
                os.close(descriptor)
        if self._slots:
            self._slots.release()
        if self.queue.gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(slot.name for slot in slots)
        share_at = time.monotonic() + self.queue.share_after_s

        def keep_going() -> bool:
            if os.getppid() != supervisor:
                return False
            return not (self._slots and time.monotonic() > share_at and self._slots.is_wanted())

        drain(self.array, name, keep_going)
        return 0

    def _bury(self, departures: list[Departure]) -> None:
        reasons = {departure.name: self._explain(departure) for departure in departures}
        ended = {}
        for index, running in list(self._running.items()):
            if running.worker in reasons:
                sentence = self._sentences.pop(index, None)
                ended[index] = sentence.verdict if sentence else Verdict(LOST, reasons[running.worker])
                del self._running[index]
        self._pronounce(ended)
        failures = [departure for departure in departures if departure.exit_code != 0]
        self._barren = 0 if ended or len(failures) < len(departures) else self._barren + len(failures)
        if self._barren >= _BARREN:
            why = f"workers end before they take a call: {failures[-1].reason}; see {self.array.log}"
            self._stop = Verdict(LOST, why)

    def _explain(self, departure: Departure) -> str:
        if departure.exit_code == -signal.SIGKILL and oom_kills() > self._oom_kills:
            self._oom_kills = oom_kills()
            return f"{departure.reason}, probably out of memory: the kernel has just killed for memory on this machine"
        return departure.reason

    def _see_idlers_off(self) -> None:
        """A worker may be kept from leaving by threads that a call has left behind."""
        if self._running or not (self._stop or len(self._taken) >= self.spec.size):
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = time.monotonic()
        elif time.monotonic() > self._idle_since + _GRACE_S:
            self._crew.signal_all(signal.SIGKILL)

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
                self._sentences[index] = Sentence(verdict, now + _GRACE_S)
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

    def _give_up_rest(self) -> None:
        """Whatever has no verdict now will never end."""
        verdict = self._stop or Verdict(LOST, "whoever took the call has gone")
        for index in range(self.spec.size):
            self.array.take(index, "supervisor")
        left = (index for index in range(self.spec.size) if not self.array.has_ended(index))
        self._pronounce(dict.fromkeys(left, verdict))

    def _pronounce(self, verdicts: dict[int, Verdict]) -> None:
        if not verdicts:
            return
        self._tell_submitter(verdicts)
        for index, verdict in verdicts.items():
            paths = self.array.job(self.spec, index)
            try:
                update_state(paths, status=verdict.kind, reason=verdict.reason, ended=time.time())
                self.array.end(index, verdict)
            except OSError:  # a full disk: the others must go on, and readers see that this worker is dead
                traceback.print_exc()

    def _tell_submitter(self, verdicts: dict[int, Verdict]) -> None:
        """Call `on_lost` of each, in a process of its own: it imports the user's code, and might hang or crash."""
        pid = os.fork()
        if pid:
            os.waitpid(pid, 0)
            return
        try:
            for number in (signal.SIGTERM, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            signal.alarm(_ON_LOST_S)
            WorkSite(self.array, self.spec).prepare()
            for index, verdict in verdicts.items():
                report_lost(self.array.job(self.spec, index), verdict.reason)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)

    # Events

    def _watch_signals(self) -> None:
        for end in (self._wake, self._wake_end):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._wake_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the terminal may go
        signal.signal(signal.SIGTERM, lambda *_: self._end_all("the queue was stopped by SIGTERM"))

    def _end_all(self, reason: str) -> None:
        self._stop = Verdict(LOST, reason)
        self._clear = True

    def _wait(self) -> None:
        now = time.monotonic()
        if now > self._next_beat:
            self._next_beat = now + _HEARTBEAT_S
            self.array.heartbeat.touch()
        tether = self.queue.tether
        watched = [self._wake] if tether is None else [self._wake, tether]
        ready, _, _ = select.select(watched, [], [], _TICK_S)
        if self._wake in ready:
            os.read(self._wake, 4096)
        if self.is_orphaned():
            self._end_all("the process that owned the pool has ended")
            self._crew.signal_all(signal.SIGKILL)

    def is_orphaned(self) -> bool:
        """Whether the process that the queue is tethered to has ended; never, if there is none."""
        tether = self.queue.tether
        if tether is None:
            return False
        ready, _, _ = select.select([tether], [], [], 0)
        # A fork of the owner may hold the other end open; then the change of parent tells.
        return tether in ready or os.getppid() != self._owner
