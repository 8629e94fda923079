"""SubmitInfra: a method that runs wherever its infra says, with arguments and without a cache."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ValidationInfo, field_validator

from exca.errors import InvalidInfra
from exca.execution import Job
from exca.infra._binding import computation_of
from exca.infra._bound import BoundInfra
from exca.infra._declared import Applied
from exca.store import Entry
from exca.task import BatchedJob, Method, UncachedCalls

__all__ = ["SubmitInfra"]

M = TypeVar("M", bound=Callable[..., Any])


class SubmitInfra(BoundInfra):
    """Runs a method of a config here or elsewhere, each time it is called; nothing is cached.

    The method may take arguments, and be static, so that the config does not travel with it. ``config.method(...)``
    waits for the value; ``config.infra.submit(...)`` gives a job.

    Parameters
    ----------
    **fields: see `exca.infra.ExecutionFields`; ``folder`` is where logs and copies of code go.

    Examples
    --------
    >>> class Model(pydantic.BaseModel):
    ...     scale: float = 2.0
    ...     infra: SubmitInfra = SubmitInfra()
    ...
    ...     @infra.apply
    ...     def predict(self, x: float) -> float:
    ...         return self.scale * x
    >>> model = Model(infra={"cluster": "processpool"})
    >>> model.predict(3.0)
    6.0
    >>> job = model.infra.submit(x=4.0)
    >>> job.result()
    8.0
    """

    # ------------------------------------------------------------------ declaring

    def apply(self, method: M, /) -> M:
        """Decorate the method to run.

        Raises
        ------
        InvalidInfra
            if this infra was applied to another method before, or the method is async, a generator or a classmethod.
        """
        stand_in: Any = self._register(AppliedCalls(method, ()))
        return stand_in  # type: ignore[no-any-return]

    @field_validator("mode", "keep_in_ram", "code_change")
    @classmethod
    def _refuse_what_is_about_results(cls, value: Any, info: ValidationInfo) -> Any:
        name = info.field_name or ""
        if value != cls.__pydantic_fields__[name].default:
            raise InvalidInfra(
                f"{name}={value!r} is about stored results, and {cls.__name__} stores none: "
                "leave it out, or use TaskInfra"
            )
        return value

    def _make(self, config: BaseModel, method: Method, exclude: Callable[[], Collection[str]]) -> UncachedCalls:
        applied = getattr(getattr(method.owner, method.name), "__exca_applied__")  # noqa: B009 - typed
        return UncachedCalls(config, method, self, exclude, static=applied.static)

    def _calls(self) -> UncachedCalls:
        calls = self.bound()
        assert isinstance(calls, UncachedCalls)
        return calls

    def _is_stored(self, entry: Entry) -> bool:  # noqa: ARG002 - nothing ever is
        return False

    # ------------------------------------------------------------------ jobs

    def submit(self, *args: Any, **kwargs: Any) -> Job:
        """Submit one call of the method and return at once; with ``cluster=None`` it runs here, before that.

        Parameters
        ----------
        *args, **kwargs: arguments of the method.

        Returns
        -------
        Job: its ``result()`` waits, and raises what the method raised.

        Raises
        ------
        TypeError
            if the method does not take such arguments.
        SubmissionFailed
            if the call was not taken.

        Examples
        --------
        >>> jobs = [model.infra.submit(x) for x in (1.0, 2.0)]
        >>> [job.result() for job in jobs]
        [2.0, 4.0]
        """
        return self._calls().submit((args, kwargs))

    @contextlib.contextmanager
    def batch(self, max_workers: int | None = None) -> Iterator[list[BatchedJob]]:
        """What is submitted inside the context goes out as one job array on leaving it.

        The jobs can be asked for results after that; an error that leaves the context submits nothing.

        Parameters
        ----------
        max_workers: upper bound of jobs at work at once; None: ``infra.max_workers``.

        Yields
        ------
        list: filled with the jobs on leaving.

        Raises
        ------
        NotSubmitted
            if a job is asked for anything inside the context, or this is inside another batch of the same infra.

        Examples
        --------
        >>> with model.infra.batch():
        ...     first, second = model.infra.submit(1.0), model.infra.submit(2.0)
        >>> first.result() + second.result()
        6.0
        """
        with self._calls().batch(max_workers) as jobs:
            yield jobs


@dataclass(slots=True)
class AppliedCalls(Applied):
    """What ``@infra.apply`` of such a method was told."""

    static: bool = field(default=False, init=False)

    kind: ClassVar[str] = "submit"

    def __post_init__(self) -> None:
        if isinstance(self.function, staticmethod):
            self.function, self.static = self.function.__func__, True

    def check(self) -> None:
        # docstring inherited
        function = self.function
        name = getattr(function, "__qualname__", function)
        if not inspect.isfunction(function):
            raise InvalidInfra(f"{name!s} must be a method or a static method, not a {type(function).__name__}")
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise InvalidInfra(f"{name} is async: use asyncio.run() inside a plain function, and submit that")
        if inspect.isgeneratorfunction(function):
            raise InvalidInfra(f"{name} is a generator, which cannot be sent back from where it ran: return a list")
        if not self.static and not inspect.signature(function).parameters:
            raise InvalidInfra(f"{name} does not take self: if it is static, write @staticmethod below @infra.apply")

    def wrap(self) -> Callable[..., Any]:
        # docstring inherited
        function, static = self.function, self.static

        @functools.wraps(function)
        def method(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            if not isinstance(self, BaseModel):
                raise TypeError(
                    f"{function.__qualname__} runs as the infra of a config says: call it on a config, and if it is "
                    "static, write @staticmethod below @infra.apply"
                )
            calls = computation_of(self, applied.field)
            assert isinstance(calls, UncachedCalls)
            if calls.function is function:
                return calls.call((args, kwargs))
            # super().method() in an override: the parent's code as a part of the call, not a second one
            return function(*args, **kwargs) if static else function(self, *args, **kwargs)

        applied = self
        method.__exca_applied__ = applied  # type: ignore[attr-defined]
        if static:  # a bound method is shown without its first parameter
            method.__signature__ = _with_self(inspect.signature(function))  # type: ignore[attr-defined]
        return method


def _with_self(signature: inspect.Signature) -> inspect.Signature:
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    others = signature.parameters.values()
    if any(parameter.name == "self" for parameter in others):
        return signature
    return signature.replace(parameters=[own, *others])
