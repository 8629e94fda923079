"""Keys of models inside the value of a field (in lists, in dicts) that no class declares, or that were given twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from ._enums import given
from ._fields import forbids_extra
from ._forms import NO_FORM, Form, candidates, field_forms
from ._plain import Where
from ._problems import Problem
from ._suggestions import closest

__all__ = ["strays"]


def strays(data: Any, form: Form, path: Where) -> Iterator[Problem]:
    """Yield what is wrong with the keys of plain data.

    Parameters
    ----------
    data
        The plain data of a value.
    form
        Its form.
    path
        Where it stands.
    """
    if form is NO_FORM:
        return
    if isinstance(data, list):
        for index, item in enumerate(data):
            yield from strays(item, form.at(index), (*path, index))
    elif isinstance(data, Mapping) and form.records and not form.free:
        yield from _of_record(data, form, path)
    elif isinstance(data, Mapping):
        yield from _twice(data, form, path)
        for key, item in data.items():
            yield from strays(item, form.item or NO_FORM, (*path, key))


def _of_record(data: Mapping[str, Any], form: Form, path: Where) -> Iterator[Problem]:
    records = candidates(form.records, data)
    for key, item in data.items():
        known = [record for record in records if key in field_forms(record)]
        if known:
            yield from strays(item, field_forms(known[0])[key], (*path, key))
        elif all(_refuses(record) for record in records):
            yield Problem((*path, key), "no such key", hint=_advice(key, records, path))


def _refuses(record: type) -> bool:
    return not issubclass(record, BaseModel) or forbids_extra(record)


def _advice(key: str, records: list[type], path: Where) -> str:
    match = closest(key, [name for record in records for name in field_forms(record)])
    if match is not None and len(records) == 1:
        return f"did you mean {'.'.join(map(str, (*path, match)))}?"
    return "; ".join(f"the fields of {record.__name__} are {', '.join(field_forms(record))}" for record in records)


def _twice(data: Mapping[str, Any], form: Form, path: Where) -> Iterator[Problem]:
    """Yield a problem for every enum member that a dict has two keys of: its value and its name."""
    if form.key is None or not form.key.given:
        return
    for key in data:
        member: Any = given(key, form.key)
        if member is not key and member.value in data:
            hint = f"write it as {'.'.join(map(str, (*path, member.value)))}"
            yield Problem((*path, key), f"{key} and {member.value} are one key, given twice", hint=hint)
