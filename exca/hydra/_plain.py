"""A composed config as plain data: interpolations resolved, values still to be set found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import Container, DictConfig, Node, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError, OmegaConfBaseException

from ._problems import Problem
from ._secrets import is_word, reveal
from ._text import MISSING, from_literal

__all__ = ["Missing", "Where", "plain", "references", "unresolved"]

Where = tuple[str | int, ...]
"""Keys and indices from the root of a config to a value."""


class Missing:
    """Stands where a value must still be set, since a text ``???`` can be a value.

    Parameters
    ----------
    reported
        Whether the reason why there is no value is among the problems already.
    """

    def __init__(self, *, reported: bool) -> None:
        self.reported = reported

    def __repr__(self) -> str:
        return MISSING


_MISSING = Missing(reported=False)
_UNRESOLVED = Missing(reported=True)


def plain(cfg: DictConfig, problems: list[Problem]) -> dict[str, Any]:
    """Return the job config of a composed config as plain data.

    Parameters
    ----------
    cfg
        The config; its ``hydra`` node is left out, and is what ``${hydra:...}`` refers to.
    problems
        Interpolations that cannot be resolved are appended.
    """
    data = unresolved(cfg)
    special = list(references(data))
    if special:
        with _hydra_node(cfg):
            for path, text in special:
                _set(data, path, _resolved(cfg, path, text, problems))
    return data


def unresolved(cfg: DictConfig) -> dict[str, Any]:
    """Return the job config as plain data, interpolations as text."""
    content = cfg._value()
    return {key: _raw(node) for key, node in content.items() if key != "hydra"}


def references(data: Any, path: Where = ()) -> Iterator[tuple[Where, str]]:
    """Yield every text that stands for something else, ``???``, ``${...}`` and secrets, with its path."""
    if isinstance(data, dict):
        for key, item in data.items():
            if type(item) in (str, dict, list):
                yield from references(item, (*path, key))
    elif isinstance(data, list):
        for index, item in enumerate(data):
            yield from references(item, (*path, index))
    elif isinstance(data, str) and (data == MISSING or "${" in data or is_word(data)):
        yield path, data


def _raw(node: Any) -> Any:
    value = node._value()
    if isinstance(value, dict):
        return {key: _raw(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_raw(item) for item in value]
    return _raw(value) if isinstance(value, Node) else value


def _resolved(cfg: DictConfig, path: Where, text: str, problems: list[Problem]) -> Any:
    """Return the value that a text stands for; a ``Missing`` where there is none."""
    if text == MISSING:
        return _MISSING
    known = from_literal(text)
    if known is not None:
        return known[0]
    if "${" not in text:
        return reveal(text)
    node: Any = cfg
    try:
        for key in path:
            node = node[key]
        return reveal(OmegaConf.to_container(node, resolve=True) if isinstance(node, Container) else node)
    except InterpolationToMissingValueError:
        return _MISSING
    except OmegaConfBaseException as error:
        reason = str(error).splitlines()[0]
        problems.append(Problem(path, f"cannot be resolved: {reason}", value=text))
        return _UNRESOLVED


def _set(data: Any, path: Where, value: Any) -> None:
    for key in path[:-1]:
        data = data[key]
    data[path[-1]] = value


@contextmanager
def _hydra_node(cfg: DictConfig) -> Iterator[None]:
    """Let ``${hydra:...}`` refer to the config at hand, inside and outside of running apps."""
    holder: Any = HydraConfig.instance()  # typed as the hydra node alone, and given the whole config by Hydra
    before = holder.cfg
    if "hydra" in cfg:
        holder.cfg = cfg
    try:
        yield
    finally:
        holder.cfg = before
