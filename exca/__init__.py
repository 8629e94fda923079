"""Configured, cached, distributed experiments: a pydantic model, one decorated method, one result for each uid."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from exca import cachedict, errors, helpers
from exca._version import __version__
from exca.identity import ConfDict
from exca.infra import MapInfra, SubmitInfra, TaskInfra

if TYPE_CHECKING:
    from exca import hydra

__all__ = [
    "ConfDict",
    "MapInfra",
    "SubmitInfra",
    "TaskInfra",
    "__version__",
    "cachedict",
    "errors",
    "helpers",
    "hydra",
]


def __getattr__(name: str) -> Any:
    # Hydra takes a third of a second to import, and most users of the cache do not need it.
    if name == "hydra":
        return importlib.import_module("exca.hydra")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
