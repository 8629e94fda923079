"""The folder of this user on this host's own disk: slots, and the files of process pools."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from exca.errors import SubmissionFailed

__all__ = ["user_folder"]


def user_folder() -> Path:
    """Folder under the local temporary directory that only this user can enter.

    Raises
    ------
    SubmissionFailed: it cannot be made, or somebody else made it first.
    """
    folder = Path(tempfile.gettempdir()) / f"exca-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise SubmissionFailed(
            f"{folder} cannot be made ({error}); set TMPDIR to a local folder you can write"
        ) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise SubmissionFailed(
            f"{folder} is not a folder that only you can enter: remove it, or set TMPDIR to another local folder"
        )
    return folder
