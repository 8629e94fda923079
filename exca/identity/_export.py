"""A config as plain data: everything of it, or what its identity consists of."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import BaseModel

from ._aliases import place_input
from ._encoding import Unnameable
from ._exclusion import NOTHING, Exclusion, parse_exclude
from ._identify import digest_of, explained
from ._names import class_path
from ._objects import UID_METHOD
from ._plain import array_text, is_array, is_simple, plain_items, plain_scalar
from ._plan import FieldPlan
from ._readable import CLASS
from ._shape import ANY, Shape
from ._walk import Walk, check_exclusion, class_marks, exclusion_of


def export(
    config: BaseModel,
    *,
    uid: bool = False,
    exclude_defaults: bool = False,
    exclude: Collection[str] = (),
) -> dict[str, Any]:
    """A config as plain data that YAML can hold: None, bool, int, float, str, bytes, list, dict.

    Parameters
    ----------
    config: pydantic.BaseModel
        a validated config.
    uid: bool
        False: everything, validating back into an equal config (secrets and objects without a plain form
        excepted). True: the identity, without excluded fields, sorted by name; a class that its annotation
        leaves open shows by its discriminator, or under the key ``=class=``; arrays show as a short text.
    exclude_defaults: bool
        leave out what equals its default.
    exclude: collection of str
        field names or dotted paths to leave out.

    Returns
    -------
    dict
        keys are those of the config, verbatim: dots have no meaning here.

    Raises
    ------
    UnstableIdentity
        with ``uid=True``, a field has no stable identity.
    ConfigError
        ``exclude`` names a field that does not exist.

    Example
    -------
    >>> from pathlib import Path
    >>> class Training(BaseModel):
    ...     lr: float = 0.1
    ...     folder: Path = Path("data")
    >>> export(Training(lr=1))
    {'lr': 1.0, 'folder': 'data'}
    >>> export(Training(lr=1), uid=True, exclude_defaults=True)
    {'lr': 1.0}
    """
    exporter = _Exporter(uid=uid, exclude_defaults=exclude_defaults)
    try:
        return exporter.fields(config, parse_exclude(exclude))
    except (Unnameable, RecursionError) as error:
        raise explained(error, config) from None


def plain_data(value: object) -> Any:
    """Any value, or nest of values, as plain data that YAML can hold."""
    return _Exporter(uid=False, exclude_defaults=False).plain(value, ANY)


class _Exporter:
    """The options of one export."""

    def __init__(self, *, uid: bool, exclude_defaults: bool) -> None:
        self._uid = uid
        self._exclude_defaults = exclude_defaults

    def fields(self, value: BaseModel, exclusion: Exclusion, shape: Shape = ANY) -> dict[str, Any]:
        """The fields of a model, and what it holds beside them."""
        plan = Walk().plan(type(value))
        if self._uid:
            exclusion = exclusion_of(value, plan, exclusion, shape)
        else:
            check_exclusion(value, plan, exclusion, shape)
        data: dict[str, Any] = {}
        for field in plan.fields if self._uid else plan.declared:
            if field.name in exclusion.names or field.name not in value.__dict__:
                continue
            try:
                self._put(data, field, value, exclusion.below.get(field.name, NOTHING))
            except Unnameable as error:
                error.path.append(f".{field.name}")
                raise
        if value.__pydantic_extra__:
            data.update(self._mapping(value.__pydantic_extra__, ANY, exclusion))
        return data

    def _put(self, data: dict[str, Any], field: FieldPlan, owner: BaseModel, below: Exclusion) -> None:
        item: object = owner.__dict__[field.name]
        if self._uid:
            walk = Walk()
            forms = walk.encode(item, field.shape, below)
            if walk.default_chunk(field, item, forms, below) is not None:
                if self._exclude_defaults:
                    return
                # Written in one way, whichever of its spellings the default came in.
                item = field.candidates[-1] if field.candidates else item
            data[field.name] = self.plain(item, field.shape, below)
            return
        plain = self.plain(item, field.shape, below)
        if not (self._exclude_defaults and _is_default(item, field)):
            place_input(data, field.key, plain)

    def plain(self, value: Any, shape: Shape, exclusion: Exclusion = NOTHING) -> Any:
        """Any value as plain data."""
        if is_simple(value):
            return float(value) if shape.is_float and type(value) is int else value
        if isinstance(value, BaseModel):
            return self._model(value, shape, exclusion)
        if self._uid and hasattr(type(value), UID_METHOD) and not isinstance(value, type):
            return {CLASS: class_path(type(value)), "uid": self.plain(value._exca_uid_(), ANY)}
        if isinstance(value, Mapping):
            return self._mapping(value, shape, exclusion)
        if isinstance(value, set | frozenset):
            ordered = sorted(value, key=lambda item: _order(item, shape.item or ANY))
            return [self.plain(item, shape.item or ANY) for item in ordered]
        items = plain_items(value)
        if items is not None:
            return [self.plain(item, _item_shape(shape, index)) for index, item in enumerate(items)]
        return self._object(value)

    def _object(self, value: Any) -> Any:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            pairs = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
            return {name: self.plain(item, ANY) for name, item in pairs.items()}
        if isinstance(value, functools.partial):
            parts = {"func": value.func, "args": value.args, "keywords": value.keywords}
            return {name: self.plain(item, ANY) for name, item in parts.items()}
        code = self._code(value)
        plain = NotImplemented if self._uid and is_array(value) else plain_scalar(value)
        if plain is not NotImplemented:
            return plain
        return array_text(value, digest_of(code)) if code else f"<{class_path(type(value))}>"

    def _code(self, value: object) -> bytes | None:
        """Canonical bytes of a value; only an identity insists on having them."""
        try:
            return Walk().encode(value)[1]
        except Unnameable:
            if self._uid:
                raise
            return None

    def _model(self, value: BaseModel, shape: Shape, exclusion: Exclusion) -> Any:
        cls = type(value)
        if self._uid and hasattr(cls, UID_METHOD):
            return {CLASS: class_path(cls), "uid": self.plain(getattr(value, UID_METHOD)(), ANY)}
        marks = {} if cls is shape.model else class_marks(cls, shape, value)
        if CLASS in marks:
            marks = {CLASS: class_path(cls)} if self._uid else {}
        fields = self.fields(value, exclusion, shape)
        if type(value).__pydantic_root_model__ and not marks and "root" in fields:
            return fields["root"]
        return {**{name: self.plain(item, ANY) for name, item in marks.items()}, **fields}

    def _mapping(self, value: Mapping[Any, Any], shape: Shape, exclusion: Exclusion) -> dict[Any, Any]:
        key_shape, item_shape = shape.key or ANY, shape.item or ANY
        keys = [key for key in value if key not in exclusion.names]
        if self._uid:
            keys.sort(key=lambda key: _order(key, key_shape))
        below = exclusion.below
        return {
            _hashable(self.plain(key, key_shape)): self.plain(value[key], item_shape, below.get(key, NOTHING))
            for key in keys
        }


def _item_shape(shape: Shape, index: int) -> Shape:
    return shape.fixed[index] if index < len(shape.fixed) else shape.item or ANY


def _order(value: object, shape: Shape) -> bytes:
    """Sort key of the elements of a set: independent of the hash seed."""
    try:
        return Walk().encode(value, shape)[1]
    except Unnameable:
        return b""


def _hashable(key: Any) -> Any:
    return tuple(map(_hashable, key)) if isinstance(key, list) else key


def _is_default(item: object, field: FieldPlan) -> bool:
    """Whether leaving a value out of a complete config loses nothing, excluded fields included."""
    try:
        if Walk().encode(item, field.shape)[1] not in field.accepted:
            return False
    except Unnameable:
        return False
    complete = _Exporter(uid=False, exclude_defaults=False)
    plain = complete.plain(item, field.shape)
    return any(complete.plain(default, field.shape) == plain for default in field.candidates)
