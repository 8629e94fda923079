"""From a scheduler's job back to what it computes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from exca import execution
from exca.errors import JobFailed
from exca.identity import ConfDict
from exca.store import FolderStore

__all__ = ["FoundJob", "find_job"]


class FoundJob:
    """A job that was found by its id: its logs, and what it computes.

    Attributes
    ----------
    job: the job of the executor, with `status`, `done`, `wait`, `cancel`.
    folder: the uid folder; None if the logs lead to none.
    """

    def __init__(self, job: execution.Job, folder: Path | None) -> None:
        self.job = job
        self.folder = folder

    @property
    def job_id(self) -> str:
        """The job's own id."""
        return self.job.job_id

    @property
    def paths(self) -> execution.JobPaths | None:
        """The job's folder and log files."""
        return self.job.paths

    @property
    def config(self) -> ConfDict:
        """The whole config, as it was submitted."""
        return self._manifest("config.yaml")

    @property
    def uid_config(self) -> ConfDict:
        """What makes this computation differ from one with all defaults."""
        return self._manifest("uid.yaml")

    def status(self) -> execution.JobStatus:
        """Where the job stands."""
        return self.job.status()

    def done(self) -> bool:
        """Whether it has ended."""
        return self.job.done()

    def stdout(self) -> str | None:
        """What it printed so far."""
        return self.job.stdout()

    def stderr(self) -> str | None:
        """What it wrote to its standard error so far."""
        return self.job.stderr()

    def result(self) -> Any:
        """Wait for the job; its stored value, or its error raised.

        Raises
        ------
        JobFailed
            if nothing was stored.
        """
        self.job.wait()
        folder = self._home()
        entry = FolderStore(folder.parents[1]).entry(f"{folder.parent.name}/{folder.name}")
        outcome = entry.outcome()
        if outcome is None:
            raise self.job.exception() or JobFailed(f"nothing is stored in {folder}")
        if outcome.status == "failed":
            raise entry.error(outcome)
        return entry.load(outcome)

    def __repr__(self) -> str:
        return f"FoundJob({self.job!r}, {str(self.folder)!r})"

    def _manifest(self, name: str) -> ConfDict:
        return ConfDict.from_yaml(self._home() / name)

    def _home(self) -> Path:
        if self.folder is None:
            raise LookupError(f"no result folder belongs to {self.job!r}")
        return self.folder


def find_job(job_id: str, folder: str | os.PathLike[str] | None) -> FoundJob | None:
    """The job of a scheduler's id; of several that shared a worker, the one that runs, or the last."""
    jobs = execution.find_jobs(job_id, None if folder is None else Path(folder).absolute())
    if not jobs:
        return None
    job = next((job for job in jobs if not job.done()), jobs[-1])
    assert job.paths is not None
    return FoundJob(job, _uid_folder(job.paths))


def _uid_folder(paths: execution.JobPaths) -> Path | None:
    try:
        return Path(os.path.normpath(paths.folder / os.readlink(paths.stored)))
    except OSError:
        return None
