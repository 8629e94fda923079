"""From plain data of a tree to what the user changed, and the keys and values that cannot be right.

Only what differs from the tree's defaults is handed to pydantic: a composed config then equals the object
that plain Python builds from the same changes, down to ``model_fields_set``, defaults that have no plain
form, and validators that only look at what was given.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from exca.identity import place_input

from ._ambiguity import only_order_decides
from ._enums import with_members
from ._fields import allows_extra, forbids_extra
from ._plain import Missing, Where
from ._problems import Problem
from ._schema import Entry, Schema, Site, Tree
from ._strays import strays
from ._suggestions import explain
from ._text import same, unheld

__all__ = ["changes"]


def changes(schema: Schema, data: Mapping[str, Any], problems: list[Problem]) -> dict[str, Any]:
    """Return the arguments that build the model of a config.

    Parameters
    ----------
    schema
        The schema of the model.
    data
        The plain data of a composed config.
    problems
        Undeclared keys and values still to be set are appended.
    """
    return _Reader(schema, data, problems).tree(schema.tree, data, ())


class _Reader:
    """Walks the data along the tree."""

    def __init__(self, schema: Schema, data: Mapping[str, Any], problems: list[Problem]) -> None:
        self._schema, self._data, self._problems = schema, data, problems

    def tree(
        self, tree: Tree, data: Mapping[str, Any], path: Where, base: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return what differs from the defaults of a tree (or from ``base``)."""
        changed: dict[str, Any] = {}
        for key, value in data.items():
            entry = tree.entries.get(key)
            if entry is None:
                self._undeclared(tree, key, value, data, path, changed)
            elif base is not None:
                if key not in base or not same(value, base[key]):
                    changed[key] = self._value(value, (*path, key))
            elif entry.required or not (same(value, entry.default) or same(value, unheld(entry.default))):
                self._entry(entry, key, value, (*path, key), changed)
        return changed

    def _undeclared(
        self, tree: Tree, key: str, value: Any, data: Mapping[str, Any], path: Where, changed: dict[str, Any]
    ) -> None:
        place = (*path, key)
        own = tree.aliases.get(key)
        if own is not None:
            self._alias(tree.entries[own], own, value, data, place, changed)
        elif allows_extra(tree.model) or not forbids_extra(tree.model):
            changed[key] = self._value(value, place)  # where it is ignored, a validator may look at it first
        else:
            self._problems.append(Problem(place, "no such key", hint=explain(self._schema, self._data, place)))

    def _alias(
        self, entry: Entry, own: str, value: Any, data: Mapping[str, Any], place: Where, changed: dict[str, Any]
    ) -> None:
        """Take a field by another of its keys."""
        if own in data and not (isinstance(data[own], Missing) or same(data[own], entry.default)):
            hint = f"write it as {'.'.join(map(str, (*place[:-1], own)))}"
            self._problems.append(Problem(place, f"{place[-1]} and {own} are one field, given twice", hint=hint))
        else:
            self._entry(entry, own, value, place, changed)

    def _entry(self, entry: Entry, key: str, value: Any, path: Where, changed: dict[str, Any]) -> None:
        if isinstance(value, Mapping) and entry.shape.kind != "value":
            if not value and entry.site is not None:
                return  # an empty site: its option was taken out of the defaults list
            tree = entry.tree_for(value)
            if tree is not None:
                base = entry.default if entry.shape.kind == "infra" and not entry.required else None
                inner = self.tree(tree, value, path, base)
                tag = entry.shape.discriminator
                changed[key] = {**inner, tag: tree.entries[tag].shape.object_of(value[tag])} if tag else inner
                return
        stray = list(strays(value, entry.form, path))
        self._problems += stray
        read = with_members(self._value(value, path, entry.site), entry.form)
        if isinstance(value, Mapping | list) and not stray:
            read = self._member(entry, value, read, path)
        if entry.json and not isinstance(read, str | Missing) and not (read is None and entry.shape.nullable):
            read = json.dumps(read)
        if isinstance(read, Missing):
            changed.pop(key, None)
        elif entry.place is not None:
            place_input(changed, entry.place, read)
        else:
            changed[key] = read

    def _member(self, entry: Entry, value: Any, read: Any, path: Where) -> Any:
        """Return the data of models that only their fields tell apart; report where these do not.

        The fields of the default's own class mean that class.
        """
        for below, names in only_order_decides(entry.annotation, read):
            default = entry.default if isinstance(entry.default, Mapping) else None
            if entry.member is not None and default is not None and default.keys() == value.keys():
                return entry.member.model_validate(read)
            hint = "set a field that only one of them has, or give the models a discriminator"
            message = f"may be {' or '.join(names)}: these fields do not tell"
            self._problems.append(Problem((*path, *below), message, hint=hint))
        return read

    def _value(self, value: Any, path: Where, site: Site | None = None) -> Any:
        """Return a value with the objects that its texts stand for; report what is still to be set."""
        if isinstance(value, Missing) and not value.reported:
            name = ".".join(map(str, path))
            hint = f"set it with {name}=<value>" if site is None else f"choose one: {site.choices()}"
            self._problems.append(Problem(path, "missing", hint=hint))
        if isinstance(value, str):
            return self._schema.objects.get(value, value)
        if isinstance(value, Mapping):
            return {key: self._value(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self._value(item, (*path, index)) for index, item in enumerate(value)]
        return value
