"""Many items read at once: segment by segment, each in the order of its log."""

from __future__ import annotations

import errno
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

from exca.cachedict._catalog import Spot
from exca.cachedict._records import Record
from exca.cachedict._segment import Segment

__all__ = ["GONE", "read_plain", "read_records"]

GONE: Final = (errno.ENOENT, errno.ESTALE)  # the second on NFS, for a file removed while it was open


def read_plain(spots: dict[str, Spot]) -> dict[str, Any] | None:
    """The values of the items at those places, if each of them is JSON data as it stands; None otherwise."""
    values: dict[str, Any] = {}
    for segment, keys, offsets in _by_segment(spots):
        try:
            found = segment.plain_at(keys, offsets)
        except OSError:  # told of when the records are read, if they are not elsewhere by then
            return None
        if found is None:
            return None
        values.update(zip(keys, found, strict=True))
    return values


def read_records(spots: dict[str, Spot]) -> dict[str, Record]:
    """The records of the items at those places, without those that are damaged or not there any more.

    Raises
    ------
    OSError
        if the disk fails.
    """
    records: dict[str, Record] = {}
    for segment, keys, offsets in _by_segment(spots):
        try:
            found = segment.records_at(keys, offsets)
        except OSError as error:
            if error.errno not in GONE:
                raise
        else:
            records.update({key: record for key, record in zip(keys, found, strict=True) if record is not None})
    return records


def _by_segment(spots: dict[str, Spot]) -> Iterator[tuple[Segment, list[str], list[int]]]:
    """Keys and their positions in each segment, in the order of its log."""
    keys_of: dict[Segment, list[str]] = defaultdict(list)
    for key, (_, segment, _) in spots.items():
        keys_of[segment].append(key)
    for segment, keys in keys_of.items():
        keys.sort(key=lambda key: spots[key][2])
        yield segment, keys, [spots[key][2] for key in keys]
