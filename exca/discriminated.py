"""Families of models: a field of the base class takes any subclass, told by its name under one key."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

import pydantic
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

__all__ = ["DiscriminatedModel"]


class DiscriminatedModel(pydantic.BaseModel):
    """Base of a family of models that their class names tell apart.

    A field annotated with a class of the family takes that class and every subclass of it, those that are
    defined later too: ``{"name": "Conv", "width": 3}`` becomes a ``Conv``. Calling a class with the name of
    a subclass makes that subclass. Dumps keep the fields and the name of the class that is there.

    Parameters
    ----------
    discriminator_key
        A keyword of the class statement: the key that holds the name. By default that of the base class, or
        ``"type"``.

    Raises
    ------
    TypeError
        Two classes of a family have one name.

    Examples
    --------
    >>> class Model(DiscriminatedModel, discriminator_key="name"):
    ...     depth: int = 1
    >>> class Conv(Model):
    ...     width: int = 2
    >>> class Experiment(pydantic.BaseModel):
    ...     model: Model
    >>> Experiment(model={"name": "Conv", "width": 3}).model
    Conv(name='Conv', depth=1, width=3)
    >>> Model(name="Conv") == Conv()
    True
    """

    model_config = pydantic.ConfigDict(extra="forbid")

    discriminator_key: ClassVar[str] = "type"

    generation: ClassVar[int] = 0
    """How many classes of all families there are: what was worked out for fewer is out of date."""

    def __new__(cls, /, *_: Any, **data: Any) -> Self:
        return super().__new__(cls._named(data.get(cls.discriminator_key)) or cls)

    def __init_subclass__(cls, *, discriminator_key: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if discriminator_key is not None:
            cls.discriminator_key = discriminator_key
        # pydantic collects the fields after this: each class has a field whose one value is its name.
        key, hint = cls.discriminator_key, Literal[cls.__name__]
        setattr(cls, key, cls.__name__)
        cls.__annotations__ = {key: hint} | inspect.get_annotations(cls) | {key: hint}

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        root = next(parent for parent in reversed(cls.__mro__) if _in_family(parent))
        for other in (root, *_below(root)):
            if other is not cls and other.__name__ == cls.__name__ and _place(other) != _place(cls):
                raise TypeError(
                    f"{_place(other)} and {_place(cls)} are of one family and of one name, by which its classes are "
                    "told apart: rename one of them"
                )
        DiscriminatedModel.generation += 1

    @classmethod
    def family(cls) -> dict[str, type[DiscriminatedModel]]:
        """Return the classes that a field of this one takes, by their names; abstract ones are left out."""
        found = {each.__name__: each for each in (cls, *_below(cls)) if _in_family(each)}
        return {name: each for name, each in found.items() if not inspect.isabstract(each)}

    @classmethod
    def _named(cls, name: object) -> type[Self] | None:
        """Return the class of a name, or None where it is this one, or none at all."""
        if not isinstance(name, str) or name == cls.__name__:
            return None
        return cls.family().get(name)  # type: ignore[return-value]

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[pydantic.BaseModel], handler: pydantic.GetCoreSchemaHandler
    ) -> CoreSchema:
        own = handler(source)
        if cls.__base__ is pydantic.BaseModel:
            return own

        def validate(value: Any, validator: core_schema.ValidatorFunctionWrapHandler, info: Any) -> Any:
            if not isinstance(value, Mapping):
                return validator(value)
            name = value.get(cls.discriminator_key, cls.__name__)
            if inspect.isabstract(cls) and cls.discriminator_key not in value:
                raise PydanticKnownError("union_tag_not_found", {"discriminator": repr(cls.discriminator_key)})
            if name == cls.__name__ and not inspect.isabstract(cls):
                return validator(value)
            chosen = cls._named(name)
            if chosen is None:
                expected = ", ".join(map(repr, cls.family()))
                context = {"discriminator": repr(cls.discriminator_key), "tag": str(name), "expected_tags": expected}
                raise PydanticKnownError("union_tag_invalid", context)
            strict = True if info.mode == "python" and (info.config or {}).get("strict") else None
            return chosen.__pydantic_validator__.validate_python(dict(value), strict=strict, context=info.context)

        def serialize(value: Any, serializer: core_schema.SerializerFunctionWrapHandler, info: Any) -> Any:
            data = serializer(value) if type(value) is cls else _dumped(value, info)
            if isinstance(value, DiscriminatedModel) and isinstance(data, dict):
                data.setdefault(value.discriminator_key, type(value).__name__)  # what sets a family apart is kept
            return data

        serialization = core_schema.wrap_serializer_function_ser_schema(serialize, info_arg=True, schema=own)
        return core_schema.with_info_wrap_validator_function(validate, own, serialization=serialization)


def _dumped(value: Any, info: Any) -> Any:
    """Dump a model as its own class does, whatever class its field is annotated with."""
    return type(value).__pydantic_serializer__.to_python(
        value,
        mode=info.mode,
        include=info.include,
        exclude=info.exclude,
        by_alias=info.by_alias,
        exclude_unset=info.exclude_unset,
        exclude_defaults=info.exclude_defaults,
        exclude_none=info.exclude_none,
        round_trip=info.round_trip,
        context=info.context,
    )


def _in_family(cls: type) -> bool:
    return issubclass(cls, DiscriminatedModel) and cls is not DiscriminatedModel


def _below(cls: type[DiscriminatedModel]) -> list[type[DiscriminatedModel]]:
    """Return all subclasses, parents before children; of a class that was defined anew, the last."""
    found = {}
    for each in cls.__subclasses__():
        for one in (each, *_below(each)):
            found[_place(one)] = one
    return list(found.values())


def _place(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
