"""What is known about the identity of a model class before any instance: its fields and their defaults."""

from __future__ import annotations

import enum
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, TypeAlias

import pydantic
from pydantic import AliasPath, BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from . import _names as names
from ._aliases import input_key
from ._encoding import LEAVES, Unnameable, text
from ._exclusion import NOTHING, Exclusion, check_names, depends_on_instance, own_exclusion
from ._objects import UID_METHOD
from ._shape import Shape, agrees, shape_of

# Full encoding of a value, given what its annotation implies.
Encode: TypeAlias = Callable[[object, Shape], bytes]

_ATTRIBUTE = "__exca_plan__"
_ABSENT = object()


class FieldPlan:
    """One field of a model: the bytes of its name and of its default, computed once.

    Attributes
    ----------
    name, head:
        the name of the field, and its encoding.
    key:
        under which the model takes it as input.
    required_model:
        a required field of plain model type, absent when that model is all default.
    constant:
        the default, where being the same object proves being equal; else a private marker.
    accepted:
        full encodings that mean "the default": as written in the class, and as validation would give it.
    chunk:
        head and encoding of the default in the full form.
    candidates:
        the default values behind ``accepted``; the last is the canonical one.
    """

    __slots__ = (
        "accepted",
        "candidates",
        "chunk",
        "constant",
        "frozen",
        "head",
        "is_float",
        "key",
        "name",
        "required_model",
        "shape",
    )

    def __init__(self, name: str, field: FieldInfo, key: str | AliasPath) -> None:
        self.name = name
        self.key = key
        self.head = text(name)
        self.shape = shape_of(field)
        self.is_float = self.shape.is_float
        self.required_model = self.shape.model if self.shape.plain and field.is_required() else None
        self.frozen = bool(field.frozen)
        self.constant: object = _ABSENT
        self.accepted: frozenset[bytes] = frozenset()
        self.chunk = b""
        self.candidates: tuple[object, ...] = ()

    def learn_default(self, field: FieldInfo, config: pydantic.ConfigDict, encode: Encode) -> None:
        """Encode the default of the field; a default that cannot be encoded is never equal to a value."""
        codes: list[bytes] = []
        candidates: list[object] = []
        for value in _default_values(field, config, lambda value: encode(value, self.shape)):
            try:
                codes.append(encode(value, self.shape))
            except Unnameable:
                continue  # naming the value itself will say so
            candidates.append(value)
        if codes:
            self.accepted = frozenset(codes)
            self.chunk = self.head + codes[-1]
            self.candidates = tuple(candidates)
            if type(candidates[0]) in LEAVES or isinstance(candidates[0], enum.Enum):
                self.constant = candidates[0]


class ModelPlan:
    """How to encode the instances of one model class.

    Attributes
    ----------
    fields:
        fields of the identity, sorted by name: their order in the class does not matter.
    excluded:
        fields that the class leaves out.
    declared:
        both, in the order of the class.
    known:
        names of all fields, excluded ones too.
    exclusion:
        what the class excludes inside its fields; whole fields are left out of ``fields``.
    per_instance:
        the class excludes fields depending on the instance.
    code:
        encoded class path.
    hooked:
        the class names its instances itself.
    sealed:
        no field of the identity can be assigned.
    """

    __slots__ = (
        "code",
        "declared",
        "excluded",
        "exclusion",
        "fields",
        "generation",
        "hooked",
        "known",
        "per_instance",
        "sealed",
        "validator",
    )

    def __init__(self, cls: type[BaseModel]) -> None:
        infos = cls.__pydantic_fields__
        self.validator: object = cls.__pydantic_validator__
        self.generation = names.generation
        self.code = text(names.class_path(cls))
        self.known = frozenset(infos)
        self.per_instance = depends_on_instance(cls)
        self.hooked = hasattr(cls, UID_METHOD)
        own = NOTHING if self.per_instance else own_exclusion(cls)
        check_names(own, self.known, cls.__qualname__)
        self.exclusion = Exclusion(below=own.below) if own.below else NOTHING
        self.declared = tuple(FieldPlan(name, info, input_key(cls, name)) for name, info in infos.items())
        fields = sorted(self.declared, key=lambda field: field.name)
        self.fields = tuple(field for field in fields if field.name not in own.names)
        self.excluded = tuple(field for field in fields if field.name in own.names)
        frozen = bool(cls.model_config.get("frozen"))
        self.sealed = frozen or all(field.frozen for field in self.fields)

    def is_current(self, cls: type[BaseModel]) -> bool:
        """Whether neither ``model_rebuild`` nor a new name of the script came after the plan."""
        return self.validator is cls.__pydantic_validator__ and self.generation == names.generation

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        # A class that travels by value takes its plan along; where it arrives, a new one is made.
        return no_plan, ()


