"""Where each key is: all segments of a folder, seen as one table."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Sequence
from typing import Final

from exca.cachedict._callers import level_of_caller
from exca.cachedict._index import digest_of
from exca.cachedict._listing import Listing
from exca.cachedict._open_files import OPEN_FILES
from exca.cachedict._records import FORMAT, Record, check_format
from exca.cachedict._segment import DELETED, Segment
from exca.cachedict._writer import SegmentWriter

__all__ = ["MARKER", "Catalog", "DamagedCacheWarning", "Spot"]

MARKER: Final = "cache-format.json"
_REMEMBERED: Final = 200_000
_LOOKUP_BYTES: Final = 2048  # finding one key by tables takes as long as reading this much of a log
_ATTEMPTS: Final = 20

Spot = tuple[int, Segment, int]  # sequence number, segment, position in its log

_REPORTED: set[tuple[str, int]] = set()


class DamagedCacheWarning(UserWarning):
    """A part of a cache cannot be read; the items in it count as not stored."""


class Catalog:
    """Finds the newest record of a key. Not safe for threads: its owner holds a lock.

    Attributes
    ----------
    clock: the largest sequence number seen. What is written next gets a larger one.
    epoch: changes when others have written something: what was looked up before may not be the newest any more.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.segments: dict[str, Segment] = {}
        self.clock = 0
        self.epoch = 0
        self._listing = Listing(folder)
        self._found: dict[str, Spot] = {}
        self._complete = False
        self._checked = False
        self._own: Segment | None = None
        self._seen: tuple[Spot, Record] | None = None  # read to find it, and given out once
        self._changes = 0
        self._counted = (-1, 0)

    def refresh(self) -> None:
        """Take into account what all writers have stored by now.

        Raises
        ------
        CorruptResult
            if a later version has written something here.
        OSError
            if the folder cannot be read.
        """
        try:
            self._check_marker()
            for _ in range(_ATTEMPTS):
                if self._refresh_once():
                    break
        except OSError as error:
            error.add_note(
                f"The cache {self.folder} cannot be read. If it is somebody else's, ask for read access to all of it "
                "(permissions gives it to others in the first place); else choose another folder."
            )
            raise
        self._report()

    def load_all(self) -> None:
        """Read all logs, now and at each refresh: the way to know all keys, or to look up very many."""
        self._complete = True
        self._found.clear()
        self.refresh()

    def find(self, key: str) -> Spot | None:
        """Where the newest record of a key is, as far as is known; None if it is not stored."""
        spot = self.newest(key)
        return None if spot is None or spot[2] == DELETED else spot

    def newest(self, key: str) -> Spot | None:
        """The same, be it a deletion."""
        spot = self._found.get(key)
        if spot is None:
            spot = self._search(key)
            if spot is not None and not self._complete:
                self._remember(key, spot)
        return spot

    def has_elsewhere(self, key: str, names: set[str]) -> bool:
        """Whether a segment other than these has any record of a key."""
        others = [segment for name, segment in self.segments.items() if name not in names]
        if any(key in segment.tail for segment in others):
            return True
        digest = digest_of(key)
        return any(
            self._in_block(key, segment, block.offsets(digest)) is not None
            for segment in others
            for block in segment.blocks
        )

    def find_cheaply(self, key: str) -> Spot | None:
        """Where a key is, if that takes no reading."""
        spot = self._search(key) if self._complete else self._found.get(key)
        return None if spot is None or spot[2] == DELETED else spot

    def find_many(self, keys: Sequence[str], expected: int = 0) -> dict[str, Spot]:
        """Where those keys are that are stored.

        Parameters
        ----------
        keys: what to look for.
        expected: how many keys will be looked for in all, if these are but some of them.
        """
        self._load_if_cheaper(max(len(keys), expected))
        if not self._complete:
            spots = ((key, self.find(key)) for key in keys)
            return {key: spot for key, spot in spots if spot is not None}
        if len(self.segments) == 1:  # nothing to compare
            (segment,) = self.segments.values()
            get = segment.tail.get
            return {key: (hit[0], segment, hit[1]) for key in keys if (hit := get(key)) and hit[1] != DELETED}
        return self._newest_of(frozenset(keys))

    def _newest_of(self, keys: frozenset[str]) -> dict[str, Spot]:
        """Where those keys are that are stored, when all logs have been read."""
        newest: dict[str, Spot] = {}
        for segment in self.segments.values():
            tail = segment.tail
            for key in keys & tail.keys():
                sequence, at = tail[key]
                known = newest.get(key)
                if known is None or known[0] < sequence:
                    newest[key] = (sequence, segment, at)
        return {key: spot for key, spot in newest.items() if spot[2] != DELETED}

    def missing_among(self, keys: Sequence[str]) -> Sequence[str]:
        """Those of the keys that are not stored, as far as is known."""
        self._load_if_cheaper(len(keys))
        segments = self.segments.values()
        if not self._complete or any(segment.deletes for segment in segments):
            return [key for key in keys if self.find(key) is None]
        for segment in segments:
            tail = segment.tail
            keys = [key for key in keys if key not in tail]
        return keys

    def _load_if_cheaper(self, count: int) -> None:
        """Read all logs, if that takes less than to find so many keys by tables."""
        if self._complete or count < 2:
            return
        unread = sum(end - start for segment in self.segments.values() for start, end in segment.unread)
        if unread < count * _LOOKUP_BYTES:
            self.load_all()

    def spots(self) -> dict[str, Spot]:
        """All keys, in the order in which their present values were written."""
        self.load_all()
        newest: dict[str, Spot] = {}
        for segment in self.segments.values():
            for key, (sequence, at) in segment.tail.items():
                known = newest.get(key)
                if known is None or known[0] < sequence:
                    newest[key] = (sequence, segment, at)
        stored = {key: spot for key, spot in newest.items() if spot[2] != DELETED}
        if len(self.segments) > 1 or any("merges" in segment.header for segment in self.segments.values()):
            stored = dict(sorted(stored.items(), key=lambda item: item[1][0]))
        return stored

    def count(self) -> int:
        """The number of keys."""
        self.load_all()
        if self._counted[0] != self._changes:
            self._counted = (self._changes, len(self.spots()))
        return self._counted[1]

    def record(self, key: str, spot: Spot) -> Record | None:
        """The record of a key; None if what stands there is not it, which is then not found again.

        Raises
        ------
        OSError
            if the segment has been removed.
        """
        seen, self._seen = self._seen, None
        if seen is not None and seen[0] == spot:
            return seen[1]
        _, segment, at = spot
        record = segment.record_at(at)
        if record is not None and record.get("k") == key:
            return record
        self.discard(key, spot)
        return None

    def discard(self, key: str, spot: Spot) -> None:
        """Count what stands there as not stored: it is damaged."""
        _, segment, at = spot
        segment.discard(key, at)
        self._changes += 1
        self._found.pop(key, None)
        self._report()

    def adopt(self, writer: SegmentWriter) -> None:
        """From now on, `note` tells of what this process appends there."""
        self._own = Segment(self.folder, writer.name)
        self._own.end = self._own.size = writer.end
        self.segments[writer.name] = self._own

    def release(self) -> None:
        """The own segment has been closed, or is not to be used any more; it is then one like the others."""
        self._own = None

    def note(self, key: str, sequence: int, at: int, writer: SegmentWriter) -> None:
        """This process has appended a record."""
        own = self._own
        assert own is not None, "adopt comes first"
        self.clock = sequence
        self._changes += 1
        own.tail[key] = (sequence, at)
        own.deletes |= at == DELETED
        own.end = own.size = writer.end
        own.last = sequence
        if not self._complete:
            self._remember(key, (sequence, own, at))
        self.note_sealed(writer)

    def note_sealed(self, writer: SegmentWriter) -> None:
        """This process may have added to the index."""
        own = self._own
        if own is not None and writer.sealed != own.sealed:
            own.blocks = writer.blocks
            if not self._complete:
                own.unread = [(0, own.sealed)]
                own.tail = {}

    def _refresh_once(self) -> bool:
        names = self._listing.changes()
        if names is not None:
            for name in self.segments.keys() - names:
                self._drop(name)
            for name in sorted(names - self.segments.keys()):
                self.segments[name] = Segment(self.folder, name)
        changed = False
        for segment in list(self.segments.values()):
            if segment is self._own and not (self._complete and segment.unread):
                continue
            try:
                changed |= segment.grow(self._found, wholly=self._complete)
            except (FileNotFoundError, NotADirectoryError):
                self._drop(segment.name)
                return False  # it has been merged: the segment it went to is in the folder by now
            self.clock = max(self.clock, segment.last)
        self.epoch += changed
        self._changes += changed
        return True

    def _drop(self, name: str) -> None:
        segment = self.segments.pop(name)
        self._listing.forget()
        self._changes += 1
        if segment is self._own:
            self._own = None
        self._found.clear()
        for suffix in ("log", "data", "index"):
            OPEN_FILES.forget(f"{segment.path}.{suffix}")

    def _search(self, key: str) -> Spot | None:
        best: Spot | None = None
        for segment in self.segments.values():
            hit = segment.tail.get(key)
            if hit is not None and (best is None or hit[0] > best[0]):
                best = (hit[0], segment, hit[1])
        return best if self._complete else self._search_tables(key, best)

    def _search_tables(self, key: str, best: Spot | None) -> Spot | None:
        digest = digest_of(key)
        for segment in self.segments.values():
            for block in reversed(segment.blocks):
                if best is not None and block.last <= best[0]:
                    continue
                hit = self._in_block(key, segment, block.offsets(digest))
                if hit is not None:
                    if best is None or hit[0] > best[0]:
                        best = hit
                    break  # later lines of a log are newer
        return best

    def _in_block(self, key: str, segment: Segment, offsets: list[int]) -> Spot | None:
        for at in offsets:
            if at in segment.damaged:
                continue
            record = segment.record_at(at)
            if record is None:
                segment.damaged.add(at)
                self._report()
            elif record.get("k") == key:
                spot = (record["n"], segment, DELETED if "x" in record else at)
                self._seen = (spot, record)
                return spot
        return None

    def _remember(self, key: str, spot: Spot) -> None:
        if len(self._found) >= _REMEMBERED:
            self._found.clear()
        self._found[key] = spot

    def _check_marker(self) -> None:
        if self._checked:
            return
        path = os.path.join(self.folder, MARKER)
        try:
            with open(path, "rb") as stream:
                marker = json.loads(stream.read())
        except FileNotFoundError:
            return
        except ValueError:  # every log says it, too
            marker = {"exca-cache": FORMAT}
        check_format(marker, path)
        self._checked = True

    def _report(self) -> None:
        """Say once for each place that something cannot be read."""
        for segment in self.segments.values():
            places = segment.damaged | ({segment.end} if segment.end < segment.size and segment.torn() else set())
            for at in sorted(places):
                if (segment.log, at) not in _REPORTED:
                    _REPORTED.add((segment.log, at))
                    warnings.warn(
                        f"{segment.log}, byte {at}: the item there was not written to its end (a writer was killed, "
                        "or the machine went down). It counts as not stored; everything else is kept.",
                        DamagedCacheWarning,
                        stacklevel=level_of_caller(),
                    )
