"""Which methods of a class are computations: decorated, inherited, or overridden without a decorator."""

from __future__ import annotations

import inspect
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from pydantic import BaseModel

from exca.errors import InvalidInfra
from exca.task import Method

__all__ = ["Applied", "ExcludeRule", "check_method", "check_value", "computations", "method_of", "overridden"]

ExcludeRule = str | Collection[str] | Callable[[Any], Collection[str]]
_PLAIN = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(slots=True)
class Applied(ABC):
    """What ``@infra.apply`` was told; the field's name follows when the class is complete.

    Each kind of infra has one of its own, which knows what its methods look like and what takes their place.
    """

    function: Callable[..., Any]
    exclude: ExcludeRule
    field: str = ""

    kind: ClassVar[str] = ""

    @abstractmethod
    def check(self) -> None:
        """Refuse what cannot be a computation of this kind.

        Raises
        ------
        InvalidInfra
            saying what is wrong with the method.
        """

    @abstractmethod
    def wrap(self) -> Callable[..., Any]:
        """What stands in the place of the method: a plain function that carries this as ``__exca_applied__``."""


def check_method(method: Any) -> None:
    """Refuse what cannot be a computation.

    Raises
    ------
    InvalidInfra
        if it takes arguments beside ``self``, or what it returns is no value but something yet to run.
    """
    name = getattr(method, "__qualname__", method)
    # The signature rather than the code: that of a decorated method is of the method, if the decorator says so.
    parameters = list(inspect.signature(method).parameters.values()) if inspect.isfunction(method) else []
    if len(parameters) != 1 or parameters[0].kind not in _PLAIN:
        raise InvalidInfra(
            f"{name!s} must be a method whose only argument is self: a task is defined by its config alone. "
            "For a method over items use MapInfra."
        )
    check_value(method)


def check_value(function: Callable[..., Any]) -> None:
    """Refuse functions that return no value but something yet to be run.

    Raises
    ------
    InvalidInfra
        if it is async or a generator.
    """
    name = function.__qualname__
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise InvalidInfra(f"{name} is async: a coroutine cannot be stored. Use asyncio.run() inside a plain function")
    if inspect.isgeneratorfunction(function):
        raise InvalidInfra(f"{name} is a generator, which cannot be stored. Return a list, or use MapInfra for items")


_METHODS: weakref.WeakKeyDictionary[type, dict[str, Method | None]] = weakref.WeakKeyDictionary()


def method_of(cls: type[BaseModel], field: str) -> Method | None:
    """The computation that an infra field of a class stands for; None if nothing was applied to it."""
    known = _METHODS.setdefault(cls, {})
    if field not in known:
        known[field] = _find_method(cls, field)
    return known[field]


def computations(cls: type[BaseModel]) -> dict[str, str]:
    """The tasks of a class: method name to the name of its infra field."""
    return {name: applied.field for name, applied in _applied(cls).items() if applied.kind == "task"}


def overridden(cls: type[BaseModel]) -> dict[str, Applied]:
    """Overrides that no decorator has seen: they mean the same computation with other code.

    Raises
    ------
    InvalidInfra
        if one of them cannot be a computation.
    """
    found: dict[str, Applied] = {}
    for name, applied in _applied(cls).items():
        current = inspect.getattr_static(cls, name)
        if not hasattr(current, "__exca_applied__"):
            found[name] = replace(applied, function=current)
            found[name].check()
    return found


def _find_method(cls: type[BaseModel], field: str) -> Method | None:
    for name, applied in _applied(cls).items():
        if applied.field == field:
            current = getattr(getattr(cls, name), "__exca_applied__", applied)
            return Method(cls, name, field, current.function)
    return None


def _applied(cls: type[BaseModel]) -> dict[str, Applied]:
    found: dict[str, Applied] = {}
    for base in cls.__mro__:
        for name, value in vars(base).items():
            applied = getattr(value, "__exca_applied__", None)
            if applied is not None:
                found.setdefault(name, applied)
    return found
