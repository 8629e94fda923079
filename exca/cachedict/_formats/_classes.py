"""Values that are a class and its parts (enum members, dataclasses, named tuples); the class by its import path."""

from __future__ import annotations

import dataclasses
import enum
import functools
import importlib
import sys
from collections.abc import Callable
from typing import Any, Final

from exca.errors import CorruptResult
from exca.main_module import main_name

__all__ = ["class_path", "decode_instance", "encode_instance", "find_class", "full_name", "is_instance_tag"]

Json = Any  # what the json module reads and writes
_SCRIPT: Final = ("__main__", "__mp_main__")


def full_name(kind: type) -> str:
    """The name of a class for people."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def class_path(kind: type) -> str:
    """``"module:Class"``, where a class of the running script is named by the module it would be imported as."""
    module = main_name() if kind.__module__ in _SCRIPT else kind.__module__
    return f"{module}:{kind.__qualname__}"


def find_class(path: str, check: Callable[[], None]) -> type[Any]:
    """Return the class that `class_path` named.

    Parameters
    ----------
    path: ``"module:Class"``.
    check: called before a module is imported for it, which runs code; raises if that is not to be.

    Raises
    ------
    CorruptResult
        if there is no such class here.
    """
    module, _, qualname = path.partition(":")
    try:
        holder = _held(sys.modules["__main__"], qualname) if module == main_name() else None
        if holder is None:
            if module not in sys.modules:
                check()
            holder = importlib.import_module(module)
            for part in qualname.split("."):
                holder = getattr(holder, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise CorruptResult(
            f"a stored value is of the class {path}, which is not found here ({type(error).__name__}: {error}). "
            "Make it importable under that name, as it was when the value was stored; or recompute."
        ) from error
    if not isinstance(holder, type):
        raise CorruptResult(f"a stored value is of the class {path}, which is no class here. Recompute it.")
    return holder


def encode_instance(value: Any, encode: Callable[[Any], Json]) -> Json | None:
    """Return the data of a value that is rebuilt from its parts alone; None for any other.

    Parameters
    ----------
    value: what is to be stored.
    encode: gives the data of a part.
    """
    kind: Any = type(value)
    tag = _tag_of(kind)
    if tag is None or not _FITS[tag](value) or _held(sys.modules.get(kind.__module__), kind.__qualname__) is not kind:
        return None
    return {"$": tag, "v": [class_path(kind), _PARTS[tag](value, encode)]}


def decode_instance(tag: str, kind: type[Any], parts: Json, decode: Callable[[Json], Any]) -> Any:
    """Rebuild what `encode_instance` took apart, without calling the constructor.

    A field that a dataclass got later has its default.

    Raises
    ------
    CorruptResult
        if the class is no longer what it was.
    """
    if tag != "enum":
        parts = {name: decode(part) for name, part in parts.items()}
    try:
        return _REBUILT[tag](kind, parts)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CorruptResult(
            f"a stored value does not fit its class {class_path(kind)} any more ({error}). Recompute it."
        ) from error


def is_instance_tag(tag: object) -> bool:
    """Whether `encode_instance` writes that tag."""
    return tag in _REBUILT


def _held(holder: Any, qualname: str) -> Any:
    for part in qualname.split("."):
        holder = getattr(holder, part, None)
    return holder


@functools.lru_cache(maxsize=1024)
def _tag_of(kind: Any) -> str | None:
    """How values of a class are taken apart, as far as the class tells."""
    if issubclass(kind, enum.Enum):
        return "enum"
    if kind.__bases__ == (tuple,) and hasattr(kind, "_fields"):
        return "namedtuple"
    return "dataclass" if dataclasses.is_dataclass(kind) and not _has_state(kind) else None


def _has_state(kind: Any) -> bool:
    """Whether a dataclass has more than its fields: parents with content, ways of pickling of its own."""
    if kind.__new__ is not object.__new__ or kind.__reduce__ is not object.__reduce__:
        return True
    hooks = (getattr(kind, "__getstate__", None), getattr(kind, "__setstate__", None))
    own = [hook for hook in hooks if hook is not None and hook is not getattr(object, "__getstate__", None)]
    if any(getattr(hook, "__module__", None) != "dataclasses" for hook in own):  # those of frozen ones with slots
        return True
    slots = {name for parent in kind.__mro__ for name in _slots(parent)} - {"__weakref__", "__dict__"}
    return kind.__reduce_ex__ is not object.__reduce_ex__ or not slots <= set(_field_names(kind))


@functools.lru_cache(maxsize=1024)
def _field_names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


def _has_fields_alone(value: Any) -> bool:
    kind: Any = type(value)
    names = _field_names(kind)
    for name in getattr(value, "__dict__", ()):
        if name not in names:
            return False
    return all(hasattr(value, name) for name in names)


def _slots(kind: type) -> tuple[str, ...]:
    slots = kind.__dict__.get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _fields(value: Any, encode: Callable[[Any], Json]) -> Json:
    kind: Any = type(value)
    return {name: encode(getattr(value, name)) for name in _field_names(kind)}


def _rebuilt_member(kind: Any, name: str) -> Any:
    if not issubclass(kind, enum.Enum):
        raise TypeError("it is no enum")
    return kind.__members__[name]


def _rebuilt_tuple(kind: Any, parts: dict[str, Any]) -> Any:
    if list(parts) != list(kind._fields):
        raise ValueError(f"its fields were {list(parts)}, and are {list(kind._fields)}")
    return tuple.__new__(kind, parts.values())


def _rebuilt_dataclass(kind: Any, parts: dict[str, Any]) -> Any:
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        raise TypeError("it is no dataclass")
    fields = dataclasses.fields(kind)
    names = [field.name for field in fields]
    if not set(names) >= set(parts):
        raise ValueError(f"its fields were {sorted(parts)}, and are {sorted(names)}")
    value = object.__new__(kind)
    for field in fields:
        object.__setattr__(value, field.name, parts[field.name] if field.name in parts else _default(field))
    return value


def _default(field: dataclasses.Field[Any]) -> Any:
    """What a field has that was added after the value was stored."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    if field.default is not dataclasses.MISSING:
        return field.default
    raise ValueError(f"its field {field.name!r} is new, without a default")


_FITS: dict[str, Callable[[Any], bool]] = {
    "enum": lambda value: type(value).__members__.get(value.name) is value,  # not of a flag that is two at once
    "namedtuple": lambda value: not hasattr(value, "__dict__"),
    "dataclass": _has_fields_alone,
}
_PARTS: dict[str, Callable[[Any, Callable[[Any], Json]], Json]] = {
    "enum": lambda value, _: value.name,
    "namedtuple": lambda value, encode: {name: encode(part) for name, part in zip(value._fields, value, strict=True)},
    "dataclass": _fields,
}
_REBUILT: dict[str, Callable[[Any, Any], Any]] = {
    "enum": _rebuilt_member,
    "namedtuple": _rebuilt_tuple,
    "dataclass": _rebuilt_dataclass,
}
