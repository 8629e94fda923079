"""A changed copy of a config: what was set, with some of it set otherwise, validated again."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from exca.identity import ConfDict
from exca.store import is_immutable

__all__ = ["cloned"]

_REPLACE = "=replace="


def cloned(config: BaseModel, updates: Mapping[str, Any]) -> BaseModel:
    """Build the same class again from the fields that were set, with updates.

    Parameters
    ----------
    config: the original, which stays as it is.
    updates: new values; keys may be dotted paths, nested mappings are merged.
    """
    return type(config).model_validate(_merged(config, ConfDict(updates)))


def _merged(config: BaseModel, updates: Mapping[str, Any]) -> dict[str, Any]:
    fields = type(config).__pydantic_fields__
    values = {
        name: value
        for name, value in config.__dict__.items()
        if name in config.__pydantic_fields_set__  # or changed in place, which pydantic does not record
        or (name in fields and (not is_immutable(value) or get_origin(fields[name].annotation) is Literal))
    }
    values |= config.__pydantic_extra__ or {}
    data = {_input_name(config, name): _detached(value) for name, value in values.items() if name not in updates}
    for name, update in updates.items():
        data[_input_name(config, name)] = _updated(getattr(config, name, None), update)
    return data


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
    if isinstance(value, (str, int, float, bool, type(None))):
        return value
    return value.__deepcopy__({}) if isinstance(value, BaseModel) else copy.deepcopy(value)


def _input_name(config: BaseModel, name: str) -> str:
    """Under which key the model takes a field: its name, or its alias if it only goes by that."""
    field = type(config).model_fields.get(name)
    if field is None or field.validation_alias is None or config.model_config.get("populate_by_name"):
        return name
    return field.validation_alias if isinstance(field.validation_alias, str) else name
