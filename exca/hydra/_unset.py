"""Values that a file says must still be set (``seed: ???``), over a default that the model has.

OmegaConf drops a ``???`` that is merged over a value, so the default would run although somebody wrote that it
must not. While files are merged, such a value is a text that nothing drops.
"""

from __future__ import annotations

import copy

from hydra.plugins.config_source import ConfigResult
from omegaconf import AnyNode, DictConfig, Node

from ._text import MISSING

__all__ = ["marked", "unmark"]

_MARK = "<still to be set>"


def marked(result: ConfigResult) -> ConfigResult:
    """Return a file's config with its ``???`` marked; other configs, and the ``hydra`` node, as they are.

    A structured config with missing fields is a schema, and says nothing about values.
    """
    if not str(result.path).startswith(("file:", "pkg:")) or not _replace(result.config, MISSING, MISSING):
        return result
    result = copy.copy(result)
    result.config = copy.deepcopy(result.config)
    _replace(result.config, MISSING, _MARK)
    return result


def unmark(cfg: DictConfig) -> None:
    """Turn the marks that are left after merging into ``???``."""
    _replace(cfg, _MARK, MISSING)


def _replace(cfg: Node, old: str, new: str) -> bool:
    """Replace a text below a config, the ``hydra`` node excepted; return whether it was found."""
    content = cfg._value() if isinstance(cfg, DictConfig) else None
    found = False
    for key, node in content.items() if isinstance(content, dict) else ():
        if isinstance(node, AnyNode) and node._value() == old:
            node._set_value(new)
            found = True
        elif isinstance(node, DictConfig) and key != "hydra":
            found = _replace(node, old, new) or found
    return found
