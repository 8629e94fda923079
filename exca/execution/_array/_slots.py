"""Slots: what keeps all arrays of one user on one host within one bound.

A slot is a file under the local temporary directory; holding an ``flock`` on it is holding the slot. The kernel lets
go of it when the last process that inherited it ends, however it ends.

A call that submits to the same slots and waits would wait for its own slot. So every worker lends what it holds:
arrays that its calls submit, and only they, may take the slots ``<name>.lent`` when no other is free.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Sequence

__all__ = ["Slot", "SlotPool", "lend", "lent_slots"]

_VARIABLE = "EXCA_LENT_SLOTS"  # JSON: by folder, the names of what this process and those it works for hold
_LENT = ".lent"


class Slot:
    """One slot that is held."""

    __slots__ = ("descriptor", "name")

    def __init__(self, name: str, descriptor: int) -> None:
        self.name = name
        self.descriptor = descriptor

    @property
    def resource(self) -> str:
        """What the slot stands for, be it lent."""
        return self.name.partition(_LENT)[0]

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
    lent: the slots that whoever submitted the array lends to it.
    """

    def __init__(self, folder: str, names: Sequence[str], need: int, lent: Sequence[str] = ()) -> None:
        self._folder = folder
        taken = {name.partition(_LENT)[0] for name in lent}
        self._names = [name for name in names if name not in taken]  # held by who waits for this array
        self._need = need
        self._lent = lent
        self._held: list[Slot] = []  # gathered while waiting for the rest
        self._turn: int | None = None

    def acquire(self, *, starving: bool) -> list[Slot] | None:
        """Take the slots of one worker, or None if not enough are free now.

        An array that has no worker at all (`starving`) keeps its turn and what it could gather until it has enough;
        as only one array has the turn, two never wait for each other's slots, and none is passed over for ever.
        What is lent is taken out of turn: who has the turn may be waiting for the one that lends it.
        """
        slots = self._acquire(starving=starving) if len(self._names) >= self._need else None
        if slots is None and (slots := self._borrow()):
            self.release()
        return slots

    def _borrow(self) -> list[Slot] | None:
        slots: list[Slot] = []
        for name in self._lent:
            if len(slots) < self._need and (descriptor := _lock(f"{self._folder}/{name}")) is not None:
                slots.append(Slot(name, descriptor))
        if len(slots) == self._need:
            return slots
        for slot in slots:
            slot.close()
        return None

    def _acquire(self, *, starving: bool) -> list[Slot] | None:
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


def lend(folder: str, slots: Sequence[Slot]) -> None:
    """Lend the slots of this worker to whatever its calls submit."""
    lent = json.loads(os.environ.get(_VARIABLE, "{}"))
    os.environ[_VARIABLE] = json.dumps({**lent, folder: [f"{slot.name}{_LENT}" for slot in slots]})


def lent_slots(folder: str) -> list[str]:
    """The slots of a folder that the worker in which this runs, or one that waits for it, lends; none elsewhere."""
    names: list[str] = json.loads(os.environ.get(_VARIABLE, "{}")).get(folder, [])
    return names


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
