"""Files that are either whole or absent: a temporary file in the same folder, then a rename."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import socket
from pathlib import Path

__all__ = ["Permissions", "make_folder", "publish", "remove_quietly", "temporary_path", "write_whole"]

Permissions = int | None


def temporary_path(target: Path) -> Path:
    """A name beside the target that no other writer (thread, process, container, node) uses."""
    writer = f"{socket.gethostname()[:32]}-{os.getpid()}-{secrets.token_hex(6)}"
    return target.with_name(f".{target.name[:64]}.{writer}.tmp")


def make_folder(folder: Path, permissions: Permissions) -> None:
    """Create a folder and its parents.

    Parameters
    ----------
    folder: what to create; existing is fine.
    permissions: mode bits for the folders created here, for example ``0o770``; None leaves it to the umask. Read
        access to a folder includes entering it.
    """
    if permissions is None:
        folder.mkdir(parents=True, exist_ok=True)
        return
    missing = []
    probe = folder
    while not probe.exists():
        missing.append(probe)
        probe = probe.parent
    for path in reversed(missing):
        with contextlib.suppress(FileExistsError):
            path.mkdir()
            path.chmod(permissions | (permissions & 0o444) >> 2)


def write_whole(target: Path, content: bytes, permissions: Permissions = None, *, durable: bool = False) -> None:
    """Write a file that replaces the target in one step.

    Parameters
    ----------
    target: path of the file.
    content: all its bytes.
    permissions: mode bits; the execute bits are left out. None leaves it to the umask.
    durable: also survive a power cut (fsync before the rename).
    """
    temporary = _write_temporary(target, content, permissions, durable=durable)
    try:
        os.replace(temporary, target)
    except BaseException:
        remove_quietly(temporary)
        raise


def publish(target: Path, content: bytes, permissions: Permissions = None, *, replace: bool) -> bool:
    """Write a durable file; without ``replace`` the first writer wins.

    Returns
    -------
    bool: whether the content is now what stands under the target; False if another writer was first.
    """
    if replace:
        write_whole(target, content, permissions, durable=True)
        return True
    temporary = _write_temporary(target, content, permissions, durable=True)
    try:
        return _link_first(temporary, target)
    finally:
        remove_quietly(temporary)


def remove_quietly(path: Path) -> None:
    """Remove a file that may already be gone."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()


def _link_first(temporary: Path, target: Path) -> bool:
    """Give the temporary file its final name unless that name is taken."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise
        # A file system without hard links: a rename is still whole; of two writers in the same instant the last wins.
        if target.exists():
            return False
        os.replace(temporary, target)
    return True


def _write_temporary(target: Path, content: bytes, permissions: Permissions, *, durable: bool) -> Path:
    temporary = temporary_path(target)
    try:
        with open(temporary, "wb") as stream:
            stream.write(content)
            if permissions is not None:
                os.fchmod(stream.fileno(), permissions & ~0o111)
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
    except BaseException:
        remove_quietly(temporary)
        raise
    return temporary
