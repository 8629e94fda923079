"""The data of points that only set values, without composing a config for each.

Most points of a sweep set a number or a word that the config has already. What the rest of their config is made
of is composed once for each set of choices; a point is a copy of that as plain data, its own values put in.
Whatever is not that simple, or turns out to be wrong, goes the long way, which says what Hydra would say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.types import Override
from hydra.core.utils import env_override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from exca.errors import InvalidConfig

from ._cloning import clone
from ._composer import Composer, written_texts
from ._parsing import key_path, parse
from ._plain import plain, references, unresolved
from ._problems import Problem
from ._schema import Path, Schema
from ._secrets import is_word, reveal
from ._text import MISSING
from ._translation import is_plain_value
from ._variables import variables_of

__all__ = ["Shortcut"]

_Values = list[tuple[Path, Any]]
_VARIABLES = "hydra.job.env_set"


@dataclass(frozen=True, slots=True)
class _Base:
    """What points that choose alike have in common.

    Parameters
    ----------
    data
        Plain data of the job config, interpolations as text.
    special
        The texts in it that stand for something else, by path.
    config
        The job config without the ``hydra`` node, where something in it is to be resolved.
    variables
        What ``hydra.job.env_set`` gives the jobs.
    """

    data: dict[str, Any]
    special: Mapping[Path, str]
    config: DictConfig | None
    variables: dict[str, str]


class Shortcut:
    """Finds the data of points.

    Parameters
    ----------
    composer
        Composes the configs of a model.
    master
        The config of the sweep as a whole.
    schema
        The schema of the model.
    """

    def __init__(self, composer: Composer, master: DictConfig, schema: Schema) -> None:
        self._composer, self._schema, self._master = composer, schema, master
        self._name = master.hydra.job.config_name
        self._common = tuple(written_texts(master.hydra.overrides.hydra))
        self._bases: dict[tuple[str, ...], _Base | None] = {}
        self._keys: dict[str, bool] = {}

    def point(self, overrides: Sequence[str]) -> tuple[dict[str, Any], dict[str, str]] | None:
        """Return the plain data of a point, secrets included, and its variables; None where it is to be composed."""
        values: _Values = []
        rest: list[str] = []
        for text, override in zip(overrides, parse(overrides), strict=True):
            value = self._value(override)
            if value is None:
                rest.append(text)
            else:
                values.append(value)
        choices = (*self._common, *rest)
        if choices not in self._bases:
            self._bases[choices] = self._base(choices)
        base = self._bases[choices]
        if base is None or not all(_has(base.data, path) for path, _ in values):
            return None
        with env_override(base.variables):
            data = _put(base, values)
        return None if data is None else (data, base.variables)

    def _value(self, override: Override) -> tuple[Path, Any] | None:
        """Return where an override puts which value, if that is all it does."""
        key = override.key_or_group
        known = self._keys.get(key)
        if known is None:
            known = self._keys[key] = is_plain_value(self._schema.tree, override) and not self._composer.is_group(key)
        if not known or not override.type.name.endswith("CHANGE") or override.is_sweep_override():
            return None
        value = override.value()
        if isinstance(value, dict) or any(not is_word(text) for _, text in references(value)):
            return None
        path = key_path(override)
        return (path, reveal(value)) if path is not None else None

    def _base(self, texts: Sequence[str]) -> _Base | None:
        """Compose what points with the same choices have in common; None where it depends on the point."""
        try:
            choices, values = self._composer.split(parse(texts))
            if any(not override.is_hydra_override() for override in values):
                return None
            settings = [str(override.input_line) for override in values if _sets_variables(override)]
            config = self._composer.compose(self._name, [*choices, *settings], RunMode.RUN)
            if any("${" in str(item) for _, item in config.hydra.job.env_set.items_ex(resolve=False)):
                return None  # of the point
            variables = variables_of(config)
        except (HydraException, OmegaConfBaseException, InvalidConfig):
            return None  # the long way says why
        data = unresolved(config)
        special: dict[Path, str] = {tuple(map(str, path)): text for path, text in references(data)}
        if any("hydra" in text or "now" in text for text in special.values()):
            return None  # values that each run has its own of
        if not any(text != MISSING for text in special.values()):
            return _Base(data, special, None, variables)
        with open_dict(config):
            config.pop("hydra")
        OmegaConf.copy_cache(from_config=self._master, to_config=config)
        return _Base(data, special, config, variables)


def _sets_variables(override: Override) -> bool:
    key = override.key_or_group
    return f"{_VARIABLES}.".startswith(f"{key}.") or key.startswith(f"{_VARIABLES}.")


def _put(base: _Base, values: _Values) -> dict[str, Any] | None:
    """Return the data of a base with values put in; None where something is still to be set or resolved."""
    left = [path for path in base.special if not any(path[: len(own)] == own for own, _ in values)]
    if not left:
        return _copied(base.data, values)
    if base.config is None:
        return None
    config = clone(base.config)
    OmegaConf.copy_cache(from_config=base.config, to_config=config)
    for path, value in values:
        OmegaConf.update(config, ".".join(path), value, merge=True)
    problems: list[Problem] = []
    data = plain(config, problems)
    return None if problems else data


def _copied(data: dict[str, Any], values: _Values) -> dict[str, Any]:
    """Return data with values put in; what is above them is copied, the rest is shared."""
    copied: dict[Path, dict[str, Any]] = {(): dict(data)}
    for path, value in values:
        node = copied[()]
        for depth in range(1, len(path)):
            above = path[:depth]
            if above not in copied:
                copied[above] = node[path[depth - 1]] = dict(node[path[depth - 1]])
            node = copied[above]
        node[path[-1]] = value
    return copied[()]


def _has(data: Any, path: Path) -> bool:
    """Whether data has a value, no node, at a path."""
    for key in path:
        if not isinstance(data, dict) or key not in data:
            return False
        data = data[key]
    return not isinstance(data, dict)
