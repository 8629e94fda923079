"""HOW a config gets cached, distributed computations: fields, and the binding of a method to them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from exca.infra._binding import task_of
from exca.infra._declared import check_value, computations
from exca.infra._fields import BaseInfra, ExecutionFields
from exca.infra._task import TaskInfra
from exca.infra._workdir import WorkDir

if TYPE_CHECKING:
    from exca.infra._map import MapInfra
    from exca.infra._submit import SubmitInfra

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

# With the maps come their segments and claims: a third of what importing all of this takes.
_LATER: Final = {"MapInfra": "exca.infra._map", "SubmitInfra": "exca.infra._submit"}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        value = globals()[name] = getattr(importlib.import_module(_LATER[name]), name)
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
