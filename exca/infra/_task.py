"""TaskInfra: a method without arguments, computed once for each config."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Collection, Iterator
from typing import Any, ClassVar, TypeVar, overload

from pydantic import BaseModel

from exca.errors import InvalidInfra, RepeatedTasks
from exca.identity import dump_yaml, export
from exca.infra._binding import task_of
from exca.infra._bound import BoundInfra
from exca.infra._declared import Applied, ExcludeRule, check_method
from exca.infra._rebuilding import has_value
from exca.policy import Status
from exca.store import Entry
from exca.task import Method, Task, TaskJob, submit_all

__all__ = ["TaskInfra"]

M = TypeVar("M", bound=Callable[..., Any])


class TaskInfra(BoundInfra):
    """Runs a method of a config once, here or elsewhere, and gives the stored result to every later identical call.

    Parameters
    ----------
    **fields: see `exca.infra.BaseInfra` and `exca.infra.ExecutionFields`.

    Examples
    --------
    >>> class Experiment(pydantic.BaseModel):
    ...     lr: float = 0.1
    ...     infra: TaskInfra = TaskInfra(version="1")
    ...
    ...     @infra.apply
    ...     def run(self) -> float:
    ...         return train(self.lr)
    >>> Experiment(lr=0.2, infra={"folder": "cache"}).run()
    """

    # ------------------------------------------------------------------ declaring

    @overload
    def apply(self, method: M, /) -> M: ...

    @overload
    def apply(self, /, *, exclude_from_cache_uid: ExcludeRule = ()) -> Callable[[M], M]: ...

    def apply(self, method: Any = None, /, *, exclude_from_cache_uid: ExcludeRule = ()) -> Any:
        """Decorate the method that is the computation. It takes no argument but ``self``.

        Parameters
        ----------
        exclude_from_cache_uid: fields that do not change the result: a list of (dotted) names, a function of the
            config that returns one, or ``"method:<name>"`` of a method that does.

        Raises
        ------
        InvalidInfra
            if this infra was applied to another method before, or the method takes arguments, is async or a
            generator.
        """
        if method is None:
            return lambda function: self._register(AppliedTask(function, exclude_from_cache_uid))
        return self._register(AppliedTask(method, exclude_from_cache_uid))

    def _make(self, config: BaseModel, method: Method, exclude: Callable[[], Collection[str]]) -> Task:
        return Task(config, method, self, exclude)

    def bound_task(self) -> Task:
        """The task of the config that this infra belongs to.

        Raises
        ------
        InfraNotBound
            if it belongs to none.
        """
        task = self.bound()
        assert isinstance(task, Task)
        return task

    def _is_stored(self, entry: Entry) -> bool:
        return has_value(entry)

    # ------------------------------------------------------------------ jobs

    def job(self) -> TaskJob:
        """The job of this computation; submitted if there is none (and computed, if ``cluster`` is None)."""
        return self.bound_task().job()

    def status(self) -> Status:
        """``"not submitted"``, ``"running"``, ``"completed"`` or ``"failed"``; the value is not read."""
        return self.bound_task().status()

    def clear_job(self) -> None:
        """Cancel the job if it runs and forget the result, so that the next call computes. Other files stay."""
        self.bound_task().clear()

    @contextlib.contextmanager
    def job_array(
        self, max_workers: int | None = None, allow_empty: bool = False, allow_repeated_tasks: bool = False
    ) -> Iterator[list[Any]]:
        """A list to fill with configs; on leaving the context they are submitted together, and not waited for.

        What is computed already, or running, is not submitted again. With ``cluster=None`` the tasks are computed in
        this process, in order, before the context is left; a failure is stored, and raised when its result is asked
        for.

        Parameters
        ----------
        max_workers: upper bound of jobs at work at once; None: ``infra.max_workers``.
        allow_empty: whether an empty list is fine.
        allow_repeated_tasks: whether one computation may stand in the list twice (it runs once).

        Raises
        ------
        RepeatedTasks
            if two configs of the list have one uid; both are shown.
        InvalidInfra
            if something in the list has no task of that name.
        ValueError
            if the list is empty and that is not allowed.

        Examples
        --------
        >>> with experiment.infra.job_array() as tasks:
        ...     tasks.extend(experiment.infra.clone_obj(seed=seed) for seed in range(10))
        >>> values = [task.run() for task in tasks]
        """
        configs: list[Any] = []
        own = self.bound_task()
        yield configs
        if not configs and not allow_empty:
            raise ValueError("nothing was added to the job array; pass allow_empty=True if that can happen")
        tasks = [_task_at(index, config, own) for index, config in enumerate(configs)]
        submit_all(_distinct(tasks, allow_repeated_tasks), max_workers)


class AppliedTask(Applied):
    """What ``@infra.apply`` of a task was told."""

    __slots__ = ()
    kind: ClassVar[str] = "task"

    def check(self) -> None:
        # docstring inherited
        check_method(self.function)

    def wrap(self) -> Callable[[Any], Any]:
        # docstring inherited
        return _wrap(self)


def _wrap(applied: Applied) -> Callable[[Any], Any]:
    """The user's method, answered from the cache.

    A plain function, since pydantic leaves only functions and properties of a class body alone. Its first lines are
    the path of a result that is kept in RAM.
    """
    function = applied.function

    @functools.wraps(function)
    def method(self: Any) -> Any:
        try:
            task = self.__dict__[applied.field]._task
            if task.config is self and task.function is function:
                return task.ram
        except (KeyError, AttributeError):
            pass  # nothing kept, or not bound yet, or a private infra, which is no field
        task = task_of(self, applied.field)
        # super().run() in an override: the parent's code as a part of the computation, not a second one
        return task.result() if task.function is function else function(self)

    method.__exca_applied__ = applied  # type: ignore[attr-defined]
    return method


def _task_at(index: int, config: Any, own: Task) -> Task:
    """The task of one item of a job array.

    Raises
    ------
    InvalidInfra
        if it has none.
    """
    field = own.method.field
    if isinstance(getattr(config, field, None), TaskInfra):
        return task_of(config, field)
    raise InvalidInfra(
        f"item {index} of the job array is of type {type(config).__qualname__}, which has no TaskInfra field "
        f"{field!r}: {config!r:.200}. Add configs of {type(own.config).__qualname__}; nothing was submitted"
    )


def _distinct(tasks: list[Task], allow_repeated: bool) -> list[Task]:
    """The first task of each uid.

    Raises
    ------
    RepeatedTasks
        at the first repetition, unless allowed.
    """
    first: dict[str, int] = {}
    for index, task in enumerate(tasks):
        known = first.setdefault(task.uid, index)
        if known != index and not allow_repeated:
            shown = (
                f"* index {place}:\n{dump_yaml(export(tasks[place].config, uid=True, exclude_defaults=True))}"
                for place in (known, index)
            )
            raise RepeatedTasks(
                f"the job array holds one computation twice ({task.uid}):\n"
                + "".join(shown)
                + "Vary a field (a seed, say), or pass allow_repeated_tasks=True to compute it once."
            )
    return [tasks[index] for index in first.values()]
