"""Which code the jobs run a copy of."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import site
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from exca.errors import InvalidInfra

__all__ = ["CodeCopy", "Part", "find_parts", "relocate"]


@dataclass(frozen=True, slots=True)
class CodeCopy:
    """Which code the jobs run a copy of.

    Attributes
    ----------
    copied: folders, files, and names of packages or modules that are not installed for good (editable installs, or
        whatever is on the import path). A relative path has the same place in the copy; what is named by an absolute
        path, or as a package, lies at the top.
    includes: patterns (fnmatch(3)) of the files to copy, for names or for paths below what is copied; empty: all.
    excludes: patterns of files and folders that are left out.
    folder: where copies are kept, a disk that the workers see; None: beside the logs.
    """

    copied: tuple[str, ...]
    includes: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    folder: str | None = None


class Part(NamedTuple):
    """One thing that is copied."""

    source: Path
    target: Path  # in the copy; Path("."): its content is the content of the copy


def find_parts(workdir: str | os.PathLike[str] | CodeCopy) -> tuple[Part, ...]:
    """What is to be copied, and where to.

    Parameters
    ----------
    workdir: a folder, whose content is the content of the copy, or several things.

    Raises
    ------
    InvalidInfra: one of them is not there, or two would have the same place.
    """
    if not isinstance(workdir, CodeCopy):
        source = _absolute(workdir)
        if not source.is_dir():
            raise InvalidInfra(f"workdir={source} is not a folder")
        return (Part(source, Path(".")),)
    if not workdir.copied:
        raise InvalidInfra("workdir.copied is empty: name the folders, files or packages to copy")
    parts: dict[Path, Part] = {}
    for name in workdir.copied:
        part = _find_part(name)
        other = parts.setdefault(part.target, part)
        if other.source != part.source:
            raise InvalidInfra(
                f"workdir.copied: {other.source} and {part.source} would both be {part.target}: rename one of them, "
                "or name them by paths relative to the current folder"
            )
    return tuple(parts.values())


def relocate(sys_path: Sequence[str], parts: Sequence[Part], tree: Path) -> list[str]:
    """The import path of a process that runs in a copy: what was copied is imported from there."""
    relocated = [str(tree)]
    for entry in sys_path:
        relocated.append(next((copy for part in parts if (copy := _copy_of(Path(entry), part, tree))), entry))
    return list(dict.fromkeys(relocated))


def _copy_of(path: Path, part: Part, tree: Path) -> str | None:
    """Where the copy of a folder is; None if it was not copied, as a virtual environment is not."""
    if not path.is_relative_to(part.source):
        return None
    copy = tree / part.target / path.relative_to(part.source)
    return str(copy) if copy.exists() else None


def _absolute(path: str | os.PathLike[str]) -> Path:
    return Path(os.path.abspath(Path(path).expanduser()))


def _find_part(name: str) -> Part:
    source = _absolute(name)
    if source.exists():
        relative = Path(os.path.normpath(name))
        inside = not relative.is_absolute() and ".." not in relative.parts and not name.startswith("~")
        return Part(source, relative if inside else Path(source.name))
    if os.sep in name or not name.isidentifier():
        raise InvalidInfra(f"workdir.copied: there is no {source}, and {name!r} is not the name of a package either")
    source = _find_package(name)
    return Part(source, Path(source.name))


def _find_package(name: str) -> Path:
    """The folder of a package, or the file of a module."""
    try:
        spec = importlib.util.find_spec(name)
    except ValueError:  # such as __main__
        spec = None
    if spec is None:
        raise InvalidInfra(f"workdir.copied: {name!r} is neither in {os.getcwd()}, nor a package that can be imported")
    source = _source_of(name, spec)
    installed = [Path(folder) for folder in _installed_folders()]
    if any(source.is_relative_to(folder) for folder in installed):
        raise InvalidInfra(
            f"workdir.copied: {name!r} is installed in {source.parent}, where jobs find it too; only packages "
            f"that you edit are copied (for a copy all the same, give the path {source})"
        )
    return source


def _source_of(name: str, spec: importlib.machinery.ModuleSpec) -> Path:
    if spec.submodule_search_locations is not None:
        folders = list(dict.fromkeys(spec.submodule_search_locations))
        if len(folders) != 1:
            raise InvalidInfra(f"workdir.copied: {name!r} is spread over {folders or 'no folder'}: give the paths")
        return _absolute(folders[0])
    if not spec.has_location or spec.origin is None:
        raise InvalidInfra(f"workdir.copied: {name!r} is part of Python itself")
    return _absolute(spec.origin)


def _installed_folders() -> list[str]:
    paths = sysconfig.get_paths()
    folders = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    folders += [entry for entry in sys.path if os.path.basename(entry) in ("site-packages", "dist-packages")]
    return [*folders, site.getusersitepackages()]
