"""Which files of a folder are code."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Selection"]

# Never code, whatever git is told: what Python and its tools leave behind.
_NEVER = frozenset(
    {".git", ".hg", ".svn", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".ipynb_checkpoints"}
)
_OUTSIDE_GIT = frozenset({"node_modules"})


@dataclass(frozen=True)
class Selection:
    """Which files are code.

    Attributes
    ----------
    includes, excludes: patterns, see `CodeCopy`.
    leave_out: folders of which nothing is taken, such as the cache.
    """

    includes: Sequence[str] = ()
    excludes: Sequence[str] = ()
    leave_out: Collection[Path] = ()

    def has_patterns(self) -> bool:
        return bool(self.includes or self.excludes)

    def list_files(self, source: Path) -> Iterator[Path]:
        """The files of a folder, relative to it; of symlinks the links themselves.

        Inside a git repository these are what git tracks, and what it does not ignore; elsewhere everything but hidden
        folders and virtual environments.
        """
        for relative in _list_git(source) or _walk(source):
            path = source / relative
            if any(path.is_relative_to(folder) for folder in self.leave_out):
                continue
            if self._takes(relative) and (path.is_symlink() or path.is_file()):  # it may have gone since
                yield relative

    def _takes(self, relative: Path) -> bool:
        if not _NEVER.isdisjoint(relative.parts):
            return False
        if self.includes and not _matches(relative, self.includes):
            return False
        return not any(_matches(part, self.excludes) for part in (relative, *relative.parents[:-1]))


def _matches(path: Path, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(text, pattern) for pattern in patterns for text in (path.name, str(path)))


def _list_git(source: Path) -> list[Path]:
    """What git knows and does not ignore; empty where there is no git, no repository, or only what it ignores."""
    import subprocess  # 5 ms, and only a `workdir` needs it

    command = ["git", "-C", str(source), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return []
    found: list[Path] = []
    for name in map(Path, dict.fromkeys(os.fsdecode(name) for name in listed.split(b"\0") if name)):
        path = source / name
        if path.is_dir() and not path.is_symlink():  # a submodule
            found += (name / inner for inner in _list_git(path) or _walk(path))
        else:
            found.append(name)
    return found


def _walk(source: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(source):
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".")
            and name not in _NEVER | _OUTSIDE_GIT
            and not Path(folder, name, "pyvenv.cfg").exists()
        ]
        links = [name for name in folders if Path(folder, name).is_symlink()]
        for name in (*files, *links):
            yield Path(folder, name).relative_to(source)
