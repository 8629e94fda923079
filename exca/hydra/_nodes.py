"""The configs that a model's tree is to Hydra: one for the schema, one per option of every site."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

from omegaconf import DictConfig, OmegaConf

from exca.errors import InvalidConfig

from ._cloning import clone
from ._schema import Option, Path, Schema, Site, Tree
from ._text import MISSING

__all__ = ["Stored", "stored_configs"]


@dataclass(frozen=True, slots=True)
class Stored:
    """One config of Hydra's repository.

    Parameters
    ----------
    group, name
        Where it is found; ``group`` is None at the top.
    package
        Where its values go; None for the place that the group names.
    config
        The node, of which each reader gets a copy.
    """

    group: str | None
    name: str
    package: str | None
    config: DictConfig

    @property
    def path(self) -> str:
        """The config path: group and name."""
        return f"{self.group}/{self.name}" if self.group else self.name

    def node(self) -> DictConfig:
        """Return a copy of the node."""
        return clone(self.config)


_known: WeakKeyDictionary[Schema, dict[str | None, dict[str, Stored]]] = WeakKeyDictionary()


def stored_configs(schema: Schema, name: str, group: str | None = None) -> Iterator[Stored]:
    """Yield the configs of a schema: the schema itself under ``name``, then every option.

    Parameters
    ----------
    schema
        The schema.
    name, group
        Where the schema is found. Its groups stand below ``group``.
    """
    known = _known.setdefault(schema, {})
    if group not in known:
        _check_names(schema)
        options = [_stored_option(site, o, group) for site in _all_sites(schema.tree) for o in site.options.values()]
        known[group] = {stored.path: stored for stored in options}
        known[group][""] = Stored(group, "", None, _node(schema.tree.content(), schema.tree, ""))
    yield from (replace(stored, name=stored.name or name) for stored in known[group].values())


def _stored_option(site: Site, option: Option, above: str | None) -> Stored:
    group = f"{above}/{site.group}" if above else site.group
    if option.tree is None:
        path = group.split("/")
        values: dict[str, Any] = {path[-1]: None}
        for key in reversed(path[:-1]):
            values = {key: values}
        return Stored(group, option.name, "_global_", OmegaConf.create(values))
    return Stored(group, option.name, None, _node(option.content(), option.tree, site.group))


def _all_sites(tree: Tree) -> Iterator[Site]:
    for _, site in tree.sites():
        yield site
        for option in site.options.values():
            if option.tree is not None:
                yield from _all_sites(option.tree)


def _node(values: dict[str, Any], tree: Tree, place: str) -> DictConfig:
    """Return the node of a tree with its defaults list, its free dicts open."""
    node = OmegaConf.create(values)
    for path, free in tree.freedom():
        OmegaConf.set_struct(_at(node, path), not free)
    prefix = len(place) + 1 if place else 0
    defaults: list[Any] = [{site.group[prefix:]: site.default or MISSING} for _, site in tree.sites()]
    if defaults:
        node["defaults"] = ["_self_", *defaults]
    return node


def _at(node: DictConfig, path: Path) -> DictConfig:
    for key in path:
        node = node[key]
    return node


def _check_names(schema: Schema) -> None:
    """Refuse the two keys that mean something else to Hydra."""
    trees = [schema.tree, *(o.tree for s in _all_sites(schema.tree) for o in s.options.values() if o.tree)]
    for tree in trees:
        if "defaults" in tree.entries:
            raise InvalidConfig(
                f"{tree.model.__name__}.defaults: Hydra reads the key 'defaults' of a config as its defaults list. "
                "Rename the field, or give it an alias."
            )
    if "hydra" in schema.tree.entries:
        raise InvalidConfig(
            f"{schema.model.__name__}.hydra: the key 'hydra' of a config is Hydra's own. Rename the field, or give "
            "it an alias."
        )
