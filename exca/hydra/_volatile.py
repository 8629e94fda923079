"""Values that differ in every run, where they make a new computation of every run."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from pydantic import BaseModel

from exca.errors import ExcaError
from exca.identity import export
from exca.infra import BaseInfra

from ._plain import Where, references

__all__ = ["VolatileValueWarning", "consequence", "is_volatile", "warn_of_volatile"]

_VOLATILE = re.compile(r"\$\{\s*(now|hydra)\s*:(?!runtime\.choices|job\.name|job\.config_name)")


def is_volatile(text: str) -> bool:
    """Whether an interpolation takes its value from the run."""
    return _VOLATILE.search(text) is not None


def consequence(text: str) -> str:
    """Say which runs do not find a result whose uid holds such a value."""
    everywhere = _VOLATILE.search(text.replace("hydra:runtime.cwd", ""))
    return "no run finds the result of another" if everywhere else "only runs started in this folder find the result"


class VolatileValueWarning(UserWarning):
    """A field that belongs to the identity of a config takes its value from the run."""


_warned: set[tuple[type, Where]] = set()


def warn_of_volatile(data: Mapping[str, Any], config: BaseModel) -> None:
    """Warn once of every field that makes each run a new computation.

    Parameters
    ----------
    data
        Plain data of the config, interpolations as text.
    config
        What it became.
    """
    found = {path: text for path, text in references(data) if is_volatile(text)}
    news = {path: text for path, text in found.items() if (type(config), path) not in _warned}
    identities = _identities(config) if news else []
    for path, text in news.items():
        if any(_holds(identity, path) for identity in identities):
            _warned.add((type(config), path))
            name = ".".join(map(str, path))
            warnings.warn(
                f"{type(config).__name__}.{name} is {text}: a value of the run is part of the uid, so "
                f"{consequence(text)}. Give it a fixed value, or leave the field out of the uid "
                "(exclude_from_cache_uid, or _exclude_from_cls_uid on its class).",
                VolatileValueWarning,
                stacklevel=2,
            )


def _identities(config: BaseModel) -> list[Mapping[str, Any]]:
    """Return what the uids of a config are made of: one for each infra, or that of the model."""
    infras = [value for name in type(config).model_fields if isinstance(value := getattr(config, name), BaseInfra)]
    found: list[Mapping[str, Any]] = []
    for infra in infras:
        config_of = getattr(infra, "config", None)  # an infra that caches nothing has no uid
        with suppress(ExcaError):  # nor has one that is applied to no method
            found += [config_of(uid=True)] if config_of is not None else []
    return found or [export(config, uid=True)]


def _holds(data: Any, path: Where) -> bool:
    for key in path:
        try:
            data = data[key]
        except (LookupError, TypeError):
            return False
    return True
