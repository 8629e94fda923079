"""The process pool that is kept: its workers have imported what calls need, and wait for the next array.

A process keeps one at most. It serves all arrays that find in it what they would find in new processes (`Footing`),
also several at the same time: however many are submitted, no more workers are alive than the array with the largest
bound allows. It ends a minute after its last array, with the process that owns it, or when an array comes that needs
another footing.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Final, NamedTuple

from exca.execution._array._layout import ArrayPaths, Spec
from exca.execution._spawning import Tether, boot_command, start_supervisor
from exca.liveness import Stamp

__all__ = ["KEEP_S", "Footing", "start_pool"]

KEEP_S: Final = 60.0


class Footing(NamedTuple):
    """What a worker process has from its birth or its first imports, and cannot change later."""

    command: tuple[str, ...]
    variables: frozenset[tuple[str, str]]
    call_variables: frozenset[tuple[str, str]]  # such as thread limits, which libraries read when they are loaded
    sys_path: tuple[str, ...]
    cpus: frozenset[int]
    umask: str

    @classmethod
    def of(cls, interpreter: str, spec: Spec) -> Footing:
        """The footing that this process would give to a worker now."""
        return cls(
            command=tuple(boot_command(interpreter)),
            variables=frozenset(os.environ.items()),
            call_variables=frozenset(spec.environment.items()),
            sys_path=tuple(spec.sys_path),
            cpus=frozenset(os.sched_getaffinity(0)),
            umask=_umask(),
        )


class KeptPool(NamedTuple):
    """A pool as its owner sees it."""

    footing: Footing
    tether: Tether
    stamp: Stamp


_kept: KeptPool | None = None
_lock = threading.Lock()


def start_pool(array: ArrayPaths, spec: Spec, interpreter: str, *, keep: bool) -> None:
    """Have an array worked on by the pool that is kept, or by a new one.

    Parameters
    ----------
    keep: whether its workers may serve other arrays before and after.

    Raises
    ------
    SubmissionFailed: no supervisor could be started.
    """
    global _kept
    if not keep:
        start_supervisor(array, interpreter, Tether())
        return
    footing = Footing.of(interpreter, spec)
    with _lock:
        if _kept is not None and _kept.footing == footing and _kept.tether.send(str(array.folder)):
            array.sign(_kept.stamp)
            return
        if _kept is not None:
            _kept.tether.send("")
            _kept = None
        tether = Tether()
        _kept = KeptPool(footing, tether, start_supervisor(array, interpreter, tether))


def _umask() -> str:
    """The umask of this process, which can be read without changing it only here (proc(5))."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("Umask:"):
            return line
    return ""


def _forget() -> None:
    """A fork of the owner owns nothing."""
    global _kept, _lock
    _kept, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)
