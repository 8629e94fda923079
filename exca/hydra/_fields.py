"""What a field of a model is to a config tree: a value, a nested model, or a choice between models."""

from __future__ import annotations

import enum
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AliasChoices, AliasPath, BaseModel, Discriminator, Json, RootModel
from pydantic.fields import FieldInfo

from exca.discriminated import DiscriminatedModel
from exca.identity import input_key
from exca.infra import BaseInfra

__all__ = [
    "Shape",
    "all_keys",
    "allows_extra",
    "alternatives",
    "forbids_extra",
    "is_infra",
    "shape_of",
    "takes_json",
    "tree_keys",
]

_JSON: Any = Json  # to type checkers it is an alias


@dataclass(frozen=True, slots=True)
class Shape:
    """The form of one field.

    Parameters
    ----------
    kind
        ``"value"``, ``"model"`` (one nested model), ``"optional"`` (a nested model or None),
        ``"union"`` (models told apart by a discriminator) or ``"infra"``.
    members
        The models by the text that chooses them: the discriminator's value for a union,
        the empty string where there is one model only. Of a value, the models by their names that
        pydantic tells apart by what they are given, where nothing else may be given as a dict.
    tags
        The discriminator's own value for each text (an int or enum member keeps its type).
    discriminator
        Key of the discriminator in the tree.
    nullable
        Whether None is a value of the field.
    open
        Whether the node takes keys that no class declares (a dict field, models told apart by their fields).
    objects
        Enum members that a ``Literal`` lists, by their plain value: pydantic takes the member alone.
    names
        The texts of a discriminator's values by the names of the enum members that these are.
    """

    kind: Literal["value", "model", "optional", "union", "infra"]
    members: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    tags: Mapping[str, Any] = field(default_factory=dict)
    discriminator: str = ""
    nullable: bool = False
    open: bool = False
    objects: Mapping[Any, enum.Enum] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_loose(self) -> bool:
        """Whether the field is one of several models that only their fields tell apart."""
        return self.kind == "value" and bool(self.members)

    def object_of(self, value: Any) -> Any:
        """Return what pydantic is given for a plain value of the field: the value, or the enum member it is of."""
        member = self.objects.get(value) if isinstance(value, str | int) else None
        if member is not None and type(member.value) is type(value):
            return member
        return next((member for member in self.objects.values() if member.name == value), value)

    def text_of(self, value: object) -> str:
        """Return the text of a discriminator's value, which may be an enum member's name."""
        text = str(value)
        return text if text in self.members else self.names.get(text, text)


def is_infra(annotation: object) -> bool:
    """Whether a type is one of the infras (``TaskInfra``, ``MapInfra``, ``SubmitInfra``)."""
    return isinstance(annotation, type) and issubclass(annotation, BaseInfra)


def allows_extra(model: type[BaseModel]) -> bool:
    """Whether instances keep keys that the class does not declare."""
    return model.model_config.get("extra") == "allow"


def forbids_extra(model: type[BaseModel]) -> bool:
    """Whether an undeclared key is an error: unless the class says otherwise, it is a typing mistake."""
    return model.model_config.get("extra", "forbid") == "forbid"


def tree_keys(model: type[BaseModel]) -> dict[str, str]:
    """Return the key in the tree of each field: its name where the model accepts it, else its alias."""
    keys = {name: input_key(model, name) for name in model.model_fields}
    return {name: key if isinstance(key, str) else name for name, key in keys.items()}


def takes_json(annotation: Any, metadata: Sequence[Any] = ()) -> bool:
    """Whether a type, or a member of a union, is pydantic's ``Json``: data given to it as text.

    Examples
    --------
    >>> takes_json(Json[list[int]] | None)
    True
    """
    if annotation is Json or any(note is Json or isinstance(note, _JSON) for note in metadata):
        return True
    if get_origin(annotation) is Annotated:
        inner, *notes = get_args(annotation)
        return takes_json(inner, notes)
    return get_origin(annotation) in (Union, types.UnionType) and any(map(takes_json, get_args(annotation)))


def all_keys(model: type[BaseModel], name: str) -> list[str]:
    """Return every key by which a model takes a field: its aliases, its name unless it goes by an alias only."""
    key = input_key(model, name)
    keys: list[str | AliasPath] = [name if isinstance(key, AliasPath) else key]
    alias = model.model_fields[name].validation_alias
    if alias is not None and model.model_config.get("validate_by_alias") is not False:
        keys += alias.choices if isinstance(alias, AliasChoices) else [alias]
    return list(dict.fromkeys(str(key.path[0]) if isinstance(key, AliasPath) else key for key in keys))


