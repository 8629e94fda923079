"""Overrides as they are meant: a member of a union chosen by hand, None for a node, keys of free dicts.

Hydra knows config groups and values. Some things that a user of a model would write fall between the two:

* ``model=null`` sets a group to None: it chooses the option for None;
* ``stop.patience=5`` sets a field of an optional model that is None: it chooses the model first;
* ``model.name=transformer`` sets a discriminator: it chooses the member, as ``model=transformer`` does;
* ``model={name: transformer, dim: 3}`` chooses the member and sets its fields;
* ``lr=0.1`` sets the field that has this alias;
* ``tags.new=1`` adds a key to a dict field, or to a model that accepts any key: it needs no ``+``;
* ``shape={radius: 1}`` replaces a node of several models that only their fields tell apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from hydra.core.override_parser.types import Override, OverrideType, ValueType

from ._fields import allows_extra
from ._forms import classes
from ._parsing import key_path
from ._problems import Problem, raise_problems
from ._schema import Path, Schema, Site, Tree
from ._text import MISSING

__all__ = ["chosen_by_hand", "is_plain_value", "named_texts", "sites_at", "translated", "unaliased"]


def translated(schema: Schema, overrides: Sequence[Override]) -> list[Override]:
    """Return overrides in the form in which Hydra does what they mean.

    Parameters
    ----------
    schema
        The schema of the model.
    overrides
        The parsed overrides. A choice that is only implied stands before the override that implies it,
        and has no ``input_line``.

    Raises
    ------
    InvalidConfig
        A node that cannot be None is set to None.
    """
    chosen = {override.key_or_group for override in overrides if _chooses(override)}
    result: list[Override] = []
    for override in overrides:
        for meant in _meant(schema, override, chosen):
            result.append(meant)
            chosen |= {meant.key_or_group} if _chooses(meant) else set()
    return result


def _chooses(override: Override) -> bool:
    return not override.is_delete() and not isinstance(override.value(), dict)


def _meant(schema: Schema, override: Override, chosen: set[str]) -> Iterator[Override]:
    path = key_path(override) or tuple(override.key_or_group.split("/"))
    if override.package is not None or override.is_delete() or override.is_sweep_override() or path[0] == "hydra":
        yield override
        return
    own = unaliased(schema.tree, path)
    if own != path and key_path(override) is not None:
        override, path = replace(override, key_or_group=".".join(own)), own
    value = override.value()
    sites = list(sites_at(schema.tree, path))
    for site in sites:
        choice = _choice(site, override)
        if choice is not None:
            yield choice
            return
    if sites:
        _refuse_none(schema, sites, override, path)
    entered = [_group(site, _present(site)) for site in _entered(schema.tree, path)]
    if isinstance(value, dict):
        entered += _named_by(schema.tree, path, value)
    yield from (choice for choice in entered if choice.key_or_group not in chosen)
    if isinstance(value, dict) and override.type is OverrideType.CHANGE and _is_several(schema.tree, path):
        yield replace(override, value_type=ValueType.ELEMENT, _value=None)  # Hydra would merge two models
    yield _freed(schema.tree, override, path)


def _present(site: Site) -> str:
    """Return the name of the option that is a node."""
    return next(option.name for option in site.options.values() if option.tree is not None)


def _named_by(tree: Tree, path: Path, data: Any) -> Iterator[Override]:
    """Yield the choices of members that a dict names, on the node it is assigned to and below."""
    if not isinstance(data, dict):
        return
    for site in sites_at(tree, path):
        option = site.of_text(data.get(site.shape.discriminator, ""))
        if option is not None:
            yield _group(site, option.name)
            break
    for key, item in data.items():
        yield from _named_by(tree, (*path, str(key)), item)


def unaliased(tree: Tree, path: Path) -> Path:
    """Return a path with other keys of fields replaced by those of the tree."""
    for inner, rest in _trees_along(tree, path):
        if rest[0] in inner.aliases:
            depth = len(path) - len(rest)
            return unaliased(tree, (*path[:depth], inner.aliases[rest[0]], *rest[1:]))
    return path


def is_plain_value(tree: Tree, override: Override) -> bool:
    """Whether an override of a scalar does nothing but set it: it chooses no node, and has no second meaning."""
    path = key_path(override)
    if path is None or override.package is not None or path[0] == "hydra" or unaliased(tree, path) != path:
        return False
    chooses = any(path[-1] == site.shape.discriminator for site in sites_at(tree, path[:-1]))
    return not (chooses or any(sites_at(tree, path)) or any(_entered(tree, path)))


def chosen_by_hand(schema: Schema, override: Override) -> Override | None:
    """Return the choice of a member that setting a discriminator means (``model.name=transformer``).

    Left as a value, it would keep the fields of another member.
    """
    path = key_path(override)
    if path is None or override.is_delete() or override.is_sweep_override():
        return None
    for site in sites_at(schema.tree, path[:-1]):
        option = site.of_text(override.value()) if path[-1] == site.shape.discriminator else None
        if option is not None:
            return replace(_group(site, option.name), input_line=override.input_line)
    return None


def named_texts(schema: Schema, override: Override) -> Iterator[str]:
    """Yield the text of the member that setting a discriminator names, at each site that it may be of."""
    for site in sites_at(schema.tree, (key_path(override) or ())[:-1]):
        yield site.shape.text_of(override.value())


def _choice(site: Site, override: Override) -> Override | None:
    """Return the choice of an option that assigning a value to its node means, or None."""
    value = override.value()
    if isinstance(value, dict):
        return None
    name = _option_name(site, value)
    if name is None and override.key_or_group == site.group and isinstance(value, int | float):
        name = str(override.input_line).partition("=")[2].strip()  # Hydra looks for a file of that name
    if name is None and isinstance(value, str) and value not in ("", MISSING) and "${" not in value:
        name = value  # a file's, or a mistake; Hydra knows
    if name is None or (name == value and override.key_or_group == site.group):
        return None
    return replace(_group(site, name), input_line=override.input_line)


def _option_name(site: Site, value: object) -> str | None:
    """Return the name of the option that a value stands for (a discriminator may be a number), or None."""
    if value is None:
        return next((option.name for option in site.options.values() if option.tree is None), None)
    if str(value) in site.options:
        return str(value)
    option = site.of_text(value) if str(value) in site.shape.names else None
    return option.name if option is not None else None


def _refuse_none(schema: Schema, sites: Sequence[Site], override: Override, path: Path) -> None:
    """Raise where a node that cannot be None is set to None."""
    if override.value() is None:
        names = dict.fromkeys(name for site in sites for name in site.options)
        problem = Problem(
            path=path,
            message=f"no such member; there are {', '.join(names)}",
            value="None",
            origin=f"override {override.input_line}",
        )
        raise_problems(schema.model.__name__, [problem])


def _group(site: Site, option: str) -> Override:
    return Override(OverrideType.CHANGE, site.group, ValueType.ELEMENT, option)


def _entered(tree: Tree, path: Path) -> Iterator[Site]:
    """Yield the optional nodes, None by default or without one, that a path leads into."""
    for depth in range(1, len(path)):
        for site in sites_at(tree, path[:depth]):
            default = site.options.get(site.default or "")
            if site.shape.kind == "optional" and (default is None or default.tree is None):
                yield site


def _freed(tree: Tree, override: Override, path: Path) -> Override:
    """Let an override add the last key of its path where the node takes any key."""
    if override.type is OverrideType.CHANGE and _is_free(tree, path):
        return replace(override, type=OverrideType.FORCE_ADD)
    return override


def _is_free(tree: Tree, path: Path) -> bool:
    """Whether a path leads to a key below a free dict, or to an undeclared key of a model that takes any."""
    for inner, rest in _trees_along(tree, path):
        entry = inner.entries.get(rest[0])
        if entry is None and allows_extra(inner.model):
            return True
        if entry is not None and entry.shape.kind == "value" and entry.shape.open and len(rest) > 1:
            return True
    return False


def _is_several(tree: Tree, path: Path) -> bool:
    """Whether a dict replaces what is at a path as a whole: one of several models that are no site, or a list."""
    for inner, rest in _trees_along(tree, path):
        entry = inner.entries.get(rest[0])
        if entry is not None and len(rest) == 1 and isinstance(entry.default, list):
            return True
        forms = [entry.form] if entry is not None and entry.shape.kind == "value" else []
        for key in rest[1:]:
            forms = [below for each in forms for below in each.below(key)]
        if any(len(list(classes(each.records))) > 1 for each in forms):
            return True
    return False


def sites_at(tree: Tree, path: Path) -> Iterator[Site]:
    """Yield the sites at a path, whichever members are chosen above it."""
    for inner, rest in _trees_along(tree, path):
        entry = inner.entries.get(rest[0])
        if len(rest) == 1 and entry is not None and entry.site is not None:
            yield entry.site


def _trees_along(tree: Tree, path: Path) -> Iterator[tuple[Tree, Path]]:
    """Yield every tree that a path may lead through, with the rest of the path."""
    if not path:
        return
    yield tree, path
    entry = tree.entries.get(path[0])
    if entry is None:
        return
    trees = {id(entry.shown): entry.shown} if entry.shown is not None and entry.site is None else {}
    for option in entry.site.options.values() if entry.site is not None else ():
        if option.tree is not None:
            trees[id(option.tree)] = option.tree
    for inner in trees.values():
        yield from _trees_along(inner, path[1:])
