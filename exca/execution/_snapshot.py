"""Copies code, so that a queued job runs what was submitted and not what the editor holds hours later."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from exca.errors import InvalidInfra

__all__ = ["relocate", "snapshot"]

_LARGEST_MB = 200
_NEVER = frozenset({"__pycache__", "node_modules"})


def snapshot(source: Path, destination: Path, *, leave_out: Path) -> None:
    """Copy the code in a folder; the copy appears under its name when it is complete.

    Inside a git repository this is what git tracks, and what it does not ignore; elsewhere everything but hidden
    folders, virtual environments and ``__pycache__``. Symlinks stay symlinks.

    Parameters
    ----------
    source: folder to copy.
    destination: folder that does not exist yet.
    leave_out: folder that is not copied if it lies in `source` (the one that holds `destination`).

    Raises
    ------
    InvalidInfra: `source` is no folder, or too large to be code.
    OSError: the copy cannot be written.
    """
    if not source.is_dir():
        raise InvalidInfra(f"workdir={source} is not a folder")
    temporary = destination.with_name(destination.name + ".tmp")
    temporary.mkdir()
    room_left = _LARGEST_MB * 10**6
    for relative in _list_code(source):
        path = source / relative
        if path.is_relative_to(leave_out):
            continue
        room_left -= path.lstat().st_size
        if room_left < 0:
            raise InvalidInfra(
                f"workdir={source} holds more than {_LARGEST_MB} MB (reached at {relative}): name the folder of "
                "the code alone, or list what is data in .gitignore"
            )
        (temporary / relative).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, temporary / relative, follow_symlinks=False)
    temporary.rename(destination)


def relocate(sys_path: list[str], source: Path, destination: Path) -> list[str]:
    """The import path of a process that runs in a snapshot: what was copied is imported from there."""
    relocated = [str(destination)]
    for entry in sys_path:
        path = Path(entry)
        copy = destination / path.relative_to(source) if path.is_relative_to(source) else path
        relocated.append(str(copy) if copy.exists() else entry)  # a virtual environment is not copied
    return list(dict.fromkeys(relocated))


def _list_code(source: Path) -> Iterator[Path]:
    """Files to copy, relative to the folder."""
    import subprocess  # 5 ms, and only a `workdir` needs it

    command = ["git", "-C", str(source), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):  # no git, or no repository
        yield from _walk(source)
        return
    for name in map(Path, dict.fromkeys(os.fsdecode(name) for name in listed.split(b"\0") if name)):
        path = source / name
        if path.is_dir() and not path.is_symlink():  # a submodule
            yield from (name / inner for inner in _list_code(path))
        elif os.path.lexists(path):  # not deleted since the last commit
            yield name


def _walk(source: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(source):
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and name not in _NEVER and not Path(folder, name, "pyvenv.cfg").exists()
        ]
        links = [name for name in folders if Path(folder, name).is_symlink()]
        for name in (*files, *links):
            yield Path(folder, name).relative_to(source)
