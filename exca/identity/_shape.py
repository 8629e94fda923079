"""What an annotation alone says about a value, so that only the rest has to be written down."""

from __future__ import annotations

import collections.abc
import types
import typing
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pydantic
from pydantic import BaseModel
from pydantic.fields import FieldInfo


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """What an annotation implies about the values it admits.

    Attributes
    ----------
    model:
        the one model class it names; an instance of exactly this class needs no class tag.
    plain:
        the annotation is that class itself, not ``Model | None``.
    is_float:
        a float (or None): an unvalidated int means the float.
    item, key, fixed:
        elements of a list, set or variadic tuple, or values of a dict; keys of a dict; elements of a tuple.
    discriminator:
        field that tells the members of a union apart.
    models:
        all model classes it admits, for checking dotted paths.
    """

    model: type[BaseModel] | None = None
    plain: bool = False
    is_float: bool = False
    item: Shape | None = None
    key: Shape | None = None
    fixed: tuple[Shape, ...] = ()
    discriminator: str | None = None
    models: tuple[type[BaseModel], ...] = ()


ANY = Shape()
FLOAT = Shape(is_float=True)

_MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping, collections.OrderedDict)
_Seen = frozenset[int]


def shape_of(field: FieldInfo) -> Shape:
    """Shape of the values of a pydantic field."""
    return _shape(field.annotation, field.discriminator, frozenset())


def unwrap(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """Strip ``Annotated``, ``NewType`` and type aliases; what they carried comes second."""
    metadata: tuple[Any, ...] = ()
    for _ in range(100):  # an alias may mean itself
        if typing.get_origin(annotation) is typing.Annotated:
            metadata = (*metadata, *annotation.__metadata__)
            annotation = annotation.__origin__
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        elif is_alias(annotation):
            annotation = annotation.__value__
        else:
            break
    return annotation, metadata


def is_alias(annotation: Any) -> bool:
    """Whether it is a ``type X = ...`` statement or its backport."""
    return type(annotation).__name__ == "TypeAliasType"


def is_union(annotation: Any) -> bool:
    """Whether it is a union, in any of its spellings."""
    return typing.get_origin(annotation) in (typing.Union, types.UnionType)


def _shape(annotation: Any, discriminator: Any, seen: _Seen) -> Shape:
    if is_alias(annotation):
        if id(annotation) in seen:  # a recursive alias
            return ANY
        seen |= {id(annotation)}
    annotation, metadata = unwrap(annotation)
    for item in metadata:
        if isinstance(item, FieldInfo | pydantic.Discriminator) and discriminator is None:
            discriminator = item.discriminator
    if annotation is float:
        return FLOAT
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return Shape(model=annotation, plain=True, models=(annotation,))
    if is_union(annotation):
        return _union(typing.get_args(annotation), discriminator, seen)
    return _container(typing.get_origin(annotation), typing.get_args(annotation), seen)


def _union(arms: Sequence[Any], discriminator: Any, seen: _Seen) -> Shape:
    shapes = [_shape(arm, None, seen) for arm in arms if arm is not types.NoneType]
    if len(shapes) == 1:
        only = shapes[0]
        return Shape(
            model=only.model,
            is_float=only.is_float,
            item=only.item,
            key=only.key,
            fixed=only.fixed,
            discriminator=only.discriminator,
            models=only.models,
        )
    if isinstance(discriminator, pydantic.Discriminator):
        discriminator = discriminator.discriminator
    name = discriminator if isinstance(discriminator, str) else _first(shape.discriminator for shape in shapes)
    return Shape(discriminator=name, models=tuple(model for shape in shapes for model in shape.models))


def _first(names: Iterable[str | None]) -> str | None:
    return next((name for name in names if name is not None), None)


def _container(origin: Any, args: tuple[Any, ...], seen: _Seen) -> Shape:
    if origin in _MAPPINGS and len(args) == 2:
        return Shape(key=_shape(args[0], None, seen), item=_shape(args[1], None, seen))
    if origin is tuple and args and args[-1] is not Ellipsis:
        return Shape(fixed=tuple(_shape(arg, None, seen) for arg in args))
    iterable = isinstance(origin, type) and issubclass(origin, collections.abc.Iterable)
    if iterable and args and (len(args) == 1 or args[-1] is Ellipsis):
        return Shape(item=_shape(args[0], None, seen))
    return ANY


def agrees(annotation: Any, value: object) -> bool:
    """Whether a value already is of the type the annotation says, so that validation would keep it.

    A False only costs a validation; it need not be exact.
    """
    annotation, _ = unwrap(annotation)
    if annotation in (typing.Any, object) or isinstance(annotation, typing.TypeVar):
        return True
    if annotation is None or (isinstance(annotation, type) and not typing.get_args(annotation)):
        return value is None if annotation is None else type(value) is annotation
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if is_union(annotation):
        return any(agrees(arm, value) for arm in args)
    if origin is typing.Literal:
        return any(type(arg) is type(value) and arg == value for arg in args)
    if origin is type or origin is collections.abc.Callable:
        return callable(value)
    return isinstance(origin, type) and type(value) is origin and _items_agree(args, value)


def _items_agree(args: tuple[Any, ...], value: object) -> bool:
    if isinstance(value, dict) and len(args) == 2:
        return all(agrees(args[0], key) and agrees(args[1], item) for key, item in value.items())
    if isinstance(value, tuple) and args[-1:] != (Ellipsis,):
        return len(args) == len(value) and all(map(agrees, args, value))
    return isinstance(value, list | tuple | set | frozenset) and all(agrees(args[0], item) for item in value)
