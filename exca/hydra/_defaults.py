"""The default of a field as plain data that validates back into it."""

from __future__ import annotations

import warnings
from typing import Any

from pydantic import ConfigDict, ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from exca.errors import IdentityError
from exca.identity import export

from ._enums import named, with_members
from ._forms import form_of
from ._text import MISSING, UNSHOWN, held
from ._validating import validated

__all__ = ["default_of", "plain_default"]

_PLAIN = (type(None), bool, int, float, str)


def default_of(info: FieldInfo) -> Any:
    """Return the default object of a field; ``PydanticUndefined`` where a fresh one is made each time."""
    if info.default_factory is None:
        return info.default
    if info.default_factory_takes_validated_data:
        return PydanticUndefined
    try:
        first, second = info.get_default(call_default_factory=True), info.get_default(call_default_factory=True)
        return first if first == second else PydanticUndefined
    except Exception:  # a factory, or a comparison, that fails here may be right at run time
        return PydanticUndefined


def plain_default(info: FieldInfo, value: Any) -> Any:
    """Return a default as a tree shows it.

    Parameters
    ----------
    info
        The field.
    value
        Its default object, or ``PydanticUndefined``.

    Returns
    -------
    Any
        Plain data; ``MISSING`` for a required field; ``UNSHOWN`` for a default that no plain data
        validates into (whoever reads the tree then leaves the field to its class).
    """
    if value is PydanticUndefined:
        return MISSING if info.is_required() else UNSHOWN
    if info.annotation is float and type(value) is int:
        return float(value)
    if _is_plain(value):
        return held(value)
    field: Any = (info.annotation, info)
    probe = create_model("Probe", __config__=ConfigDict(arbitrary_types_allowed=True), value=field)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an unvalidated default may not be of the declared type
            data = export(probe.model_construct(value=value))
        key, plain = next(iter(data.items()))
        plain = named(value, plain)
        read = {key: with_members(plain, form_of(info.annotation))}
        again = next(iter(dict(validated(probe, read)).values()))
        return held(plain) if type(again) is type(value) and bool(again == value) else UNSHOWN
    except (ValidationError, IdentityError, ValueError, TypeError, StopIteration):
        return UNSHOWN


def _is_plain(value: object) -> bool:
    if type(value) is dict:
        return all(type(key) is str and _is_plain(item) for key, item in value.items())
    if type(value) is list:
        return all(map(_is_plain, value))
    return type(value) in _PLAIN
