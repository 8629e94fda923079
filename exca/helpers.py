"""Short ways for quick experiments: plain functions and classes as configs."""

from __future__ import annotations

import copy
import functools
import inspect
import os
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

import pydantic

from exca.discriminated import DiscriminatedModel
from exca.infra import TaskInfra, check_value
from exca.task import FoundJob, find_job

__all__ = ["DiscriminatedModel", "find_slurm_job", "to_config", "to_config_model", "validate_kwargs", "with_infra"]

P = ParamSpec("P")
R = TypeVar("R")


def with_infra(**fields: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a function so that it is computed once for each set of arguments.

    The function gets copies of its arguments: it may change them, and the caller's stay as they are.

    Parameters
    ----------
    **fields: fields of `TaskInfra` (``folder``, ``cluster``, ...).

    Raises
    ------
    TypeError
        if the function takes ``*args`` or ``**kwargs``, is a lambda, or uses variables of a function around it:
        its name and its arguments are all that tells its results apart.
    InvalidInfra
        if it is async or a generator.

    Examples
    --------
    >>> @with_infra(folder="cache")
    ... def area(width: float, height: float = 1.0) -> float:
    ...     return width * height
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        _check_named(function)
        signature = inspect.signature(function)
        model = _computation(function, TaskInfra(**fields))

        @functools.wraps(function)
        def cached(*args: P.args, **kwargs: P.kwargs) -> R:
            config: Any = model(**signature.bind(*args, **kwargs).arguments)
            value: R = config.run()
            return value

        return cached

    return decorate


def to_config_model(function: Callable[..., Any]) -> type[pydantic.BaseModel]:
    """A config whose fields are the parameters of a function, or of the constructor of a class.

    Its method ``build()`` calls the function, or makes the instance, with the values of the fields.

    Raises
    ------
    TypeError
        if the function takes ``*args`` or ``**kwargs``, or has a parameter whose name no field can have.

    Examples
    --------
    >>> Optimizer = to_config_model(SGD)
    >>> Optimizer(lr=0.1).build()
    """

    def build(self: pydantic.BaseModel) -> Any:
        return _called(function, lambda name: getattr(self, name))

    return _model(function, {"build": build})


def to_config(function: Callable[..., Any], **kwargs: Any) -> pydantic.BaseModel:
    """The config of one call: ``to_config_model(function)(**kwargs)``."""
    return to_config_model(function)(**kwargs)


def validate_kwargs(function: Callable[..., Any], kwargs: Mapping[str, Any]) -> None:
    """Check that arguments fit a function, by name and by type, without calling it.

    Raises
    ------
    pydantic.ValidationError
        if one is missing, unknown or of another type than annotated.
    """
    to_config_model(function)(**kwargs)


def _check_named(function: Callable[..., Any]) -> None:
    """Refuse functions of which several may go by one name, and those whose value is yet to be run."""
    innermost = inspect.unwrap(function)
    name = getattr(innermost, "__qualname__", repr(innermost))
    if getattr(innermost, "__name__", "") == "<lambda>":
        raise TypeError(f"{name} has no name to store its results under: define it with def")
    outside = _free_variables(innermost)
    if outside:
        raise TypeError(
            f"{name} uses {', '.join(outside)} of the function around it, so that its arguments do not tell its "
            "results apart: pass them as arguments"
        )
    if not isinstance(innermost, type):
        check_value(innermost)


def _free_variables(function: Any) -> list[str]:
    """Variables of enclosing functions that a function uses, beside modules and its own name."""
    cells = getattr(function, "__closure__", None) or ()
    names = function.__code__.co_freevars if cells else ()
    found = []
    for name, cell in zip(names, cells, strict=True):
        try:
            if not isinstance(cell.cell_contents, types.ModuleType):
                found.append(name)
        except ValueError:  # not assigned yet: by the definition that is being decorated, if it has that name
            if name != function.__name__:
                found.append(name)
    return found


def _computation(function: Callable[..., Any], infra: TaskInfra) -> type[pydantic.BaseModel]:
    def run(self: pydantic.BaseModel) -> Any:
        return _called(function, lambda name: copy.deepcopy(getattr(self, name)))

    run.__signature__ = inspect.signature(run)  # type: ignore[attr-defined]  # not that of what it wraps
    run.__wrapped__ = function  # type: ignore[attr-defined]  # whose code counts, when code changes are looked for
    run.__qualname__ = f"{function.__qualname__}.run"
    members = {"infra": infra, "run": infra.apply(run)}
    return _model(function, members, {"infra": TaskInfra})


def _model(
    function: Callable[..., Any], members: dict[str, Any], annotations: dict[str, Any] | None = None
) -> type[pydantic.BaseModel]:
    where = inspect.unwrap(function)
    source: Any = where
    if isinstance(where, type):
        source = source.__init__
    hints = _hints(source)
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(f"{function.__qualname__} takes {parameter}: only named parameters can be fields")
        if name in members or name.startswith(("_", "model_")):
            raise TypeError(f"{function.__qualname__} has a parameter {name!r}, which no field can be called")
        given = Any if parameter.annotation is parameter.empty or isinstance(parameter.annotation, str) else None
        fields[name] = hints.get(name, given or parameter.annotation)
        if parameter.default is not parameter.empty:
            members[name] = parameter.default
    namespace = {
        "__module__": function.__module__,
        "__qualname__": function.__qualname__,
        "__doc__": function.__doc__,
        "__annotations__": fields | (annotations or {}),
        "model_config": pydantic.ConfigDict(extra="forbid", arbitrary_types_allowed=True),
        **members,
    }
    metaclass: Any = type(pydantic.BaseModel)
    model: type[pydantic.BaseModel] = metaclass(function.__name__, (pydantic.BaseModel,), namespace)
    return model


def _hints(source: Any) -> dict[str, Any]:
    """The annotations of the parameters; what is returned may be known to type checkers only."""
    annotations = {name: hint for name, hint in inspect.get_annotations(source).items() if name != "return"}
    known = types.SimpleNamespace(__annotations__=annotations, __type_params__=getattr(source, "__type_params__", ()))
    return typing.get_type_hints(known, getattr(source, "__globals__", {}), include_extras=True)


def _called(function: Callable[..., Any], value: Callable[[str], Any]) -> Any:
    """Call a function with a value for each of its parameters."""
    parameters = inspect.signature(function).parameters.values()
    positional = [value(each.name) for each in parameters if each.kind is each.POSITIONAL_ONLY]
    named = {each.name: value(each.name) for each in parameters if each.kind is not each.POSITIONAL_ONLY}
    return function(*positional, **named)


def find_slurm_job(*, job_id: str, folder: str | os.PathLike[str] | None = None) -> FoundJob | None:
    """Find what a job of Slurm computes: its config, its logs, its result.

    Parameters
    ----------
    job_id: Slurm's id, as squeue shows it (``"123"``, ``"123_4"``), or the id of ``config.infra.job()``.
    folder: the cache folder, or one above it; None: ask Slurm, which forgets a job some minutes after its end.

    Returns
    -------
    FoundJob | None: None if the folder holds no such job.

    Raises
    ------
    LookupError
        if Slurm was asked and does not know the job.

    Examples
    --------
    >>> job = find_slurm_job(job_id="123_4", folder="cache")  # doctest: +SKIP
    >>> job.uid_config, job.stdout()  # doctest: +SKIP
    """
    return find_job(job_id, folder)
