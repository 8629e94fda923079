"""One (config, method): what it is called, where its result lives, who computes it, put together."""

from exca.task._home import absolute
from exca.task._job import TaskJob
from exca.task._method import CodeChangedWarning, Method, TaskSettings
from exca.task._submission import submit_all
from exca.task._task import MISSING, Task

__all__ = ["MISSING", "CodeChangedWarning", "Method", "Task", "TaskJob", "TaskSettings", "absolute", "submit_all"]
