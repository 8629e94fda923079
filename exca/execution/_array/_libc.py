"""What Python does not offer of the kernel and of the C library."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

__all__ = ["adopt_orphans", "die_with_parent", "flush_c_buffers"]

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # prctl(2)
_LIBC = ctypes.CDLL(None)  # loaded here so that no worker has to


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when the one that has forked it ends; at once if that has ended already."""
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)  # it ended before the line above


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends, so that they can be found, and ended."""
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1)


def flush_c_buffers() -> None:
    """Write what C code has printed and still sits in the buffers of the C library."""
    _LIBC.fflush(None)
