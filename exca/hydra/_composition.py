"""Hydra's repository during one composition: the defaults lists as this composition needs them."""

from __future__ import annotations

import copy
from collections.abc import Iterator

from hydra._internal.config_repository import CachingConfigRepository
from hydra.core.default_element import ConfigDefault, DefaultsTreeNode, GroupDefault, InputDefault
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from omegaconf import DictConfig

from ._schema import Path, Schema, Site
from ._source import ModelRepository, is_generated
from ._translation import sites_at

__all__ = ["Composition"]


class Composition(CachingConfigRepository):
    """The repository of one composition.

    Parameters
    ----------
    delegate
        The repository of the app.
    schema
        The schema of the model.
    names
        The config paths of the schema.
    ours
        Whether this package's launcher and sweeper take the place of Hydra's basic ones as the default.
    """

    def __init__(self, delegate: ModelRepository, schema: Schema, names: list[str], *, ours: bool) -> None:
        super().__init__(delegate)
        self._model = delegate.model_source
        self._schema, self._names, self._ours = schema, names, ours
        self._primary: str | None = None
        self._beneath: str | None = None
        self._taken: frozenset[str] = frozenset()
        self.bare = True
        self.switched: dict[str, str] = {}
        self.left_out: dict[tuple[str | None, str | None], list[Path]] = {}

    def get_schema_source(self) -> ConfigSource:
        """Return the ConfigStore without the model, so that Hydra merges no config with one of its own name."""
        return _Without(super().get_schema_source(), self._model)

    def settle(self, primary: str, tree: DefaultsTreeNode) -> None:
        """Take note of what the user's own defaults lists say, and add what they leave out.

        Parameters
        ----------
        primary
            Path of the primary config. Unless the tree lists the schema, the schema goes beneath it.
        tree
            The defaults tree as the user wrote it.
        """
        nodes = list(_nodes(tree))
        paths = {node.get_config_path() for _, node in nodes if not node.is_virtual()}
        listed = any(self.is_generated(name) for name in self._names if name in paths)
        self._primary = primary
        self._beneath = None if listed else next(name for name in self._names if self.is_generated(name))
        self._taken = frozenset(
            node.get_override_key()
            for parent, node in nodes
            if isinstance(node, GroupDefault) and not (parent and self.is_generated(parent))
        )
        self.bare = False

    def is_generated(self, config_path: str) -> bool:
        """Whether a config is one of the model's."""
        found = super().load_config(config_path)
        return found is not None and is_generated(found.provider)

    def load_config(self, config_path: str) -> ConfigResult | None:
        """Return a config, its defaults list adapted."""
        found = super().load_config(config_path)
        if found is None or found.defaults_list is None:
            return found
        defaults = self._adapted(config_path, found)
        if defaults is not found.defaults_list:
            found = copy.copy(found)
            found.defaults_list = defaults
        return found

    def _adapted(self, config_path: str, found: ConfigResult) -> list[InputDefault]:
        defaults: list[InputDefault] = found.defaults_list or []
        if config_path == "hydra/config" and self._ours:
            return [self._with_ours(default) for default in defaults]
        if self.bare:
            return defaults
        if is_generated(found.provider):
            return list(self._with_choices(config_path.rpartition("/")[0], defaults))
        if config_path == self._primary:
            return _on_top_of(f"/{self._beneath}", defaults) if self._beneath is not None else defaults
        group, _, _ = config_path.rpartition("/")
        for site in sites_at(self._schema.tree, tuple(group.split("/"))):
            member = _member(site, found)
            listed = {default.get_name() for default in defaults if isinstance(default, ConfigDefault)}
            if member is not None and not listed & site.options.keys():
                return _on_top_of(member, defaults)
        return defaults

    def _with_ours(self, default: InputDefault) -> InputDefault:
        """Return the default launcher or sweeper: ours instead of the basic one, where it is installed."""
        if not isinstance(default, GroupDefault) or default.group not in ("launcher", "sweeper"):
            return default
        ours = default.value == "basic" and self.config_exists(f"hydra/{default.group}/exca")
        return GroupDefault(group=default.group, value="exca") if ours else default

    def _with_choices(self, group: str, defaults: list[InputDefault]) -> Iterator[InputDefault]:
        """Yield the defaults of a generated config: without what the user chose, with what was switched."""
        for default in defaults:
            if not isinstance(default, GroupDefault):
                yield default
                continue
            place = f"{group}/{default.group}" if group else str(default.group)
            if place not in self._taken:
                yield GroupDefault(group=default.group, value=self.switched.get(place, default.get_name()))


class _Without(ConfigSource):
    """A source that does not know the configs of another."""

    def __init__(self, source: ConfigSource, other: ConfigSource) -> None:
        super().__init__(source.provider, f"{self.scheme()}://{source.path}")
        self._source, self._other = source, other

    @staticmethod
    def scheme() -> str:
        return "structured"

    def load_config(self, config_path: str) -> ConfigResult:
        if self._other.is_config(config_path):
            raise ConfigLoadError(f"{config_path} is not matched with the config of its name")
        return self._source.load_config(config_path)

    def is_group(self, config_path: str) -> bool:
        return self._source.is_group(config_path)

    def is_config(self, config_path: str) -> bool:
        return self._source.is_config(config_path)

    def available(self) -> bool:
        return True

    def list(self, config_path: str, results_filter: object) -> list[str]:
        return self._source.list(config_path, results_filter)  # type: ignore[arg-type]


def _on_top_of(config_path: str, defaults: list[InputDefault]) -> list[InputDefault]:
    """Return a defaults list that starts with another config."""
    beneath: list[InputDefault] = [ConfigDefault(path=config_path)]
    if any(default.is_self() for default in defaults) or any(not default.is_override() for default in defaults):
        return beneath + defaults
    return [*beneath, ConfigDefault(path="_self_"), *defaults]


def _member(site: Site, found: ConfigResult) -> str | None:
    """Return the generated option that a user's option of the same group is a variant of."""
    node = found.config
    if found.header["package"] is not None or not isinstance(node, DictConfig) or not isinstance(node._value(), dict):
        return None
    if site.shape.kind == "infra":
        return site.default
    if site.shape.kind == "optional":
        return next(option.name for option in site.options.values() if option.tree is not None)
    tag = node._get_node(site.shape.discriminator)
    if isinstance(tag, list) or tag is None:
        keys = {str(key) for key in node}
        trees = [option for option in site.options.values() if option.tree is not None]
        texts = {option.text for option in trees if option.tree and keys <= option.tree.entries.keys()}
        option = site.of_text(*texts) if len(texts) == 1 and keys else None
        return option.name if option is not None else None
    option = site.of_text(tag._value())
    return option.name if option is not None else None


def _nodes(tree: DefaultsTreeNode, parent: str | None = None) -> Iterator[tuple[str | None, InputDefault]]:
    """Yield the elements of a defaults tree, each with the config path of the config that lists it."""
    yield parent, tree.node
    path = None if tree.node.is_virtual() else tree.node.get_config_path()
    for child in tree.children or ():
        if isinstance(child, DefaultsTreeNode):
            yield from _nodes(child, path)
        elif not child.is_self():
            yield path, child
