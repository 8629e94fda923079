"""What a task is told: which method of which class, and where its infra wants results and work to go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from exca import execution
from exca.policy import Mode

if TYPE_CHECKING:
    from exca.task._task import Task

__all__ = ["CodeChangedWarning", "Method", "Settings", "TaskSettings"]


@dataclass(frozen=True, slots=True)
class Method:
    """The computation of a class of configs.

    Attributes
    ----------
    owner: the class of the config; or a class that only lends its name, where a function is the computation.
    name: name of the method; empty for a function.
    field: name of the infra field that the method was applied to.
    function: the user's own function; takes the config.
    """

    owner: type
    name: str
    field: str
    function: Callable[[Any], Any]

    @property
    def title(self) -> str:
        """What messages call it: ``Class.method``, or the function's name."""
        return f"{self.owner.__qualname__}.{self.name}".rstrip(".")


class Settings(Protocol):
    """What a computation asks of its infra; read at each use, since users change infra fields."""

    folder: Path | None
    cluster: str | None
    job_name: str | None
    mode: Mode
    version: str
    permissions: int | None
    keep_in_ram: bool
    code_change: Literal["ignore", "warn", "error", "recompute"]

    def resources(self) -> execution.Resources:
        """What the executor is told."""

    def logs_template(self) -> str | None:
        """Where job folders go; None without a folder."""


class TaskSettings(Settings, Protocol):
    """What a task asks of its infra beside that."""

    def bound_task(self) -> Task:
        """The task of the config that the infra belongs to."""


class CodeChangedWarning(UserWarning):
    """The code of a computation differs from the code that made the stored result."""