def no_plan() -> None:
    """What a plan becomes in another process."""


def plan_of(cls: type[BaseModel], encode: Encode, building: dict[type, ModelPlan]) -> ModelPlan:
    """The plan of a model class, made at the first call and kept on the class.

    On the class rather than in a registry: a plan refers to default values and thereby to classes, and a
    registry, even with weak keys, would keep such classes alive for ever.

    Parameters
    ----------
    cls: type
        a complete model class.
    encode: callable
        gives the full encoding of a default.
    building: dict
        plans being made by this walk, for defaults that contain an instance of their own class.
    """
    plan = cls.__dict__.get(_ATTRIBUTE)
    if isinstance(plan, ModelPlan) and plan.is_current(cls):
        return plan
    if cls in building:
        return building[cls]
    plan = building[cls] = ModelPlan(cls)
    try:
        for field in (*plan.fields, *plan.excluded):
            field.learn_default(cls.__pydantic_fields__[field.name], cls.model_config, encode)
    finally:
        del building[cls]
    setattr(cls, _ATTRIBUTE, plan)
    return plan


def _default_values(
    field: FieldInfo, config: pydantic.ConfigDict, encode: Callable[[object], bytes]
) -> Iterator[object]:
    """The default as written, then as validation would give it where that is another type."""
    default = field.default
    if field.default_factory is not None:
        default = _made_by_factory(field, encode)
    if default is PydanticUndefined:
        return
    yield default
    if not agrees(field.annotation, default):
        validated = _validated(field, config, default)
        if validated is not PydanticUndefined:
            yield validated


def _made_by_factory(field: FieldInfo, encode: Callable[[object], bytes]) -> object:
    """What a default factory gives, if it gives the same each time and needs no other field."""
    if field.default_factory_takes_validated_data:
        return PydanticUndefined
    try:
        with _random_state_kept():
            first = field.get_default(call_default_factory=True)
            same = encode(first) == encode(field.get_default(call_default_factory=True))
    except Exception:  # whatever the user's function raises: then there is no default to compare with
        return PydanticUndefined
    return first if same else PydanticUndefined


def _validated(field: FieldInfo, config: pydantic.ConfigDict, default: object) -> object:
    annotation: Any = field.annotation
    if field.metadata:
        annotation = Annotated[annotation, *field.metadata]
    try:
        return _adapter(annotation, config).validate_python(default)
    except Exception:  # of pydantic or of the user's validators: this default can never be passed explicitly
        return PydanticUndefined


def _adapter(annotation: Any, config: pydantic.ConfigDict) -> pydantic.TypeAdapter[Any]:
    try:
        return pydantic.TypeAdapter(annotation, config={**config, "arbitrary_types_allowed": True})
    except pydantic.PydanticUserError:  # types with a config of their own take none
        return pydantic.TypeAdapter(annotation)


@contextmanager
def _random_state_kept() -> Iterator[None]:
    """Let random factories run without a trace in the user's random streams."""
    numpy = sys.modules.get("numpy.random")
    states = random.getstate(), numpy.get_state() if numpy else None
    try:
        yield
    finally:
        random.setstate(states[0])
        if numpy:
            numpy.set_state(states[1])
