"""A composed config becomes an instance of the model, or the full list of what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from pydantic import BaseModel, ValidationError

from ._builder import schema_of
from ._loader import ModelLoader
from ._origins import Origins
from ._plain import plain, unresolved
from ._problems import Problem, raise_problems
from ._pydantic_errors import problems_of
from ._reading import changes
from ._schema import Schema
from ._searching import search_path_of
from ._volatile import warn_of_volatile

__all__ = ["read", "to_model"]

M = TypeVar("M", bound=BaseModel)


def to_model(cfg: DictConfig, model: type[M]) -> M:
    """Build the model that a composed config describes.

    Interpolations are resolved, and the ``hydra`` node is left out.

    Parameters
    ----------
    cfg
        A config composed by Hydra, in an app or by ``hydra.compose``; or any config of the model's fields.
    model
        The experiment.

    Raises
    ------
    InvalidConfig
        Listing every problem: values that pydantic refuses, keys that no class declares, values still
        to be set (``???``), interpolations that lead nowhere. Its ``problems`` are `Problem` objects.

    Examples
    --------
    >>> from omegaconf import OmegaConf
    >>> class Experiment(BaseModel):
    ...     lr: float = 0.1
    >>> to_model(OmegaConf.create({"lr": 0.5}), Experiment)
    Experiment(lr=0.5)
    """
    config, problems = read(cfg, schema_of(model))
    if problems:
        raise_problems(model.__name__, _with_origins(cfg, model, problems))
    assert isinstance(config, model)
    return config


def read(cfg: DictConfig, schema: Schema) -> tuple[BaseModel | None, list[Problem]]:
    """Return the model of a config, or None and what is wrong (origins not yet looked for)."""
    problems: list[Problem] = []
    data = plain(cfg, problems)
    changed = changes(schema, data, problems)
    config = None
    try:
        config = schema.model.model_validate(changed)
    except ValidationError as error:
        known = {problem.path for problem in problems}
        for problem in problems_of(error, schema, changed):
            if not any(problem.path[: len(path)] == path for path in known):
                problems.append(problem)
    if config is not None and not problems:
        warn_of_volatile(unresolved(cfg), config)
        return config, problems
    return None, problems


def _with_origins(cfg: DictConfig, model: type[BaseModel], problems: Sequence[Problem]) -> list[Problem]:
    """Return problems with the origins that Hydra's records of the composition allow to find."""
    records = cfg if "hydra" in cfg else HydraConfig.instance().cfg
    if records is None:
        return list(problems)
    hydra = records.hydra
    loader = ModelLoader(search_path_of(hydra.runtime.config_sources), model)
    origins = Origins(loader, hydra.job.config_name)
    overrides = [str(text) for text in [*hydra.overrides.hydra, *hydra.overrides.task]]
    return [origins.complete(problem, overrides) for problem in problems]
