"""Who runs it: calls in, jobs out; inline, in threads, in a bounded local queue, or under a scheduler such as Slurm.

`make_executor` gives what runs calls with some `Resources`; its ``submit`` takes a list of `Call` and gives a `Job`
for each, without waiting. What several calls have in common, such as the items of a map that a few workers drain,
goes as a `Shared` argument: written once, loaded once in each worker. `as_completed` and `wait_all` wait for many
jobs at once. Whoever gives up cancels the rest: ``for job in jobs: job.cancel()`` neither waits nor harms what has
ended.

The workers of a process pool are kept for a minute after their array, so that the next array of this process starts
within milliseconds; their calls find the variables, folders, import path, code and definitions of the moment of their
submission all the same.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from exca.execution._call import Call, Shared
from exca.execution._clusters import (
    check_cluster,
    choose_cluster,
    ends_with_this_process,
    make_executor,
    runs_in_this_process,
    worker_bound,
)
from exca.execution._code import CodeCopy
from exca.execution._job import Executor, Job, JobStatus
from exca.execution._resources import Resources
from exca.execution._waiting import as_completed, wait_all

if TYPE_CHECKING:
    from exca.execution._array._layout import JobPaths
    from exca.execution._finding import find_jobs
    from exca.execution._queued import job_from_folder

__all__ = [
    "Call",
    "CodeCopy",
    "Executor",
    "Job",
    "JobPaths",
    "JobStatus",
    "Resources",
    "Shared",
    "as_completed",
    "check_cluster",
    "choose_cluster",
    "ends_with_this_process",
    "find_jobs",
    "job_from_folder",
    "make_executor",
    "runs_in_this_process",
    "wait_all",
    "worker_bound",
]

# All that is known of workers and of Slurm, for who looks for old jobs: a tenth of the time of `import exca`.
_LATER: Final = {
    "JobPaths": "exca.execution._array._layout",
    "find_jobs": "exca.execution._finding",
    "job_from_folder": "exca.execution._queued",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(importlib.import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
