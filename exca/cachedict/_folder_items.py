"""Items in a folder, shared by any number of threads, processes and machines."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from exca.cachedict._appending import Appender
from exca.cachedict._bulk import GONE, read_plain, read_records
from exca.cachedict._catalog import Catalog, Spot
from exca.cachedict._compaction import compact
from exca.cachedict._formats import delete, dump, load
from exca.cachedict._open_segments import OPEN_SEGMENTS
from exca.cachedict._payloads import CollectedPayloads, ShortPayload, StoredPayloads
from exca.cachedict._ram import Kept, KeptValues
from exca.cachedict._records import PLAIN, Record
from exca.cachedict._segment import Segment
from exca.errors import ResultNotStored, StoreError
from exca.store import Permissions

__all__ = ["FolderItems"]

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
        self._appender = Appender(folder, permissions, self._catalog)
        _ALL.add(self)

    def get(self, key: str) -> Any:
        # docstring inherited
        if self._kept is not None:
            kept = self._kept.values.get(key)
            if kept is not None and (kept[3] == self._catalog.epoch or self._still(key, kept)):
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
            unread = [key for key in chunk if key not in kept]
            read = self._read_many(unread, expected=len(keys))
            if len(unread) == len(chunk):
                yield from read
                continue
            expected, following = frozenset(unread), next(read, None)
            for key in chunk:
                if following is not None and following[0] == key:
                    yield following
                    following = next(read, None)
                elif key not in expected:  # it was kept; by now it may have been written again, and is read
                    with contextlib.suppress(KeyError):
                        yield key, self.get(key)

    def iter_kept(self, keys: Sequence[str]) -> Iterator[Any] | None:
        # docstring inherited
        return None if self._kept is None else self._kept.iter_all(keys, self._catalog.epoch)

    def put(self, key: str, value: Any) -> None:
        # docstring inherited
        self._appender.prepare_folder(key, value)
        sink = CollectedPayloads()
        info = dump(
            value, sink, folder=self._folder, cache_type=self._cache_type, permissions=self._permissions, key=key
        )
        with self._lock:
            was_open = self._appender.is_open
            try:
                sequence = self._appender.append(key, info, sink.parts, value)
            except ResultNotStored:
                with contextlib.suppress(Exception):  # of a hook of the user's: what happened first is told
                    delete(info, folder=self._folder, permissions=self._permissions, key=key)
                raise
            self._refreshed = True
            if self._kept is not None:
                self._kept.keep_written(key, value, sequence, self._catalog.epoch)
        if not was_open:
            OPEN_SEGMENTS.add(self)

    def remove(self, key: str) -> bool:
        # docstring inherited
        with self._lock:
            if self._find(key) is None:
                return False
            self._appender.delete(key)
            if self._kept is not None:
                self._kept.values.pop(key, None)
        OPEN_SEGMENTS.add(self)
        return True

    def contains(self, key: str) -> bool:
        # docstring inherited
        with self._lock:
            return self._find(key) is not None

    def missing(self, keys: Sequence[str]) -> Sequence[str]:
        # docstring inherited
        with self._lock:
            self.refresh()
            return self._catalog.missing_among(keys)

    def keys(self) -> list[str]:
        # docstring inherited
        with self._lock:
            return list(self._catalog.spots())

    def count(self) -> int:
        # docstring inherited
        with self._lock:
            return self._catalog.count()

    def refresh(self) -> None:
        # docstring inherited
        with self._lock:
            self._catalog.refresh()
            self._refreshed = True

    def seal(self) -> None:
        # docstring inherited
        with self._lock:
            self._appender.seal()

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
            self._appender.close()

    def retire(self) -> bool:
        """Complete the segment, if no other thread is at work here."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            self._appender.close()
        finally:
            self._lock.release()
        return True

    def forget_parent(self) -> None:
        """In a forked child: locks may be held by threads that are no more, and the segment is the parent's."""
        self._lock = threading.RLock()
        self._appender.abandon()
        self._catalog = Catalog(str(self._folder))
        self._appender = Appender(self._folder, self._permissions, self._catalog)
        self._refreshed = False

    def _find(self, key: str) -> Spot | None:
        """Where an item is; if that is not known yet, after looking at what others have stored by now."""
        spot = self._catalog.find(key) if self._refreshed else None
        if spot is None:
            self.refresh()
            spot = self._catalog.find(key)
        return spot

    def _still(self, key: str, kept: Kept) -> bool:
        """Whether a value in RAM is still the newest one that is known of."""
        with self._lock:
            spot = self._catalog.find(key)
            copier, value, sequence, _ = kept
            if spot is None or spot[0] != sequence:
                return False
            assert self._kept is not None  # what stands there by now may be another thread's, of another record
            self._kept.values[key] = (copier, value, sequence, self._catalog.epoch)
            return True

    def _read(self, key: str) -> Any:
        while True:
            with self._lock:
                epoch = self._catalog.epoch
                record, spot = self._record(key)
            source = StoredPayloads(spot[1].data)
            try:
                try:
                    value = self._decoded(record, source)
                except ShortPayload:
                    source.reopen()
                    value = self._decoded(record, source)
                break
            except ShortPayload:
                with self._lock:
                    self._catalog.discard(key, spot)
            except OSError as error:
                if error.errno not in GONE or not self._moved(key, spot):
                    raise
        if self._kept is not None:
            self._kept.keep(key, value, spot[0], epoch)
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
                    if error.errno not in GONE or not self._moved(key, spot):
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
        plain = True
        for start in range(0, len(keys), _CHUNK):
            chunk = keys[start : start + _CHUNK]
            epoch = self._catalog.epoch
            spots = self._spots(chunk, max(expected, len(keys)))
            values = self._plain_values(chunk, spots, epoch) if plain else None
            if values is not None:
                yield from zip(chunk, values, strict=True)
            else:
                plain = False  # where one has payloads, others have some
                yield from self._decode_many(chunk, spots, self._records(spots), epoch)

    def _plain_values(self, keys: Sequence[str], spots: dict[str, Spot], epoch: int) -> list[Any] | None:
        """The values of keys, if each is there, once, and is JSON data as it stands."""
        values = read_plain(spots) if len(spots) == len(keys) else None
        if values is None:
            return None
        if self._kept is not None:
            sequences = [spots[key][0] for key in values]
            self._kept.keep_parsed(zip(values, values.values(), sequences, strict=True), epoch)
        return [values[key] for key in keys]

    def _decode_many(
        self, keys: Sequence[str], spots: dict[str, Spot], records: dict[str, Record], epoch: int
    ) -> Iterator[tuple[str, Any]]:
        """The values of records, one in memory at a time."""
        sources: dict[Segment, StoredPayloads] = {}
        keep = None if self._kept is None else self._kept.keep
        for key in keys:
            record = records.pop(key, None)
            if record is None:
                if key in spots:  # mentioned again: a value of its own
                    with contextlib.suppress(KeyError):
                        yield key, self.get(key)
                continue
            sequence, segment, _ = spots[key]
            source = sources.get(segment)
            if source is None:
                source = sources[segment] = StoredPayloads(segment.data, together=True)
            try:
                value = self._decoded(record, source)
            except (OSError, ShortPayload):
                with contextlib.suppress(KeyError):  # by itself, which knows what to do about it
                    yield key, self._read(key)
            else:
                if keep is not None:
                    keep(key, value, sequence, epoch)
                yield key, value

    def _records(self, spots: dict[str, Spot]) -> dict[str, Record]:
        """The records at those places; a key whose record is damaged, or has moved, gets another place, or none."""
        records = read_records(spots)
        for key in spots.keys() - records.keys() if len(records) < len(spots) else ():
            del spots[key]
            with contextlib.suppress(KeyError):
                records[key], spots[key] = self._record(key)
        return records

    def _spots(self, keys: Sequence[str], expected: int) -> dict[str, Spot]:
        """Where those keys are that are stored."""
        with self._lock:
            if not self._refreshed:
                self.refresh()
            spots = self._catalog.find_many(keys, expected)
            if len(spots) < len(keys):
                self.refresh()
                spots.update(self._catalog.find_many([key for key in keys if key not in spots], expected))
        return spots


_ALL: weakref.WeakSet[FolderItems] = weakref.WeakSet()


def _after_fork() -> None:
    OPEN_SEGMENTS.forget_parent()
    for items in list(_ALL):
        items.forget_parent()


os.register_at_fork(after_in_child=_after_fork)
