"""Formats that users wrote for types of their own, or of other libraries."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, Final

from exca.cachedict._formats._classes import class_path, full_name

__all__ = ["OwnFormat", "format_called", "format_of", "register", "registered_class", "registered_names"]


@dataclass(frozen=True)
class OwnFormat:
    """A class with hooks.

    Attributes
    ----------
    hooks: has ``__dump_info__`` and ``__load_from_info__``, and ``__delete_info__`` if there is more to delete.
    external: whether the hooks are for values of other classes: ``__dump_info__(cls, ctx, value)``.
    """

    hooks: type[Any]
    external: bool


def register(hooks: type[Any], *, name: str | None, default_for: type | None, reserved: frozenset[str]) -> None:
    """Add a format.

    Raises
    ------
    TypeError
        if the class lacks a hook or has one of another kind than it should.
    ValueError
        if the name is that of a format that comes with the package.
    """
    external = _check_hooks(hooks)
    name = hooks.__name__ if name is None else name
    if name in reserved:
        raise ValueError(
            f"{name!r} is the name of a format that comes with exca: give yours another, register(name=...)"
        )
    if not external:
        default_for = hooks
    elif default_for is not None and default_for in _NEVER:
        raise TypeError(f"no format can be the default for {full_name(default_for)}: it would replace those of exca")
    found = OwnFormat(hooks, external)
    _BY_NAME[name] = found
    _BY_PATH[class_path(hooks)] = hooks
    if default_for is not None:
        _BY_TYPE[default_for] = found
        _RESOLVED.clear()


def format_of(kind: type) -> OwnFormat | None:
    """The format registered for a type or, nearest first, for one it inherits from."""
    if not _BY_TYPE:
        return None
    try:
        return _RESOLVED[kind]
    except KeyError:
        found = next((_BY_TYPE[parent] for parent in kind.__mro__ if parent in _BY_TYPE), None)
        _RESOLVED[kind] = found
        return found


def format_called(name: str) -> OwnFormat | None:
    """The format registered under a name."""
    return _BY_NAME.get(name)


def registered_class(path: str) -> type[Any] | None:
    """The class with hooks that `class_path` gives that path; None if it is not registered in this process."""
    return _BY_PATH.get(path)


def registered_names() -> list[str]:
    """What `cache_type` accepts beside the formats that come with the package."""
    return sorted(_BY_NAME)


def _check_hooks(hooks: type[Any]) -> bool:
    """Return whether the hooks are for values of other classes."""
    found = {name: inspect.getattr_static(hooks, name, None) for name in _HOOKS}
    for name in _HOOKS[:2]:
        if found[name] is None:
            raise TypeError(f"{full_name(hooks)} has no {name}: a registered class needs {_HOOKS[0]} and {_HOOKS[1]}")
    for name in _HOOKS[1:]:
        if found[name] is not None and not isinstance(found[name], classmethod | staticmethod):
            raise TypeError(
                f"{full_name(hooks)}.{name} must be a classmethod (cls, ctx, **info): there is no value yet"
            )
    return isinstance(found[_HOOKS[0]], classmethod | staticmethod)


_HOOKS: Final = ("__dump_info__", "__load_from_info__", "__delete_info__")
_NEVER: Final = frozenset({object, str, bool, int, float, type(None), list, dict, tuple, set, frozenset, bytes})
_BY_TYPE: dict[type, OwnFormat] = {}
_BY_NAME: dict[str, OwnFormat] = {}
_BY_PATH: dict[str, type[Any]] = {}
_RESOLVED: dict[type, OwnFormat | None] = {}
