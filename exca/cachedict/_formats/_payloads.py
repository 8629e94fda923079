"""Where the bytes of a value go, and where they come from: the seam to the segments."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Protocol

__all__ = ["PayloadSink", "PayloadSource"]


class PayloadSink(Protocol):
    """Takes the payloads of one record."""

    def append(self, payload: bytes | memoryview) -> int:
        """Store the bytes and return their index in the record's table of payloads."""


class PayloadSource(Protocol):
    """Gives back the payloads of one record."""

    @property
    def path(self) -> Path:
        """The payloads' file, beside that of the records (``.log``); pickles that others can write are not read."""

    def read(self, index: int) -> bytes:
        """Return the bytes of a payload."""

    def array_buffer(self, index: int) -> bytearray | memoryview | mmap.mmap:
        """Return the bytes of a payload in memory that the caller may write to, and that nobody else sees."""
