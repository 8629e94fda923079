"""Files open for reading: a bounded number of them in one process, whatever the number of caches and segments."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

__all__ = ["OPEN_FILES", "OpenFile", "OpenFiles"]


class OpenFile:
    """A file open for reading by position; closed when nobody refers to it any more."""

    __slots__ = ("_descriptor",)

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def read(self, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes from ``offset``; fewer only at the end of the file."""
        content = os.pread(self._descriptor, length, offset)
        if len(content) == length or not content:
            return content
        parts = [content]
        missing = length - len(content)
        while missing and (content := os.pread(self._descriptor, missing, offset + length - missing)):
            parts.append(content)
            missing -= len(content)
        return b"".join(parts)

    def read_into(self, buffer: bytearray | memoryview, offset: int) -> bool:
        """Fill the buffer from ``offset``; False if the file ends before."""
        done = os.preadv(self._descriptor, [buffer], offset)
        if done == len(buffer):
            return True
        view = memoryview(buffer)
        while done < len(view):
            count = os.preadv(self._descriptor, [view[done:]], offset + done)
            if not count:
                return False
            done += count
        return True

    def size(self) -> int:
        """Its present size in bytes."""
        return os.fstat(self._descriptor).st_size

    @property
    def descriptor(self) -> int:
        """The file descriptor, valid as long as this object."""
        return self._descriptor

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        if hasattr(self, "_descriptor"):
            close(self._descriptor)


class OpenFiles:
    """The files used last, by path. Paths must never be given to another file: segment names are random."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._files: OrderedDict[str, OpenFile] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: str) -> OpenFile:
        """The open file; the caller's reference keeps it open."""
        file = self._files.get(path)
        if file is None:
            file = OpenFile(path)
            with self._lock:
                self._files[path] = file
                if len(self._files) > self._capacity:
                    self._files.popitem(last=False)
        return file

    def forget(self, path: str) -> None:
        """Let go of a file that has been removed, so that its space is given back."""
        with self._lock:
            self._files.pop(path, None)

    def forget_locks(self) -> None:
        """In a forked child: another thread of the parent may have held the lock."""
        self._lock = threading.Lock()


OPEN_FILES: Final = OpenFiles(capacity=64)
os.register_at_fork(after_in_child=OPEN_FILES.forget_locks)
