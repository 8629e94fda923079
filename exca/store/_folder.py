"""Results in uid folders: ``FOLDER/UID/result.json`` and, beside it, the files of bulk values.

``result.json`` is written last and in one step, so it is the commit: what it does not mention does not exist. A
failure is in ``failure.json``, which counts only where there is no ``result.json``: names alone tell the status.
"""

from __future__ import annotations

import errno
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from exca.errors import CorruptResult, ResultNotStored, StoreError
from exca.store._blobs import FolderBlobs
from exca.store._claims import Claim, ClaimWatch
from exca.store._entry import Ended, Outcome
from exca.store._failures import describe_error, rebuild_error
from exca.store._files import (
    Permissions,
    make_folder,
    publish,
    remove_quietly,
    remove_unless,
    temporary_path,
    write_whole,
)
from exca.store._leftovers import DAY_S, find_leftovers
from exca.store._pickles import check_trust, dump_pickle, load_pickle
from exca.store._records import FORMAT, parse_record
from exca.store._values import NotSafelyStorable, decode, encode

__all__ = ["FolderEntry", "FolderStore"]

_LOG = logging.getLogger(__name__)

INLINE_BYTES: Final = 16_384  # a larger JSON value gets a file of its own, so that reading the status stays cheap
_RESULT: Final = "result.json"
_FAILURE: Final = "failure.json"
_CLAIM: Final = "claim.json"
_TEXT: Final = ("utf-8", "surrogateescape")  # the same in every locale, and for paths that are not text
_NO_RECORD: Final = (ValueError, KeyError, TypeError, RecursionError)  # what reading any other text raises
_GONE: Final = (errno.ENOENT, errno.ESTALE)  # the second on NFS, for a file removed while it was open


class FolderStore:
    """A store in a folder, shared by any number of processes and machines.

    Parameters
    ----------
    folder: the root; created when the first result is stored.
    permissions: mode bits for new folders and files (execute bits apply to folders only); None: the umask decides.
    """

    def __init__(self, folder: str | os.PathLike[str], permissions: Permissions = None) -> None:
        self.folder = os.fspath(folder)
        self.permissions = permissions

    def entry(self, uid: str) -> FolderEntry:
        # docstring inherited
        return FolderEntry(os.path.join(self.folder, uid), self.permissions)

    def entries(self, prefix: str) -> list[FolderEntry]:
        # docstring inherited
        try:
            names = sorted(os.listdir(os.path.join(self.folder, prefix)))
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [self.entry(f"{prefix}/{name}") for name in names if not name.startswith(".")]


