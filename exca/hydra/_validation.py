"""A composed config becomes an instance of the model, or the full list of what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import env_override
from omegaconf import DictConfig
from pydantic import BaseModel, ValidationError

from ._builder import schema_of
from ._composer import written_texts
from ._guard import Guard
from ._loader import ModelLoader
from ._origins import Origins
from ._plain import plain, unresolved
from ._problems import Problem, raise_problems
from ._pydantic_errors import problems_of
from ._reading import changes
from ._schema import Schema
from ._searching import search_path_of
from ._validating import validated
from ._variables import variables_of
from ._volatile import warn_of_volatile

__all__ = ["Finder", "built", "check", "model_of", "read", "to_model", "validate_points"]

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
    config = built(cfg, model)
    raise_problems(model.__name__, list(_dropped(cfg, model)))
    return config


def built(cfg: DictConfig, model: type[M]) -> M:
    """Build the model of a config that was composed with the model's own loader."""
    config, problems = read(cfg, schema_of(model))
    if problems:
        raise_problems(model.__name__, _with_origins(cfg, model, problems))
    assert isinstance(config, model)
    return config


def _dropped(cfg: DictConfig, model: type[BaseModel]) -> Iterator[Problem]:
    """Yield the values that a file says must be set, where the default runs because Hydra dropped the ``???``.

    OmegaConf merges no ``???`` over a value. Our own loader keeps it; a plain app is composed without that.
    """
    records: Any = cfg if "hydra" in cfg else HydraConfig.instance().cfg
    whole = cfg._get_parent() is None and {*schema_of(model).tree.entries} <= {*cfg}  # not a part, nor made by hand
    if whole and records is not None and records.hydra.job.config_name is not None:
        sources = tuple((each.provider, each.schema, each.path) for each in records.hydra.runtime.config_sources)
        key = (model, records.hydra.job.config_name, sources)
        if key not in _origins:
            _origins[key] = _origins_of(records, model)
        yield from _origins[key].unset(_override_texts(records))


_origins: dict[tuple[object, ...], Origins] = {}


def read(cfg: DictConfig, schema: Schema) -> tuple[BaseModel | None, list[Problem]]:
    """Return the model of a config, or None and what is wrong (origins not yet looked for)."""
    problems: list[Problem] = []
    with env_override(variables_of(cfg)):
        data = plain(cfg, problems)
    changed = changes(schema, data, problems)
    config = None
    try:
        config = validated(schema.model, changed)
    except ValidationError as error:
        known = {problem.path for problem in problems}
        for problem in problems_of(error, schema, changed):
            if not any(problem.path[: len(path)] == path for path in known):
                problems.append(problem)
    if config is not None and not problems:
        warn_of_volatile(unresolved(cfg), config)
        return config, problems
    return None, problems


def model_of(data: dict[str, Any], schema: Schema) -> BaseModel | None:
    """Return the model of plain data, or None where anything is wrong with it."""
    problems: list[Problem] = []
    changed = changes(schema, data, problems)
    try:
        return None if problems else validated(schema.model, changed)
    except ValidationError:
        return None


def check(cfg: DictConfig, loader: ModelLoader) -> None:
    """Raise the full list of problems of a config that is about to be run."""
    _, problems = read(cfg, loader.schema)
    if problems:
        origins = Origins(loader, cfg.hydra.job.config_name)
        found = [origins.complete(problem, _override_texts(cfg)) for problem in problems]
        raise_problems(loader.schema.model.__name__, found)


def validate_points(
    configs: Sequence[DictConfig], model: type[M], overrides: Sequence[Sequence[str]], *, first: int = 0
) -> list[M]:
    """Build the models of points that are composed already.

    Parameters
    ----------
    configs
        The composed config of each point, with its ``hydra`` node.
    model
        The experiment.
    overrides
        What the message shows of each point.
    first
        Number of the first point.

    Raises
    ------
    InvalidConfig
        Listing every problem of every point.
    """
    finder, guard = Finder(model), Guard(schema_of(model))
    models: list[Any] = []
    problems: list[Problem] = []
    for number, (cfg, texts) in enumerate(zip(configs, overrides, strict=True), first):
        config, found = read(cfg, schema_of(model))
        models.append(config)
        problems += [problem.at(number, guard.overrides(texts)) for problem in finder.complete(found, cfg)]
    raise_problems(model.__name__, problems, points=len(configs))
    return models


class Finder:
    """Finds origins; the files behind a sweep are read once."""

    def __init__(self, model: type[BaseModel]) -> None:
        self._model = model
        self._origins: Origins | None = None

    def complete(self, problems: Sequence[Problem], cfg: DictConfig) -> Iterator[Problem]:
        """Yield problems of a composed config with their origins."""
        for problem in problems:
            if self._origins is None:
                self._origins = _origins_of(cfg, self._model)
            yield self._origins.complete(problem, _override_texts(cfg))


def _with_origins(cfg: DictConfig, model: type[BaseModel], problems: Sequence[Problem]) -> list[Problem]:
    """Return problems with the origins that Hydra's records of the composition allow to find."""
    records: Any = cfg if "hydra" in cfg else HydraConfig.instance().cfg
    if records is None:
        return list(problems)
    origins = _origins_of(records, model)
    return [origins.complete(problem, _override_texts(records)) for problem in problems]


def _origins_of(cfg: DictConfig, model: type[BaseModel]) -> Origins:
    """Return a finder of origins, from Hydra's records of a composition."""
    loader = ModelLoader(search_path_of(cfg.hydra.runtime.config_sources), model)
    return Origins(loader, cfg.hydra.job.config_name)


def _override_texts(cfg: DictConfig) -> list[str]:
    """Return the overrides that a config was composed with."""
    overrides = cfg.hydra.overrides
    return [*written_texts(overrides.hydra), *written_texts(overrides.task)]
