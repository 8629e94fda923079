"""The configs of one model, where Hydra's repository looks for configs."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any, Self

from hydra._internal.config_repository import ConfigRepository
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult, ConfigSource

from ._nodes import Stored

__all__ = ["ASKED_FOR", "GENERATED", "ModelRepository", "ModelSource", "is_generated"]


GENERATED = "exca"
"""Provider of the configs that are made of models."""

ASKED_FOR = "exca.register"
"""Provider of those that the user registered in a group."""


def is_generated(provider: str | None) -> bool:
    """Whether a config of a provider is made of a model, not written by the user."""
    return provider in (GENERATED, ASKED_FOR)


class ModelSource(ConfigSource):
    """A source of generated configs.

    Unlike the ConfigStore, which is one for the process, it holds those of one model: two apps whose models
    both have a field ``model`` do not see each other's options.

    Parameters
    ----------
    path
        Import path of the model, for messages.
    configs
        Its configs.
    """

    def __init__(self, path: str, configs: Iterable[Stored]) -> None:
        super().__init__(provider=GENERATED, path=f"{self.scheme()}://{path}")
        self._configs = {stored.path: stored for stored in configs}
        self._groups = {""} | {
            group.rsplit("/", depth)[0]
            for group in {stored.group for stored in self._configs.values() if stored.group}
            for depth in range(group.count("/") + 1)
        }

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # never changes, and Hydra copies its repository for every composition

    @staticmethod
    def scheme() -> str:
        """The scheme shown in search paths: ``exca://``."""
        return "exca"

    def available(self) -> bool:
        """Whether the source can be read: always."""
        return True

    def load_config(self, config_path: str) -> ConfigResult:
        """Return a config."""
        stored = self._configs[config_path.removesuffix(".yaml")]
        header = {"package": stored.package}
        return ConfigResult(config=stored.node(), path=self.full_path(), provider=self.provider, header=header)

    def is_group(self, config_path: str) -> bool:
        """Whether there is a config group of that path."""
        return config_path.rstrip("/") in self._groups

    def is_config(self, config_path: str) -> bool:
        """Whether there is a config of that path."""
        return config_path.rstrip("/").removesuffix(".yaml") in self._configs

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Return the names of configs and groups below a group."""
        prefix = f"{config_path.rstrip('/')}/" if config_path else ""
        names: set[str] = set()
        if results_filter in (None, ObjectType.CONFIG):
            names |= {path[len(prefix) :] for path in self._configs if path.startswith(prefix)}
        if results_filter in (None, ObjectType.GROUP):
            names |= {group[len(prefix) :] for group in self._groups if group.startswith(prefix)}
        return sorted(name for name in names if name and "/" not in name)


class ModelRepository(ConfigRepository):
    """Hydra's repository, with the source of a model behind the files and before the ConfigStore.

    Parameters
    ----------
    config_search_path
        Where Hydra looks for configs.
    source
        The configs of the model.
    values
        Keys of the model that are values: options that another model registered under such a name are not its own.
    """

    def __init__(self, config_search_path: ConfigSearchPath, source: ModelSource, values: Container[str] = ()) -> None:
        self.model_source = source
        self._values = values
        super().__init__(config_search_path)

    def group_exists(self, config_path: str) -> bool:
        """Whether there is a config group of that path."""
        if config_path not in self._values:
            return bool(super().group_exists(config_path))
        options = ConfigStore.instance().repo.get(config_path, {})
        others = [each for each in self.sources if each.scheme() != "structured"]
        return any(each.is_group(config_path) for each in others) or any(map(_is_users, options.values()))

    def initialize_sources(self, config_search_path: ConfigSearchPath) -> None:
        """Set up the sources of a search path, and the model's."""
        super().initialize_sources(config_search_path)
        self.sources.insert(len(self.sources) - 1, self.model_source)


def _is_users(node: Any) -> bool:
    """Whether what the ConfigStore holds was put there by the user, at any depth."""
    if isinstance(node, dict):
        return any(map(_is_users, node.values()))
    return bool(node.provider != GENERATED)