class FolderEntry:
    """One uid folder."""

    __slots__ = ("_folder", "_permissions", "_read")

    def __init__(self, folder: str, permissions: Permissions) -> None:
        self._read: tuple[tuple[int, int, int], Outcome] | None = None  # the outcome last read, and from which file
        self._folder = folder  # a plain string: a warm call does little else than open one file in it
        self._permissions = permissions

    @property
    def path(self) -> Path:
        # docstring inherited
        return Path(self._folder)

    def status(self) -> Ended | None:
        # docstring inherited
        if os.path.exists(self._file(_RESULT)):
            return "completed"
        return "failed" if os.path.exists(self._file(_FAILURE)) else None

    def outcome(self) -> Outcome | None:
        # docstring inherited
        return self._read_record(_RESULT) or self._read_record(_FAILURE)

    def _read_record(self, name: str) -> Outcome | None:
        path = self._file(name)
        try:
            # Looking costs less than opening where the disk is far away, and somebody who waits looks often.
            read = self._read
            found = _mark(os.stat(path))
            if read is not None and read[0] == found:
                return read[1]
            with open(path, "rb") as stream:
                mark, text = _mark(os.fstat(stream.fileno())), stream.read()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except IsADirectoryError as error:
            raise CorruptResult(f"{path} is not a result but a folder. Remove it.") from error
        try:
            outcome = parse_record(text)
        except _NO_RECORD as error:
            reason = f"it has no {error}" if isinstance(error, KeyError) else error
            raise CorruptResult(
                f"{path} is not a result ({reason}). Remove it, or recompute with mode='force'."
            ) from error
        self._read = mark, outcome
        return outcome

    def load(self, outcome: Outcome) -> Any:
        # docstring inherited
        while True:
            try:
                return self._load(outcome.record)
            except OSError as error:
                if error.errno not in _GONE:
                    raise
                newer = self.outcome()  # a forced recomputation may have replaced the files between the two reads
                if newer is None or newer.record == outcome.record:
                    raise CorruptResult(
                        f"{self.path / _RESULT} names a file that is gone: {outcome.record['files']}. "
                        "Recompute with mode='force'."
                    ) from None
            outcome = newer
            if outcome.status == "failed":
                raise self.error(outcome)

    def error(self, outcome: Outcome) -> BaseException:
        # docstring inherited
        origin = self.path / _FAILURE
        described = outcome.record["error"]
        error = rebuild_error(described, origin, self._permissions)
        error.add_note(f"--- the stored error, as it was raised ---\n{described['traceback'].rstrip()}")
        error.add_note(f"stored in {self.path}; recompute with mode='retry'")
        return error

    def write_value(self, value: Any, facts: Mapping[str, Any], *, replace: bool) -> bool:
        # docstring inherited
        blobs = FolderBlobs(self._folder, self._permissions)
        content = b""
        try:
            described = _described_value(value, blobs)
            content = _to_bytes({"exca": FORMAT, "status": "completed", "facts": dict(facts), **described})
            old = self._files_of_current() if replace else []
            won = publish(self._file(_RESULT), content, self._permissions, replace=replace)
        except BaseException as error:
            stands = self._is_stored(content)
            if stands is False:
                self._clean_up(blobs.names)
            if not isinstance(error, Exception):
                raise
            if not stands:
                raise self._not_stored(error, value) from error
            old, won = [], True  # what failed came after the commit
        self._clean_up([*(old if won else blobs.names), _FAILURE])
        if won:
            self._clean_up(find_leftovers(self._folder, blobs.names))
        return won

    def write_error(self, error: BaseException, facts: Mapping[str, Any], *, replace: bool) -> bool:
        # docstring inherited
        record = {
            "exca": FORMAT,
            "status": "failed",
            "facts": dict(facts),
            "error": describe_error(error),
            "files": [],
        }
        path = self._file(_RESULT)
        if _is_record(path) if replace else os.path.exists(path):
            return False
        won = publish(self._file(_FAILURE), _to_bytes(record), self._permissions, replace=replace)
        if replace:
            remove_unless(path, _is_record)
        if won and os.path.exists(path):  # written in that instant: a value beats a failure
            self._discard([_FAILURE])
            return False
        return won

    def prepare(self, manifests: Mapping[str, str], *, replace: bool = False) -> None:
        # docstring inherited
        make_folder(self._folder, self._permissions)
        for name, text in manifests.items():
            target = self._file(name)
            if replace or not os.path.exists(target):
                write_whole(target, text.encode(*_TEXT), self._permissions)

    def read_note(self, name: str) -> str | None:
        # docstring inherited
        try:
            with open(self._file(name), "rb") as stream:
                return stream.read().decode(*_TEXT)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def write_note(self, name: str, text: str) -> None:
        # docstring inherited
        write_whole(self._file(name), text.encode(*_TEXT), self._permissions)

    def remove_note(self, name: str) -> None:
        # docstring inherited
        remove_quietly(self._file(name))

    def claim(self) -> Claim | None:
        # docstring inherited
        try:
            return Claim.take(self._file(_CLAIM), self._permissions)
        except OSError as error:
            raise ResultNotStored(
                f"{self.path} cannot be written, so nothing was computed: {error}. It may have been made by somebody "
                "else: ask for write access (infra.permissions gives it to others in the first place), set "
                "infra.folder to a folder of yours, or use mode='read-only'."
            ) from error

    def watch(self) -> ClaimWatch:
        # docstring inherited
        return ClaimWatch(self._file(_CLAIM))

    def link(self, name: str, target: Path) -> None:
        # docstring inherited
        link = self._file(name)
        temporary = temporary_path(link)
        os.symlink(os.path.relpath(target, self._folder), temporary)  # relative: cache folders get moved
        os.replace(temporary, link)

    def delete(self) -> None:
        # docstring inherited
        try:
            files = self._files_of_current()
            self._discard([_FAILURE, _RESULT, *files, "job.json", "submitit", "code"])
            bulk_age_s = DAY_S if self.watch().alive() else 0.0  # somebody at work may be about to name his
            self._discard(find_leftovers(self._folder, (), bulk_age_s=bulk_age_s))
        except OSError as error:
            raise StoreError(
                f"the result in {self.path} cannot be removed: {error}. Whoever owns that folder can; or set "
                "infra.folder to a folder of yours."
            ) from error

    def _file(self, name: str) -> str:
        return os.path.join(self._folder, name)

    def _is_stored(self, content: bytes) -> bool | None:
        """Whether that record stands; None if that cannot be known, so that its files must be left alone."""
        try:
            with open(self._file(_RESULT), "rb") as stream:
                return bool(content) and stream.read() == content
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return False
        except OSError:
            return None

    def _not_stored(self, error: Exception, value: Any) -> ResultNotStored:
        return ResultNotStored(
            f"the result was computed but not stored in {self.path}: {type(error).__name__}: {error}.", value
        )

    def _clean_up(self, names: list[str]) -> None:
        """Remove what does not count any more; where that fails, it is in nobody's way."""
        for name in names:
            try:
                self._discard([name])
            except OSError as error:
                _LOG.warning("%s is not needed any more and could not be removed: %s", self._file(name), error)

    def _files_of_current(self) -> list[str]:
        try:
            outcome = self.outcome()
        except CorruptResult:
            return []
        return [] if outcome is None else list(outcome.record["files"])

    def _discard(self, names: list[str]) -> None:
        for name in names:
            if os.path.basename(name) == name:
                remove_quietly(self._file(name))

    def _load(self, record: Mapping[str, Any]) -> Any:
        blobs = FolderBlobs(self._folder, self._permissions)
        kind, content = record["format"], record["value"]
        try:
            if kind == "pickle":
                check_trust(self.path / content, self._permissions)
                return load_pickle(blobs.read("pickle", content), self.path / content)
            return decode(json.loads(blobs.read("json", content)) if kind == "json-file" else content, blobs)
        except (StoreError, MemoryError, ImportError):  # not the fault of the bytes
            raise
        except Exception as error:  # readers of damaged bytes raise anything: zipfile, tokenize, struct, pyarrow
            if isinstance(error, OSError) and error.errno is not None:  # the disk's answer; pyarrow sets no errno
                raise
            raise CorruptResult(
                f"the value in {self.path} cannot be read: {type(error).__name__}: {error}. "
                "Recompute with mode='force'."
            ) from error


def _described_value(value: Any, blobs: FolderBlobs) -> dict[str, Any]:
    """The part of a record that holds a value: inline JSON, JSON in a file, or a pickle."""
    try:
        data = encode(value, blobs)
        text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    except (NotSafelyStorable, RecursionError):
        for name in blobs.names:
            remove_quietly(os.path.join(blobs.folder, name))
        blobs.names.clear()
        return {"format": "pickle", "value": blobs.write("pickle", dump_pickle(value)), "files": blobs.names}
    if len(text) > INLINE_BYTES:
        return {"format": "json-file", "value": blobs.write("json", text.encode()), "files": blobs.names}
    return {"format": "json", "value": data, "files": blobs.names}


def _is_record(path: str) -> bool:
    """Whether a file holds a record that can be read."""
    try:
        with open(path, "rb") as stream:
            parse_record(stream.read())
    except (FileNotFoundError, *_NO_RECORD):
        return False
    return True


def _to_bytes(record: dict[str, Any]) -> bytes:
    return json.dumps(record, allow_nan=False, separators=(",", ":")).encode()


def _mark(found: os.stat_result) -> tuple[int, int, int]:
    """What tells a file from the one that is put in its place."""
    return found.st_ino, found.st_mtime_ns, found.st_size
