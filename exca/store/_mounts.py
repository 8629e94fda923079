"""Which file systems belong to other machines: they take files away under a mapping, and locks may hang there."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Final

__all__ = ["is_remote"]

# On these, a page of a mapped file that another machine has removed cannot be read any more, and the process that
# looks at it is killed (SIGBUS). Types as in /proc/self/mountinfo; every fuse.* may be one of them.
_REMOTE: Final = frozenset(
    (
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "gpfs", "beegfs", "ceph", "glusterfs", "panfs", "pvfs2"),
        *("orangefs", "afs", "9p", "virtiofs", "wekafs"),
    )
)


def is_remote(path: str) -> bool:
    """Whether a file may be on another machine; also where that cannot be known. Its folder must exist."""
    folder = os.path.dirname(path)
    try:
        return _is_remote(os.path.realpath(folder), os.stat(folder).st_dev)
    except OSError:
        return True


@functools.lru_cache(maxsize=256)
def _is_remote(folder: str, device: int) -> bool:
    wanted = f"{os.major(device)}:{os.minor(device)}"
    nearest, kind = "", "unknown"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()  # see proc(5): the type stands behind the "-"
        point, found = fields[4].replace("\\040", " "), fields[fields.index("-") + 1]
        if fields[2] == wanted:
            return _may_be_elsewhere(found)
        # subvolumes of btrfs are not listed under the numbers that stat tells: by their place, then
        if len(point) >= len(nearest) and f"{folder}/".startswith(f"{point.rstrip('/')}/"):
            nearest, kind = point, found
    return _may_be_elsewhere(kind)


def _may_be_elsewhere(kind: str) -> bool:
    return kind in _REMOTE or kind.startswith("fuse") or kind == "unknown"
