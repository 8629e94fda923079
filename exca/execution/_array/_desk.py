"""What a supervisor keeps from one array to the next: its workers, its owner, and what wakes it."""

from __future__ import annotations

import os
import select
import signal
import time

from ._crew import Crew
from ._owner import Owner

__all__ = ["Desk"]

_LOOK_UP_S = 1.0  # how late an idle supervisor may notice that its owner has gone and a fork of it has not


class Desk:
    """The place of one supervisor process.

    Parameters
    ----------
    tied: whether there is an owner that it ends with.
    keep_s: how long the crew is kept when there is nothing to do; 0: each worker leaves after its array.

    Attributes
    ----------
    stopped: whether it was asked to end, by SIGTERM.
    private: folders that go with the owner.
    """

    def __init__(self, *, tied: bool, keep_s: float) -> None:
        self.crew = Crew()
        self.keep_s = keep_s
        self.stopped = False
        self.private: list[str] = []
        self._owner = Owner() if tied else None
        self._hired = 0
        self._wake, self._wake_end = os.pipe()
        for end in (self._wake, self._wake_end):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._wake_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the terminal may go
        signal.signal(signal.SIGTERM, self._stop)

    def _stop(self, *_: object) -> None:
        self.stopped = True

    def next_name(self) -> str:
        """A name for a new worker."""
        self._hired += 1
        return f"{os.uname().nodename}-{os.getpid()}-{self._hired}"

    def wait(self, timeout_s: float) -> None:
        """Sleep until something happens."""
        watched: list[int] = [self._wake, self.crew.reports]
        if self._owner and not self._owner.is_gone():
            watched.append(self._owner.fileno())
        ready, _, _ = select.select(watched, [], [], timeout_s)
        if self._wake in ready:
            os.read(self._wake, 4096)
        if self._owner:
            self._owner.listen()

    def is_orphaned(self) -> bool:
        """Whether the owner has ended; never, if there is none."""
        return self._owner is not None and self._owner.is_gone()

    def next_order(self) -> str | None:
        """An array that the owner has sent."""
        order = self._owner.next_order() if self._owner else None
        if order == "":
            self.keep_s = 0.0
        return order or None

    def wait_for_order(self) -> str | None:
        """Wait for the owner to send an array; None if it sends no more."""
        if self._owner is None:
            return None
        end = time.monotonic() + self.keep_s
        while not self.stopped and not self.is_orphaned():
            order = self.next_order()
            left = min(end - time.monotonic(), self.keep_s)
            if order is not None:
                return order
            if left <= 0:
                self._owner.refuse_more()
                self._owner.listen()
                return self.next_order()
            self.wait(min(left, _LOOK_UP_S))
            self.read_reports()
            self.crew.reap()  # killed while they had nothing to do: others will be started
        return None

    def read_reports(self) -> list[str]:
        """Workers that have drained their array; they leave, if they are not kept."""
        reports = self.crew.read_reports()
        if not self.keep_s:
            for name in reports:
                self.crew.dismiss(name)
        return reports

    def leave_to_supervisor(self) -> None:
        """Let go of what is not a worker's; called in each worker."""
        for descriptor in (self._wake, self._wake_end):
            os.close(descriptor)
        if self._owner:
            self._owner.close()

    def kill_crew(self) -> None:
        for name in self.crew.names():
            self.crew.signal(name, signal.SIGKILL)

    def close(self) -> None:
        """End the workers that are left, and remove the folders of an owner that cannot do that any more."""
        self.kill_crew()
        end = time.monotonic() + _LOOK_UP_S
        while self.crew and time.monotonic() < end:
            select.select([self._wake], [], [], _LOOK_UP_S / 20)
            self.crew.reap()
        if self.is_orphaned():
            import shutil  # 2 ms that most supervisors do not need

            for folder in self.private:
                shutil.rmtree(folder, ignore_errors=True)