def shape_of(info: FieldInfo) -> Shape:
    """Return the form of a field.

    Examples
    --------
    >>> class Conv(BaseModel):
    ...     name: Literal["conv"] = "conv"
    >>> class Net(BaseModel):
    ...     model: Conv | None = None
    >>> shape_of(Net.model_fields["model"]).kind
    'optional'
    """
    found = list(alternatives(info.annotation, info.discriminator))
    concrete = [(kind, key) for kind, key in found if kind is not type(None)]
    nullable = len(concrete) < len(found)
    if len(concrete) == 1 and is_infra(concrete[0][0]) and not nullable:
        return Shape("infra", {"": concrete[0][0]})
    if len(concrete) == 1 and _is_family(concrete[0][0]):
        return _family(concrete[0][0], nullable)
    if len(concrete) == 1 and _is_model(concrete[0][0]):
        return Shape("optional" if nullable else "model", {"": concrete[0][0]}, nullable=nullable)
    union = _union([kind for kind, _ in concrete], [key for _, key in concrete], nullable)
    if union is not None:
        return union
    loose = {kind.__name__: kind for kind, _ in concrete if _is_model(kind)}
    free = any(_is_free(kind) for kind, _ in concrete)
    objects = {member.value: member for kind, _ in concrete for member in _literals(kind) if _is_plain_enum(member)}
    return Shape("value", {} if free else loose, nullable=nullable, open=free or bool(loose), objects=objects)


def _family(base: type[DiscriminatedModel], nullable: bool) -> Shape:
    """Return the shape of a field that takes any class of a family."""
    members = base.family()
    return Shape("union", members, {name: name for name in members}, base.discriminator_key, nullable)


def _union(types_: list[Any], keys: list[object], nullable: bool) -> Shape | None:
    """Return the shape of models told apart by one field, or None where they are not."""
    key = keys[0] if keys else None
    if not isinstance(key, str) or any(other != key for other in keys):
        return None
    members: dict[str, type[BaseModel]] = {}
    tags: dict[str, Any] = {}
    names: dict[str, str] = {}
    aliases = set()
    for model in types_:
        if not _is_model(model) or key not in model.model_fields:
            return None
        aliases.add(tree_keys(model)[key])
        for value in _literals(model.model_fields[key].annotation):
            text = str(value.value if isinstance(value, enum.Enum) else value)
            members[text], tags[text] = model, value.value if isinstance(value, enum.Enum) else value
            names |= {value.name: text} if isinstance(value, enum.Enum) else {}
    if len(aliases) != 1:
        return None
    return Shape("union", members, tags, aliases.pop(), nullable, names=names)


def alternatives(annotation: Any, discriminator: object = None) -> Iterator[tuple[Any, object]]:
    """Yield the types of a (nested, aliased, annotated) union with the discriminator of each."""
    if hasattr(annotation, "__value__"):  # type Name = ...
        yield from alternatives(annotation.__value__, discriminator)
    elif get_origin(annotation) is Annotated:
        for item in annotation.__metadata__:
            if isinstance(item, FieldInfo | Discriminator) and item.discriminator is not None:
                discriminator = item.discriminator
        yield from alternatives(annotation.__origin__, discriminator)
    elif get_origin(annotation) in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from alternatives(part, discriminator)
    else:
        yield annotation, discriminator if isinstance(discriminator, str) else None


def _literals(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    for part in () if get_origin(annotation) is Literal else get_args(annotation):
        yield from _literals(part)


def _is_plain_enum(member: object) -> bool:
    return isinstance(member, enum.Enum) and isinstance(member.value, str | int)


def _is_model(annotation: object) -> bool:
    """Whether a type is a model with fields (a ``RootModel`` is a value)."""
    return isinstance(annotation, type) and issubclass(annotation, BaseModel) and not issubclass(annotation, RootModel)


def _is_family(annotation: Any) -> bool:
    return (
        _is_model(annotation) and annotation.__base__ is not BaseModel and issubclass(annotation, DiscriminatedModel)
    )


def _is_free(annotation: Any) -> bool:
    """Whether values of a type are dicts of any key (or anything at all)."""
    origin = get_origin(annotation) or annotation
    if isinstance(origin, type) and issubclass(origin, RootModel):
        return any(_is_free(kind) for kind, _ in alternatives(origin.model_fields["root"].annotation))
    return origin is Any or origin is object or (isinstance(origin, type) and issubclass(origin, Mapping))
