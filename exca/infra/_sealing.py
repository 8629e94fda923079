"""Assignments that a config refuses once its uid is known."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from exca.errors import ConfigSealed
from exca.infra._fields import BaseInfra

__all__ = ["forget_derived", "guard_assignments"]


def guard_assignments(cls: type[BaseModel]) -> None:
    """Make a class refuse assignments to sealed configs, whichever ``__setattr__`` it defines or inherits."""
    original: Callable[[Any, str, Any], None] = cls.__setattr__
    if hasattr(original, "__exca_guard__"):
        return

    @functools.wraps(original)
    def __setattr__(self: Any, name: str, value: Any) -> None:
        fields = type(self).__pydantic_fields__
        if name in fields and not isinstance(self.__dict__.get(name), BaseInfra):
            _check_open(self, name)
        original(self, name, value)
        if name in fields:
            forget_derived(self)

    __setattr__.__exca_guard__ = True  # type: ignore[attr-defined]
    cls.__setattr__ = __setattr__  # type: ignore[method-assign]


def forget_derived(config: BaseModel) -> None:
    """Drop the values of cached properties: a copy carries along those of its original, whose fields were others."""
    fields = type(config).__pydantic_fields__
    if config.__dict__.keys() <= fields.keys():
        return
    for name in config.__dict__.keys() - fields.keys():
        if isinstance(getattr(type(config), name, None), functools.cached_property):
            del config.__dict__[name]


def _check_open(config: BaseModel, name: str) -> None:
    values = [*config.__dict__.values(), *(config.__pydantic_private__ or {}).values()]
    for infra in values:
        task = getattr(infra, "_task", None) if isinstance(infra, BaseInfra) else None
        if task is not None and task.config is config and task.sealed:
            raise ConfigSealed(
                f"{type(config).__qualname__}.{name} cannot be assigned: the uid of this config was computed. "
                f"For a changed copy: config.model_copy(update={{{name!r}: ...}}) or "
                f"config.infra.clone_obj({name}=...)."
            )
