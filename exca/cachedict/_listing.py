"""Which segments are in a folder: listed when something has come or gone, not each time somebody asks."""

from __future__ import annotations

import os
import time
from typing import Final

from exca.store import is_remote

__all__ = ["Listing"]

# Within one tick of the kernel's clock (10 ms at most), a folder that changes twice shows the same time.
_SETTLED_NS: Final = 100_000_000


class Listing:
    """The logs in a folder.

    Parameters
    ----------
    folder: it need not exist.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._seen: tuple[int, int] | None = None  # what the folder looked like when it was listed

    def changes(self) -> set[str] | None:
        """Names of all segments, without suffix; None if they are those of the last time.

        Raises
        ------
        OSError
            if the folder cannot be read.
        """
        try:
            stat = os.stat(self._folder)
            seen = (stat.st_ino, stat.st_ctime_ns)
            if seen == self._seen:
                return None
            now = time.time_ns()
            names = {name[:-4] for name in os.listdir(self._folder) if name.endswith(".log") and name[0] != "."}
        except FileNotFoundError:
            self._seen = None
            return set()
        # On network disks, what stat tells of a folder may be older than what is in it.
        settled = now - stat.st_ctime_ns > _SETTLED_NS and not is_remote(os.path.join(self._folder, "log"))
        self._seen = seen if settled else None
        return names

    def forget(self) -> None:
        """List it the next time: something in it was not what it had been."""
        self._seen = None
