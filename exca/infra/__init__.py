"""HOW a config gets cached, distributed computations: fields, and the binding of a method to them."""

from exca.infra._binding import task_of
from exca.infra._declared import check_value, computations
from exca.infra._fields import BaseInfra, ExecutionFields
from exca.infra._map import MapInfra
from exca.infra._submit import SubmitInfra
from exca.infra._task import TaskInfra
from exca.infra._workdir import WorkDir

__all__ = [
    "BaseInfra",
    "ExecutionFields",
    "MapInfra",
    "SubmitInfra",
    "TaskInfra",
    "WorkDir",
    "check_value",
    "computations",
    "task_of",
]
