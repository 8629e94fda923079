"""One segment as a reader sees it: what is known of its log so far, and how its lines are found."""

from __future__ import annotations

import bisect
import itertools
import os
from collections.abc import Iterator
from typing import Any, Final

from exca.cachedict._index import Block, read_blocks
from exca.cachedict._open_files import OPEN_FILES
from exca.cachedict._records import (
    Record,
    check_format,
    collector_paused,
    keys_of,
    parse_items,
    parse_line,
    parse_lines,
    parse_plain,
)
from exca.liveness import Stamp

__all__ = ["DELETED", "Segment"]

DELETED: Final = -1
_LINE: Final = 1024
_SLAB: Final = 64 << 10
_SCANNED: Final = 256 << 10
_WORTH_SKIPPING: Final = 256 << 10  # bytes of a log; fewer are read at once rather than looked up one by one


class Segment:
    """A log, its index and its data.

    Attributes
    ----------
    path: of the three files, without suffix.
    tail: the last line of each key in the part of the log that was read: sequence number and position (`DELETED` for
        a deletion).
    blocks: tables over the part of the log that need not be read to find one key.
    unread: the parts of the log that only the tables tell of.
    end: up to where the log is known.
    last: the largest sequence number seen in it.
    deletes: whether the part of the log that was read holds a deletion.
    closed: whether its writer has said that nothing follows.
    dead: bytes that its records have made useless, as its writer counted them.
    damaged: positions of lines that cannot be read, or whose payloads are not there.
    """

    __slots__ = (
        "_header",
        "blocks",
        "closed",
        "damaged",
        "data",
        "dead",
        "deletes",
        "end",
        "last",
        "log",
        "name",
        "path",
        "size",
        "tail",
        "unread",
    )

    def __init__(self, folder: str, name: str) -> None:
        self.name = name
        self.path = os.path.join(folder, name)
        self.log = f"{self.path}.log"
        self.data = f"{self.path}.data"
        self.tail: dict[str, tuple[int, int]] = {}
        self.blocks: list[Block] = []
        self.unread: list[tuple[int, int]] = []
        self.end = self.size = self.last = self.dead = 0
        self.closed = self.deletes = False
        self.damaged: set[int] = set()
        self._header: Record = {}

    @property
    def header(self) -> Record:
        """The first line of its log; empty while there is none.

        Raises
        ------
        CorruptResult
            if a later version has written it.
        """
        if not self._header:
            header = self.record_at(0)
            if header is not None and "exca-cache" in header:
                check_format(header, self.log)
                self._header = header
        return self._header

    @property
    def writer(self) -> Stamp | None:
        """The process that writes it."""
        return Stamp.from_dict(self.header.get("process"))

    @property
    def sealed(self) -> int:
        """How much of the log its tables cover, in bytes."""
        return self.blocks[-1].end if self.blocks else 0

    def grow(self, found: dict[str, Any], *, wholly: bool) -> bool:
        """Take into account what has been written since the last time.

        Parameters
        ----------
        found: keys that are looked up already; those that are written anew are taken out of it.
        wholly: read all lines; otherwise, tables do for what they cover.

        Returns
        -------
        bool: whether there was anything.

        Raises
        ------
        OSError
            if the segment has been removed.
        CorruptResult
            if a later version has written it.
        """
        if wholly and self.unread:
            parts, self.unread = self.unread, []
            for start, end in parts:
                self._read(start, end, found)
        if self.closed:
            return False
        first = not self.size
        blocks = read_blocks(f"{self.path}.index") if first else self.blocks
        size = os.stat(self.log).st_size
        if size == self.size or not self.header:
            return False
        if not first and size - self.end > _WORTH_SKIPPING and not wholly:
            blocks = read_blocks(f"{self.path}.index")
        if blocks is not self.blocks and self._may_be_lost(size):
            blocks = list(itertools.takewhile(Block.is_intact, blocks))
        if not wholly and self._skip(blocks, size):
            found.clear()
        self.size = size
        self.end = self._read(self.end, size, found)
        return True

    def discard(self, key: str, at: int) -> None:
        """Count the line there as damaged, although it looked like one of that key; an older one may stand before."""
        self.damaged.add(at)
        if self.tail.get(key, (0, DELETED))[1] != at:
            return
        del self.tail[key]
        for place, record in self.records():
            if record["k"] == key and place not in self.damaged:
                self.tail[key] = (record["n"], DELETED if "x" in record else place)

    def torn(self) -> bool:
        """Whether its log ends inside of a line that its writer will not complete."""
        if self.end == self.size or self.closed:
            return False
        writer = self.writer
        return writer is not None and writer.liveness() == "dead"

    def record_at(self, offset: int) -> Record | None:
        """The record in the line that starts there; None if there is none."""
        line = self._line_at(offset)
        return None if line is None else parse_line(line)

    def records(self) -> Iterator[tuple[int, Record]]:
        """All items and deletions in the part of the log that is known, with their positions."""
        file = OPEN_FILES.get(self.log)
        at, rest = 0, b""
        while at + len(rest) < self.end:
            lines = (rest + file.read(at + len(rest), min(_SCANNED, self.end - at - len(rest)))).split(b"\n")
            rest = lines.pop()
            for line, record in zip(lines, parse_lines(lines), strict=True):
                if record is not None and "k" in record:
                    yield at, record
                at += len(line) + 1

    @collector_paused
    def records_at(self, keys: list[str], offsets: list[int]) -> list[Record | None]:
        """The records of items in the lines that start at these positions, which increase; None for other lines.

        Parameters
        ----------
        keys: of the items.
        offsets: where they should be.
        """
        found: list[Record | None] = []
        for lines in self._lines_at(offsets):
            found += parse_items(keys[len(found) : len(found) + len(lines)], lines)
        return found

    @collector_paused
    def plain_at(self, keys: list[str], offsets: list[int]) -> list[Any] | None:
        """Only the values of the same, if all of them are JSON data as it stands; None otherwise."""
        found: list[Any] = []
        for lines in self._lines_at(offsets):
            values = parse_plain(keys[len(found) : len(found) + len(lines)], lines)
            if values is None:
                return None
            found += values
        return found

    def _lines_at(self, offsets: list[int]) -> Iterator[list[bytes]]:
        """The lines that start at these positions, which increase, many at a time; empty if they are not complete."""
        file = OPEN_FILES.get(self.log)
        first = 0
        while first < len(offsets):
            start = offsets[first]
            content = file.read(start, min(_SLAB, offsets[-1] - start + _LINE))
            lines = _cut(content, start, offsets, first) or [self._line_at(start) or b""]  # it is longer than a slab
            yield lines
            first += len(lines)

    def _line_at(self, offset: int) -> bytes | None:
        file = OPEN_FILES.get(self.log)
        content = file.read(offset, _LINE)
        end = content.find(b"\n")
        while end < 0:
            more = file.read(offset + len(content), 16 * max(len(content), _LINE))
            if not more:
                return None
            content += more
            end = content.find(b"\n")
        return content[:end]

    def _may_be_lost(self, size: int) -> bool:
        """Whether the machine of the writer may have gone down before its tables were on the disk."""
        writer = self.writer
        if writer is not None and writer.boot == Stamp.current().boot:
            return False
        start = max(0, size - _LINE)
        lines = OPEN_FILES.get(self.log).read(start, size - start).rstrip(b"\n").rsplit(b"\n", 1)
        last = parse_line(lines[-1])
        return last is None or "closed" not in last

    def _skip(self, blocks: list[Block], size: int) -> bool:
        """Leave to tables what they cover."""
        sealed = blocks[-1].end if blocks else 0
        if not self.end < sealed <= size:
            return False
        self.unread.append((self.end, sealed))
        self.blocks = blocks
        self.end = sealed
        self.last = max(self.last, *(block.last for block in blocks))
        return True

    @collector_paused
    def _read(self, start: int, end: int, found: dict[str, Any]) -> int:
        """Read the complete lines between two positions; returns where the last of them ends."""
        file = OPEN_FILES.get(self.log)
        at, rest = start, b""
        while at + len(rest) < end:
            content = file.read(at + len(rest), min(_SCANNED, end - at - len(rest)))
            if not content:
                break
            lines = (rest + content).split(b"\n")
            rest = lines.pop()
            if lines:
                at = self._take(lines, at, found)
        return at

    def _take(self, lines: list[bytes], at: int, found: dict[str, Any]) -> int:
        tail = self.tail
        for (key, number, kind), line in zip(keys_of(lines), lines, strict=True):
            sequence = int(number) if kind else 0
            if not kind:
                key, sequence, kind = self._parsed(line, at)
            if kind:
                known = tail.get(key)
                if known is None or known[0] < sequence:
                    tail[key] = (sequence, at if kind == "v" else DELETED)
                if kind != "v":
                    self.deletes = True
                if sequence > self.last:
                    self.last = sequence
                if found:
                    found.pop(key, None)
            at += len(line) + 1
        return at

    def _parsed(self, line: bytes, at: int) -> tuple[str, int, str]:
        """What `keys_of` tells, of a line that is not like most; without a kind if it is not about an item."""
        record = parse_line(line)
        if record is None:
            self.damaged.add(at)
        elif "k" in record:
            return record["k"], record["n"], "x" if "x" in record else "v"
        elif "closed" in record:
            self.closed = True
            self.dead = record.get("dead", 0)
        return "", 0, ""


def _cut(content: bytes, start: int, offsets: list[int], first: int) -> list[bytes]:
    """The complete lines of some content that start at given positions.

    Parameters
    ----------
    content: what stands in the log from `start` on.
    offsets: positions of lines, which increase; the one with number `first` is `start`.
    """
    end = start + content.rfind(b"\n")
    stop = bisect.bisect_left(offsets, end, first)
    if stop == first:
        return []
    if content.count(b"\n", 0, end - start) == stop - first - 1:  # nothing else is there: in one go
        return content[: end - start].split(b"\n")
    return [content[at - start : content.find(b"\n", at - start)] for at in offsets[first:stop]]
