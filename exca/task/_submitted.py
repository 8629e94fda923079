"""What a worker runs for a computation that was submitted."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from exca.errors import UnstableIdentity
from exca.identity import main_module_override
from exca.policy import Replace
from exca.task._computing import call, compute
from exca.task._home import set_home

if TYPE_CHECKING:
    from exca.task._task import Task

__all__ = ["Submitted", "prepare_worker", "show_to_main", "submitted"]


class Submitted:
    """Computes and stores; the value travels by the store, if there is one.

    Parameters
    ----------
    carrier: what travels to the worker, and has the method's field there.
    field: the name of that field.
    uid: what the computation is called where it was submitted.
    replace: what its result may be put in the place of.
    """

    def __init__(self, carrier: Any, field: str, uid: str, replace: Replace) -> None:
        self.carrier = carrier
        self.field = field
        self.uid = uid
        self.replace = replace

    def __call__(self) -> Any:
        task = self.find_task()
        value = compute(task, self.replace, submitted=True)
        return value if task.entry is None else None

    def accompany(self) -> None:
        """Compute beside the process that stores the result: for computations that run as several processes."""
        call(self.find_task())

    def find_task(self) -> Task:
        """The task, on the worker.

        Raises
        ------
        UnstableIdentity
            if it has another name here.
        """
        task: Task = getattr(self.carrier, self.field).bound_task()
        show_to_main(task.method.function)
        if task.uid != self.uid:
            raise UnstableIdentity(
                f"the config is {self.uid} where it was submitted and {task.uid} on the worker: some field has a "
                "value, or a default, that differs from process to process"
            )
        return task


class Resumable(Submitted):
    """A computation that can save its state: the scheduler's warning is passed on to the config."""

    def checkpoint(self) -> None:
        """Save the state; the computation is about to be ended, and will begin anew elsewhere."""
        self.carrier.checkpoint()


def submitted(task: Task, replace: Replace) -> Submitted:
    """What a worker runs for a task."""
    can_save = callable(getattr(type(task.carrier), "checkpoint", None))
    return (Resumable if can_save else Submitted)(task.carrier, task.method.field, task.uid, replace)


def prepare_worker(name: str, folder: str) -> None:
    """Called once in each worker: names and relative folders mean there what they mean here."""
    main_module_override(name)
    set_home(folder)


def show_to_main(function: Callable[..., Any]) -> None:
    """Put what came by value from a script where stored values and pools look it up, on a worker."""
    if function.__module__ == "__main__":
        for name, thing in function.__globals__.items():
            if getattr(thing, "__module__", None) == "__main__":
                vars(sys.modules["__main__"]).setdefault(name, thing)
