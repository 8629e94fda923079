"""Models in Hydra's ConfigStore."""

from __future__ import annotations

import re

from hydra.core.config_store import ConfigStore
from pydantic import BaseModel

from ._builder import schema_of
from ._nodes import Stored, stored_configs
from ._source import ASKED_FOR, GENERATED

__all__ = ["default_name", "register", "registered_names"]

_names: dict[type[BaseModel], dict[str, None]] = {}


def register(model: type[BaseModel], name: str | None = None, *, group: str | None = None) -> None:
    """Put a model in Hydra's ``ConfigStore``, for ``defaults: [<name>, _self_]`` in YAML.

    The schema holds every default as plain data, ``???`` where a field is required. Each discriminated
    union becomes a config group at the path of its field, with one option per member
    (``model=transformer``); each infra field a group of presets (``infra=inline|local|slurm|debug``);
    each optional model a group with the options ``none`` and ``default``.

    Parameters
    ----------
    model
        The experiment.
    name
        Name of the config; by default the class name in snake case (``MyExperiment``: ``my_experiment``).
    group
        Config group to put it in (``task``, ``task/vision``).

    Raises
    ------
    InvalidConfig
        A field has a name that Hydra keeps for itself (``defaults``, ``hydra``).

    Examples
    --------
    >>> class Experiment(BaseModel):
    ...     lr: float = 0.1
    >>> register(Experiment, name="experiment")
    """
    name = name or default_name(model)
    for stored in stored_configs(schema_of(model), name, group):
        _store(stored, asked_for=stored.name == name and stored.group == group)
    _names.setdefault(model, {})[f"{group}/{name}" if group else name] = None


def registered_names(model: type[BaseModel]) -> list[str]:
    """Return the config paths under which a model was registered."""
    return list(_names.get(model, ()))


def default_name(model: type[BaseModel]) -> str:
    """Return the name of a model's schema: its class name in snake case."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", model.__name__).lower()


def _store(stored: Stored, *, asked_for: bool) -> None:
    provider = ASKED_FOR if asked_for and stored.group else GENERATED
    ConfigStore.instance().store(
        name=stored.name, node=stored.node(), group=stored.group, package=stored.package, provider=provider
    )
