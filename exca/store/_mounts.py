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
    """Whether a file may be on another machine; also where that cannot be known."""
    try:
        return _is_remote(os.stat(os.path.dirname(path)).st_dev)
    except OSError:
        return True


@functools.lru_cache(maxsize=64)
def _is_remote(device: int) -> bool:
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()  # see proc(5): the type stands behind the "-"
        if fields[2] == wanted:
            kind = fields[fields.index("-") + 1]
            return kind in _REMOTE or kind.startswith("fuse")
    return True  # btrfs volumes are not listed under the numbers that stat tells
