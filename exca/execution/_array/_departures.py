"""Workers that have ended, and why."""

from __future__ import annotations

import os
import signal
from typing import NamedTuple

__all__ = ["BARREN", "GRACE_S", "Departure", "OomWatch", "oom_kills"]

GRACE_S = 5.0  # between SIGTERM and SIGKILL, and for a worker to leave when nothing is left to do
BARREN = 3  # workers that end in a row without having begun a call: more of them would not help
_VMSTAT = "/proc/vmstat"


class Departure(NamedTuple):
    """A worker that has ended."""

    name: str
    exit_code: int  # negative: the signal that killed it, as in `subprocess`

    @property
    def reason(self) -> str:
        if self.exit_code >= 0:
            return f"its process ended with exit code {self.exit_code}"
        number = -self.exit_code
        try:
            return f"killed by signal {number} ({signal.Signals(number).name})"
        except ValueError:  # a real-time signal
            return f"killed by signal {number}"


class OomWatch:
    """Tells a worker that the kernel has probably killed for want of memory from one that somebody has killed.

    Parameters
    ----------
    vmstat: where the kernel counts whom it has killed.
    """

    def __init__(self, vmstat: str = _VMSTAT) -> None:
        self._vmstat = vmstat
        self._seen = oom_kills(vmstat)

    def explain(self, departure: Departure) -> str:
        """Why a worker has ended, and on which machine."""
        host = os.uname().nodename
        if departure.exit_code == -signal.SIGKILL and (kills := oom_kills(self._vmstat)) > self._seen:
            self._seen = kills
            return f"{departure.reason}, probably out of memory: the kernel has just killed for memory on {host}"
        return f"{departure.reason} on {host}"


def oom_kills(vmstat: str = _VMSTAT) -> int:
    """How many processes the kernel has killed for want of memory since it started (``oom_kill`` of proc(5))."""
    try:
        with open(vmstat) as file:
            lines = [line.split() for line in file]
    except OSError:
        return 0
    return next((int(value) for name, value in lines if name == "oom_kill"), 0)
