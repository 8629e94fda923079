"""Where relative cache folders start: where the app was started, also if Hydra moves its jobs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel

from exca.infra import BaseInfra

__all__ = ["anchor_folders"]


def anchor_folders(config: BaseModel, start: Path) -> None:
    """Make the folders of all infras of a config absolute, those of nested configs too.

    Parameters
    ----------
    config: the model, before it is sealed.
    start: the folder in which the app was started (``hydra.runtime.cwd``).
    """
    for infra in _infras(config):
        if infra.folder is not None and not infra.folder.expanduser().is_absolute():
            infra.folder = start / infra.folder


def _infras(value: object) -> Iterator[BaseInfra]:
    if isinstance(value, BaseInfra):
        yield value
    elif isinstance(value, BaseModel):
        for item in [*value.__dict__.values(), *(value.__pydantic_private__ or {}).values()]:
            yield from _infras(item)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from _infras(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _infras(item)
