"""A method of a config that runs wherever its infra says, each time it is called; nothing of it is stored."""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import replace as replace_fields
from typing import Any

from pydantic import BaseModel

from exca import execution
from exca.errors import NotSubmitted
from exca.main_module import main_name
from exca.task._computation import Computation
from exca.task._submitted import prepare_worker, show_to_main

__all__ = ["BatchedJob", "UncachedCalls"]

Arguments = tuple[tuple[Any, ...], Mapping[str, Any]]


class BatchedJob:
    """A job of a batch: an `exca.execution.Job` once the batch has been submitted.

    Raises
    ------
    NotSubmitted: it was asked for anything before, or its batch was left by an error.
    """

    # docstrings of the methods inherited from `exca.execution.Job`

    __slots__ = ("_handle", "_why")

    def __init__(self, name: str) -> None:
        self._handle: execution.Job | None = None
        self._why = f"{name} is submitted when its batch ends: ask for its result after the `with` block"

    def adopt(self, handle: execution.Job) -> None:
        """Stand for that job from now on."""
        self._handle = handle

    def give_up(self, error: BaseException) -> None:
        """Its batch will never be submitted."""
        self._why = f"this job was not submitted: {error!r}"

    @property
    def handle(self) -> execution.Job:
        """The job of the executor."""
        if self._handle is None:
            raise NotSubmitted(self._why)
        return self._handle

    @property
    def job_id(self) -> str:
        return self.handle.job_id

    @property
    def paths(self) -> execution.JobPaths | None:
        return self.handle.paths

    def status(self) -> execution.JobStatus:
        return self.handle.status()

    def done(self) -> bool:
        return self.handle.done()

    def wait(self, timeout: float | None = None) -> bool:
        return self.handle.wait(timeout)

    def result(self) -> Any:
        return self.handle.result()

    def results(self) -> list[Any]:
        return self.handle.results()

    def exception(self) -> BaseException | None:
        return self.handle.exception()

    def cancel(self) -> None:
        self.handle.cancel()

    def stdout(self) -> str | None:
        return self.handle.stdout()

    def stderr(self) -> str | None:
        return self.handle.stderr()

    def __repr__(self) -> str:
        return "BatchedJob(not submitted)" if self._handle is None else f"BatchedJob({self._handle!r})"

    def __reduce__(self) -> tuple[Callable[[execution.Job], execution.Job], tuple[execution.Job]]:
        return _itself, (self.handle,)


class UncachedCalls(Computation):
    """Calls of one method of one config.

    Parameters
    ----------
    config, method, settings, exclude: as for `Computation`.
    static: whether the method takes no config; the config then stays where it is.
    """

    def __init__(self, *args: Any, static: bool) -> None:
        super().__init__(*args)
        self._static = static
        self._executors: dict[object, execution.Executor] = {}
        self._batch: list[tuple[Arguments, BatchedJob]] | None = None

    def call(self, arguments: Arguments) -> Any:
        """Run the method wherever the infra says, and return what it returns.

        Inside a job of the same method it runs right there: a bounded queue would otherwise wait for itself.
        """
        if self.settings.cluster is None or self._key in _at_work.get():
            return self.run(arguments)
        job = self._submit(arguments)
        try:
            return job.result()
        except KeyboardInterrupt as interrupt:
            where = f", job_from_folder({str(job.paths.folder)!r}) of exca.execution finds it" if job.paths else ""
            interrupt.add_note(f"{self._name} goes on as job {job.job_id}{where}")
            raise

    def submit(self, arguments: Arguments) -> execution.Job:
        """Submit one call, or add it to the batch; does not wait."""
        if self._batch is None:
            return self._submit(arguments)
        self._check(arguments)
        job = BatchedJob(self._name)
        self._batch.append((arguments, job))
        return job

    @contextlib.contextmanager
    def batch(self, max_workers: int | None) -> Iterator[list[BatchedJob]]:
        """Collect what is submitted, and submit it as one array at the end."""
        if self._batch is not None:
            raise NotSubmitted(f"{self._name} is in a batch already, which has not been submitted")
        jobs: list[BatchedJob] = []
        batch: list[tuple[Arguments, BatchedJob]] = []
        self._batch = batch
        try:
            yield jobs
            self._batch = None
            jobs.extend(job for _, job in batch)
            handles = self._executor(max_workers).submit([self._call_of(arguments) for arguments, _ in batch])
        except BaseException as error:
            for _, job in batch:
                job.give_up(error)
            raise
        finally:
            self._batch = None
        for job, handle in zip(jobs, handles, strict=True):
            job.adopt(handle)

    def run(self, arguments: Arguments) -> Any:
        """Run the method in this process."""
        token = _at_work.set(_at_work.get() | {self._key})
        try:
            return _apply(self.function, None if self._static else self.config, arguments)
        finally:
            _at_work.reset(token)

    @property
    def _key(self) -> str:
        return f"{self.method.owner.__module__}:{self.method.title}"

    @property
    def _name(self) -> str:
        return self.settings.job_name or f"{self.method.owner.__name__}.{self.method.name}"

    def _submit(self, arguments: Arguments) -> execution.Job:
        self._check(arguments)
        [job] = self._executor(None).submit([self._call_of(arguments)])
        return job

    def _check(self, arguments: Arguments) -> None:
        """Raise a TypeError for arguments that do not fit, here and not hours later."""
        args, kwargs = arguments
        try:
            inspect.signature(self.function).bind(*(() if self._static else (self.config,)), *args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self._name}(): {error}") from None

    def _executor(self, max_workers: int | None) -> execution.Executor:
        """One for all calls that need the same: threads are bounded by their executor."""
        resources, logs, folder = self.settings.resources(), self.settings.logs_template(), os.getcwd()
        if max_workers is not None:
            resources = replace_fields(resources, max_workers=min(max_workers, resources.max_workers or max_workers))
        key = (resources, logs, folder)
        if key not in self._executors:
            initializer = functools.partial(prepare_worker, main_name(), folder)
            self._executors[key] = execution.make_executor(resources, logs, initializer=initializer)
        return self._executors[key]

    def _call_of(self, arguments: Arguments) -> execution.Call:
        if execution.runs_in_this_process(self.settings.cluster):
            return execution.Call(self.run, (arguments,), name=self._name)
        if self._static:
            return execution.Call(_run_static, (self.method.owner, self.method.name, arguments), name=self._name)
        return execution.Call(_run_submitted, (self.config, self.method.field, arguments), name=self._name)


_at_work: ContextVar[frozenset[str]] = ContextVar("_at_work", default=frozenset())


def _run_submitted(config: BaseModel, field: str, arguments: Arguments) -> Any:
    """What a worker runs."""
    calls: UncachedCalls = getattr(config, field).bound()
    show_to_main(calls.function)
    return calls.run(arguments)


def _run_static(owner: type[BaseModel], name: str, arguments: Arguments) -> Any:
    """What a worker runs for a method that takes no config."""
    function = getattr(owner, name).__exca_applied__.function
    show_to_main(function)
    return _apply(function, None, arguments)


def _apply(function: Callable[..., Any], config: BaseModel | None, arguments: Arguments) -> Any:
    args, kwargs = arguments
    return function(*args, **kwargs) if config is None else function(config, *args, **kwargs)


def _itself(job: execution.Job) -> execution.Job:
    return job
