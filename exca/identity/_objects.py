"""The canonical bytes of objects: enums, types and functions, secrets, dataclasses, subclasses of builtins."""

from __future__ import annotations

import collections
import dataclasses
import enum
import functools
import sys
import typing
from typing import Any, TypeAlias, cast

import pydantic
import pydantic_core

from exca.errors import UnstableIdentity

from ._arrays import encode_array
from ._encoding import LEAVES, Encoder, Forms, Unnameable, pack, text
from ._frames import encode_frame
from ._names import class_path, import_path, is_importable

# Method by which a class gives its instances an identity: returns something that can be encoded.
UID_METHOD = "_exca_uid_"

_Secret: TypeAlias = pydantic.SecretStr | pydantic.SecretBytes | pydantic.Secret[Any]
_SECRETS = (pydantic.SecretStr, pydantic.SecretBytes, pydantic.Secret)
# Containers that can be subclassed, and how to read them past overridden methods.
_CONTAINERS: dict[type, typing.Callable[[Any], object]] = {
    dict: lambda value: dict(dict.items(value)),
    list: lambda value: list(list.__iter__(value)),
    tuple: lambda value: tuple(tuple.__iter__(value)),
    set: lambda value: set(set.__iter__(value)),
    frozenset: lambda value: frozenset(frozenset.__iter__(value)),
    collections.deque: lambda value: list(collections.deque.__iter__(value)),
    bytearray: bytes,
}


def is_url(value: object) -> bool:
    """Whether it is one of pydantic's urls."""
    networks = sys.modules.get("pydantic.networks")  # 15 ms to import; without it no value can be of its types
    if networks is not None:
        # The three DSNs are those that allow several hosts; all other urls are a pydantic.AnyUrl.
        names = ("AnyUrl", "PostgresDsn", "MongoDsn", "NatsDsn")
        if isinstance(value, tuple(getattr(networks, name) for name in names)):
            return True
    return isinstance(value, (pydantic_core.Url, pydantic_core.MultiHostUrl))


def is_secret(value: object) -> typing.TypeGuard[_Secret]:
    """Whether it is one of pydantic's secrets."""
    return isinstance(value, _SECRETS)


def encode_object(walk: Encoder, value: object) -> Forms:
    """Encode a value that is neither simple, nor a builtin container, nor a model.

    Raises
    ------
    Unnameable
        another process could not find the same value again.
    """
    if isinstance(value, enum.Enum):
        return _enum(value)
    if is_importable(value):
        return _importable(value)
    if hasattr(type(value), UID_METHOD):
        return encode_hooked(walk, value)
    if dataclasses.is_dataclass(value):
        return _dataclass(walk, value)
    if isinstance(value, functools.partial):
        return _partial(walk, value)
    if isinstance(value, slice):
        forms = walk.encode((value.start, value.stop, value.step))
        return pack(b"slice", forms[0]), pack(b"slice", forms[1]), str(value)
    if is_secret(value):
        forms = walk.encode((class_path(type(value)), value.get_secret_value()))
        return pack(b"secret", forms[0]), pack(b"secret", forms[1]), value
    if is_url(value):
        return _leaf(pack(b"url", text(class_path(type(value))) + text(str(value))), value)
    for encode in (encode_array, encode_frame):
        code = encode(walk, value)
        if code is not None:
            return _leaf(code, value)
    return _subclass(walk, value)


def encode_hooked(walk: Encoder, value: object) -> Forms:
    """Encode what an object says about itself, under its class."""
    walk.mutable = True  # nobody knows what the method looks at
    forms = walk.encode(cast("Any", value)._exca_uid_())
    return (*_tagged(type(value), forms), type(value))


def _leaf(code: bytes, shown: object) -> Forms:
    return code, code, shown


def _tagged(cls: type, forms: Forms, extra: bytes = b"") -> tuple[bytes, bytes]:
    tag = text(class_path(cls)) + extra
    return pack(b"o", tag + forms[0]), pack(b"o", tag + forms[1])


def _enum(value: enum.Enum) -> Forms:
    # The members of a flag are combined, and the spelling of a combination is Python's affair.
    member = b"I%x;" % value.value if isinstance(value, enum.Flag) else text(value.name)
    return _leaf(pack(b"enum", text(class_path(type(value))) + member), value)


def _importable(value: object) -> Forms:
    try:
        return _leaf(pack(b"import", text(import_path(value))), value)
    except UnstableIdentity as error:
        raise Unnameable(value, str(error)) from None


def _partial(walk: Encoder, value: functools.partial[Any]) -> Forms:
    walk.mutable = True
    forms = walk.encode((value.func, value.args, value.keywords))
    return (*_tagged(functools.partial, forms), value.func)


def _dataclass(walk: Encoder, value: Any) -> Forms:
    """Class and all fields, by name."""
    cls = type(value)
    if not cls.__dataclass_params__.frozen:
        walk.mutable = True
    minimal, full = b"", b""
    shown: dict[str, object] = {}
    for name in sorted(field.name for field in dataclasses.fields(value)):
        try:
            forms = walk.encode(getattr(value, name))
        except Unnameable as error:
            error.path.append(f".{name}")
            raise
        minimal += text(name) + forms[0]
        full += text(name) + forms[1]
        shown[name] = forms[2]
    return (*_tagged(cls, (minimal, full, None)), shown or cls)


def _subclass(walk: Encoder, value: object) -> Forms:
    """An instance of a subclass of a supported type: its class, its value, its own attributes."""
    cls = type(value)
    for parent in cls.__mro__:
        if parent in LEAVES:
            forms = _leaf(LEAVES[parent](value), value)
        elif parent in _CONTAINERS:
            walk.mutable = walk.mutable or parent not in (tuple, frozenset)
            forms = walk.encode(_CONTAINERS[parent](value))
        else:
            continue
        state = _attributes(value, parent)
        walk.mutable = walk.mutable or hasattr(value, "__dict__")
        extra = pack(b"state", walk.encode(state)[1]) if state else b""
        return (*_tagged(cls, forms, extra), forms[2])
    raise Unnameable(value, "another process could not tell whether it has the same value")


def _attributes(value: object, parent: type) -> dict[str, object]:
    """Attributes that subclasses of ``parent`` gave to a value; caches do not count."""
    cls = type(value)
    state: dict[str, object] = dict(getattr(value, "__dict__", ()))
    for klass in cls.__mro__[: cls.__mro__.index(parent)]:
        slots = klass.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                state[name] = getattr(value, name)
    if isinstance(value, collections.defaultdict):
        state["default_factory"] = value.default_factory
    if isinstance(value, collections.deque):
        state["maxlen"] = value.maxlen
    return {
        name: item
        for name, item in state.items()
        if not isinstance(getattr(cls, name, None), functools.cached_property)
    }
