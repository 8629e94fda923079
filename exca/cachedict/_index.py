"""The sorted tables beside a log, by which one item is found without reading the log.

An index file is a sequence of blocks, each a table and then its trailer. A table is sorted: 8 bytes blake2b of a key,
8 bytes offset of its line in the log, both big-endian. A trailer (64 bytes) says which part of the log its table
covers, and where the trailer of the block before that part is. So the file is read from its end; a block that has
been merged into a later one is passed over. An index is derived data: it may be missing, or behind its log.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from exca.cachedict._open_files import OPEN_FILES, OpenFile

__all__ = ["ENTRY", "Block", "digest_of", "make_block", "read_blocks"]

ENTRY: Final = 16
_MAGIC: Final = b"exca-ix\x01"
# magic, crc-32 of the trailer with this field 0, crc-32 of the table, first and last + 1 byte of the log, entries,
# largest sequence number, position of the previous trailer in this file (NONE: there is none)
_TRAILER: Final = struct.Struct(">8sIIQQQQQ8x")
_NONE: Final = 2**64 - 1
_SEARCHED: Final = 1 << 20


def digest_of(key: str) -> bytes:
    """The 8 bytes under which a key is found in tables."""
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()


@dataclass(frozen=True, slots=True)
class Block:
    """A sorted table over one part of a log.

    Attributes
    ----------
    path: the index file.
    start, end: the part of the log, in bytes.
    count: number of entries.
    last: largest sequence number in that part.
    trailer: position of the trailer in the index file; the table ends there.
    crc: CRC-32 of the table.
    """

    path: str
    start: int
    end: int
    count: int
    last: int
    trailer: int
    crc: int

    def offsets(self, digest: bytes) -> list[int]:
        """Where in the log there may be lines of the key with that digest, the last first.

        Digests are evenly spread, so one read around the expected position nearly always holds the answer.
        """
        file = OPEN_FILES.get(self.path)
        expected = int.from_bytes(digest, "big") * self.count >> 64
        reach = 3 * math.isqrt(self.count) // 2 + 32
        while True:
            first, stop = max(0, expected - reach), min(self.count, expected + reach)
            window = file.read(self._position(first), (stop - first) * ENTRY)
            # equal digests stand side by side: the window must show one that is smaller and one that is larger
            if (first == 0 or window[:8] < digest) and (stop == self.count or window[-ENTRY:-8] > digest):
                return _matches(window, digest)
            if first == 0 and stop == self.count:
                return _matches(window, digest)
            reach *= 8

    def table(self) -> bytes:
        """The whole table."""
        return OPEN_FILES.get(self.path).read(self._position(0), self.count * ENTRY)

    def is_intact(self) -> bool:
        """Whether the table is what was written; reads all of it."""
        return zlib.crc32(self.table()) == self.crc

    def _position(self, entry: int) -> int:
        return self.trailer - (self.count - entry) * ENTRY


def make_block(
    table: list[bytes], start: int, end: int, last: int, *, path: str, position: int, previous: Block | None
) -> tuple[bytes, Block]:
    """The bytes of a block to be put at ``position``, and what a reader will know about it.

    Parameters
    ----------
    table: entries, sorted.
    start, end, last: see `Block`.
    previous: the block of the part of the log right before ``start``.
    """
    content = b"".join(table)
    block = Block(path, start, end, len(table), last, position + len(content), zlib.crc32(content))
    linked = _NONE if previous is None else previous.trailer
    fields = (block.crc, start, end, len(table), last, linked)
    crc = zlib.crc32(_TRAILER.pack(_MAGIC, 0, *fields))
    return content + _TRAILER.pack(_MAGIC, crc, *fields), block


def read_blocks(path: str) -> list[Block]:
    """The blocks that together cover a log from its start; none if there is no index.

    Raises
    ------
    OSError
        for reasons other than that there is no such file.
    """
    try:
        file = OPEN_FILES.get(path)
    except FileNotFoundError:
        return []
    size = file.size()
    blocks = _chain(file, path, size - _TRAILER.size)
    if not blocks and size > _TRAILER.size:  # its writer was stopped in the middle of a block
        blocks = next(filter(None, (_chain(file, path, at) for at in _trailers(file, size))), [])
    return blocks


def _chain(file: OpenFile, path: str, trailer: int) -> list[Block]:
    """The block with that trailer and those it continues; none unless they reach back to the start of the log."""
    found: list[Block] = []
    while trailer != _NONE:
        block, trailer = _read_trailer(file, path, trailer)
        if block is None or (found and found[-1].start != block.end):
            return []
        found.append(block)
    return found[::-1] if found and found[-1].start == 0 else []


def _read_trailer(file: OpenFile, path: str, at: int) -> tuple[Block | None, int]:
    packed = file.read(at, _TRAILER.size) if at >= 0 else b""
    if len(packed) < _TRAILER.size or packed[:8] != _MAGIC:
        return None, _NONE
    _, crc, table_crc, start, end, count, last, previous = _TRAILER.unpack(packed)
    intact = crc == zlib.crc32(packed[:8] + bytes(4) + packed[12:])
    if not intact or count * ENTRY > at or not (previous == _NONE or previous < at):
        return None, _NONE
    return Block(path, start, end, count, last, at, table_crc), previous


def _trailers(file: OpenFile, size: int) -> Iterator[int]:
    """Positions that look like trailers, from the end of the file."""
    end = size
    while end > 0:
        start = max(0, end - _SEARCHED)
        content = file.read(start, end - start)
        at = content.rfind(_MAGIC)
        while at >= 0:
            yield start + at
            at = content.rfind(_MAGIC, 0, at + len(_MAGIC) - 1)
        end = start + len(_MAGIC) - 1 if start else 0


def _matches(window: bytes, digest: bytes) -> list[int]:
    offsets = []
    at = window.find(digest)
    while at >= 0:
        if at % ENTRY == 0:
            offsets.append(int.from_bytes(window[at + 8 : at + ENTRY], "big"))
        at = window.find(digest, at + 1)
    return offsets[::-1]
