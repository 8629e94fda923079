"""Copies code, so that a queued job runs what was submitted and not what the editor holds hours later.

A copy is named by its content, and shared by all jobs that were submitted with this content::

    code/5f0c…/tree           the code; where the jobs run
    code/5f0c…/manifest.json  where it came from; size, time and digest of each file

Files that have not changed since the copy before are hard links to it. Nothing else refers to a copy: one that no
job needs any more can be removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import shutil
import stat
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from exca.errors import InvalidInfra, SubmissionFailed
from exca.execution._code import Part
from exca.execution._listing import Selection

__all__ = ["take_snapshot"]

_LARGEST_MB = 200
_TRIES = 5  # for code that is edited while it is copied, and for copies that are damaged at once
_TREE, _MANIFEST = "tree", "manifest.json"
_DIGEST_LENGTH = 24  # hexadecimal digits: 96 bits


class Piece(NamedTuple):
    """A file, or a symlink, of the code."""

    source: Path
    text: str  # of a symlink; "" for a file
    digest: str
    mode: int


class Copy(NamedTuple):
    """A file of a snapshot, as its manifest describes it."""

    digest: str
    size: int
    mtime_ns: int


class _EditedError(Exception):
    """A file changed while it was copied."""


def take_snapshot(parts: Sequence[Part], selection: Selection, root: Path) -> Path:
    """The folder with a copy of the code: one that is there already, or a new one.

    A new one appears under its name when it is complete, so that submitters do not get into each other's way.

    Parameters
    ----------
    parts: what to copy.
    root: folder of the snapshots.

    Raises
    ------
    InvalidInfra: the patterns let nothing through, or there is too much to be code.
    SubmissionFailed: the code changes all the time, or the disk does not keep the copy.
    OSError: the code cannot be read, or the copy not written.
    """
    for _ in range(_TRIES):
        pieces = _read_pieces(parts, selection)
        name = _name(pieces)
        try:
            folder = _find_or_create(root, name, pieces, parts)
        except _EditedError:
            continue
        with contextlib.suppress(OSError):
            os.utime(folder)  # who tidies up sees that it is in use
        return folder / _TREE
    raise SubmissionFailed(f"{', '.join(str(part.source) for part in parts)}: the code changes while it is copied")


def _find_or_create(root: Path, name: str, pieces: dict[str, Piece], parts: Sequence[Part]) -> Path:
    """The first of the snapshots of this content that is as it was; those that were damaged are passed over."""
    created = 0
    for number in itertools.count():
        folder = root / (f"{name}-{number}" if number else name)
        if not folder.exists():
            _create(folder, pieces, parts)
            created += 1
        damaged = _find_damage(folder, pieces)
        if damaged is None:
            return folder
        if created == _TRIES:
            raise SubmissionFailed(
                f"{folder}: the copy of the code is not what has just been written ({damaged} differs, for one): "
                "something changes it, or its disk does not keep files; choose another folder for the jobs"
            )
    raise AssertionError("the count has no end")


def _read_pieces(parts: Sequence[Part], selection: Selection) -> dict[str, Piece]:
    """What the code consists of, by the place in the copy."""
    pieces: dict[str, Piece] = {}
    room_left = _LARGEST_MB * 10**6
    for source, path, target in _list_all(parts, selection):
        try:
            status = path.lstat()
            room_left -= status.st_size
            if room_left < 0:
                raise InvalidInfra(
                    f"workdir: {source} holds more than {_LARGEST_MB} MB (reached at {path.relative_to(source)}): "
                    "name the folders of the code alone, or list what is data in workdir.excludes or .gitignore"
                )
            pieces[target] = _read_piece(path, source, status)
        except FileNotFoundError:  # gone since it was listed
            continue
    if not pieces and selection.has_patterns():
        sources = ", ".join(str(part.source) for part in parts)
        raise InvalidInfra(f"workdir: no file of {sources} is let through by includes and excludes")
    return pieces


def _list_all(parts: Sequence[Part], selection: Selection) -> Iterator[tuple[Path, Path, str]]:
    """Of each file: the part it is of, its path, and its place in the copy."""
    for part in parts:
        if not part.source.is_dir():
            yield part.source.parent, part.source, str(part.target)
            continue
        for relative in selection.list_files(part.source):
            yield part.source, part.source / relative, str(part.target / relative)


def _read_piece(path: Path, source: Path, status: os.stat_result) -> Piece:
    if not stat.S_ISLNK(status.st_mode):
        return Piece(path, "", _digest(path), stat.S_IMODE(status.st_mode))
    text = os.readlink(path)
    aim = os.path.normpath(path.parent / text)
    if not Path(aim).is_relative_to(source):
        text = aim  # from its place in the copy, the way there would be another
    return Piece(path, text, _digest_of_link(text), 0)


def _digest_of_link(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()


def _digest(path: Path) -> str:
    """The digest of a file's content, or of where a symlink leads."""
    if path.is_symlink():
        return _digest_of_link(os.readlink(path))
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _name(pieces: dict[str, Piece]) -> str:
    content = hashlib.sha256()
    for target in sorted(pieces):
        piece = pieces[target]
        kind = "link" if piece.text else "program" if piece.mode & stat.S_IXUSR else "file"
        for text in (target, kind, piece.digest):
            content.update(os.fsencode(text) + b"\0")
    return content.hexdigest()[:_DIGEST_LENGTH]


