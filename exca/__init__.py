"""Configured, cached, distributed experiments: a pydantic model, one decorated method, one result for each uid."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from exca._version import __version__

if TYPE_CHECKING:
    from exca import cachedict, errors, helpers, hydra
    from exca.identity import ConfDict
    from exca.infra import MapInfra, SubmitInfra, TaskInfra

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

# Each is imported when it is first asked for (PEP 562): whoever caches tasks does not wait for the maps' segments, nor
# `exca --help` for pydantic.
_HOMES: Final = {
    "ConfDict": "exca.identity",
    "MapInfra": "exca.infra",
    "SubmitInfra": "exca.infra",
    "TaskInfra": "exca.infra",
}
_ROOMS: Final = frozenset(
    ("cachedict", "errors", "execution", "helpers", "hydra", "identity", "infra", "map", "store", "task")
)


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"exca.{name}")  # which makes it an attribute
    if name in _HOMES:
        value = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
