"""Bulk data beside a result: one file per array or data frame, named so that no two writers share one."""

from __future__ import annotations

import io
import os
import secrets
from pathlib import Path
from typing import Any, BinaryIO

from exca.errors import CorruptResult
from exca.store._files import Permissions, write_whole
from exca.store._frames import frame_bytes, read_frame
from exca.store._values import NoBlobs

__all__ = ["FolderBlobs", "array_bytes", "read_array"]

_SUFFIX = {"array": "npy", "frame": "parquet", "json": "json", "pickle": "pkl"}


class FolderBlobs(NoBlobs):
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


def array_bytes(value: Any) -> memoryview:
    """The array in the format of ``.npy`` files (numpy.lib.format)."""
    import numpy

    buffer = io.BytesIO()
    numpy.lib.format.write_array(buffer, value, allow_pickle=False)
    return buffer.getbuffer()


def read_array(source: Path | BinaryIO) -> Any:
    """The array that `array_bytes` turned into the content of that file."""
    import numpy

    if isinstance(source, Path):
        with open(source, "rb") as stream:
            return read_array(stream)
    return numpy.lib.format.read_array(source, allow_pickle=False)  # numpy.load would also take a zip archive


_WRITERS: dict[str, Any] = {"array": array_bytes, "frame": frame_bytes}
_READERS: dict[str, Any] = {
    "array": read_array,
    "frame": read_frame,
    "json": Path.read_bytes,
    "pickle": Path.read_bytes,
}
