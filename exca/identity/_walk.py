"""One walk over a validated config gives its minimal and full canonical bytes, and what people should see."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn, cast

from pydantic import BaseModel

from exca.errors import ConfigError

from ._encoding import LEAVES, Forms, Unnameable, pack
from ._exclusion import NOTHING, Exclusion, check_names, own_exclusion
from ._objects import encode_hooked, encode_object
from ._plan import FieldPlan, ModelPlan, plan_of
from ._readable import CLASS
from ._shape import ANY, Shape

_EMPTY_MODEL = pack(b"m", b"N")


class Walk:
    """One walk; ``mutable`` says afterwards whether it met something that can be changed in place."""

    __slots__ = ("_building", "mutable")

    def __init__(self, building: dict[type, ModelPlan] | None = None) -> None:
        self.mutable = False
        self._building: dict[type, ModelPlan] = {} if building is None else building

    def plan(self, cls: type[BaseModel]) -> ModelPlan:
        """The plan of a model class; its defaults are encoded by walks of their own."""
        return plan_of(cls, self._encode_apart, self._building)

    def _encode_apart(self, value: object, shape: Shape, exclusion: Exclusion = NOTHING) -> bytes:
        return Walk(self._building).encode(value, shape, exclusion)[1]

    def encode(self, value: object, shape: Shape = ANY, exclusion: Exclusion = NOTHING) -> Forms:
        """Encode any value.

        Parameters
        ----------
        value: object
            what to encode.
        shape: Shape
            what the annotation implies, and the bytes may therefore leave out.
        exclusion: Exclusion
            what to leave out inside the value.

        Raises
        ------
        Unnameable
            the value, or one inside it, has no stable identity.
        ConfigError
            the exclusion names something that is not there.
        """
        cls = type(value)
        leaf = LEAVES.get(cls)
        if leaf is not None:
            if exclusion.below or exclusion.names:
                _check_absent(exclusion, shape, value)
            if shape.is_float and cls is int:
                value = _as_float(cast("int", value))
                leaf = LEAVES[type(value)]
            code = leaf(value)
            return code, code, value
        container = _CONTAINERS.get(cls)
        if container is not None:
            return container(self, value, shape, exclusion)
        if cls is shape.model or isinstance(value, BaseModel):
            return self._model(cast("BaseModel", value), shape, exclusion)
        if exclusion:
            _check_absent(exclusion, shape, value)
        if shape.is_float and isinstance(value, float) and cls.__module__ == "numpy":
            return self.encode(float(value))  # older pydantic keeps numpy's subclass of float
        return encode_object(self, value)

    def _model(self, value: BaseModel, shape: Shape, exclusion: Exclusion) -> Forms:
        cls = type(value)
        plan = self.plan(cls)
        if plan.hooked:
            return encode_hooked(self, value)
        if not plan.sealed:
            self.mutable = True
        minimal, full, shown = self.fields(value, plan, exclusion, shape)
        if cls is shape.model:
            head = b"N"
        else:
            head = plan.code
            shown = {**class_marks(cls, shape, value), **shown}
        return pack(b"m", head + minimal), pack(b"m", head + full), shown or {CLASS: cls}

    def fields(
        self, value: BaseModel, plan: ModelPlan, exclusion: Exclusion, shape: Shape = ANY
    ) -> tuple[bytes, bytes, dict[str, object]]:
        """Encode the fields of a model: those that differ from their default, and all.

        Returns
        -------
        tuple
            minimal bytes, full bytes, and the shown values by field name.
        """
        exclusion = exclusion_of(value, plan, exclusion, shape)
        minimal: list[bytes] = []
        full: list[bytes] = []
        shown: dict[str, object] = {}
        values = value.__dict__
        for field in plan.fields:
            name = field.name
            if name in exclusion.names:
                continue
            if name not in values:
                _refuse_unset(value, name)
            item = values[name]
            if item is field.constant and name not in exclusion.below:
                full.append(field.chunk)
                continue
            below = exclusion.below.get(name, NOTHING)
            try:
                forms = self.encode(item, field.shape, below)
            except Unnameable as error:
                error.path.append(f".{name}")
                raise
            chunk = self.default_chunk(field, item, forms, below)
            full.append(chunk or field.head + forms[1])
            if chunk is None:
                minimal.append(field.head + forms[0])
                shown[name] = forms[2]
        if value.__pydantic_extra__ is not None:
            self._extras(value.__pydantic_extra__, exclusion, (minimal, full), shown)
        return b"".join(minimal), b"".join(full), shown

    def default_chunk(
        self, field: FieldPlan, item: object, forms: Forms, exclusion: Exclusion = NOTHING
    ) -> bytes | None:
        """What stands in the full form for a value that counts as default; None if it does not."""
        if not exclusion:
            if forms[1] in field.accepted:
                return field.chunk
        else:
            defaults = [self._encode_apart(value, field.shape, exclusion) for value in field.candidates]
            if forms[1] in defaults:
                return field.head + defaults[-1]
        # A required nested model has nothing to say when all its fields are default.
        if field.required_model is type(item) and forms[0] == _EMPTY_MODEL:
            return field.head + forms[1]
        return None

    def _extras(
        self,
        extras: Mapping[str, object],
        exclusion: Exclusion,
        chunks: tuple[list[bytes], list[bytes]],
        shown: dict[str, object],
    ) -> None:
        """Values beside the declared fields (``extra="allow"``); none of them is a default."""
        self.mutable = True
        forms = self._mapping(extras, ANY, exclusion)
        for chunk, code in zip(chunks, forms[:2], strict=True):
            if code:
                chunk.append(pack(b"x", code))
        shown.update(cast("dict[str, object]", forms[2]))

    def _list(self, value: list[object], shape: Shape, exclusion: Exclusion) -> Forms:
        self.mutable = True
        return self._sequence(b"l", value, shape, exclusion)

    def _tuple(self, value: tuple[object, ...], shape: Shape, exclusion: Exclusion) -> Forms:
        return self._sequence(b"t", value, shape, exclusion)

    def _sequence(self, word: bytes, value: Iterable[object], shape: Shape, exclusion: Exclusion) -> Forms:
        if exclusion:
            _check_absent(exclusion, shape, value)
        forms = self._items(value, shape)
        minimal = b"".join([form[0] for form in forms])
        full = b"".join([form[1] for form in forms])
        return pack(word, minimal), pack(word, full), [form[2] for form in forms]

    def _set(self, value: set[object], shape: Shape, exclusion: Exclusion) -> Forms:
        self.mutable = True
        return self._unordered(b"set", value, shape, exclusion)

    def _frozenset(self, value: frozenset[object], shape: Shape, exclusion: Exclusion) -> Forms:
        return self._unordered(b"frozenset", value, shape, exclusion)

    def _unordered(self, word: bytes, value: Iterable[object], shape: Shape, exclusion: Exclusion) -> Forms:
        if exclusion:
            _check_absent(exclusion, shape, value)
        forms = sorted(self._items(value, shape), key=_full)
        minimal = b"".join(sorted([form[0] for form in forms]))
        full = b"".join([form[1] for form in forms])
        return pack(word, minimal), pack(word, full), [form[2] for form in forms]

    def _items(self, values: Iterable[object], shape: Shape) -> list[Forms]:
        item, fixed = shape.item or ANY, shape.fixed
        forms: list[Forms] = []
        try:
            for value in values:
                forms.append(self.encode(value, fixed[len(forms)] if len(forms) < len(fixed) else item))
        except Unnameable as error:
            error.path.append(f"[{len(forms)}]")
            raise
        return forms

    def _dict(self, value: dict[Any, object], shape: Shape, exclusion: Exclusion) -> Forms:
        self.mutable = True
        minimal, full, shown = self._mapping(value, shape, exclusion)
        return pack(b"d", minimal), pack(b"d", full), shown

    def _mapping(self, value: Mapping[Any, object], shape: Shape, exclusion: Exclusion) -> Forms:
        """Encode the items of a mapping, in the order of their encoded keys."""
        entries: list[tuple[bytes, bytes, bytes, object, object]] = []
        key_shape, item_shape = shape.key or ANY, shape.item or ANY
        for key, item in value.items():
            if key in exclusion.names:
                continue
            try:
                code = self.encode(key, key_shape)[1]
                forms = self.encode(item, item_shape, exclusion.below.get(key, NOTHING))
            except Unnameable as error:
                error.path.append(f"[{key!r}]")
                raise
            entries.append((code, forms[1], forms[0], key, forms[2]))
        entries.sort(key=_key_then_full)
        minimal = b"".join([code + item for code, _, item, _, _ in entries])
        full = b"".join([code + item for code, item, _, _, _ in entries])
        return minimal, full, {key: item for _, _, _, key, item in entries}


_CONTAINERS: dict[type, Callable[[Walk, Any, Shape, Exclusion], Forms]] = {
    list: Walk._list,
    tuple: Walk._tuple,
    set: Walk._set,
    frozenset: Walk._frozenset,
    dict: Walk._dict,
}


def _full(forms: Forms) -> bytes:
    return forms[1]


def _key_then_full(entry: tuple[bytes, bytes, bytes, object, object]) -> tuple[bytes, bytes]:
    return entry[:2]


def _as_float(value: int) -> float:
    """The float an int stands for; one too large for a float stays what it is."""
    try:
        return float(value)
    except OverflowError:
        return value


def class_marks(cls: type[BaseModel], shape: Shape, value: BaseModel) -> dict[str, object]:
    """What tells the class of a value that the annotation leaves open: its discriminator, or the class."""
    name = shape.discriminator
    if name is not None and name in cls.__pydantic_fields__:
        return {name: getattr(value, name)}
    families: Any = sys.modules.get("exca.discriminated")  # without it no class can be of a family
    if families is not None and issubclass(cls, families.DiscriminatedModel):
        return {cast("Any", cls).discriminator_key: cls.__name__}
    return {CLASS: cls}


def exclusion_of(value: BaseModel, plan: ModelPlan, exclusion: Exclusion, shape: Shape = ANY) -> Exclusion:
    """What to leave out of one model: what the caller says and what its class says."""
    if exclusion:
        check_exclusion(value, plan, exclusion, shape)
    if not plan.per_instance:
        return exclusion.joined(plan.exclusion)
    own = own_exclusion(value)
    check_exclusion(value, plan, own, ANY)
    return exclusion.joined(own)


def check_exclusion(value: BaseModel, plan: ModelPlan, exclusion: Exclusion, shape: Shape) -> None:
    """Refuse names that neither the model has, nor another member of the union it stands in."""
    if not exclusion:
        return
    others = {name for model in shape.models for name in model.__pydantic_fields__}
    known = plan.known.union(others, value.__pydantic_extra__ or ())
    check_names(exclusion, known, type(value).__qualname__)


def _check_absent(exclusion: Exclusion, shape: Shape, value: object) -> None:
    """A dotted exclusion may lead to a config that is not there now (None), but not to nowhere."""
    known = {name for model in shape.models for name in model.__pydantic_fields__}
    models = " or ".join(model.__qualname__ for model in shape.models)
    check_names(exclusion, known, models or f"a value of type {type(value).__name__}")


def _refuse_unset(value: BaseModel, name: str) -> NoReturn:
    raise ConfigError(
        f"{type(value).__qualname__}.{name} has no value, so the config has no identity: "
        "it was made without validation (model_construct) and the field was left out."
    )
