"""Where Hydra looks for configs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra.core.config_search_path import ConfigSearchPath

from ._source import ModelSource

__all__ = ["search_path_of"]


def search_path_of(sources: Iterable[Any]) -> ConfigSearchPath:
    """Return the search path that a composition used, from its ``hydra.runtime.config_sources``."""
    path = ConfigSearchPathImpl()
    for source in sources:
        if source.schema != ModelSource.scheme():
            path.append(str(source.provider), f"{source.schema}://{source.path}")
    return path
