"""Where one value goes to or comes from: its record's payloads, and files in the folder of the cache."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Self

from exca.cachedict._formats._payloads import PayloadSink, PayloadSource
from exca.errors import StoreError
from exca.store import Permissions, check_trust

__all__ = ["Place"]


class Place:
    """What every format is given.

    Parameters
    ----------
    folder: that of the cache.
    key: that of the item; only for messages and for names of files.
    permissions: mode bits for files, or None.
    sink: takes payloads while a value is stored.
    source: gives payloads while a value is loaded.
    """

    __slots__ = ("_sink", "_source", "all_files", "files", "folder", "key", "permissions")

    def __init__(
        self,
        folder: Path,
        key: str = "",
        permissions: Permissions = None,
        *,
        sink: PayloadSink | None = None,
        source: PayloadSource | None = None,
    ) -> None:
        self.folder = folder
        self.key = key
        self.permissions = permissions
        self._sink = sink
        self._source = source
        self.files: list[str] = []  # made by this very format
        self.all_files: list[str] = []  # and by those of the values around and inside: what a failure takes back

    @property
    def sink(self) -> PayloadSink:
        """Where payloads go."""
        if self._sink is None:
            raise StoreError(f"a value in {self.folder} is being loaded or deleted: nothing can be stored with it now")
        return self._sink

    @property
    def source(self) -> PayloadSource:
        """Where payloads come from."""
        if self._source is None:
            raise StoreError(f"a value in {self.folder} is being stored or deleted: nothing can be read of it now")
        return self._source

    def nested(self) -> Self:
        """The place for a value inside this one, whose files are its own."""
        place = type(self)(self.folder, self.key, self.permissions, sink=self._sink, source=self._source)
        place.all_files = self.all_files
        return place

    def require_trust(self, what: str) -> None:
        """Refuse what would run code, if others could have written it; asked once for each file.

        Raises
        ------
        UntrustedResult
            if every user of the machine can write to the payloads or to the folder.
        """
        path = self.folder if self._source is None else self._source.path
        asked = (path, self.folder, self.permissions)
        if asked in _TRUSTED:
            return
        # The folder as if it were the file: in one that is writable, even if sticky, anybody can add records.
        check_trust(self.folder, self.permissions, what=what)
        for file in (path, path.with_suffix(".log")):
            with contextlib.suppress(FileNotFoundError):  # a segment without payloads, or merged into another by now
                check_trust(file, self.permissions, what=what)
        _TRUSTED.add(asked)


_TRUSTED: set[tuple[Path, Path, Permissions]] = set()
