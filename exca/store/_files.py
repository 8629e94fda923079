"""Files that are either whole or absent: a temporary file in the same folder, then a rename."""

from __future__ import annotations

import contextlib
import errno
import functools
import itertools
import os
import secrets
from collections.abc import Callable
from pathlib import Path

__all__ = ["Permissions", "make_folder", "publish", "remove_quietly", "remove_unless", "temporary_path", "write_whole"]

Permissions = int | None


def temporary_path(target: str) -> str:
    """A name beside the target that no other writer (thread, process, container, node) uses."""
    folder, name = os.path.split(target)
    return os.path.join(folder, f".{name[:64]}.{_writer(os.getpid())}-{next(_COUNT)}.tmp")


@functools.lru_cache(maxsize=2)
def _writer(pid: int) -> str:
    # random, too: containers may share a host name and a pid
    return f"{os.uname().nodename[:32]}-{pid}-{secrets.token_hex(6)}"


_COUNT = itertools.count()


def make_folder(path: str, permissions: Permissions) -> None:
    """Create a folder and its parents.

    Parameters
    ----------
    path: what to create; existing is fine.
    permissions: mode bits for the folders created here, for example ``0o770``; None leaves it to the umask. Read
        access to a folder includes entering it.
    """
    if permissions is None:
        os.makedirs(path, exist_ok=True)
        return
    missing = []
    probe = Path(path)
    while not probe.exists():
        missing.append(probe)
        probe = probe.parent
    for folder in reversed(missing):
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            inherited = folder.stat().st_mode & 0o2000  # setgid, by which a shared folder hands down its group
            folder.chmod(permissions | (permissions & 0o444) >> 2 | inherited)


def write_whole(target: str, content: bytes, permissions: Permissions = None, *, durable: bool = False) -> None:
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


def publish(target: str, content: bytes, permissions: Permissions = None, *, replace: bool) -> bool:
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


def remove_quietly(path: str) -> None:
    """Remove a file that may already be gone."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        os.unlink(path)


def remove_unless(path: str, wanted: Callable[[str], bool]) -> None:
    """Remove a file that may be replaced at the same time: looked at under another name, and put back if wanted.

    Parameters
    ----------
    path: the file, which may already be gone; of several processes that try to remove it, one does.
    wanted: told the other name, says whether the file is to stay.
    """
    aside = temporary_path(path)
    try:
        os.rename(path, aside)
    except (FileNotFoundError, NotADirectoryError):
        return
    if wanted(aside):
        _link_first(aside, path)
    remove_quietly(aside)


def _link_first(temporary: str, target: str) -> bool:
    """Give the temporary file its final name unless that name is taken."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        return os.path.samefile(temporary, target)  # over NFS, a link whose answer was lost is made a second time
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise
        # A file system without hard links: a rename is still whole; of two writers in the same instant the last wins.
        if os.path.exists(target):
            return False
        os.replace(temporary, target)
    return True


def _write_temporary(target: str, content: bytes, permissions: Permissions, *, durable: bool) -> str:
    temporary = temporary_path(target)
    try:
        with open(temporary, "xb") as stream:
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
