"""Bulk data beside a result: one file per array or data frame, named so that no two writers share one."""

from __future__ import annotations

import io
import os
import secrets
from pathlib import Path
from typing import Any

from exca.errors import CorruptResult
from exca.store._files import Permissions, write_whole
from exca.store._frames import frame_bytes, read_frame

__all__ = ["FolderBlobs"]

_SUFFIX = {"array": "npy", "frame": "parquet", "json": "json", "pickle": "pkl"}


class FolderBlobs:
    """Writes blobs to, and reads them from, one folder.

    Formats: ``.npy`` version 1-3 (numpy.lib.format), Apache Parquet, JSON text, pickle protocol 5.
    """

    def __init__(self, folder: str, permissions: Permissions = None) -> None:
        self.folder = folder
        self._permissions = permissions
        self.names: list[str] = []

    def write(self, kind: str, value: Any) -> str:
        """Store a value of that kind and return the name of its file inside the folder."""
        content = value if isinstance(value, bytes) else _WRITERS[kind](value)
        name = f"value-{secrets.token_hex(6)}.{_SUFFIX[kind]}"
        write_whole(os.path.join(self.folder, name), content, self._permissions, durable=True)
        self.names.append(name)
        return name

    def read(self, kind: str, name: str) -> Any:
        """Load a value that `write` stored."""
        if os.path.basename(name) != name:  # a name is data from disk: it must not lead elsewhere
            raise CorruptResult(f"{self.folder} refers to a file outside of it: {name!r}")
        return _READERS[kind](Path(self.folder, name))


def _array_bytes(value: Any) -> memoryview:
    import numpy

    buffer = io.BytesIO()
    numpy.lib.format.write_array(buffer, value, allow_pickle=False)
    return buffer.getbuffer()


def _read_array(path: Path) -> Any:
    import numpy

    with open(path, "rb") as stream:  # not numpy.load, which would also take a zip archive
        return numpy.lib.format.read_array(stream, allow_pickle=False)


_WRITERS: dict[str, Any] = {"array": _array_bytes, "frame": frame_bytes}
_READERS: dict[str, Any] = {
    "array": _read_array,
    "frame": read_frame,
    "json": Path.read_bytes,
    "pickle": Path.read_bytes,
}
