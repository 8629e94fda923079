"""The agent: on the node, a process that a scheduler has started looks after one worker of an array.

The calls run in a child, so that a call which takes its process down (a crash in C code, the kernel's OOM killer) is
given a verdict with the reason at once, by a process that is still there, and the worker that comes next goes on with
the array. The agent also listens to the scheduler: before the end of its time it has the call save its state and asks
to be started again.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import NamedTuple

from ._agent_worker import LEFT, Worker
from ._departures import BARREN, GRACE_S, Departure, OomWatch
from ._layout import COMPLETED, LOST, ArrayPaths, Verdict
from ._libc import adopt_orphans, die_with_parent
from ._losses import pronounce
from ._schedule import Posting, timeouts_of, worker_name

__all__ = ["Agent"]

_TICK_S = 0.5  # how late a request to cancel may be noticed
_EARLY_S = 60.0  # a scheduler's warning signal comes up to so much before its time (sbatch(1), --signal)
_LATE_S = 30.0  # and its limits are looked at so often


class Running(NamedTuple):
    """The call that the worker is in."""

    call: int
    alone: bool  # it had the whole time of this agent for itself


class Agent:
    """Looks after the worker of one element of a scheduler's array.

    Parameters
    ----------
    number: which worker of the array this is, from 0.
    scheduler_id: what the scheduler calls it; the same when it starts it again.
    requeue: asks the scheduler to start this element again; raises if it refuses.
    warning: number of the signal that the scheduler sends before it ends the worker.
    time_left: asks the scheduler how many seconds this worker still has; None: it does not know. What was asked for
        is not what was given where the partition sets the limit, or somebody has changed it since.
    is_ending: asks the scheduler whether it ends this worker already. Then it was cancelled, or is started again
        without being asked; who would ask for that could not be cancelled.
    """

    def __init__(
        self,
        array: ArrayPaths,
        number: int,
        scheduler_id: str,
        requeue: Callable[[], None],
        warning: int,
        time_left: Callable[[], float | None] = lambda: None,
        is_ending: Callable[[], bool] = lambda: False,
    ) -> None:
        self.array = array
        self.spec, _ = array.read_spec()
        self.posting = Posting.read(array)
        self.name = worker_name(number, scheduler_id)
        self._number = number
        self._requeue = requeue
        self._time_left: Callable[[], float | None] | None = time_left
        self._is_ending = is_ending
        self._limit_s = self.posting.limit_s
        self.warning = warning
        self._born = time.monotonic()
        self._caught: set[int] = set()
        self._passed: set[int] = set()  # what was handed on to the worker
        self._begun = self._failed = 0
        self._running: Running | None = None
        self._said: set[str] = set()
        self._memory = OomWatch()

    def run(self) -> int:
        """Drain the array; returns the exit code for the scheduler. Leaves with SystemExit in each child."""
        adopt_orphans()
        self._watch_signals()
        again = os.path.lexists(f"{self.array.workers}/{self.name}")
        barren = 0
        while barren < BARREN:
            begun = self._begun
            self._running = None
            code = self._attend(*self._hire(again))
            _end_children()
            if code is None:  # the call is to begin anew
                return self._begin_anew()
            if code == 0 and "done" in self._said:
                return 1 if self._failed else 0
            if not self._bury(code):
                return 1
            barren = 0 if self._begun > begun else barren + 1
            again = True
        print(f"{self.name}: {BARREN} workers in a row ended before they began a call", file=sys.stderr)
        return 1

    # The worker: a child

    def _hire(self, again: bool) -> tuple[int, int]:
        """Start a worker; returns its process id, and where its reports arrive."""
        reports, end = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        agent = os.getpid()
        pid = os.fork()
        if not pid:
            os.close(reports)
            signal.set_wakeup_fd(-1)
            die_with_parent(agent)
            pinned = self._number if self.posting.pinned else None
            Worker(self.array, self.name, self.warning, end).work(pinned, again)
        os.close(end)
        return pid, reports

    # Watching it

    def _attend(self, child: int, reports: int) -> int | None:
        """Watch a worker until it has ended; returns its exit code, or None if it is to begin anew."""
        self._said.clear()
        self._passed.clear()
        idle_since: float | None = None
        while True:
            if self._wake in select.select([reports, self._wake], [], [], _TICK_S)[0]:
                os.read(self._wake, 4096)
            self._read_reports(reports)
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                self._read_reports(reports)
                os.close(reports)
                code = os.waitstatus_to_exitcode(status)
                return None if code == LEFT and self._caught else code
            if self._said & {"done", "left"}:  # threads that a call has left behind may keep it
                idle_since = idle_since or time.monotonic()
                if time.monotonic() > idle_since + GRACE_S:
                    os.kill(child, signal.SIGKILL)
                    os.waitpid(child, 0)
                    os.close(reports)
                    return 0 if "done" in self._said else None if self._caught else LEFT
            elif self._heed(child):
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                os.close(reports)
                return None

    def _heed(self, child: int) -> bool:
        """Pass on what the scheduler or the user wants; True if the call is to begin anew, in another life."""
        running = self._running
        if running and self.array.sentence_of(running.call):
            os.kill(child, signal.SIGKILL)
        for number in self._caught - self._passed:
            os.kill(child, number)
            if number == signal.SIGTERM or "warned" in self._said:
                self._passed.add(number)  # else again, as it may just have been forked
        if self._caught:
            self._learn_limit()
        if self._ends_now() and running and running.alone:
            os.kill(child, signal.SIGKILL)  # `_bury` says that it timed out
        return "cannot save" in self._said and not (running and running.alone and self._is_late())

    def _is_late(self) -> bool:
        """Whether the warning was about the time limit, as opposed to preemption."""
        limit = self._limit_s
        return limit is not None and self._age_s() > limit - self.posting.warning_s - _EARLY_S - _LATE_S

    def _ends_now(self) -> bool:
        limit = self._limit_s
        return signal.SIGTERM in self._caught and limit is not None and self._age_s() > limit - _LATE_S

    def _learn_limit(self) -> None:
        """Ask once when this worker will be ended; not before that matters, as a thousand may have begun with it."""
        if self._time_left is not None:
            left_s, self._time_left = self._time_left(), None
            if left_s is not None:
                self._limit_s = self._age_s() + left_s

    def _minutes(self) -> str:
        return f"{round((self._limit_s or 0) / 60, 1):g}"

    def _whose_limit(self) -> str:
        return "the cluster's own limit: set timeout_min" if self.posting.limit_s is None else "timeout_min"

    def _age_s(self) -> float:
        return time.monotonic() - self._born

    def _read_reports(self, reports: int) -> None:
        while select.select([reports], [], [], 0)[0]:
            text = os.read(reports, 65536).decode()
            if not text:
                return
            for line in text.splitlines():
                word, _, rest = line.partition(" ")
                if word == "begin":
                    self._running = Running(int(rest), alone=self._begun == 0)
                    self._begun += 1
                elif word == "end":
                    self._running = None
                    self._failed += rest != COMPLETED
                else:
                    self._said.add(line)

    # Ends

    def _bury(self, code: int) -> bool:
        """A worker died: give its call a verdict; False if this agent is to leave, too."""
        running, self._running = self._running, None
        if running is None or self.array.has_ended(running.call):
            return not self._caught
        verdict = self.array.sentence_of(running.call)
        if verdict is None and self._ends_now():
            verdict = Verdict(LOST, f"timed out after {self._minutes()} min ({self._whose_limit()})")
        if verdict is None and signal.SIGTERM in self._caught:
            return False  # cancelled, or about to be started again: the scheduler knows
        self._pronounce(running.call, verdict or Verdict(LOST, self._explain(code)))
        return not self._caught and not self.posting.pinned

    def _explain(self, code: int) -> str:
        problems = [line.partition(" ")[2] for line in self._said if line.startswith("problem ")]
        return ": ".join([self._memory.explain(Departure(self.name, code)), *problems])

    def _begin_anew(self) -> int:
        """Ask the scheduler to start this worker again."""
        self._learn_limit()
        running, late = self._running, self._is_late()
        if signal.SIGTERM in self._caught and not self._ends_now() and self._is_ending():
            return 1  # the scheduler says why
        if late and "saved" in self._said:
            count = timeouts_of(self.array, self.name, one_more=True)
            if count > self.posting.max_timeouts and running:
                reason = f"timed out {count} times after {self._minutes()} min each"
                self._pronounce(running.call, Verdict(LOST, reason))
                return 1
        try:
            self._requeue()
        except Exception as error:
            if running:
                why = "out of time" if late else "preempted"
                self._pronounce(running.call, Verdict(LOST, f"{why}, and could not be requeued: {error}"))
            return 1
        print(f"{self.name}: requeued", file=sys.stderr, flush=True)
        return 1

    def _pronounce(self, index: int, verdict: Verdict) -> None:
        self._failed += 1
        pronounce(self.array, self.spec, {index: verdict}, (self.warning, signal.SIGTERM, signal.SIGCHLD))

    def _watch_signals(self) -> None:
        self._wake, wake_end = os.pipe()
        for end in (self._wake, wake_end):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False)
        for number in (self.warning, signal.SIGTERM):
            signal.signal(number, self._catch)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def _catch(self, number: int, _: FrameType | None) -> None:
        if number not in self._caught:
            os.write(2, f"{self.name}: {signal.Signals(number).name} after {self._age_s():.0f} s\n".encode())
        self._caught.add(number)


def _end_children() -> None:
    """Kill what the worker has left running; orphans have become children of this process."""
    spared: set[int] = set()
    while children := set(_children()) - spared:
        for pid in children:
            try:
                os.kill(pid, signal.SIGKILL)
            except PermissionError:  # sudo, and what else has become another user
                spared.add(pid)
            else:
                os.waitpid(pid, 0)


def _children() -> list[int]:
    me = str(os.getpid())
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    parent = file.read().rpartition(")")[2].split()[1]
            except OSError:  # it has just ended
                continue
            if parent == me:
                found.append(int(name))
    return found
