"""Slots: what keeps all arrays of one user on one host within one bound.

A slot is a file under the local temporary directory; holding an ``flock`` on it is holding the slot. The kernel lets
go of it when the last process that inherited it ends, however it ends.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence

__all__ = ["Slot", "SlotPool"]


class Slot:
    """One slot that is held."""

    __slots__ = ("descriptor", "name")

    def __init__(self, name: str, descriptor: int) -> None:
        self.name = name
        self.descriptor = descriptor

    def close(self) -> None:
        """Let go of it in this process; a process forked since then holds it on."""
        os.close(self.descriptor)


class SlotPool:
    """The slots of one folder, as one array sees them.

    Parameters
    ----------
    folder: where the slot files lie; on a local disk.
    names: the slots this array may use.
    need: how many of them one worker holds.
    """

    def __init__(self, folder: str, names: Sequence[str], need: int) -> None:
        self._folder = folder
        self._names = names
        self._need = need
        self._held: list[Slot] = []  # gathered while waiting for the rest
        self._turn: int | None = None

    def acquire(self, *, starving: bool) -> list[Slot] | None:
        """Take the slots of one worker, or None if not enough are free now.

        An array that has no worker at all (`starving`) keeps its turn and what it could gather until it has enough;
        as only one array has the turn, two never wait for each other's slots, and none is passed over for ever.
        """
        if self._turn is None:
            self._turn = _lock(f"{self._folder}/turn")
            if self._turn is None:
                return None
        for name in self._names:
            if len(self._held) == self._need:
                break
            if all(slot.name != name for slot in self._held):
                descriptor = _lock(f"{self._folder}/{name}")
                if descriptor is not None:
                    self._held.append(Slot(name, descriptor))
        if len(self._held) == self._need:
            slots, self._held = self._held, []
            self.release()
            return slots
        if not starving:
            self.release()
        return None

    def release(self) -> None:
        """Give up the turn and what was gathered."""
        for slot in self._held:
            slot.close()
        self._held.clear()
        if self._turn is not None:
            os.close(self._turn)
            self._turn = None

    def is_wanted(self) -> bool:
        """Whether an array without any worker is waiting for slots."""
        turn = _lock(f"{self._folder}/turn")
        if turn is not None:
            os.close(turn)
        return turn is None


def _lock(path: str) -> int | None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except FileNotFoundError:  # the first one here, or the temporary directory was cleaned up
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
