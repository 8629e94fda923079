"""Segments open for writing: a bounded number of them in one process, however many caches it holds on to."""

from __future__ import annotations

import threading
import weakref
from typing import Final, Protocol

__all__ = ["OPEN_SEGMENTS", "OpenSegments"]


class _Owner(Protocol):
    def retire(self) -> bool:
        """Complete the segment, if nobody is at it at this moment."""


class OpenSegments:
    """Who has a segment open; of more than `capacity`, those that were opened first are completed.

    Parameters
    ----------
    capacity: each segment has up to three files.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._owners: dict[int, weakref.ref[_Owner]] = {}
        self._lock = threading.Lock()

    def add(self, owner: _Owner) -> None:
        """A segment was opened; to be called without the lock that the owner holds while it writes."""
        number = id(owner)
        with self._lock:
            self._owners.pop(number, None)
            self._owners[number] = weakref.ref(owner)
            if len(self._owners) > self._capacity:
                self._owners = {key: known for key, known in self._owners.items() if known() is not None}
            excess = len(self._owners) - self._capacity
            oldest = list(self._owners.items())[:excess] if excess > 0 else []
        for number, reference in oldest:
            found = reference()
            if found is None or found.retire():
                with self._lock:
                    if self._owners.get(number) is reference:
                        del self._owners[number]

    def forget_parent(self) -> None:
        """In a forked child: none of them is its own."""
        self._lock = threading.Lock()
        self._owners.clear()


OPEN_SEGMENTS: Final = OpenSegments(capacity=64)
