"""Items in a folder, shared by any number of threads, processes and machines."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import threading
import time
import weakref
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from exca.cachedict._catalog import MARKER, Catalog, Spot
from exca.cachedict._compaction import compact, is_worth_it, space_of
from exca.cachedict._formats import dump, load
from exca.cachedict._payloads import CollectedPayloads, ShortPayload, StoredPayloads
from exca.cachedict._ram import KeptValues
from exca.cachedict._records import FORMAT, PLAIN, Record
from exca.cachedict._segment import DELETED, Segment
from exca.cachedict._writer import Payload, SegmentGone, SegmentWriter
from exca.errors import ResultNotStored, StoreError
from exca.store import Permissions, make_folder, write_whole

__all__ = ["FolderItems"]

_GONE: Final = (errno.ENOENT, errno.ESTALE)  # the second on NFS, for a file removed while it was open
_ATTEMPTS: Final = 20
_CHUNK: Final = 1024


class FolderItems:
    """Items in a folder.

    Parameters
    ----------
    folder: where; created with the first item.
    cache_type: name of the format of all values; None: what fits their types.
    permissions: mode bits for new folders and files; None: the umask decides.
    keep: whether values that were read or written stay in RAM.
    """

    def __init__(self, folder: Path, cache_type: str | None, permissions: Permissions, *, keep: bool) -> None:
        self._folder = folder
        self._cache_type = cache_type
        self._permissions = permissions
        self._kept = KeptValues() if keep else None
        self._lock = threading.RLock()
        self._catalog = Catalog(str(folder))
        self._refreshed = False
        self._writer: SegmentWriter | None = None
        self._closing: weakref.finalize[[], FolderItems] | None = None
        _ALL.add(self)

    def get(self, key: str) -> Any:
        # docstring inherited
        if self._kept is not None:
            kept = self._kept.values.get(key)
            if kept is not None and (kept[3] == self._catalog.epoch or self._still(key, kept[2])):
                copier, value = kept[:2]
                return value if copier is None else copier(value)
        return self._read(key)

    def stream(self, keys: Sequence[str]) -> Iterator[tuple[str, Any]]:
        # docstring inherited
        if self._kept is None:
            yield from self._read_many(keys)
            return
        kept = self._kept.values
        for start in range(0, len(keys), _CHUNK):
            chunk = keys[start : start + _CHUNK]
            read = self._read_many([key for key in chunk if key not in kept], expected=len(keys))
            following = next(read, None)
            for key in chunk:
                if following is not None and following[0] == key:
                    yield following
                    following = next(read, None)
                elif key in kept:
                    with contextlib.suppress(KeyError):
                        yield key, self.get(key)

    def all_kept(self, keys: Sequence[str]) -> list[Any] | None:
        # docstring inherited
        return None if self._kept is None else self._kept.get_all(keys, self._catalog.epoch)

    def put(self, key: str, value: Any) -> None:
        # docstring inherited
        if self._writer is None:
            self._prepare_folder(key, value)
        sink = CollectedPayloads()
        info = dump(
            value, sink, folder=self._folder, cache_type=self._cache_type, permissions=self._permissions, key=key
        )
        with self._lock:
            sequence = self._commit(key, info, sink.parts, value)
            if self._kept is not None:
                self._kept.keep_written(key, value, sequence, self._catalog.epoch)

    def remove(self, key: str) -> bool:
        # docstring inherited
        with self._lock:
            if self._find(key) is None:
                return False
            self._commit(key, None, None, None)
            if self._kept is not None:
                self._kept.values.pop(key, None)
            return True

    def contains(self, key: str) -> bool:
        # docstring inherited
        with self._lock:
            return self._find(key) is not None

    def stored(self, keys: Iterable[str]) -> set[str]:
        # docstring inherited
        with self._lock:
            self.refresh()
            return set(self._catalog.find_many(list(keys)))

    def keys(self) -> list[str]:
        # docstring inherited
        with self._lock:
            return list(self._catalog.spots())

    def count(self) -> int:
        # docstring inherited
        with self._lock:
            return len(self._catalog.spots())

    def refresh(self) -> None:
        # docstring inherited
        with self._lock:
            self._catalog.refresh()
            self._refreshed = True

    def seal(self) -> None:
        # docstring inherited
        with self._lock:
            if self._writer is not None:
                self._writer.seal()
                self._catalog.note_sealed(self._writer)

    def compact(self) -> None:
        # docstring inherited
        if not self._folder.is_dir():
            return
        with self._lock:
            self.close()
            try:
                compact(self._folder, self._catalog, self._permissions, thorough=True)
            except OSError as error:
                raise StoreError(
                    f"{self._folder} was not compacted: {error}. Nothing is lost; ask for write access, or make room."
                ) from error

    def close(self) -> None:
        # docstring inherited
        with self._lock:
            writer, self._writer = self._writer, None
            if writer is not None:
                self._catalog.release()
                writer.close()
            if self._closing is not None:
                self._closing.detach()

    def forget_parent(self) -> None:
        """In a forked child: locks may be held by threads that are no more, and the segment is the parent's."""
        self._lock = threading.RLock()
        if self._closing is not None:
            self._closing.detach()
        if self._writer is not None:
            self._writer.abandon()
            self._writer = None
        self._catalog = Catalog(str(self._folder))
        self._refreshed = False

    # -- reading ---------------------------------------------------------------------------------------------------

    def _find(self, key: str) -> Spot | None:
        """Where an item is; if that is not known yet, after looking at what others have stored by now."""
        spot = self._catalog.find(key) if self._refreshed else None
        if spot is None:
            self.refresh()
            spot = self._catalog.find(key)
        return spot

    def _still(self, key: str, sequence: int) -> bool:
        """Whether a value in RAM is still the newest one that is known of."""
        with self._lock:
            spot = self._catalog.find(key)
            if spot is None or spot[0] != sequence:
                return False
            assert self._kept is not None
            copier, value, _, _ = self._kept.values[key]
            self._kept.values[key] = (copier, value, sequence, self._catalog.epoch)
            return True

    def _read(self, key: str) -> Any:
        while True:
            record, spot = self._record(key)
            try:
                value = self._decoded(record, StoredPayloads(spot[1].data))
                break
            except ShortPayload:
                with self._lock:
                    self._catalog.discard(key, spot)
            except OSError as error:
                if error.errno not in _GONE or not self._moved(key, spot):
                    raise
        if self._kept is not None:
            self._kept.keep(key, value, spot[0], self._catalog.epoch)
        return value

    def _record(self, key: str) -> tuple[Record, Spot]:
        """The newest record of a key, and where it was found; KeyError if there is none."""
        with self._lock:
            while True:
                spot = self._find(key)
                if spot is None:
                    raise KeyError(key)
                try:
                    record = self._catalog.record(key, spot)
                except OSError as error:
                    if error.errno not in _GONE or not self._moved(key, spot):
                        raise
                else:
                    if record is not None:
                        return record, spot

    def _moved(self, key: str, spot: Spot) -> bool:
        """Whether an item whose file is gone is elsewhere by now: its segment has been merged with others."""
        with self._lock:
            self.refresh()
            return self._catalog.find(key) != spot

    def _decoded(self, record: Record, source: StoredPayloads) -> Any:
        if record[PLAIN]:
            return record["v"]
        source.turn_to(record.get("p", ()))
        return load(record["v"], source, folder=self._folder, permissions=self._permissions, key=record["k"])

    def _read_many(self, keys: Sequence[str], expected: int = 0) -> Iterator[tuple[str, Any]]:
        """Read those keys that are stored, in that order; lines and small payloads many at a time."""
        for start in range(0, len(keys), _CHUNK):
            chunk = keys[start : start + _CHUNK]
            records = self._records(chunk, max(expected, len(keys)))
            sources: dict[Segment, StoredPayloads] = {}
            for key in chunk:
                found = records.get(key)
                if found is None:
                    continue
                record, (sequence, segment, _) = found
                source = sources.get(segment)
                if source is None:
                    source = sources[segment] = StoredPayloads(segment.data, together=True)
                try:
                    value = self._decoded(record, source)
                except (OSError, ShortPayload):
                    with contextlib.suppress(KeyError):  # by itself, which knows what to do about it
                        yield key, self._read(key)
                else:
                    if self._kept is not None:
                        self._kept.keep(key, value, sequence, self._catalog.epoch)
                    yield key, value

    def _records(self, keys: Sequence[str], expected: int) -> dict[str, tuple[Record, Spot]]:
        """The records of those keys that are stored."""
        records: dict[str, tuple[Record, Spot]] = {}
        for segment, places in self._places(keys, expected).items():
            places.sort()
            try:
                lines = segment.records_at([at for at, _, _ in places])
                for (at, record), (_, key, sequence) in zip(lines, places, strict=True):
                    if record is not None and record.get("k") == key:
                        records[key] = (record, (sequence, segment, at))
            except OSError as error:
                if error.errno not in _GONE:
                    raise
        for key in keys:  # what is damaged or has moved
            if key not in records:
                with contextlib.suppress(KeyError):
                    records[key] = self._record(key)
        return records

    def _places(self, keys: Sequence[str], expected: int) -> dict[Segment, list[tuple[int, str, int]]]:
        """Where those keys are that are stored, by segment: position, key, sequence number."""
        with self._lock:
            if not self._refreshed:
                self.refresh()
            spots = self._catalog.find_many(keys, expected)
            if len(spots) < len(keys):
                self.refresh()
                spots.update(self._catalog.find_many([key for key in keys if key not in spots], expected))
        places: dict[Segment, list[tuple[int, str, int]]] = defaultdict(list)
        for key, (sequence, segment, at) in spots.items():
            places[segment].append((at, key, sequence))
        return places

    # -- writing ---------------------------------------------------------------------------------------------------

    def _commit(self, key: str, info: object, payloads: Sequence[Payload] | None, value: object) -> int:
        """Append an item, or a deletion where there are no payloads; returns its sequence number."""
        for _ in range(_ATTEMPTS):
            try:
                writer = self._opened()
                self._count_dead(writer, key)
                sequence = max(time.time_ns(), self._catalog.clock + 1)
                if payloads is None:
                    writer.delete(key, sequence)
                    at = DELETED
                else:
                    at = writer.append(key, sequence, info, payloads)
            except SegmentGone:  # merged, or the folder was removed: once more, elsewhere
                self._abandon()
            except OSError as error:
                self._abandon()
                raise self._not_stored(key, value, error) from error
            else:
                self._catalog.note(key, sequence, at, writer)
                if writer.is_mostly_dead:
                    self.close()
                return sequence
        raise ResultNotStored(f"item {key!r} was not stored: {self._folder} is removed again and again.", value)

    def _opened(self) -> SegmentWriter:
        writer = self._writer
        if writer is None or not writer.mine:
            make_folder(str(self._folder), self._permissions)
            self._mark_folder()
            self.refresh()
            self._compact_if_worth_it()
            writer = self._writer = SegmentWriter(str(self._folder), self._permissions)
            self._catalog.adopt(writer)
            self._closing = weakref.finalize(self, writer.close)
        return writer

    def _compact_if_worth_it(self) -> None:
        if is_worth_it(self._catalog):
            with contextlib.suppress(OSError):  # of a disk that is full, the item to be written will tell
                compact(self._folder, self._catalog, self._permissions, thorough=False)

    def _count_dead(self, writer: SegmentWriter, key: str) -> None:
        """An item is overwritten or deleted: add up what that makes useless, to know when merging pays."""
        spot = self._catalog.find_cheaply(key)
        if spot is None:
            return
        with contextlib.suppress(OSError):
            record = spot[1].record_at(spot[2])
            writer.dead += 0 if record is None else space_of(record)

    def _mark_folder(self) -> None:
        marker = self._folder / MARKER
        if not marker.exists():
            text = {
                "exca-cache": FORMAT,
                "about": "a cache written by exca.cachedict.CacheDict; docs/explanation/cache-format.md describes it",
            }
            write_whole(str(marker), json.dumps(text, indent=1).encode() + b"\n", self._permissions)

    def _prepare_folder(self, key: str, value: object) -> None:
        try:
            make_folder(str(self._folder), self._permissions)
        except OSError as error:
            raise self._not_stored(key, value, error) from error

    def _abandon(self) -> None:
        writer, self._writer = self._writer, None
        self._catalog.release()
        if writer is not None:
            writer.abandon()
        if self._closing is not None:
            self._closing.detach()

    def _not_stored(self, key: str, value: object, error: OSError) -> ResultNotStored:
        return ResultNotStored(
            f"item {key!r} was not stored in {self._folder}: {error}. The items before it are kept. Make room or ask "
            "for write access, and store it again; the value is in this error's `value`.",
            value,
        )


_ALL: weakref.WeakSet[FolderItems] = weakref.WeakSet()


def _after_fork() -> None:
    for items in list(_ALL):
        items.forget_parent()


os.register_at_fork(after_in_child=_after_fork)
