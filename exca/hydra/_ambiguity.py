"""Models that nothing but their fields tells apart, and data that fits several of them.

pydantic then takes the first of the union. Whether only the order decides is found out by asking in both orders.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, Discriminator, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic.fields import FieldInfo

from ._plain import Where

__all__ = ["decides", "only_order_decides"]

_Adapter = TypeAdapter[Any]


def only_order_decides(annotation: Any, data: Any) -> Iterator[tuple[Where, list[str]]]:
    """Yield the places of data that would become another model if the union were written in another order.

    Parameters
    ----------
    annotation
        The type of a field.
    data
        What pydantic is given for it; what it refuses is not looked at.

    Yields
    ------
    tuple
        Where in the data; the names of the models.
    """
    adapters = _adapters(annotation)
    if adapters is None:
        return
    try:
        left, right = (adapter.validate_python(data) for adapter in adapters)
    except ValidationError:
        return
    yield from _differences(left, right, ())


@lru_cache(maxsize=1000)
def _adapters(annotation: Any) -> tuple[_Adapter, _Adapter] | None:
    """Return the validators of a type and of its mirror image; None where both are one."""
    try:
        other = _reversed(annotation)
        return None if other is annotation else (TypeAdapter(annotation), TypeAdapter(other))
    except (PydanticUserError, TypeError):  # a type that only means something as the field of its class
        return None


def _reversed(annotation: Any) -> Any:
    """Return a type with its unions of several models in the opposite order, unless more than order decides."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        marks = annotation.__metadata__
        if any(isinstance(mark, Discriminator) or (isinstance(mark, FieldInfo) and decides(mark)) for mark in marks):
            return annotation
        inner = _reversed(args[0])
        return annotation if inner is args[0] else Annotated[(inner, *marks)]
    if origin in (Union, types.UnionType):
        turned = [_reversed(arg) for arg in args]
        models = [arg for arg in args if isinstance(arg, type) and issubclass(arg, BaseModel)]
        unchanged = len(models) < 2 and all(one is other for one, other in zip(turned, args, strict=True))
        return annotation if unchanged else Union[tuple(reversed(turned))]  # noqa: UP007
    if origin in (list, dict, tuple, set, frozenset) and args:
        turned = [_reversed(arg) for arg in args]
        unchanged = all(one is other for one, other in zip(turned, args, strict=True))
        return annotation if unchanged else origin[tuple(turned)]
    return annotation


def decides(mark: FieldInfo) -> bool:
    """Whether a field, or a mark on a union, says how to choose."""
    return mark.discriminator is not None or any(
        getattr(item, "union_mode", None) == "left_to_right" for item in mark.metadata
    )


def _differences(left: Any, right: Any, path: Where) -> Iterator[tuple[Where, list[str]]]:
    if isinstance(left, BaseModel) and isinstance(right, BaseModel) and type(left) is not type(right):
        yield path, [type(left).__name__, type(right).__name__]
    elif isinstance(left, list | tuple) and isinstance(right, list | tuple):
        for index, (one, other) in enumerate(zip(left, right, strict=False)):
            yield from _differences(one, other, (*path, index))
    elif isinstance(left, Mapping) and isinstance(right, Mapping):
        for key in left.keys() & right.keys():
            yield from _differences(left[key], right[key], (*path, key))
