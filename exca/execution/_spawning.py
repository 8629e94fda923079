"""Starts the supervisor of an array as a process of its own."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from exca.errors import SubmissionFailed
from exca.execution._array._layout import ArrayPaths
from exca.liveness import Stamp

__all__ = ["Tether", "reap", "start_supervisor"]

_BOOT = Path(__file__).parent / "_array" / "_boot.py"

# Supervisors this process started and has not collected yet; also those of tied pools, with the tether they hang on.
_children: dict[int, Tether | None] = {}


class Tether:
    """A pipe that nobody writes to: the reading end sees when the last process that holds the other end has ended."""

    __slots__ = ("_open", "for_child")

    def __init__(self) -> None:
        self.for_child, end = os.pipe()
        self._open = {self.for_child, end}
        os.set_inheritable(self.for_child, True)

    def hand_over(self) -> None:
        """The child has its end; drop ours."""
        self._open.remove(self.for_child)
        os.close(self.for_child)

    def cut(self) -> None:
        """Drop what is left of it."""
        for descriptor in self._open:
            os.close(descriptor)
        self._open.clear()


def start_supervisor(array: ArrayPaths, interpreter: str, tether: Tether | None) -> None:
    """Start the supervisor of an array, detached from the terminal and from Ctrl-C.

    Raises
    ------
    SubmissionFailed: it could not be started.
    """
    reap()
    command = [interpreter, "-P", *_interpreter_flags(), str(_BOOT), str(array.folder)]
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(array.log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    defaults = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE]
    try:
        # Not `subprocess`: it warns about, and keeps, a child that is meant to outlive this process.
        pid = os.posix_spawn(
            interpreter, command, os.environ, file_actions=actions, setsid=True, setsigmask=[], setsigdef=defaults
        )
    except OSError as error:
        raise SubmissionFailed(f"the supervisor of {array.folder} could not be started: {error}") from error
    finally:
        if tether:
            tether.hand_over()
    _children[pid] = tether
    # Signed here too: whoever looks now must not take it for one that was never started. It may have ended already.
    array.sign(Stamp.of(pid) or replace(Stamp.current(), pid=pid, start=-1))


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


def _interpreter_flags() -> list[str]:
    """What the user asked of this Python holds for the workers too."""
    optimize = ["-" + "O" * sys.flags.optimize] if sys.flags.optimize else []
    return [*optimize, *(f"-W{option}" for option in sys.warnoptions)]
