"""The worker processes of one supervisor: forked, each the leader of its own session, killed with their children."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from typing import NamedTuple

from ._departures import Departure
from ._libc import die_with_parent

__all__ = ["Crew", "Post"]

_PAUSE_S = 1.0  # a process deep in the kernel may not stop at once
_PIPE_BYTES = 65536  # what a pipe holds; an order or a report is shorter than PIPE_BUF, so it comes in one piece


class Post(NamedTuple):
    """A worker's place: its name, and its ends of the pipes to the supervisor."""

    name: str
    orders: int
    reports: int

    def next_order(self) -> str | None:
        """The folder of the next array to drain; waits for it. None: there will be none."""
        try:
            return os.fsdecode(os.read(self.orders, _PIPE_BYTES)) or None
        except OSError:  # a call has closed what it did not open
            return None

    def report(self) -> None:
        """Say that the array is drained, as far as this worker can tell."""
        with suppress(OSError):
            os.write(self.reports, f"{self.name}\n".encode())


class Crew:
    """Worker processes by name."""

    def __init__(self) -> None:
        self._pids: dict[str, int] = {}
        self._orders: dict[str, int] = {}  # our ends of the pipes to those that may still get an array
        self._engaged: set[str] = set()  # those that drain an array
        self.reports, self._report_end = os.pipe()
        os.set_blocking(self.reports, False)

    def __len__(self) -> int:
        return len(self._pids)

    def __contains__(self, name: str) -> bool:
        return name in self._pids

    def fork(self, name: str, *, tied: bool) -> Post | None:
        """Start a worker. Like `os.fork` this returns twice: with its `Post` in the worker.

        Parameters
        ----------
        tied: the worker is killed when this process ends, however it ends.
        """
        supervisor = os.getpid()
        orders, end = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid:
            os.close(orders)
            self._pids[name], self._orders[name] = pid, end
            self._engaged.add(name)
            return None
        os.setsid()
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for descriptor in (end, self.reports, *self._orders.values()):
            os.close(descriptor)  # the others must see that the supervisor has ended
        if tied:
            die_with_parent(supervisor)
        return Post(name, orders, self._report_end)

    def engage_idle(self, folder: str) -> str | None:
        """Hand an array to a worker that has none; returns its name, or None if all are at work."""
        name = next((name for name in self._orders if name not in self._engaged), None)
        if name is not None:
            self._engaged.add(name)
            with suppress(BrokenPipeError):  # it has just ended; `reap` will tell
                os.write(self._orders[name], os.fsencode(folder))
        return name

    def dismiss(self, name: str) -> None:
        """Have a worker leave once it has drained its array."""
        end = self._orders.pop(name, None)
        if end is not None:
            os.close(end)

    def names(self) -> list[str]:
        return list(self._pids)

    def count_engaged(self) -> int:
        """How many workers drain an array."""
        return len(self._engaged)

    def read_reports(self) -> list[str]:
        """Workers that have drained their array since the last call."""
        try:
            names = os.read(self.reports, _PIPE_BYTES).decode().split()
        except BlockingIOError:
            return []
        self._engaged.difference_update(names)
        return names

    def reap(self) -> list[Departure]:
        """The workers that ended since the last call; what they left running is killed."""
        departures = []
        for name, pid in list(self._pids.items()):
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                continue
            # Before the zombie is collected, while its pid still cannot be anybody else's.
            self.signal(name, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
            del self._pids[name]
            self.dismiss(name)
            self._engaged.discard(name)
            departures.append(Departure(name, os.waitstatus_to_exitcode(status)))
        return departures

    def signal(self, name: str, number: int) -> None:
        """Send a signal to a worker and to all it started."""
        try:
            os.killpg(self._pids[name], number)
        except (ProcessLookupError, PermissionError):  # forked so lately that it has no session yet; or all gone
            os.kill(self._pids[name], number)

    def pause(self, name: str) -> None:
        """Stop a worker, so that what it is doing can be looked at without it moving on; `resume` it after."""
        pid = self._pids[name]
        os.kill(pid, signal.SIGSTOP)
        end = time.monotonic() + _PAUSE_S
        while time.monotonic() < end:
            if os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                return
            time.sleep(0.001)

    def resume(self, name: str) -> None:
        os.kill(self._pids[name], signal.SIGCONT)
