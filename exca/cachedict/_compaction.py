"""Merging segments: few files, and the space of what was overwritten or deleted given back.

Only segments that nobody writes any more are touched. Their live records are appended, with the sequence numbers they
have, to a new segment; only then the old ones are removed. So whatever is interrupted leaves records twice, which
changes nothing for readers.
"""

from __future__ import annotations

import contextlib
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from exca.cachedict._catalog import Catalog, DamagedCacheWarning
from exca.cachedict._formats import delete
from exca.cachedict._payloads import StoredPayloads
from exca.cachedict._records import Record
from exca.cachedict._segment import DELETED, Segment
from exca.cachedict._writer import ALIGNMENT, Payload, SegmentWriter
from exca.errors import StoreError
from exca.store import Claim, Permissions, remove_quietly

__all__ = ["compact", "is_worth_it", "space_of"]

_MANY: Final = 16  # segments that a cache may have without anybody caring
_FEW: Final = 8  # fewer are not worth a merge
_TINY_BYTES: Final = 1 << 16
_BIG_BYTES: Final = 64 << 20  # a segment of this size is only written again to give its dead bytes back
_DEAD_BYTES: Final = 16 << 20
_LARGE_PAYLOAD: Final = 1 << 20
_DAY_S: Final = 86_400.0
_CLAIM: Final = "compact.claim"


def is_worth_it(catalog: Catalog) -> bool:
    """Whether there may be many segments to merge, or much space to give back; quick, and not exact."""
    segments = catalog.segments.values()
    if len(segments) > _MANY and sum(map(_is_finished, segments)) >= _FEW:
        return True
    dead = sum(segment.dead for segment in segments)
    return dead > _DEAD_BYTES and dead > sum(map(_size, segments)) / 2


def compact(folder: Path, catalog: Catalog, permissions: Permissions, *, thorough: bool) -> None:
    """Merge the segments of a folder for which that is worth it; nothing while another process is at it.

    Parameters
    ----------
    catalog: of the folder, refreshed.
    permissions: mode bits of new files.
    thorough: merge all that is not large, and write again what has dead bytes at all.

    Raises
    ------
    OSError
        if the folder cannot be written, or the disk is full. Nothing is lost.
    """
    claim = Claim.take(os.path.join(folder, _CLAIM), permissions)
    if claim is None:
        return
    with claim:
        catalog.refresh()
        _remove_leftovers(str(folder))
        sources = _chosen(catalog, thorough=thorough)
        if sources:
            merge = _Merge(folder, catalog, permissions, sources)
            merge.run()
    catalog.refresh()


def space_of(record: Record) -> int:
    """Bytes that a record takes, its line estimated."""
    table: list[list[int]] = record.get("p", [])
    return 200 + sum(length + -length % ALIGNMENT for _, length in table)


class _Merge:
    """One merge, from the choice of segments to their removal."""

    def __init__(self, folder: Path, catalog: Catalog, permissions: Permissions, sources: Sequence[Segment]) -> None:
        self._folder = folder
        self._catalog = catalog
        self._permissions = permissions
        self._names = {source.name for source in sources}
        # Read anew and wholly: the catalog may know them by their tables only.
        self._sources = [Segment(str(folder), source.name) for source in sources]
        self._dropped: list[Record] = []
        self._freed = 0

    def run(self) -> None:
        """Merge, then remove."""
        for source in self._sources:
            source.grow({}, wholly=True)
        writer = SegmentWriter(str(self._folder), self._permissions, sorted(self._names))
        try:
            for source in self._sources:
                self._copy(source, writer)
            writer.dead = max(0, sum(source.dead for source in self._sources) - self._freed)
            writer.close(strictly=True)
        except BaseException:
            writer.abandon()
            for suffix in ("log", "data", "index"):
                remove_quietly(f"{writer.path}.{suffix}")
            raise
        for source in self._sources:
            _remove(source)
        self._delete_dropped()

    def _copy(self, source: Segment, writer: SegmentWriter) -> None:
        """Append those records of a source that are the newest of their keys."""
        payloads = StoredPayloads(source.data, together=True)
        for key, (sequence, at) in source.tail.items():
            if at == DELETED and self._is_newest(source, key, sequence) and self._hides_something(key, sequence):
                writer.delete(key, sequence)
        for at, record in source.records():
            key, sequence = record["k"], record["n"]
            if source.tail.get(key) == (sequence, at) and self._is_newest(source, key, sequence):
                payloads.turn_to(record.get("p", ()))
                writer.append(key, sequence, record["v"], list(_payloads(record, payloads)))
            elif "v" in record:
                self._freed += space_of(record)
                if "own" in str(record["v"]):
                    self._dropped.append(record)

    def _is_newest(self, source: Segment, key: str, sequence: int) -> bool:
        """Whether no other segment, or only one that was merged before in vain, has the key as new as that."""
        newest = self._catalog.newest(key)
        if newest is not None and newest[0] > sequence:
            return False
        for other in self._sources:  # of several copies of a record, the last one is kept
            if other is source:
                return True
            if other.tail.get(key, (0,))[0] >= sequence:
                return False
        return True

    def _hides_something(self, key: str, sequence: int) -> bool:
        """Whether a deletion is still needed: an older record may be elsewhere, or be on its way."""
        return time.time_ns() - sequence < _DAY_S * 1e9 or self._catalog.has_elsewhere(key, self._names)

    def _delete_dropped(self) -> None:
        """Remove what users' formats keep outside of records, unless it belongs to a copy of the same record."""
        for record in self._dropped:
            newest = self._catalog.newest(record["k"])
            if newest is not None and newest[0] == record["n"]:
                continue
            try:
                delete(record["v"], folder=self._folder, permissions=self._permissions, key=record["k"])
            except (StoreError, OSError, ImportError, AttributeError) as error:
                warnings.warn(
                    f"the files of the deleted item {record['k']!r} in {self._folder} stay: {error}",
                    DamagedCacheWarning,
                    stacklevel=2,
                )


