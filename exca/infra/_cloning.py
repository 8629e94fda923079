"""A changed copy of a config: what was set, with some of it set otherwise, validated again."""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

from pydantic import AliasPath, BaseModel

from exca.identity import ConfDict, input_key, place_input
from exca.infra._binding import bound_infra, default_infra
from exca.infra._fields import ATOMS, BaseInfra
from exca.store import is_immutable

__all__ = ["carry_private", "cloned"]

_REPLACE = "=replace="


def cloned(config: BaseModel, updates: Mapping[str, Any]) -> BaseModel:
    """Build the same class again from the fields that were set, with updates.

    Parameters
    ----------
    config: the original, which stays as it is.
    updates: new values; keys may be dotted paths, nested mappings are merged.
    """
    changes = updates if isinstance(updates, ConfDict) else ConfDict(updates)
    clone = type(config).model_validate(_merged(config, changes))
    carry_private(config, clone)
    return clone


def carry_private(source: BaseModel, target: BaseModel) -> None:
    """Set the private infras of a config as those of another; what validation has set on them stays."""
    cls = type(target)
    for name in cls.__private_attributes__:
        given = (source.__pydantic_private__ or {}).get(name)
        if isinstance(given, BaseInfra):
            infra = bound_infra(target, name)
            if isinstance(infra, type(given)):
                _lend(given, infra, default_infra(cls, name))
    for name, inner in source.__dict__.items():
        if type(inner) not in ATOMS and isinstance(inner, BaseModel):
            part = target.__dict__.get(name)
            if isinstance(part, BaseModel) and type(inner) is type(part):
                carry_private(inner, part)


def _lend(given: BaseInfra, infra: BaseInfra, default: BaseInfra | None) -> None:
    for name in given.__pydantic_fields_set__:
        untouched = default is not None and getattr(infra, name) == getattr(default, name)
        if untouched or name not in infra.__pydantic_fields_set__:
            infra.__dict__[name] = copy.deepcopy(given.__dict__[name])
            infra.__pydantic_fields_set__.add(name)


def _merged(config: BaseModel, updates: Mapping[str, Any]) -> dict[str, Any]:
    keys, literals = _layout(type(config))
    values = {
        name: value
        for name, value in config.__dict__.items()
        if name in config.__pydantic_fields_set__  # or changed in place, which pydantic does not record
        or (name in keys and (name in literals or not is_immutable(value)))
    }
    values |= config.__pydantic_extra__ or {}
    changes = {_field_name(keys, key): update for key, update in updates.items()}
    data: dict[str, Any] = {}
    for name, value in values.items():
        if name not in changes:
            place_input(data, keys.get(name, name), _detached(value))
    for name, update in changes.items():
        place_input(data, keys.get(name, name), _updated(getattr(config, name, None), update))
    return data


@functools.lru_cache(maxsize=1024)
def _layout(cls: type[BaseModel]) -> tuple[dict[str, str | AliasPath], frozenset[str]]:
    """Under which key each field is given, and which fields are literals."""
    fields = cls.__pydantic_fields__
    literals = frozenset(name for name, field in fields.items() if get_origin(field.annotation) is Literal)
    return {name: input_key(cls, name) for name in fields}, literals


def _field_name(keys: Mapping[str, str | AliasPath], key: str) -> str:
    """The field that an update means: by its name, or by the alias under which it is given."""
    return key if key in keys else next((name for name, given in keys.items() if given == key), key)


def _updated(current: Any, update: Any) -> Any:
    if not isinstance(update, Mapping):
        return update
    if update.get(_REPLACE):
        return {key: value for key, value in update.items() if key != _REPLACE}
    if isinstance(current, BaseModel):
        return dict(update) if _other_member(current, update) else _merged(current, update)
    if isinstance(current, Mapping):
        return {**current, **{key: _updated(current.get(key), value) for key, value in update.items()}}
    return dict(update)


def _other_member(current: BaseModel, update: Mapping[str, Any]) -> bool:
    """Whether the update chooses another member of a union: the fields of the old one then mean nothing."""
    for name, field in type(current).model_fields.items():
        if name in update and get_origin(field.annotation) is Literal:
            return update[name] not in get_args(field.annotation)
    return False


def _detached(value: Any) -> Any:
    """No object is shared between a config and its clone."""
    if type(value) in ATOMS:
        return value
    if not isinstance(value, BaseModel):
        return copy.deepcopy(value)
    cls = type(value)
    own = cls.__deepcopy__ is not BaseModel.__deepcopy__ or cls.__copy__ is not BaseModel.__copy__
    if own or cls.__private_attributes__ or value.__pydantic_extra__:
        return value.__deepcopy__({})
    twin = value.__copy__()  # a third of what pydantic's deep copy takes, as most values are atoms
    for name, part in value.__dict__.items():
        if type(part) not in ATOMS:
            twin.__dict__[name] = _detached(part)
    return twin
