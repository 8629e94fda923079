"""Appending to a segment: payloads to ``.data``, the line that commits them to ``.log``, now and then ``.index``."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import secrets
import socket
import time
from collections.abc import Sequence
from typing import Final

from exca.cachedict._index import ENTRY, Block, digest_of, make_block
from exca.cachedict._records import closing_line, deletion_line, header_line, item_line
from exca.liveness import Stamp
from exca.store import Permissions, is_remote, remove_quietly

__all__ = ["ALIGNMENT", "Payload", "SegmentGone", "SegmentWriter"]

ALIGNMENT: Final = 64  # bytes, of payloads in .data: a cache line, and enough for any dtype
_SEALED_RECORDS: Final = 1024  # so many lines at most are read by who looks for one item
_SEALED_BYTES: Final = 1 << 20
_WORTH_SEALING: Final = 128
_FAN_OUT: Final = 8  # blocks of one size that become one
_DEAD_BYTES: Final = 64 << 20
_PARTS: Final = 1024  # IOV_MAX of Linux, see writev(2)
_PADDING: Final = bytes(ALIGNMENT)

Payload = bytes | bytearray | memoryview


class SegmentGone(Exception):
    """Somebody took the segment away while this process appended to it."""


class SegmentWriter:
    """Writes one segment, which nobody else ever appends to.

    Parameters
    ----------
    folder: where; it must exist.
    permissions: mode bits of the files; None: the umask decides.
    sources: names of the segments that this one merges.

    Raises
    ------
    OSError
        if the folder cannot be written; nothing is left behind.
    """

    def __init__(self, folder: str, permissions: Permissions, sources: Sequence[str] = ()) -> None:
        self.name = _new_name()
        self.path = os.path.join(folder, self.name)
        self.records = 0
        self.dead = 0
        self._permissions = permissions
        # There, other machines see what has been sent, and the system sends pages in any order: without waiting, a
        # record could be seen before its payload. Copies of records matter once the segment is closed.
        self._sent_at_once = not sources and is_remote(self.path)
        self._pid = os.getpid()
        self._log = self._create("log")
        self._inode = os.fstat(self._log).st_ino
        self._data = self._index = -1
        self.data_end = self._index_end = 0
        self._unsealed: dict[str, int] = {}
        self._last = 0
        self._unindexed = False
        self._blocks: list[tuple[int, Block]] = []
        header = header_line(Stamp.current().to_dict(), time.time_ns(), list(sources))
        self.end = len(header)
        try:
            _write(self._log, [header], len(header))
        except BaseException:
            os.close(self._log)
            remove_quietly(f"{self.path}.log")
            raise

    @property
    def mine(self) -> bool:
        """Whether this process is the one that opened it; a fork is not."""
        return self._pid == os.getpid()

    @property
    def is_mostly_dead(self) -> bool:
        """Whether closing it, for it to be merged, would give back much space."""
        return self.dead > _DEAD_BYTES and self.dead > (self.end + self.data_end) // 2

    @property
    def sealed(self) -> int:
        """How much of the log the index covers, in bytes."""
        return self._blocks[-1][1].end if self._blocks else 0

    @property
    def blocks(self) -> list[Block]:
        """The tables that cover what is sealed."""
        return [block for _, block in self._blocks]

    def append(self, key: str, sequence: int, info: object, payloads: Sequence[Payload]) -> int:
        """Commit an item; afterwards every reader finds it.

        Returns
        -------
        int: the position of its line in the log.

        Raises
        ------
        OSError
            if the disk does not take it. The segment must not be used again: half a line may stand at its end.
        SegmentGone
            if somebody took the segment away.
        TypeError, ValueError
            if the info is not JSON; nothing was written.
        """
        table, end = _places(payloads, self.data_end)
        line = item_line(key, sequence, info, table)
        if payloads:
            self._append_payloads(payloads, end - self.data_end)
            self.data_end = end
        return self._commit(key, sequence, line)

    def delete(self, key: str, sequence: int) -> int:
        """Commit the deletion of a key; see `append`."""
        return self._commit(key, sequence, deletion_line(key, sequence))

    def seal(self, worth: int = _WORTH_SEALING) -> None:
        """Add what was written since the last time to the index, if it is that many records."""
        if len(self._unsealed) < max(worth, 1) or self._unindexed or not self.mine:
            return
        try:
            table = sorted(digest_of(key) + at.to_bytes(8, "big") for key, at in self._unsealed.items())
            self._add_block(table, self.sealed, self.end, self._last, 0)
            while len({level for level, _ in self._blocks[-_FAN_OUT:]}) == 1 and len(self._blocks) >= _FAN_OUT:
                self._merge_blocks(_FAN_OUT)
            self._unsealed = {}
        except OSError:
            # What has no index is read from the log. A full disk is told of by the next item; half a block ends this
            # index, since positions in it are no longer known.
            self._unindexed = True

    def close(self, *, strictly: bool = False) -> None:
        """Say that nothing will be appended any more, after all of it has reached the disk.

        Raises
        ------
        OSError
            with ``strictly``, if it cannot be said. Otherwise the segment is later merged like that of a process that
            was killed.
        """
        if self._log < 0:
            return
        try:
            if self.mine:
                with contextlib.suppress(*(() if strictly else (OSError,))):
                    self._finish()
        finally:
            for descriptor in {self._log, self._data, self._index} - {-1}:
                os.close(descriptor)
            self._log = self._data = self._index = -1

    def abandon(self) -> None:
        """Close it without a word, after something went wrong: its records are kept, and nothing is added."""
        self._pid = -1
        self.close()

    def _finish(self) -> None:
        if not self.records:
            remove_quietly(f"{self.path}.log")
            return
        self.seal()
        if len(self._blocks) > 1 and not self._unindexed:
            with contextlib.suppress(OSError):  # several tables do as well
                self._merge_blocks(len(self._blocks))
        for descriptor in (self._data, self._index):
            if descriptor >= 0:
                os.fdatasync(descriptor)
        line = closing_line(time.time_ns(), self.dead)
        _write(self._log, [line], len(line))
        os.fdatasync(self._log)

    def _commit(self, key: str, sequence: int, line: bytes) -> int:
        at = self.end
        _write(self._log, [line], len(line))
        if self._sent_at_once:
            os.fdatasync(self._log)
        self.end += len(line)
        self.records += 1
        self._unsealed[key] = at
        self._last = sequence
        if not self._still_there():
            raise SegmentGone(self.path)
        if len(self._unsealed) >= _SEALED_RECORDS or self.end - self.sealed > _SEALED_BYTES:
            self.seal(1)
        return at

    def _append_payloads(self, payloads: Sequence[Payload], size: int) -> None:
        if self._data < 0:
            self._data = self._create("data")
        parts: list[Payload] = []
        for payload in payloads:
            length = memoryview(payload).nbytes
            if length:
                parts.append(payload)
                if length % ALIGNMENT:
                    parts.append(_PADDING[: -length % ALIGNMENT])
        _write(self._data, parts, size)
        if self._sent_at_once:
            os.fdatasync(self._data)

    def _still_there(self) -> bool:
        try:
            return os.stat(f"{self.path}.log").st_ino == self._inode
        except OSError:
            return False

    def _add_block(self, table: list[bytes], start: int, end: int, last: int, level: int) -> None:
        if self._index < 0:
            self._index = self._create("index")
        previous = self._blocks[-1][1] if self._blocks else None
        content, block = make_block(
            table, start, end, last, path=f"{self.path}.index", position=self._index_end, previous=previous
        )
        _write(self._index, [content], len(content))
        self._index_end += len(content)
        self._blocks.append((level, block))

    def _merge_blocks(self, count: int) -> None:
        """Write the last blocks again as one, so that a reader has few tables to look into."""
        merged = self._blocks[-count:]
        entries = itertools.chain.from_iterable(_entries(block.table()) for _, block in merged)
        table = sorted(entries)
        kept = self._blocks
        self._blocks = kept[:-count]
        try:
            first, last = merged[0][1], merged[-1][1]
            self._add_block(table, first.start, last.end, max(block.last for _, block in merged), merged[0][0] + 1)
        except BaseException:
            self._blocks = kept
            raise

    def _create(self, suffix: str) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(f"{self.path}.{suffix}", flags, 0o666)
        if self._permissions is not None:
            os.fchmod(descriptor, self._permissions & ~0o111)
        return descriptor


def _new_name() -> str:
    """A name that no other writer takes: containers may share host name, pid and the instant; 80 bits are random."""
    host = re.sub(r"[^A-Za-z0-9]+", "-", socket.gethostname())[:32]
    return f"{time.time_ns() // 1000:x}-{host}-{os.getpid()}-{secrets.token_hex(10)}"


def _places(payloads: Sequence[Payload], position: int) -> tuple[list[list[int]], int]:
    """Where each payload will stand, and where the file will end."""
    table = []
    for payload in payloads:
        size = memoryview(payload).nbytes
        table.append([position, size])
        position += size + -size % ALIGNMENT
    return table, position


def _write(descriptor: int, parts: list[Payload], size: int) -> None:
    """Write all of it; a disk that fills up takes a part, and says so at the next attempt."""
    done = os.writev(descriptor, parts[:_PARTS]) if parts else 0
    if done == size:
        return
    for part in parts:
        view = memoryview(part).cast("B")
        while done < len(view):
            done += os.write(descriptor, view[done:])
        done -= len(view)


def _entries(table: bytes) -> list[bytes]:
    return [table[at : at + ENTRY] for at in range(0, len(table), ENTRY)]
