"""Configs from what was written down beside their results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from exca.errors import ConfigError, CorruptResult, UnstableIdentity
from exca.identity import identify, load_yaml
from exca.infra._binding import computation_of
from exca.infra._cloning import carry_private
from exca.store import Entry
from exca.task import Computation

__all__ = ["has_value", "rebuilt"]


def has_value(entry: Entry) -> bool:
    """Whether there is a value, or was one before it was damaged."""
    try:
        outcome = entry.outcome()
    except CorruptResult:
        return True
    return outcome is not None and outcome.status == "completed"


def rebuilt(task: Computation, settings: Mapping[str, Any], entry: Entry) -> BaseModel | None:
    """The config that was computed there; None if what is built from its manifest would not find this place.

    Parameters
    ----------
    task: a computation of a config of the same class, whose private infras are taken over.
    settings: fields of the infra.
    entry: where the value is.
    """
    text, field = entry.read_note("config.yaml"), task.method.field
    if text is None:
        return None
    try:
        entry.outcome()
        data = load_yaml(text)
        data.pop(field, None)
        if not field.startswith("_"):
            data[field] = dict(settings)
        config = type(task.config).model_validate(data)
        carry_private(task.config, config)
        # Not by its own task: whoever gets the config may still assign its fields.
        name = identify(config, exclude=computation_of(config, field).excluded).name
    except (ValidationError, CorruptResult, ConfigError, UnstableIdentity):
        return None
    return config if entry.path is None or entry.path.name == name else None
