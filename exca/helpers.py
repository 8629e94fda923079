"""Short ways for quick experiments: plain functions and classes as configs."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

import pydantic

from exca.infra import TaskInfra

__all__ = ["to_config", "to_config_model", "validate_kwargs", "with_infra"]

P = ParamSpec("P")
R = TypeVar("R")


def with_infra(**fields: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a function so that it is computed once for each set of arguments.

    Parameters
    ----------
    **fields: fields of `TaskInfra` (``folder``, ``cluster``, ...).

    Raises
    ------
    TypeError
        if the function takes ``*args`` or ``**kwargs``.

    Examples
    --------
    >>> @with_infra(folder="cache")
    ... def area(width: float, height: float = 1.0) -> float:
    ...     return width * height
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
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
        return function(**_values(self, function))

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


def _computation(function: Callable[..., Any], infra: TaskInfra) -> type[pydantic.BaseModel]:
    def run(self: pydantic.BaseModel) -> Any:
        return function(**_values(self, function))

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
    hints = typing.get_type_hints(source, include_extras=True)
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


def _values(config: pydantic.BaseModel, function: Callable[..., Any]) -> dict[str, Any]:
    return {name: getattr(config, name) for name in inspect.signature(function).parameters}
