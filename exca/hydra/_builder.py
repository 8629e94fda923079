"""From a model class to its config tree."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

from pydantic import AliasPath, BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from exca.discriminated import DiscriminatedModel
from exca.identity import input_key

from ._ambiguity import decides
from ._defaults import default_of, plain_default
from ._fields import Shape, all_keys, shape_of, takes_json, tree_keys
from ._forms import form_of
from ._schema import Entry, Option, Schema, Site, Tree
from ._text import MISSING, UNSHOWN, same

__all__ = ["PRESETS", "schema_of"]

PRESETS: Mapping[str, str | None] = {"inline": None, "local": "local", "slurm": "slurm", "debug": "debug"}
"""The ``cluster`` of each option that every infra field offers."""

_schemas: WeakKeyDictionary[type[BaseModel], tuple[int, Schema]] = WeakKeyDictionary()


def schema_of(model: type[BaseModel]) -> Schema:
    """Return the schema of a model, built once per class; anew when a family got another class.

    Examples
    --------
    >>> class Optim(BaseModel):
    ...     lr: float = 0.1
    >>> schema_of(Optim).tree.full()
    {'lr': 0.1}
    """
    generation, schema = _schemas.get(model, (0, None))
    if schema is None or generation != DiscriminatedModel.generation:
        builder = _Builder()
        schema = Schema(builder.tree(model, None, _Place("", (), "")), builder.objects)
        _schemas[model] = DiscriminatedModel.generation, schema
    return schema


class _Place:
    """Where in the tree a field stands: its config group, the classes above it, the option it belongs to."""

    __slots__ = ("above", "group", "owner")

    def __init__(self, group: str, above: tuple[type, ...], owner: str) -> None:
        self.group, self.above, self.owner = group, above, owner

    def below(self, key: str, model: type) -> _Place:
        return _Place(f"{self.group}/{key}" if self.group else key, (*self.above, model), self.owner)

    def under(self, option: str) -> _Place:
        return _Place(self.group, self.above, option)


class _Builder:
    """Builds the tree of one model; knows which option names are taken in which group."""

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}
        self._taken: dict[tuple[str, str], Any] = {}

    def tree(self, model: type[BaseModel], given: BaseModel | None, place: _Place) -> Tree:
        """Build the tree of a class, with the values of ``given`` where there is an instance."""
        entries = {}
        keys = tree_keys(model)
        for name, info in model.model_fields.items():
            if info.init is False:
                continue
            value = default_of(info) if given is None else given.__dict__.get(name, PydanticUndefined)
            below = place.below(keys[name], model)
            entry = self._entry(info, name, value, below, given is not None)
            path = input_key(model, name)
            entries[keys[name]] = replace(
                entry,
                annotation=None if decides(info) else info.annotation,
                form=form_of(info.annotation),
                place=path if isinstance(path, AliasPath) else None,
                json=takes_json(info.annotation, info.metadata),
            )
        extra = dict(given.__pydantic_extra__ or {}) if given is not None else {}
        return Tree(model, entries, extra, _aliases(model, entries))

    def _entry(self, info: FieldInfo, name: str, value: Any, place: _Place, instance: bool) -> Entry:
        shape = shape_of(info)
        if not _has_nodes(shape, info, value, place):
            default = plain_default(info, value)
            if instance and default == UNSHOWN and value is not PydanticUndefined:
                default = f"<default of {place.group.replace('/', '.')}>"
                self.objects[default] = value
            if shape.kind != "value":
                shape = replace(shape, kind="value", members={}, open=True)
            member = type(value) if shape.is_loose and isinstance(value, BaseModel) else None
            return Entry(name, shape, info.is_required(), default, member=member)
        given = value if isinstance(value, BaseModel) else None
        if shape.kind == "union":
            site = self._union(shape, value, place)
            return Entry(name, shape, info.is_required(), _default(site), site=site)
        tree = self.tree(shape.members[""], None, place)
        shown = self.tree(shape.members[""], given, place) if given is not None else tree
        if shape.kind == "optional":
            site = self._optional(shape, value, shown, place)
            return Entry(name, shape, info.is_required(), _default(site), tree, site=site)
        if shape.kind == "infra" and "cluster" in shown.entries:
            site = self._presets(shape, shown, place)
            return Entry(name, shape, info.is_required(), _default(site), tree, site=site)
        return Entry(name, shape, info.is_required(), shown.full(), tree, shown)

    def _union(self, shape: Shape, value: Any, place: _Place) -> Site:
        options = {}
        for text, model in shape.members.items():
            fixed = {shape.discriminator: shape.tags[text]}
            option = Option(text, text, self.tree(model, None, place.under(text)), fixed)
            options[text] = replace(option, name=self._name(place, text, option.full()))
        named = {option.name: option for option in options.values()}
        default = self._none(shape, value, place, named)
        if isinstance(value, BaseModel):
            text = _text_of(shape, value)
            tree = self.tree(type(value), value, place.under(text))
            custom = Option(text, text, tree, {shape.discriminator: shape.tags[text]})
            default = options[text].name
            if not same(custom.full(), options[text].full()):
                default = self._name(place, "default", custom.full())
                named[default] = replace(custom, name=default)
        return Site(place.group, shape, named, default)

    def _optional(self, shape: Shape, value: Any, shown: Tree, place: _Place) -> Site:
        option = Option("default", "", shown)
        name = self._name(place, "default", option.full())
        named = {name: replace(option, name=name)}
        default = self._none(shape, value, place, named)
        return Site(place.group, shape, named, name if isinstance(value, BaseModel) else default)

    def _presets(self, shape: Shape, shown: Tree, place: _Place) -> Site:
        cluster = shown.entries["cluster"].default
        presets = dict(PRESETS)
        if cluster not in presets.values():
            presets[str(cluster)] = cluster
        named = {}
        for name, value in presets.items():
            option = Option(name, None, shown, {"cluster": value})
            unique = self._name(place, name, option.full())
            named[unique] = replace(option, name=unique)
            if value == cluster:
                default = unique
        return Site(place.group, shape, named, default)

    def _none(self, shape: Shape, value: Any, place: _Place, named: dict[str, Option]) -> str | None:
        """Add the option for None; return its name where None is the default."""
        if not shape.nullable:
            return None
        name = self._name(place, "none", None)
        named[name] = Option(name, None, None)
        return name if value is None else None

    def _name(self, place: _Place, text: str, node: Any) -> str:
        """Return a name for an option that no other node of the group has."""
        name = re.sub(r"[^\w.+-]", "_", text)
        while not same(self._taken.setdefault((place.group, name), node), node):
            name = f"{place.owner or 'own'}_{name}"
        return name


def _aliases(model: type[BaseModel], entries: Mapping[str, Entry]) -> dict[str, str]:
    """Return the keys in the tree of the other keys by which a model takes its fields."""
    others = {other: key for key, entry in entries.items() for other in all_keys(model, entry.name)}
    paths = {str(entry.place.path[0]) for entry in entries.values() if entry.place is not None}
    return {other: key for other, key in others.items() if other not in entries and other not in paths}


def _has_nodes(shape: Shape, info: FieldInfo, value: Any, place: _Place) -> bool:
    """Whether a field is laid out in the tree, rather than held as one value."""
    models = set(shape.members.values())
    if shape.kind == "value" or models & set(place.above) or not re.fullmatch(r"[\w/]+", place.group):
        return False
    if value is PydanticUndefined:
        return info.is_required()
    return type(value) in models or (value is None and shape.nullable)


def _text_of(shape: Shape, value: BaseModel) -> str:
    keys = tree_keys(type(value))
    name = next(name for name, key in keys.items() if key == shape.discriminator)
    tag = getattr(value, name)
    return str(getattr(tag, "value", tag))


def _default(site: Site) -> Any:
    return MISSING if site.default is None else site.options[site.default].full()
