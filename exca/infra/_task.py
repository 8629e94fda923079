"""TaskInfra: a method without arguments, computed once for each config."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, overload

from pydantic import BaseModel, GetCoreSchemaHandler
from pydantic_core import CoreSchema

from exca.errors import InfraNotBound, InvalidInfra, RepeatedTasks
from exca.identity import ConfDict, dump_yaml, export
from exca.infra._binding import declare, install_declared, make_task, task_of, wrap
from exca.infra._cloning import cloned
from exca.infra._declared import Applied, ExcludeRule, check_method
from exca.infra._fields import BaseInfra
from exca.infra._rebuilding import has_value, rebuilt
from exca.policy import Status
from exca.task import Task, TaskJob, submit_all

__all__ = ["TaskInfra"]

M = TypeVar("M", bound=Callable[..., Any])


class TaskInfra(BaseInfra):
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
            return lambda function: self._applied_to(function, exclude_from_cache_uid)
        return self._applied_to(method, exclude_from_cache_uid)

    def _applied_to(self, method: Callable[[Any], Any], exclude: ExcludeRule) -> Callable[[Any], Any]:
        earlier: Applied | None = getattr(self, "_applied", None)
        if earlier is not None:
            raise InvalidInfra(
                f"this infra was applied to {earlier.function.__qualname__} already; {method.__qualname__} needs an "
                "infra field of its own"
            )
        check_method(method)
        applied = Applied(method, exclude)
        object.__setattr__(self, "_applied", applied)
        return wrap(applied)

    def __set_name__(self, owner: type[BaseModel], name: str) -> None:
        declare(self, owner, name)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[BaseModel], handler: GetCoreSchemaHandler) -> CoreSchema:
        install_declared()
        return handler(source)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        task: Task | None = getattr(self, "_task", None)
        if task is not None:  # a task reads its infra once for some things: begin anew
            object.__setattr__(self, "_task", make_task(task.config, self, task.method))

    # ------------------------------------------------------------------ the config and its names

    def bound_task(self) -> Task:
        """The task of the config that this infra belongs to.

        Raises
        ------
        InfraNotBound
            if it belongs to none.
        """
        task: Task | None = getattr(self, "_task", None)
        if task is None:
            raise InfraNotBound(
                "this infra belongs to no config: reach it through a config whose class applies it to a method "
                "(config.infra), rather than through the class or on its own"
            )
        return task

    def config(self, uid: bool = True, exclude_defaults: bool = False) -> ConfDict:
        """Export the config.

        Parameters
        ----------
        uid: only what defines the computation (without excluded fields and infra).
        exclude_defaults: without the values that equal their default.
        """
        task = self.bound_task()
        excluded = task.excluded if uid else ()
        return ConfDict.from_model(task.config, uid=uid, exclude_defaults=exclude_defaults, exclude=excluded)

    def uid(self) -> str:
        """Name of the computation, ``module.Class.method,version/readable-hash``; the config is sealed from now on."""
        return self.bound_task().uid

    def uid_folder(self, create: bool = False) -> Path | None:
        """Folder of this uid; None without ``folder``. The method may keep checkpoints there.

        Parameters
        ----------
        create: make the folder, with its manifests.
        """
        task = self.bound_task()
        if task.entry is None:
            return None
        if create:
            task.entry.prepare(task.manifests())
        return task.entry.path

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
        ValueError
            if the list is empty and that is not allowed.

        Examples
        --------
        >>> with experiment.infra.job_array() as tasks:
        ...     tasks.extend(experiment.infra.clone_obj(seed=seed) for seed in range(10))
        >>> values = [task.run() for task in tasks]
        """
        configs: list[Any] = []
        field = self.bound_task().method.field
        yield configs
        if not configs and not allow_empty:
            raise ValueError("nothing was added to the job array; pass allow_empty=True if that can happen")
        tasks = [task_of(config, field) for config in configs]
        submit_all(_distinct(tasks, allow_repeated_tasks), max_workers)

    # ------------------------------------------------------------------ other configs

    def clone_obj(self, *args: Mapping[str, Any], **kwargs: Any) -> Any:
        """A new config with some fields changed; nothing is shared with this one.

        Parameters
        ----------
        *args: mappings of (dotted) field names to values.
        **kwargs: field names to values.

        Examples
        --------
        >>> config.infra.clone_obj({"optim.lr": 0.2}, seed=3)
        """
        updates = ConfDict()
        for mapping in (*args, kwargs):
            updates.update(mapping)
        return cloned(self.bound_task().config, updates)

    def iter_cached(self) -> Iterator[Any]:
        """All configs of this class, method and version that have a stored value in ``folder``.

        Yields
        ------
        config: rebuilt from its ``config.yaml``, with this infra. Configs that cannot be rebuilt from it (a secret,
            an object without a plain form, a class or default that has changed since) are left out, with one warning
            that counts them.
        """
        task = self.bound_task()
        if task.store is None:
            return
        settings = {name: value for name, value in self if name in self.model_fields_set}
        lost: list[Path | None] = []
        for entry in task.store.entries(task.uid.partition("/")[0]):
            if not has_value(entry):
                continue
            config = rebuilt(task, settings, entry)
            if config is None:
                lost.append(entry.path)
            else:
                yield config
        if lost:
            warnings.warn(
                f"{len(lost)} stored results of {type(task.config).__qualname__} are left out: their folders do not "
                f"give back the config that was computed. The first is {lost[0]}",
                stacklevel=2,
            )

    def obj_infras(self) -> dict[str, BaseInfra]:
        """All infras of the config, by field name."""
        config = self.bound_task().config
        names = [*type(config).model_fields, *type(config).__private_attributes__]
        found = {name: getattr(config, name, None) for name in names}
        return {name: infra for name, infra in found.items() if isinstance(infra, BaseInfra)}


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
