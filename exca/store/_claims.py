"""Claims: the note "this is being computed, by this live process", so that work is not done twice.

A claim is advisory. Losing one costs work, never data: results are published first-writer-wins whatever the claims
say. The author of a claim is checked by its process stamp where it can be seen from here, and by a heartbeat (the
modification time of the note) where it cannot.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import threading
import time
from typing import Final

from exca.liveness import Stamp
from exca.store._files import Permissions, remove_quietly, remove_unless

__all__ = ["Claim", "ClaimWatch"]

HEARTBEAT_S: Final = 5.0
SILENCE_S: Final = 60.0


class Claim:
    """A claim held by this process; release it when the result is stored, or use it as a context.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     claim = Claim.take(os.path.join(folder, "claim.json"))
    ...     claim.release()
    """

    __slots__ = ("_note", "path")

    def __init__(self, path: str, note: bytes) -> None:
        self.path = path
        self._note = note  # its random token names this claim: an inode may be given to the next file at once

    @classmethod
    def take(cls, path: str, permissions: Permissions = None) -> Claim | None:
        """Try to claim; None if somebody alive holds the claim. The folder must exist.

        Raises
        ------
        OSError
            if the folder cannot be written, be it only to remove the claim of a dead author.
        """
        content = {"token": secrets.token_hex(8), "process": Stamp.current().to_dict(), "since": time.time_ns()}
        note = json.dumps(content).encode()
        for _ in range(2):
            try:
                _create(path, note, permissions)
            except FileExistsError:
                if ClaimWatch(path).clear_if_dead():
                    return None
            else:
                return cls(path, note)._beating()
        return None

    def _beating(self) -> Claim:
        try:
            _HEART.add(self.path, self._note)
        except BaseException:  # an interrupt, no more threads: nobody would release it
            self.release()
            raise
        return self

    def release(self) -> None:
        """Give the claim back; nothing happens if somebody took it over."""
        _HEART.discard(self.path, self._note)
        # A claim that cannot be removed any more must not hide the outcome of the work: it falls silent.
        with contextlib.suppress(OSError), open(self.path, "rb") as stream:
            if stream.read() == self._note:
                os.unlink(self.path)

    def __enter__(self) -> Claim:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class ClaimWatch:
    """Watches a claim that somebody else may hold.

    Keep one watch per wait: the silence of an author on another machine is measured by this process's own clock, so
    that clocks which disagree do no harm.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._last: tuple[int, float] | None = None

    def alive(self) -> bool:
        """Whether somebody alive holds the claim; the claim of a dead author is cleared away where that is allowed."""
        try:
            return self.clear_if_dead()
        except OSError:  # not ours to remove, and in nobody's way who only reads
            return False

    def clear_if_dead(self) -> bool:
        """Like `alive`, for who is about to claim.

        Raises
        ------
        OSError
            if the claim of a dead author cannot be removed.
        """
        note = _read(self._path)
        if note is None:
            return False
        stamp = Stamp.from_dict(note.get("process"))
        state = "elsewhere" if stamp is None else stamp.liveness()
        if state == "elsewhere":
            state = "dead" if self._silent() else "alive"
        if state == "dead":
            _clear(self._path, note)
            return False
        return True

    def holder(self) -> str:
        """Who holds the claim, for messages."""
        stamp = Stamp.from_dict((_read(self._path) or {}).get("process"))
        return "nobody" if stamp is None else f"process {stamp.pid} on {stamp.host}"

    def _silent(self) -> bool:
        try:
            beat = os.stat(self._path).st_mtime_ns
        except (FileNotFoundError, NotADirectoryError):
            return True
        now = time.monotonic()
        if self._last is None or self._last[0] != beat:
            # A first look trusts the clocks only for what is hopelessly old.
            self._last = (beat, now)
            return time.time() - beat / 1e9 > 60 * SILENCE_S or _FELL_SILENT.get(self._path) == beat
        silent = now - self._last[1] > SILENCE_S
        if silent:
            _FELL_SILENT[self._path] = beat
        return silent


class _Heart:
    """One daemon thread per process that touches the claims this process holds."""

    def __init__(self) -> None:
        self.forget_parent()

    def forget_parent(self) -> None:
        """Begin anew after a fork: threads do not survive one, claims are the parent's, and so may be the lock."""
        self._lock = threading.Lock()
        self._notes: dict[str, bytes] = {}
        self._beats = False

    def add(self, path: str, note: bytes) -> None:
        with self._lock:
            self._notes[path] = note
            if not self._beats:
                self._beats = True
                threading.Thread(target=self._beat, name="exca-claims", daemon=True).start()

    def discard(self, path: str, note: bytes) -> None:
        with self._lock:
            if self._notes.get(path) == note:
                del self._notes[path]

    def _beat(self) -> None:
        while True:
            time.sleep(HEARTBEAT_S)
            with self._lock:
                notes = list(self._notes.items())
            for path, note in notes:
                # Through the open file, so that it is the claim that was read which is touched.
                with contextlib.suppress(OSError), open(path, "rb") as stream:
                    if stream.read() == note:
                        os.utime(stream.fileno())


_HEART = _Heart()
os.register_at_fork(after_in_child=_HEART.forget_parent)

# Last beats of claims whose silence a watch of this process has waited for: one that cannot be removed from here is
# not waited for again by the next watch.
_FELL_SILENT: dict[str, int] = {}


def _create(path: str, note: bytes, permissions: Permissions) -> None:
    """Create the note. It is small enough to be written in one go."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        if os.write(descriptor, note) != len(note):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        if permissions is not None:
            os.fchmod(descriptor, permissions & ~0o111)
    except BaseException:  # a full disk must not leave a claim behind that nobody holds
        remove_quietly(path)
        raise
    finally:
        os.close(descriptor)


def _read(path: str) -> dict[str, object] | None:
    try:
        with open(path, "rb") as stream:
            data = json.loads(stream.read())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, PermissionError):  # somebody's claim all the same, known by its heartbeat only
        return {}
    return data if isinstance(data, dict) else {}


def _clear(path: str, seen: dict[str, object]) -> None:
    """Remove a dead claim, and no other."""
    remove_unless(path, lambda aside: _read(aside) != seen)
