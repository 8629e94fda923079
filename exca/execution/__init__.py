"""Who runs it: calls in, jobs out; inline, in threads, in a bounded local queue."""

from __future__ import annotations

from exca.execution._array._layout import JobPaths
from exca.execution._call import Call
from exca.execution._clusters import choose_cluster, make_executor
from exca.execution._job import Executor, Job, JobStatus
from exca.execution._queued import job_from_folder
from exca.execution._resources import Resources
from exca.execution._waiting import as_completed, wait_all

__all__ = [
    "Call",
    "Executor",
    "Job",
    "JobPaths",
    "JobStatus",
    "Resources",
    "as_completed",
    "choose_cluster",
    "job_from_folder",
    "make_executor",
    "wait_all",
]
