"""Enum members as plain data: by value, or by name where pydantic would not take the value; and back.

pydantic takes the value of a member. A tree takes its name as well, and shows it where the value is no scalar.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

from ._forms import NO_FORM, Form, candidates, field_forms

__all__ = ["given", "named", "with_members"]


def with_members(data: Any, form: Form) -> Any:
    """Return plain data with enum members in the place of what stands for them.

    Examples
    --------
    >>> class Colour(enum.Enum):
    ...     RED = 1
    >>> with_members(["RED", 1], form_of(list[Colour]))
    [<Colour.RED: 1>, 1]
    """
    if form is NO_FORM:
        return data
    if isinstance(data, list):
        return [with_members(item, form.at(index)) for index, item in enumerate(data)]
    if isinstance(data, Mapping):
        forms = _forms_of(data, form)
        return {given(key, form.key): with_members(item, forms.get(key, NO_FORM)) for key, item in data.items()}
    return given(data, form)


def given(value: Any, form: Form | None) -> Any:
    """Return the enum member that a scalar stands for, or the scalar."""
    return form.given.get((type(value), value), value) if form is not None and form.given else value


def named(value: Any, plain: Any) -> Any:
    """Return the plain form of a value, enum members whose own value is no scalar by their names."""
    if isinstance(value, enum.Enum) and not isinstance(value.value, str | int | float):
        return value.name
    if isinstance(value, list | tuple) and isinstance(plain, list) and len(value) == len(plain):
        return [named(item, below) for item, below in zip(value, plain, strict=True)]
    if isinstance(value, Mapping) and isinstance(plain, dict) and len(value) == len(plain):
        pairs = zip(value.items(), plain.items(), strict=True)
        return {named(key, text): named(item, below) for (key, item), (text, below) in pairs}
    return plain


def _forms_of(data: Mapping[str, Any], form: Form) -> Mapping[str, Form]:
    """Return the forms of the items of a dict: of the fields of the class it may become, or one for all."""
    record = next(iter(candidates(form.records, data)), None)
    if record is not None:
        return field_forms(record)
    return dict.fromkeys(data, form.item) if form.item is not None else {}
