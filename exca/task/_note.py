"""``job.json``: where and when a computation ran, with what code and versions."""

from __future__ import annotations

import json
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from exca import execution, provenance
from exca.errors import SubmissionFailed
from exca.liveness import Stamp
from exca.store import Entry

if TYPE_CHECKING:
    from exca.task._task import Task

__all__ = ["JobNote", "SubmissionNotes", "log_folder", "read_note"]

_NAME = "job.json"
_LINK = "submitit"
_LOG = logging.getLogger(__name__)


def read_note(entry: Entry) -> dict[str, Any]:
    """The content of ``job.json``; empty if there is none, or none that can be read."""
    try:
        data = json.loads(entry.read_note(_NAME) or "{}")
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def log_folder(entry: Entry) -> Path | None:
    """Folder of the log files of the job that was submitted last; None if there was none."""
    if entry.path is None:
        return None
    try:  # the link rather than job.json: no file to open for each of a thousand tasks
        return Path(os.path.normpath(entry.path / os.readlink(entry.path / _LINK)))
    except OSError:
        return None


class SubmissionNotes:
    """Writes ``job.json`` of what is about to be submitted, and takes it back if the submission fails."""

    def __init__(self) -> None:
        self._written: list[tuple[Entry, str | None, Path | None]] = []  # and the note and the link of before

    def __enter__(self) -> SubmissionNotes:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for entry, before, logs in self._written if kind is not None else ():
            try:
                if logs is None:
                    entry.remove_note(_LINK)
                else:
                    entry.link(_LINK, logs)
                if before is None:
                    entry.remove_note(_NAME)
                else:
                    entry.write_note(_NAME, before)
            except OSError as problem:
                _LOG.warning("job.json in %s speaks of a job that was not submitted: %s", entry.path, problem)

    def write(self, task: Task, job: execution.Job) -> None:
        """Say which job computes the task, in the uid folder and in the job's own.

        Raises
        ------
        SubmissionFailed
            if that cannot be written.
        """
        entry, paths = task.entry, job.paths
        if entry is None or entry.path is None or paths is None:
            return
        self._written.append((entry, entry.read_note(_NAME), log_folder(entry)))
        try:
            _note(task, entry, entry.path, job.job_id, paths)
        except OSError as error:
            raise SubmissionFailed(f"{entry.path} cannot be written, so nothing was submitted: {error}") from error


def _note(task: Task, entry: Entry, folder: Path, job_id: str, paths: execution.JobPaths) -> None:
    data = {
        "uid": task.uid,
        "state": "submitted",
        "submitted": time.time(),
        "cluster": task.settings.cluster,
        "job_id": job_id,
        "job_folder": os.path.relpath(paths.folder, folder),  # relative: cache folders get moved
    }
    entry.write_note(_NAME, json.dumps(data, indent=1))
    entry.link(_LINK, paths.folder)
    os.symlink(os.path.relpath(folder, paths.folder), paths.stored)
    if paths.code.exists():
        entry.link("code", paths.code.resolve())


class JobNote:
    """Writes ``job.json`` when a computation ends."""

    def __init__(self, task: Task, entry: Entry, *, keep: bool) -> None:
        self._task = task
        self._uid = task.uid  # as it is before the method may change the config
        self._entry = entry
        self._keep = keep
        self._started = time.time()
        self._clock = time.perf_counter()

    def write(self, state: Literal["completed", "failed"], error: BaseException | None = None) -> None:
        """Write the note. It is for people: nothing that goes wrong here may cost the result."""
        try:
            self._entry.write_note(_NAME, json.dumps(self._content(state, error), indent=1))
        except Exception as problem:  # a full disk, a library without metadata, an error that cannot be shown
            _LOG.warning("job.json of %s could not be written: %r", self._entry.path, problem)

    def _content(self, state: str, error: BaseException | None) -> dict[str, Any]:
        cls = self._task.method.owner
        data = read_note(self._entry) if self._keep else {}
        return data | {
            "uid": self._uid,
            "state": state,
            "error": None if error is None else f"{type(error).__name__}: {error}",
            "started": self._started,
            "duration_s": round(time.perf_counter() - self._clock, 6),
            "cluster": data.get("cluster"),
            "process": Stamp.current().to_dict(),
            **provenance.environment(),
            "git": provenance.source_state(cls),
            "code": provenance.code_fingerprint(cls, self._task.method.function),
        }
