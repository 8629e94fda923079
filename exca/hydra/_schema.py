"""The config tree of a model: its values, and the places where one of several nodes is chosen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import AliasPath, BaseModel

from ._fields import Shape, allows_extra
from ._forms import NO_FORM, Form

__all__ = ["Entry", "Option", "Path", "Schema", "Site", "Tree"]

Path = tuple[str, ...]
"""Keys from the root of a tree to a node."""


@dataclass(frozen=True, slots=True)
class Option:
    """One node that can be chosen at a site.

    Parameters
    ----------
    name
        Name of the option on the command line.
    text
        The discriminator's value; None for options that no discriminator stands for.
    tree
        The tree of the node; None for the option that sets the field to None.
    fixed
        Values the option sets over its tree: the discriminator, or the cluster of a preset.
    """

    name: str
    text: str | None
    tree: Tree | None
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def full(self) -> dict[str, Any] | None:
        """Return the whole node, the defaults of sites below it filled in."""
        return None if self.tree is None else {**self.fixed, **self.tree.full(), **self.fixed}

    def content(self) -> dict[str, Any]:
        """Return the node without what sites below it contribute."""
        assert self.tree is not None, "the option for None has no content"
        return {**self.fixed, **self.tree.content(), **self.fixed}


@dataclass(frozen=True, slots=True)
class Site:
    """A node of the tree with a config group of its own.

    Parameters
    ----------
    group
        Path of the config group, relative to the root of the schema (``model/attention``).
    shape
        The shape of the field.
    options
        The options by name.
    default
        Name of the option chosen unless the user says otherwise; None where the user must choose.
    """

    group: str
    shape: Shape
    options: Mapping[str, Option]
    default: str | None

    def of_text(self, text: object) -> Option | None:
        """Return the option of a discriminator's value (or of the only model)."""
        wanted = self.shape.text_of(text)
        return next((option for option in self.options.values() if option.text == wanted), None)

    def choices(self) -> str:
        """Return the overrides that choose a node, for messages."""
        return ", ".join(f"{self.group}={name}" for name, option in self.options.items() if option.tree is not None)


@dataclass(frozen=True, slots=True)
class Entry:
    """One field of a tree.

    Parameters
    ----------
    name
        Name of the field in its class.
    shape
        Its form.
    required
        Whether the class gives no default.
    default
        The default as plain data, filled in to the last leaf.
    tree
        For one nested model (or infra), the tree of its class alone.
    shown
        For a nested model, the same tree with the values of the field's own default object.
    site
        The choices, for a field that has several nodes.
    annotation
        The type of the field.
    form
        What the annotation says about the data of a value.
    place
        Where the model looks for the value, if not under a key: a path.
    member
        Of models that only their fields tell apart, the class of the default.
    json
        Whether pydantic wants the value as JSON text.
    """

    name: str
    shape: Shape
    required: bool
    default: Any
    tree: Tree | None = None
    shown: Tree | None = None
    site: Site | None = None
    annotation: Any = None
    form: Form = NO_FORM
    place: AliasPath | None = None
    member: type[BaseModel] | None = None
    json: bool = False

    def tree_for(self, data: Mapping[str, Any]) -> Tree | None:
        """Return the tree of the model that plain data of this field is meant for."""
        if self.shape.kind == "union" and self.site is not None:
            option = self.site.of_text(data.get(self.shape.discriminator))
            return option.tree if option is not None else None
        return self.tree


@dataclass(frozen=True, slots=True)
class Tree:
    """The config tree of one model class.

    Parameters
    ----------
    model
        The class.
    entries
        Its fields, by their keys in the tree.
    extra
        What an instance holds beside its fields.
    aliases
        The keys in the tree of what fields may also be called.
    """

    model: type[BaseModel]
    entries: Mapping[str, Entry]
    extra: Mapping[str, Any] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)

    def full(self) -> dict[str, Any]:
        """Return the values of all fields, every site at its default."""
        return {key: entry.default for key, entry in self.entries.items()} | dict(self.extra)

    def content(self) -> dict[str, Any]:
        """Return the values of all fields; sites are left empty, in their places."""
        values = {}
        for key, entry in self.entries.items():
            if entry.site is not None:
                values[key] = {} if isinstance(entry.default, dict) else entry.default
            else:
                values[key] = entry.shown.content() if entry.shown is not None else entry.default
        return values | dict(self.extra)

    def sites(self) -> Iterator[tuple[Path, Site]]:
        """Yield the sites that this tree always has, with their paths."""
        for key, entry in self.entries.items():
            if entry.site is not None:
                yield (key,), entry.site
            elif entry.shown is not None:
                for path, site in entry.shown.sites():
                    yield (key, *path), site

    def loose(self) -> Iterator[Path]:
        """Yield the nodes that are one of several models which only their fields tell apart."""
        for key, entry in self.entries.items():
            if entry.shape.is_loose:
                yield (key,)
            elif entry.site is None and entry.shown is not None:
                yield from ((key, *path) for path in entry.shown.loose())

    def freedom(self) -> Iterator[tuple[Path, bool]]:
        """Yield the nodes that differ from their parent in whether they accept new keys."""
        if allows_extra(self.model):
            yield (), True
        for key, entry in self.entries.items():
            if entry.site is None and entry.shown is not None:
                if allows_extra(self.model) and not allows_extra(entry.shown.model):
                    yield (key,), False
                for path, free in entry.shown.freedom():
                    yield (key, *path), free
            elif entry.site is None and entry.shape.open and isinstance(entry.default, dict):
                yield (key,), True


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Schema:
    """All that Hydra needs to know of a model.

    Parameters
    ----------
    tree
        The tree of the model.
    objects
        Default objects that have no plain form, by the text that stands for them in the tree.
    """

    tree: Tree
    objects: Mapping[str, Any]

    @property
    def model(self) -> type[BaseModel]:
        """The model itself."""
        return self.tree.model
