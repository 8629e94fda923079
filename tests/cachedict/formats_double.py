"""The seam between formats and segments, in memory: one record, its info through JSON as on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from exca.cachedict import _formats

__all__ = ["Record", "round_trip", "stored"]


class Record:
    """The payloads of one item; both `PayloadSink` and `PayloadSource`."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "segment.data"
        self.payloads: list[bytes] = []
        self.info: Any = None

    def append(self, payload: bytes | memoryview) -> int:
        self.payloads.append(bytes(payload))
        return len(self.payloads) - 1

    def read(self, index: int) -> bytes:
        return self.payloads[index]

    def array_buffer(self, index: int) -> bytearray:
        return bytearray(self.payloads[index])

    def load(self, **options: Any) -> Any:
        """The value, as a reader of the folder gets it."""
        return _formats.load(self.info, self, folder=self.path.parent, **options)


def stored(value: Any, folder: Path, **options: Any) -> Record:
    """What a writer leaves on disk."""
    folder.mkdir(exist_ok=True, parents=True)
    record = Record(folder)
    record.path.touch()
    record.info = json.loads(json.dumps(_formats.dump(value, record, folder=folder, **options), allow_nan=False))
    return record


def round_trip(value: Any, folder: Path, **options: Any) -> Any:
    """The value as it comes back."""
    return stored(value, folder, **options).load()
