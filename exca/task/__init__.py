"""One (config, method): what it is called, where its result lives, who computes it, put together."""

from exca.task._checks import Outdated, check_facts
from exca.task._computation import Computation
from exca.task._finding import FoundJob, find_job
from exca.task._home import absolute
from exca.task._job import TaskJob
from exca.task._method import CodeChangedWarning, Method, Settings, TaskSettings
from exca.task._submission import submit_all
from exca.task._submitted import prepare_worker, show_to_main
from exca.task._task import Task
from exca.task._uncached import BatchedJob, UncachedCalls

__all__ = [
    "BatchedJob",
    "CodeChangedWarning",
    "Computation",
    "FoundJob",
    "Method",
    "Outdated",
    "Settings",
    "Task",
    "TaskJob",
    "TaskSettings",
    "UncachedCalls",
    "absolute",
    "check_facts",
    "find_job",
    "prepare_worker",
    "show_to_main",
    "submit_all",
]
