"""How the method of a map wants to be called: what its one argument is, and what it may give back."""

from __future__ import annotations

import collections.abc
import inspect
import typing
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from exca.errors import InvalidInfra, WrongNumberOfResults

__all__ = ["check_map_method", "items_parameter", "results_of", "wants_stream"]

_STREAMS = (collections.abc.Iterable, collections.abc.Iterator, collections.abc.Generator)
_PLAIN = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def check_map_method(method: Any) -> None:
    """Refuse what cannot be the method of a map.

    Raises
    ------
    InvalidInfra
        if it does not take exactly one argument beside ``self``, or is async.
    """
    name = getattr(method, "__qualname__", method)
    if not inspect.isfunction(method):
        raise InvalidInfra(f"{name!s} must be a plain method, def {name!s}(self, items): ...")
    parameters = list(inspect.signature(method).parameters.values())
    if len(parameters) != 2 or any(parameter.kind not in _PLAIN for parameter in parameters):
        raise InvalidInfra(
            f"{name} must take the items, and nothing else: def {method.__name__}(self, items: Iterable[...]). "
            f"It is defined as {method.__name__}{inspect.signature(method)}. What else it depends on belongs into "
            "fields of the config; a method without items is for TaskInfra."
        )
    if inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method):
        raise InvalidInfra(f"{name} is async: use asyncio.run() inside a plain function")


def items_parameter(method: Callable[..., Any]) -> str:
    """Name of the argument that takes the items."""
    return list(inspect.signature(method).parameters)[1]


def wants_stream(method: Callable[..., Any]) -> bool:
    """Whether the method is annotated to take its items one by one (``Iterable``, ``Iterator``, ``Generator``).

    Every other annotation, and none, is served with a list: the method may ask for its length.
    """
    annotation = inspect.signature(method).parameters[items_parameter(method)].annotation
    if isinstance(annotation, str):
        try:
            annotation = eval(annotation, method.__globals__, dict(vars(typing)))
        except Exception:  # names that only a type checker imports
            return annotation.partition("[")[0].rpartition(".")[2].strip() in {kind.__name__ for kind in _STREAMS}
    if typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    return (typing.get_origin(annotation) or annotation) in _STREAMS


def results_of(method: Callable[..., Any], config: object, items: Iterable[Any]) -> Iterator[Any]:
    """Call the method.

    Raises
    ------
    WrongNumberOfResults
        if it returns something that is not one result for each item.
    """
    results = method(config, items)
    # Of a dict, a set or a table, iteration gives something else than results in order; of a string, letters.
    if (
        isinstance(results, (str, bytes, collections.abc.Mapping, set, frozenset))
        or hasattr(results, "columns")
        or not hasattr(results, "__iter__")
    ):
        raise WrongNumberOfResults(
            f"{method.__qualname__} returned {type(results).__name__}, not one result for each item: yield each "
            "result, in the order of the items, or return them in a list"
        )
    if isinstance(items, list) and hasattr(results, "__len__") and len(results) != len(items):
        raise WrongNumberOfResults(
            f"{method.__qualname__} returned {len(results)} results for {len(items)} items; nothing of them was stored"
        )
    return iter(results)
