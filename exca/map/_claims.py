"""Who computes which items: notes "these items are being computed, by this live process".

Claims are advisory. Losing one costs work, never data: what is stored twice is stored twice, and the later one stands.
Not a file for each item but two for each claimant: ``<name>.json``, a `Claim` with the stamp and heartbeat of its
process, and ``<name>.keys``, to which it appends what it takes. They take in turns, so that no two take one item.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import secrets
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Final, Protocol

from exca.errors import ResultNotStored
from exca.map._lists import KeyReader, KeyWriter
from exca.store import Claim, ClaimWatch, Permissions, is_remote, make_folder, remove_quietly

__all__ = ["Claims", "FolderClaims", "MemoryClaims", "Others", "Registry"]

_TURN: Final = "turn.json"
_LONGEST_PAUSE_S: Final = 0.005
_ALIVE_S: Final = 0.05  # who was alive a moment ago is taken to be alive


class Claims(Protocol):
    """The claims of one claimant, and its view of the others'."""

    def turn(self) -> contextlib.AbstractContextManager[None]:
        """Nobody else takes items of this map inside the context."""

    def others(self) -> Others:
        """What live claimants have taken; the claims of dead ones are cleared away."""

    def take(self, keys: Iterable[str]) -> None:
        """Claim items; to be called in a `turn`."""

    def give_back(self, keys: Iterable[str]) -> None:
        """Give some claims back."""

    def release(self) -> None:
        """Give all claims back."""


class Others:
    """What the other claimants are at.

    Attributes
    ----------
    count: how many there are.
    keys: what each of them has taken.
    abandoned: what claimants that have died since the last look had taken.
    """

    __slots__ = ("abandoned", "count", "keys")

    def __init__(self, keys: Iterable[set[str]], abandoned: Iterable[str] = ()) -> None:
        self.keys = list(keys)
        self.count = len(self.keys)
        self.abandoned = frozenset(abandoned)

    def __contains__(self, key: object) -> bool:
        return any(key in taken for taken in self.keys)

    def without(self, keys: list[str]) -> list[str]:
        """Those keys that none of them has taken."""
        for taken in self.keys:
            keys = [key for key in keys if key not in taken]
        return keys


class FolderClaims:
    """Claims in a folder that the processes share.

    Parameters
    ----------
    folder: where the notes of all claimants of this map are.
    permissions: mode bits of files and folders; None: the umask decides.
    """

    # docstrings of the methods inherited from `Claims`

    def __init__(self, folder: str, permissions: Permissions = None) -> None:
        self._folder = folder
        self._permissions = permissions
        self._name = secrets.token_hex(8)
        self._note: Claim | None = None
        self._writer = KeyWriter(os.path.join(folder, f"{self._name}.keys"), permissions)
        self._others: dict[str, _Other] = {}
        self._remote: bool | None = None
        self._turn_watched: ClaimWatch | None = None

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        path, pause = os.path.join(self._folder, _TURN), 0.0005
        with self._queue():
            while (claim := self._try_turn(path)) is None:
                time.sleep(pause)
                pause = min(pause * 1.5, _LONGEST_PAUSE_S)
            try:
                yield
            finally:
                claim.release()

    @contextlib.contextmanager
    def _queue(self) -> Iterator[None]:
        """On a local disk, wait in line instead of trying again and again: whose turn it is wakes up at once."""
        with self._explained():
            lock = self._open_queue()
        if lock is None:
            yield
            return
        try:
            with contextlib.suppress(OSError):  # a file system without locks: the claim alone decides, as elsewhere
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _open_queue(self) -> int | None:
        if self._remote is None:
            make_folder(self._folder, self._permissions)
            self._remote = is_remote(os.path.join(self._folder, _TURN))
        return None if self._remote else os.open(self._folder, os.O_RDONLY)  # a folder can be locked, too

    def _try_turn(self, path: str) -> Claim | None:
        with self._explained():
            claim = Claim.take(path, self._permissions)
        if claim is None:
            # One watch for the whole wait: it measures the silence of a claimant on another machine.
            self._turn_watched = self._turn_watched or ClaimWatch(path)
            self._turn_watched.alive()
        return claim

    def others(self) -> Others:
        abandoned: list[str] = []
        try:
            names = [name for name in os.listdir(self._folder) if name.endswith(".keys")]
        except (FileNotFoundError, NotADirectoryError):
            names = []
        present = {name.removesuffix(".keys") for name in names} - {self._name}
        for name in self._others.keys() - present:
            del self._others[name]
        for name in present:
            stem = os.path.join(self._folder, name)
            other = self._others.get(name)
            if other is None:
                other = self._others[name] = _Other(stem)
            keys = other.reader.refresh()
            if not other.alive():
                abandoned += keys
                del self._others[name]
                with contextlib.suppress(OSError):  # not ours to remove
                    remove_quietly(f"{stem}.keys")
        return Others((other.reader.keys for other in self._others.values()), abandoned)

    def take(self, keys: Iterable[str]) -> None:
        with self._explained():
            if self._note is None:
                self._note = Claim.take(os.path.join(self._folder, f"{self._name}.json"), self._permissions)
            self._writer.append(keys)

    def give_back(self, keys: Iterable[str]) -> None:
        self._writer.retract(keys)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ResultNotStored(
                f"{self._folder} cannot be written, so no more is computed: {error}. It may be somebody else's: "
                "ask for write access (infra.permissions gives it to others in the first place), set "
                "infra.folder to a folder of yours, or use mode='read-only'."
            ) from error

    def release(self) -> None:
        self._writer.close(remove=True)
        note, self._note = self._note, None
        if note is not None:
            note.release()


class _Other:
    """Another claimant."""

    def __init__(self, stem: str) -> None:
        self.reader = KeyReader(f"{stem}.keys")
        self._watch = ClaimWatch(f"{stem}.json")
        self._seen_alive = -math.inf

    def alive(self) -> bool:
        """Whether it is alive, or was just now."""
        now = time.monotonic()
        if now - self._seen_alive < _ALIVE_S:
            return True
        if not self._watch.alive():
            return False
        self._seen_alive = now
        return True


class Registry:
    """Claims inside this process, for results that are kept nowhere else."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.taken: dict[int, set[str]] = {}


class MemoryClaims:
    """Claims of one thread of this process."""

    # docstrings of the methods inherited from `Claims`

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def turn(self) -> contextlib.AbstractContextManager[None]:
        return _held(self._registry.lock)

    def others(self) -> Others:
        with self._registry.lock:
            return Others(set(keys) for name, keys in self._registry.taken.items() if name != id(self))

    def take(self, keys: Iterable[str]) -> None:
        self._registry.taken.setdefault(id(self), set()).update(keys)

    def give_back(self, keys: Iterable[str]) -> None:
        with self._registry.lock:
            self._registry.taken.get(id(self), set()).difference_update(keys)

    def release(self) -> None:
        with self._registry.lock:
            self._registry.taken.pop(id(self), None)


@contextlib.contextmanager
def _held(lock: threading.RLock) -> Iterator[None]:
    with lock:
        yield
