"""Is the process that left a note on disk still alive?

A pid alone does not name a process: pids are reused, and every container has a process 1. A `Stamp` also holds
the host, its boot, the pid namespace and the start time, so that a process never takes a stranger, or its own dead
predecessor in a restarted container, for the author of a note.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

__all__ = ["Stamp"]

Liveness = Literal["alive", "dead", "elsewhere"]


@dataclass(frozen=True, slots=True)
class Stamp:
    """Names one process for ever.

    Attributes
    ----------
    host: name of the machine, for people.
    boot: id of the machine's boot and of the pid namespace; two processes can see each other only if it is equal.
    pid: process id inside that namespace.
    start: start time of the process in clock ticks since boot (field 22 of ``/proc/PID/stat``, see proc(5)).
    """

    host: str
    boot: str
    pid: int
    start: int

    @classmethod
    def current(cls) -> Stamp:
        """The stamp of this process.

        Examples
        --------
        >>> Stamp.current().liveness()
        'alive'
        """
        return _current(os.getpid())

    @classmethod
    def of(cls, pid: int) -> Stamp | None:
        """The stamp of a process of this machine, or None if it has gone."""
        start = _start_time(pid)
        return None if start is None else cls(os.uname().nodename, _boot_id(), pid, start)

    @classmethod
    def from_dict(cls, data: object) -> Stamp | None:
        """Read a stamp back from `to_dict`; None if the data is not one."""
        if not isinstance(data, dict):
            return None
        try:
            return cls(str(data["host"]), str(data["boot"]), int(data["pid"]), int(data["start"]))
        except (KeyError, TypeError, ValueError):
            return None

    def to_dict(self) -> dict[str, object]:
        """Plain data for a JSON note."""
        return {"host": self.host, "boot": self.boot, "pid": self.pid, "start": self.start}

    def liveness(self) -> Liveness:
        """Whether the process is alive; ``"elsewhere"`` if it cannot be seen from this machine, container or user.

        What ran on this machine before it was restarted is elsewhere, too: machines may share a host name, so that
        only a heartbeat tells.
        """
        if self.boot != _boot_id():
            return "elsewhere"
        start = _start_time(self.pid)
        if start == _HIDDEN:
            return "elsewhere"
        return "alive" if start == self.start else "dead"

    def is_of_earlier_boot(self) -> bool:
        """Whether it ran before this machine was restarted: for notes on its own disks, where no other machine writes.

        Containers of one machine share the boot id and differ in the pid namespace.
        """
        same_kernel = self.boot.partition("/")[0] == _boot_id().partition("/")[0]
        return self.host == os.uname().nodename and not same_kernel


@functools.lru_cache(maxsize=4)
def _current(pid: int) -> Stamp:
    return Stamp(os.uname().nodename, _boot_id(), pid, _start_time(pid) or 0)


@functools.cache
def _boot_id() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:  # no /proc (macOS): the host name must do
        return os.uname().nodename
    return f"{boot}/{namespace}"


_HIDDEN: Final = -1


def _start_time(pid: int) -> int | None:
    """Start time of a process in clock ticks since boot; 0 where it cannot be known; None if the process has gone.

    `_HIDDEN` for a process of another user under the mount option ``hidepid`` (see proc(5)).
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, PermissionError):
        return _without_proc(pid)
    except ProcessLookupError:
        return None
    fields = stat.rpartition(")")[2].split()  # the name in parentheses may hold blanks
    if fields[0] in "ZX":  # a zombie holds no claim any more
        return None
    return int(fields[19])


def _without_proc(pid: int) -> int | None:
    linux = Path("/proc/self/stat").exists()
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return _HIDDEN if linux else 0
    return None if linux else 0  # processes of one's own are never hidden: another took the pid in this instant
