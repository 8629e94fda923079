"""Whether a file that runs code when it is read could have been put there by anybody."""

from __future__ import annotations

import os
import stat
from pathlib import Path

__all__ = ["find_open_door"]


def find_open_door(path: Path) -> str | None:
    """Say whether every user of this machine can write to a file, or replace it in its folder; None if neither is so.

    A folder with the sticky bit, as ``/tmp``, lets nobody replace the files of others.

    Raises
    ------
    FileNotFoundError: there is no such file.

    Examples
    --------
    >>> find_open_door(Path("/etc/hostname")) is None
    True
    """
    for place in (path, path.parent):
        mode = os.stat(place).st_mode
        if mode & stat.S_IWOTH and not (place is not path and mode & stat.S_ISVTX):
            return f"{place} can be written by every user of this machine (mode {stat.filemode(mode)})"
    return None
