"""Starts the supervisor of an array as a process of its own."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path

from exca.errors import SubmissionFailed
from exca.execution._array._layout import ArrayPaths
from exca.execution._array._owner import END_OF_ORDER, LINE
from exca.liveness import Stamp

__all__ = ["Tether", "boot_command", "reap", "start_supervisor"]

_BOOT = Path(__file__).parent / "_array" / "_boot.py"

# Supervisors this process started and has not collected yet; also those of tied pools, with the tether they hang on.
_children: dict[int, Tether | None] = {}


class Tether:
    """Our end of the line to the supervisor of a pool, see `_array._owner`; when it closes, the pool ends.

    Not a socket object, which would complain at the exit of the interpreter that nobody has closed it.
    """

    __slots__ = ("_ours", "_theirs")

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self._ours = ours.detach()
        # Above the number it gets in the child: a descriptor is not handed on by copying it to its own number.
        self._theirs = fcntl.fcntl(theirs, fcntl.F_DUPFD_CLOEXEC, LINE + 1)
        theirs.close()

    def spawn_action(self) -> tuple[int, int, int]:
        """What gives the child its end."""
        return (os.POSIX_SPAWN_DUP2, self._theirs, LINE)

    def hand_over(self) -> None:
        """The child has its end, or will never have it; drop ours."""
        os.close(self._theirs)
        self._theirs = -1

    def send(self, order: str) -> bool:
        """Send the folder of an array, or "" for the wish to leave; False if the supervisor takes no more orders."""
        try:
            with socket.socket(fileno=os.dup(self._ours)) as line:
                line.sendall(os.fsencode(order) + END_OF_ORDER, socket.MSG_NOSIGNAL)
        except OSError:
            return False
        return True

    def cut(self) -> None:
        """Drop what is left of it."""
        for descriptor in (self._ours, self._theirs):
            if descriptor >= 0:
                os.close(descriptor)
        self._ours = self._theirs = -1


def start_supervisor(array: ArrayPaths, interpreter: str, tether: Tether | None) -> Stamp:
    """Start the supervisor of an array, detached from the terminal and from Ctrl-C.

    Raises
    ------
    SubmissionFailed: it could not be started.
    """
    reap()
    command = boot_command(interpreter, str(array.folder))
    actions: list[tuple[object, ...]] = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(array.log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    if tether:
        actions.append(tether.spawn_action())
    defaults = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE]
    try:
        # Not `subprocess`: it warns about, and keeps, a child that is meant to outlive this process.
        pid = os.posix_spawn(
            interpreter, command, os.environ, file_actions=actions, setsid=True, setsigmask=[], setsigdef=defaults
        )
    except OSError as error:
        if tether:
            tether.cut()
        raise SubmissionFailed(f"the supervisor of {array.folder} could not be started: {error}") from error
    if tether:
        tether.hand_over()
    _children[pid] = tether
    # Signed here too: whoever looks now must not take it for one that was never started. It may have ended already.
    stamp = Stamp.of(pid) or replace(Stamp.current(), pid=pid, start=-1)
    array.sign(stamp)
    return stamp


def reap() -> None:
    """Collect the supervisors that have ended."""
    for pid in list(_children):
        try:
            ended, _ = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:  # collected by somebody else, or this is a fork of the process that started it
            ended = pid
        if ended:
            tether = _children.pop(pid, None)
            if tether:
                tether.cut()


def boot_command(interpreter: str, *arguments: str) -> list[str]:
    """The command of a supervisor or an agent (`_boot`); what the user asked of this Python holds for it too."""
    optimize = ["-" + "O" * sys.flags.optimize] if sys.flags.optimize else []
    flags = [*optimize, *(f"-W{option}" for option in sys.warnoptions)]
    return [interpreter, "-P", *flags, str(_BOOT), *arguments]
