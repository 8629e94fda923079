"""One run of a task function as a computation: named by function and config, ready to travel to a worker."""

from __future__ import annotations

import functools
import hashlib
import inspect
import pickle
import zlib
from collections.abc import Callable
from types import CellType, FunctionType, MethodType
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobStatus
from hydra.types import HydraContext
from omegaconf import DictConfig
from pydantic import BaseModel, ConfigDict

from exca.by_value import dump_by_value
from exca.errors import InvalidInfra, UnstableIdentity
from exca.identity import export, identify
from exca.infra import BaseInfra
from exca.task import Method, Task

from ._launch_job import PointReturn, no_exit, run_and_log

__all__ = ["AppConfig", "AppJob", "AppName", "Session"]


class AppConfig(BaseModel):
    """The resolved config of a plain app's job: its keys are the fields."""

    model_config = ConfigDict(extra="allow", arbitrary_types_allowed=True)


class AppName:
    """What the computation of a task function is called.

    Parameters
    ----------
    function: the task function; one that wraps another must say so (``functools.wraps``).

    Raises
    ------
    InvalidInfra
        if there is no Python function behind it.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = _python_function(function)
        path = self.function.__qualname__
        title = path.rpartition("<locals>.")[2]
        self.owner = type(title, (), {"__module__": self.function.__module__, "__qualname__": path})
        self._given = function

    def variant(self) -> str:
        """Digest of what the function holds beside its code (an object's fields, a closure); empty if nothing.

        Two functions of one name that hold different values are two computations.

        Raises
        ------
        UnstableIdentity
            if that cannot be pickled.
        """
        is_function = isinstance(self._given, FunctionType)
        held = [cell.cell_contents for cell in self.function.__closure__ or () if cell != CellType()]
        if is_function and not held:
            return ""
        import cloudpickle

        try:
            return hashlib.sha256(cloudpickle.dumps(held if is_function else self._given)).hexdigest()[:16]
        except Exception as error:  # pickling runs the user's code, which raises what it likes
            raise UnstableIdentity(
                f"the task function {self.owner.__name__} holds something without a stable identity: {error!r}. "
                "Define it at the top level of a module."
            ) from error


def _python_function(given: Any) -> FunctionType:
    function = given
    while not isinstance(function, FunctionType):
        if isinstance(function, functools.partial):
            function = function.func
        elif isinstance(function, MethodType):
            function = function.__func__
        elif isinstance(getattr(type(function), "__call__", None), FunctionType):  # noqa: B004 - not to be called
            function = type(function).__call__
        else:
            raise InvalidInfra(f"the task function {given!r} is not a Python function, so it has no name")
    unwrapped = inspect.unwrap(function)
    return unwrapped if isinstance(unwrapped, FunctionType) else function


class Session:
    """What is the same for all points of a launch: the task function, callbacks, Hydra's singletons and resolvers.

    It is pickled once, and opened once in each worker.

    Parameters
    ----------
    context: Hydra's loader and callbacks.
    function: the task function.
    """

    def __init__(self, context: HydraContext, function: Callable[[DictConfig], Any]) -> None:
        self.context = context
        self.function = function
        self._pickled: bytes | None = None

    def __getstate__(self) -> bytes:
        if self._pickled is None:
            content = (Singleton.get_state(), self.context.callbacks, self.context.config_loader, self.function)
            self._pickled = zlib.compress(dump_by_value(content), 1)
        return self._pickled

    def __setstate__(self, state: bytes) -> None:
        self._pickled = state
        self.context, self.function = _opened(state)


@functools.lru_cache(maxsize=1)
def _opened(state: bytes) -> tuple[HydraContext, Callable[[DictConfig], Any]]:
    """Make this process as the one that submitted; Hydra looks for its plugins again, so once is enough."""
    singletons, callbacks, loader, function = pickle.loads(zlib.decompress(state))
    Singleton.set_state(singletons)
    return HydraContext(config_loader=loader, callbacks=callbacks), function


class AppJob:
    """One point of an app whose task function is the computation.

    Parameters
    ----------
    session: what it shares with the other points.
    subject: what names it.
    name: what the function is called.
    settings: where results live and who computes.
    compose: makes the point's config, with its ``hydra`` node.
    read: makes the subject of a config; a config that gives another each time has no identity.
    """

    def __init__(
        self,
        session: Session,
        subject: BaseModel,
        settings: BaseInfra,
        compose: Callable[[], DictConfig],
        read: Callable[[DictConfig], BaseModel],
    ) -> None:
        self.session = session
        self.subject = subject
        self.settings = settings
        self.result: PointReturn | None = None  # of a run in this process
        self._compose, self._read = compose, read

    def __getstate__(self) -> dict[str, Any]:
        packed = zlib.compress(pickle.dumps(self._compose()), 1)
        return {**self.__dict__, "_compose": functools.partial(_unpacked, packed), "result": None}

    @property
    def _own(self) -> AppJob:
        return self

    def bound_task(self) -> Task:
        """The computation; a worker asks for it."""
        name = AppName(self.session.function)
        method = Method(name.owner, "", "_own", name.function)
        task = Task(self.subject, method, self.settings, tuple)  # type: ignore[arg-type]
        task.carrier, task.function = self, lambda _: self.run()
        return task

    def run(self) -> Any:
        """Run the task function as Hydra runs a job: in its output folder, with its log and its callbacks.

        Raises
        ------
        UnstableIdentity
            if the config is not the one that was named: some value differs each time, or on this machine.
        """
        config = self._compose()
        self._check(config)
        self.result = run_and_log(self.session.context, self._call, config)
        value = self.result._return_value
        if self.result.status is JobStatus.FAILED:
            raise value
        return value

    def _call(self, config: DictConfig) -> Any:
        with no_exit():
            return self.session.function(config)

    def _check(self, config: DictConfig) -> None:
        current = self._read(config)
        if identify(current).digest == identify(self.subject).digest:
            return
        now, named = export(current, uid=True), export(self.subject, uid=True)
        keys = ", ".join(sorted(key for key in now.keys() | named.keys() if now.get(key) != named.get(key)))
        raise UnstableIdentity(
            f"the config has other values where it runs than where it was named ({keys}): a resolver gives another "
            f"value each time, or on each machine. Leave it out of the uid: hydra.launcher.exclude=[{keys}]"
        )


def _unpacked(packed: bytes) -> DictConfig:
    config: DictConfig = pickle.loads(zlib.decompress(packed))
    return config
