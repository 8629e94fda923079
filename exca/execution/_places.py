"""Where the files of a new array go."""

from __future__ import annotations

import getpass
import os
import shutil
import time
import weakref
from dataclasses import dataclass
from pathlib import Path

from exca.execution._array._layout import ArrayPaths
from exca.execution._runtime import user_folder
from exca.execution._tracking import TrackedArray
from exca.liveness import Stamp

__all__ = ["Place", "choose_place", "discard_when_forgotten"]

_OWNER = "owner"  # signs beside the workers of a pool


@dataclass(frozen=True)
class Place:
    """Where the files of a new array go.

    Attributes
    ----------
    array: id of the array, and name of its folder.
    template: folder of a job, with ``%j`` for the job's id.
    root: folder above all jobs and arrays of this template.
    private: nobody but this process will ever look there.
    """

    array: str
    paths: ArrayPaths
    template: str
    root: Path
    private: bool

    def create(self) -> None:
        """Make the folders of the array."""
        self.paths.create()
        if self.private:
            self.paths.sign(Stamp.current(), _OWNER)

    @property
    def snapshots(self) -> Path:
        """Folder of the copies of code."""
        return Path(os.path.dirname(self.template.partition("%j")[0])) / "code"


def choose_place(logs: str | None) -> Place:
    """Find a place for a new array.

    Parameters
    ----------
    logs: template of a job's folder with ``{user}`` and ``%j``, which is added if missing; None: a folder for this
        process alone, on the local disk.
    """
    array = _new_id()
    if logs is None:
        folder = _clean_pools() / array
        return Place(array, ArrayPaths(folder), f"{folder}/jobs/%j", folder, private=True)
    template = os.path.abspath(logs.replace("{user}", _user_name()))
    if "%j" not in template:
        template = f"{template}/%j"
    root = Path(template.partition("%j")[0])
    return Place(array, ArrayPaths(template.replace("%j", array)), template, root, private=False)


def _new_id() -> str:
    """An id that no other array gets, on any machine; ids sort by time."""
    now = time.time()
    day = time.strftime("%Y%m%d-%H%M%S", time.localtime(now))
    host = "".join(letter if letter.isalnum() else "-" for letter in os.uname().nodename)[:20]
    return f"{day}-{int(now % 1 * 1e6):06d}-{host}-{os.getpid()}-{os.urandom(3).hex()}"


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return str(os.getuid())


_LOOK_AGAIN_S = 60.0
_look_again_at: dict[Path, float] = {}
# Arrays of private places that were forgotten while they ran.
_forgotten: dict[Path, ArrayPaths] = {}


def discard_when_forgotten(array: TrackedArray) -> None:
    """Remove a private place when the last job of its array has been forgotten."""
    weakref.finalize(array, _discard, array.paths, os.getpid())


def _discard(array: ArrayPaths, owner: int) -> None:
    if os.getpid() != owner:
        return  # a fork of the owner
    if _is_running(array):
        _forgotten[array.folder] = array
    else:
        shutil.rmtree(array.folder, ignore_errors=True)


def _clean_pools() -> Path:
    """The folder of private places, without those that nobody needs any more."""
    pools = user_folder() / "pools"
    for folder, array in list(_forgotten.items()):
        if not _is_running(array) and _forgotten.pop(folder, None) is not None:  # threads come here at the same time
            shutil.rmtree(folder, ignore_errors=True)
    now = time.monotonic()
    if now > _look_again_at.get(pools, 0.0):
        _look_again_at[pools] = now + _LOOK_AGAIN_S
        _remove_orphans(pools)
    return pools


def _remove_orphans(pools: Path) -> None:
    """Remove the places whose owners were killed before they could do it."""
    for name in os.listdir(pools) if pools.exists() else ():
        owner = ArrayPaths(pools / name).stamp(_OWNER)
        if owner and (owner.liveness() == "dead" or owner.is_of_earlier_boot()):
            shutil.rmtree(pools / name, ignore_errors=True)


def _is_running(array: ArrayPaths) -> bool:
    supervisor = None if os.path.lexists(array.finished) else array.stamp()
    return supervisor is not None and supervisor.liveness() == "alive"
