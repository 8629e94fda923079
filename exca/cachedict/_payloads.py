"""Bulk bytes of items: collected before they are written, and read back from ``.data``."""

from __future__ import annotations

import mmap
import sys
from pathlib import Path
from typing import Any, Final

from exca.cachedict._open_files import OPEN_FILES, OpenFile
from exca.cachedict._writer import Payload
from exca.errors import StoreError
from exca.store import is_remote

__all__ = ["CollectedPayloads", "ShortPayload", "StoredPayloads"]

_MAPPED: Final = 32 << 20  # bytes from which on an array is mapped rather than read
_UNCLEARED: Final = 1 << 16
_SLAB: Final = 256 << 10
_GAP: Final = 4096


class ShortPayload(StoreError):
    """The file ends before the payload does: the machine went down before it was on the disk."""


class CollectedPayloads:
    """Takes the payloads of one item."""

    __slots__ = ("parts",)

    def __init__(self) -> None:
        self.parts: list[Payload] = []

    def append(self, payload: Payload) -> int:
        """Keep a payload (C-contiguous, unchanged until it is written) and return its number in the item."""
        self.parts.append(payload)
        return len(self.parts) - 1


class StoredPayloads:
    """Reads payloads of items of one segment.

    One object may serve many items, one after the other (see `turn_to`): neighbours are then read together.

    Parameters
    ----------
    path: the ``.data`` file.
    together: whether payloads that follow each other are to be read in slabs.
    """

    __slots__ = ("_end", "_file", "_path", "_slab", "_slab_start", "_table", "_together")

    def __init__(self, path: str, table: Any = (), *, together: bool = False) -> None:
        self._path = path
        self._table = table
        self._together = together
        self._file: OpenFile | None = None
        self._slab = b""
        self._slab_start = self._end = 0

    @property
    def path(self) -> Path:
        """The file that holds the payloads."""
        return Path(self._path)

    def reopen(self) -> None:
        """See the file as it is now: on a network file system, one that is open may look shorter than it is."""
        OPEN_FILES.forget(self._path)
        self._file = None

    def turn_to(self, table: Any) -> StoredPayloads:
        """Serve the item whose record has this table."""
        self._table = table
        return self

    def read(self, index: int) -> bytes:
        """The bytes of a payload.

        Raises
        ------
        ShortPayload
            if the file ends before.
        """
        offset, length = self._table[index]
        if self._together:
            return self._from_slab(offset, length)
        content = self._open().read(offset, length)
        if len(content) != length:
            raise self._short(offset)
        return content

    def array_buffer(self, index: int) -> Any:
        """The bytes of a payload in a writable buffer of its own; a very large one is read as it is looked at.

        Raises
        ------
        ShortPayload
            if the file ends before.
        """
        offset, length = self._table[index]
        if length < _GAP:
            return bytearray(self.read(index))
        if length >= _MAPPED and not is_remote(self._path):
            return self._mapped(offset, length)
        buffer = _fresh_buffer(length)
        if not self._open().read_into(buffer, offset):
            raise self._short(offset)
        return buffer

    def _open(self) -> OpenFile:
        if self._file is None:
            self._file = OPEN_FILES.get(self._path)
        return self._file

    def _from_slab(self, offset: int, length: int) -> bytes:
        at = offset - self._slab_start
        if not 0 <= at <= len(self._slab) - length:
            follows = 0 <= offset - self._end < _GAP
            self._slab = self._open().read(offset, _SLAB if follows and length < _SLAB else length)
            self._slab_start, at = offset, 0
            if len(self._slab) < length:
                raise self._short(offset)
        self._end = offset + length
        return self._slab[at : at + length]

    def _mapped(self, offset: int, length: int) -> memoryview:
        file = self._open()
        if file.size() < offset + length:
            raise self._short(offset)
        start = offset - offset % mmap.ALLOCATIONGRANULARITY
        lead = offset - start
        mapping = mmap.mmap(file.descriptor, lead + length, access=mmap.ACCESS_COPY, offset=start)
        return memoryview(mapping)[lead:]

    def _short(self, offset: int) -> ShortPayload:
        return ShortPayload(f"{self._path} ends inside of what should stand at {offset}")


def _fresh_buffer(length: int) -> Any:
    numpy = sys.modules.get("numpy")
    if numpy is None or length < _UNCLEARED:
        return bytearray(length)
    return memoryview(numpy.empty(length, dtype="u1"))  # not cleared first, which takes as long as reading does
