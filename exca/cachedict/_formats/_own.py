"""What stands on disk for a value of a user's own format, and the files it may have made."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from exca.errors import CorruptResult

__all__ = ["FILES", "check_info", "discard", "grant", "inside", "own_infos"]

Json = Any  # what the json module reads and writes
FILES: Final = "files"  # the folder, in that of the cache, for the files of users' formats


def check_info(info: object, where: str) -> None:
    """Refuse what ``__dump_info__`` must not return.

    Parameters
    ----------
    info: what it returned.
    where: the name of the hook, for the message.

    Raises
    ------
    TypeError
        unless it is a dict of names to plain JSON data, or to what ``ctx.dump`` returned.
    """
    if type(info) is not dict or not all(isinstance(key, str) and key.isidentifier() for key in info):
        raise TypeError(f"{where} returned {info!r:.80}: it must be a dict, whose keys can be names of arguments")
    for key, part in info.items():
        _check_part(part, f"{where} returned, at {key!r},")


def own_infos(info: Json) -> Iterator[dict[str, Any]]:
    """Every description of a value in a user's own format that an info holds, the innermost first."""
    if type(info) is dict:
        for part in info.values():
            yield from own_infos(part)
        if info.get("$") == "own":
            yield info["v"]
    elif type(info) is list:
        for part in info:
            yield from own_infos(part)


def inside(folder: Path, name: str) -> Path:
    """The path of a file that an info names.

    Raises
    ------
    CorruptResult
        if it leads out of the folder of the cache.
    """
    if os.path.isabs(name) or ".." in Path(name).parts:
        raise CorruptResult(f"a value in {folder} refers to a file outside of it: {name!r}")
    return folder / name


def grant(path: Path, permissions: int | None) -> None:
    """Give a file, or a folder and all in it, the mode that the cache was asked to give."""
    if permissions is None or not path.exists():
        return
    for place in [path, *(path.rglob("*") if path.is_dir() else ())]:
        place.chmod(permissions | (permissions & 0o444) >> 2 if place.is_dir() else permissions & ~0o111)


def discard(folder: Path, names: list[str]) -> None:
    """Remove files or folders that a format made; some may be gone."""
    for name in names:
        path = inside(folder, name)
        with contextlib.suppress(FileNotFoundError):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def _check_part(part: object, where: str) -> None:
    if part is None or isinstance(part, str | int) or (isinstance(part, float) and math.isfinite(part)):
        return
    if isinstance(part, list | tuple):
        for item in part:
            _check_part(item, where)
    elif isinstance(part, dict) and all(isinstance(key, str) for key in part):
        for item in part.values():
            _check_part(item, where)
    else:
        shown = part if isinstance(part, float) else f"a value of type {type(part).__name__}"
        raise TypeError(f"{where} {shown}, which is no JSON: put in what ctx.dump(value) returns")
