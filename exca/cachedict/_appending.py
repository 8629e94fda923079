"""What one object appends: its segment is opened, left after a failure, and given to be merged when it is worth it."""

from __future__ import annotations

import contextlib
import json
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from exca.cachedict._catalog import MARKER, Catalog
from exca.cachedict._compaction import compact, is_worth_it, space_of
from exca.cachedict._records import FORMAT
from exca.cachedict._segment import DELETED
from exca.cachedict._writer import Payload, SegmentGone, SegmentWriter
from exca.errors import ResultNotStored
from exca.store import Permissions, make_folder, write_whole

__all__ = ["Appender"]

_ATTEMPTS: Final = 20


class Appender:
    """Appends records for one object. Not safe for threads: its owner holds a lock.

    Parameters
    ----------
    folder: of the cache; created with the first record.
    permissions: mode bits for new folders and files; None: the umask decides.
    catalog: is told of what is appended.
    """

    def __init__(self, folder: Path, permissions: Permissions, catalog: Catalog) -> None:
        self._folder = folder
        self._permissions = permissions
        self._catalog = catalog
        self._writer: SegmentWriter | None = None
        self._closing: weakref.finalize[[], Appender] | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a segment that more can be appended to."""
        return self._writer is not None

    def prepare_folder(self, key: str, value: object) -> None:
        """Create the folder for an item.

        Raises
        ------
        ResultNotStored
            if that is not allowed.
        """
        if self._writer is not None:
            return
        try:
            make_folder(str(self._folder), self._permissions)
        except OSError as error:
            raise self._not_stored(key, value, error) from error

    def append(self, key: str, info: object, payloads: Sequence[Payload], value: object) -> int:
        """Commit an item; returns its sequence number.

        Raises
        ------
        ResultNotStored
            if the disk does not take it; the error carries the value.
        """
        return self._commit(key, info, payloads, value)

    def delete(self, key: str) -> None:
        """Commit the deletion of an item.

        Raises
        ------
        ResultNotStored
            if the disk does not take it.
        """
        self._commit(key, None, None, None)

    def seal(self) -> None:
        """Complete the index, if that is worth it."""
        if self._writer is not None:
            self._writer.seal()
            self._catalog.note_sealed(self._writer)

    def close(self) -> None:
        """Complete the segment; the next record starts another one."""
        writer = self._let_go()
        if writer is not None:
            writer.close()

    def abandon(self) -> None:
        """Leave the segment as it is, after something went wrong with it."""
        writer = self._let_go()
        if writer is not None:
            writer.abandon()

    def _commit(self, key: str, info: object, payloads: Sequence[Payload] | None, value: object) -> int:
        """Append an item, or a deletion where there are no payloads."""
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
                self.abandon()
            except OSError as error:
                self.abandon()
                raise self._not_stored(key, value, error) from error
            else:
                self._catalog.note(key, sequence, at, writer)
                if writer.is_mostly_dead:
                    self.close()
                return sequence
        raise ResultNotStored(f"item {key!r} was not stored: {self._folder} is removed again and again.", value)

    def _opened(self) -> SegmentWriter:
        writer = self._writer
        if writer is None:
            make_folder(str(self._folder), self._permissions)
            self._mark_folder()
            self._catalog.refresh()
            self._compact_if_worth_it()
            writer = self._writer = SegmentWriter(str(self._folder), self._permissions)
            self._catalog.adopt(writer)
            self._closing = weakref.finalize(self, writer.close)
        return writer

    def _let_go(self) -> SegmentWriter | None:
        writer, self._writer = self._writer, None
        self._catalog.release()
        if self._closing is not None:
            self._closing.detach()
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
        self._catalog.epoch += 1  # a thread may be reading the old value in this moment, to keep it in RAM
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

    def _not_stored(self, key: str, value: object, error: OSError) -> ResultNotStored:
        return ResultNotStored(
            f"item {key!r} was not stored in {self._folder}: {error}. The items before it are kept. Make room or ask "
            "for write access, and store it again.",
            value,
        )