def _create(folder: Path, pieces: dict[str, Piece], parts: Sequence[Part]) -> None:
    """Make a snapshot; it is there afterwards, by whomever."""
    temporary = folder.with_name(f".{folder.name}-{os.uname().nodename}-{os.getpid()}-{os.urandom(4).hex()}.tmp")
    try:
        (temporary / _TREE).mkdir(parents=True)
        before = _newest(folder.parent)
        copies = {target: _place(piece, temporary / _TREE / target, before) for target, piece in pieces.items()}
        content = {
            "sources": {str(part.target): str(part.source) for part in parts},
            "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "files": copies,
        }
        (temporary / _MANIFEST).write_text(json.dumps(content, indent=1))
        temporary.rename(folder)
    except OSError:
        if not folder.exists():  # else another submitter was faster
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _place(piece: Piece, path: Path, before: dict[str, Path]) -> Copy:
    """Put one file in its place, as a link to the copy of before if it is the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if piece.text:
        os.symlink(piece.text, path)
    elif piece.digest not in before or not _link(before[piece.digest], path, piece):
        shutil.copyfile(piece.source, path)
        os.chmod(path, piece.mode & 0o755 & ~0o222)  # jobs share it, and nobody else may change it
        if _digest(path) != piece.digest:
            raise _EditedError
    status = path.lstat()
    return Copy(piece.digest, status.st_size, status.st_mtime_ns)


def _link(copy: Path, path: Path, piece: Piece) -> bool:
    try:
        if (copy.stat().st_mode ^ piece.mode) & stat.S_IXUSR:
            return False
        os.link(copy, path)
    except OSError:  # a disk without hard links, or the copy of before has just been removed
        return False
    return True


def _newest(root: Path) -> dict[str, Path]:
    """The files of the last snapshot that are as they were, by digest."""
    try:
        folders = [entry for entry in os.scandir(root) if not entry.name.startswith(".") and entry.is_dir()]
        newest = max(folders, key=lambda entry: entry.stat().st_mtime, default=None)
    except OSError:
        return {}
    if newest is None:
        return {}
    tree, copies = Path(newest.path, _TREE), _read_manifest(Path(newest.path))
    files = {copy.digest: tree / target for target, copy in copies.items() if _is_as_it_was(tree / target, copy)}
    return {digest: path for digest, path in files.items() if not path.is_symlink()}


def _find_damage(folder: Path, pieces: Collection[str]) -> str | None:
    """A file that was changed or removed since, by a job or by whatever tidies the disk up; None if none was."""
    copies = _read_manifest(folder)
    if copies.keys() != set(pieces):
        return _MANIFEST
    return next((target for target, copy in copies.items() if not _is_as_it_was(folder / _TREE / target, copy)), None)


def _is_as_it_was(path: Path, copy: Copy) -> bool:
    """Whether a file holds what was copied; it is read only if its time is another, as some disks round it later."""
    try:
        status = path.lstat()
        if status.st_size != copy.size:
            return False
        return status.st_mtime_ns == copy.mtime_ns or _digest(path) == copy.digest
    except OSError:
        return False


def _read_manifest(folder: Path) -> dict[str, Copy]:
    try:
        files = json.loads((folder / _MANIFEST).read_bytes())["files"]
    except (OSError, ValueError, KeyError):
        return {}
    return {target: Copy(*copy) for target, copy in files.items()}
