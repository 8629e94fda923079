"""Lists of keys on disk that one process appends to while others read along."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from typing import Final

from exca.store import Permissions, remove_quietly

__all__ = ["KeyReader", "KeyWriter"]

_QUOTED: Final = json.encoder.encode_basestring_ascii


class KeyWriter:
    """Appends keys to a file of its own: on each line a JSON string, or a JSON list of keys to be taken back.

    Parameters
    ----------
    path: the file; made at the first append.
    permissions: mode bits of the file; None: the umask decides.
    """

    def __init__(self, path: str, permissions: Permissions = None) -> None:
        self.path = path
        self._permissions = permissions
        self._file: int | None = None

    def append(self, keys: Iterable[str]) -> None:
        """Add keys; other processes see them when this returns."""
        lines = [*map(_QUOTED, keys), ""]
        self._write("\n".join(lines))

    def retract(self, keys: Iterable[str]) -> None:
        """Take keys back."""
        self._write(json.dumps(list(keys)) + "\n")

    def _write(self, lines: str) -> None:
        if self._file is None:
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            if self._permissions is not None:
                os.fchmod(self._file, self._permissions & ~0o111)
        text = memoryview(lines.encode())
        while text:
            text = text[os.write(self._file, text) :]

    def close(self, *, remove: bool) -> None:
        """Close the file, and remove it if nobody needs it any more."""
        if self._file is None:
            return
        file, self._file = self._file, None
        if remove:
            with contextlib.suppress(OSError):
                remove_quietly(self.path)
        os.close(file)


class KeyReader:
    """Reads along in the file of a `KeyWriter`; each line is read once."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.keys: set[str] = set()
        self._offset = 0

    def refresh(self) -> set[str]:
        """All keys that are in the file by now, or were in it before it was removed."""
        try:
            if os.stat(self.path).st_size == self._offset:
                return self.keys
            with open(self.path, "rb") as stream:
                stream.seek(self._offset)
                text = stream.read()
        except (FileNotFoundError, NotADirectoryError):
            return self.keys
        whole, newline, _ = text.rpartition(b"\n")  # a line that is being written is read the next time
        self._offset += len(whole) + len(newline)
        self._take(whole)
        return self.keys

    def _take(self, whole: bytes) -> None:
        lines = whole.split(b"\n")
        if b"[" not in whole:  # nothing is taken back: all at once, a fraction of the time of one by one
            with contextlib.suppress(ValueError):
                self.keys.update(json.loads(b"[" + b",".join(lines) + b"]"))
                return
        for line in lines:
            with contextlib.suppress(ValueError):  # half a line, of a full disk
                entry = json.loads(line)
                if isinstance(entry, list):
                    self.keys.difference_update(entry)
                else:
                    self.keys.add(entry)
