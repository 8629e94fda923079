"""One thread that asks back, from whoever is busy with one item for long, the items that wait behind it."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref
from typing import Final, Protocol

__all__ = ["PATROL"]

_EVERY_S: Final = 0.25
_IDLE_S: Final = 5.0


class _Holder(Protocol):
    def let_go(self) -> None:
        """Give back what waits here while something else takes long."""


class _Patrol:
    """Runs while there is somebody to watch, and a little longer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders: weakref.WeakSet[_Holder] = weakref.WeakSet()
        self._running = False

    def watch(self, holder: _Holder) -> None:
        """Look after a holder until it is forgotten."""
        with self._lock:
            self._holders.add(holder)
            if self._running:
                return
            self._running = True
            threading.Thread(target=self._walk, name="exca-maps", daemon=True).start()

    def forget_parent(self) -> None:
        """In a forked child: the lock may be held, and what is held is the parent's."""
        self._lock = threading.Lock()
        self._holders = weakref.WeakSet()
        self._running = False

    def forget(self, holder: _Holder) -> None:
        """It has come to its end."""
        with self._lock:
            self._holders.discard(holder)

    def _walk(self) -> None:
        idle_since = time.monotonic()
        while True:
            time.sleep(_EVERY_S)
            with self._lock:
                holders = list(self._holders)
                if holders:
                    idle_since = time.monotonic()
                elif time.monotonic() - idle_since > _IDLE_S:
                    self._running = False
                    return
            for holder in holders:
                with contextlib.suppress(OSError):  # a full disk: then the others wait
                    holder.let_go()
            del holders


PATROL: Final = _Patrol()
os.register_at_fork(after_in_child=PATROL.forget_parent)