def _chosen(catalog: Catalog, *, thorough: bool) -> list[Segment]:
    """The segments to be merged, oldest first."""
    finished = sorted(filter(_is_finished, catalog.segments.values()), key=_size)
    small = [segment for segment in finished if _size(segment) < _BIG_BYTES]
    dead = sum(segment.dead for segment in finished)
    total = sum(map(_size, finished))
    if thorough or (dead > _DEAD_BYTES and dead > total / 2):
        spots = catalog.spots()
        live: dict[str, int] = {}
        for _, segment, _at in spots.values():
            live[segment.name] = live.get(segment.name, 0) + 1
        chosen = [s for s in finished if _size(s) < _BIG_BYTES or _dead_share(s, live) > (0.1 if thorough else 0.5)]
        idle = thorough and len(chosen) == 1 and not _dead_share(chosen[0], live)
        chosen = [] if idle else chosen
    else:
        chosen = _tier(small)
    return sorted(chosen, key=lambda segment: segment.name)


def _dead_share(segment: Segment, live: dict[str, int]) -> float:
    """Which part of its records is not the newest of a key; its log has been read wholly."""
    records = sum(1 for _ in segment.records())
    return 1 - live.get(segment.name, 0) / records if records else 1.0


def _tier(small: Sequence[Segment]) -> list[Segment]:
    """The smallest ones, up to where the next one is much larger than all of them: every byte is written again only
    a number of times that grows with the logarithm of what is stored."""
    chosen: list[Segment] = []
    total = 0
    for segment in small:
        size = _size(segment)
        if size > max(_TINY_BYTES, 2 * total):
            break
        chosen.append(segment)
        total += size
    return chosen if len(chosen) >= _FEW else []


def _is_finished(segment: Segment) -> bool:
    """Whether nobody will append to it: its writer said so, or has died, or was not heard of for a day."""
    if segment.closed:
        return True
    writer = segment.writer
    state = "elsewhere" if writer is None else writer.liveness()
    if state == "elsewhere":
        try:
            return time.time() - os.stat(segment.log).st_mtime > _DAY_S
        except FileNotFoundError:  # merged by somebody else in this moment
            return False
    return state == "dead"


def _size(segment: Segment) -> int:
    try:
        return segment.size + os.stat(segment.data).st_size
    except FileNotFoundError:  # all its values stand in the log
        return segment.size


def _payloads(record: Record, source: StoredPayloads) -> Iterator[Payload]:
    for index, (_, length) in enumerate(record.get("p", ())):
        yield source.read(index) if length < _LARGE_PAYLOAD else source.array_buffer(index)


def _remove(source: Segment) -> None:
    """Remove a merged segment, unless its writer was only slow and has appended to it meanwhile."""
    gone = f"{source.path}.gone"
    # First out of the way: a writer that appends from now on sees that it is not where it was, and starts another
    # segment; what it appended before shows in the size.
    try:
        os.rename(source.log, gone)
    except FileNotFoundError:
        return
    if os.stat(gone).st_size != source.size:
        os.rename(gone, source.log)
        return
    for path in (gone, f"{source.path}.index", source.data):
        remove_quietly(path)


def _remove_leftovers(folder: str) -> None:
    """Remove the rest of segments whose removal was interrupted: those without a log."""
    names = os.listdir(folder)
    logs = {name[:-4] for name in names if name.endswith(".log")}
    for name in names:
        stem, _, suffix = name.rpartition(".")
        if suffix in ("gone", "data", "index") and stem not in logs and not os.path.exists(f"{folder}/{stem}.log"):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(folder, name))
