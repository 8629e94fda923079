"""The identity of a config: a name for people, and digests for machines."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, cast

from pydantic import BaseModel

from exca.errors import UnstableIdentity

from ._encoding import Unnameable
from ._exclusion import parse_exclude
from ._names import class_path
from ._readable import folder_name
from ._walk import Walk

_FORMAT = b"exca identity 1\n"


@dataclass(frozen=True, slots=True)
class Identity:
    """What one config is called.

    Attributes
    ----------
    name:
        one filename-safe path component of at most 200 bytes: ``default``, or a readable part and a hash.
    digest:
        hex sha256 of the canonical minimal form (what differs from the defaults).
    full_digest:
        the same of the full form, defaults included.
    mutable:
        whether something reachable from the config could change in place. False only if assigning a field
        of the config itself is the one way to change it.
    """

    name: str
    digest: str
    full_digest: str
    mutable: bool


def identify(config: BaseModel, exclude: Collection[str] = ()) -> Identity:
    """Name a config by the values of its fields.

    Two configs of one class have the same digest exactly if they have the same values, where a value equal
    to the default counts as not given. Nothing else enters: not the order of keys, the hash seed, the
    process, the version of Python or pydantic.

    Parameters
    ----------
    config: pydantic.BaseModel
        a validated config.
    exclude: collection of str
        field names or dotted paths (``"data.path"``) to leave out, beyond what ``_exclude_from_cls_uid``
        of the classes leaves out.

    Raises
    ------
    UnstableIdentity
        a field holds something another process would not find again (lambda, open file).
    ConfigError
        ``exclude`` names a field that does not exist.

    Example
    -------
    >>> class Training(BaseModel):
    ...     lr: float = 0.1
    ...     epochs: int = 10
    >>> identify(Training()).name
    'default'
    >>> identify(Training(lr=1)).name
    'lr=1.0-0336e90896ff2fe4359c'
    """
    walk = Walk()
    minimal, full, shown = _walked(config, exclude, walk)
    digest, full_digest = digest_of(minimal), digest_of(full)
    return Identity(folder_name(shown, digest), digest, full_digest, walk.mutable)


def config_digest(config: BaseModel, exclude: Collection[str] = ()) -> str:
    """The digest that `identify` gives, without the name: to see whether a config is still what it was.

    Parameters
    ----------
    config, exclude: as for `identify`.
    """
    return digest_of(_walked(config, exclude, Walk())[0])


def name_of(data: dict[Any, Any]) -> str:
    """Folder name of plain data, by the same scheme as that of configs."""
    try:
        minimal, _, shown = Walk().encode(data)
    except (Unnameable, RecursionError) as error:
        raise explained(error, data) from None
    return folder_name(cast("dict[str, object]", shown), digest_of(minimal))


def _walked(config: BaseModel, exclude: Collection[str], walk: Walk) -> tuple[bytes, bytes, dict[str, object]]:
    try:
        return walk.fields(config, walk.plan(type(config)), parse_exclude(exclude))
    except (Unnameable, RecursionError) as error:
        raise explained(error, config) from None


def digest_of(code: bytes) -> str:
    """Hex digest of canonical bytes."""
    return hashlib.sha256(_FORMAT + code).hexdigest()


def explained(error: Unnameable | RecursionError, config: object) -> UnstableIdentity:
    """The error for the user: which field, what it holds, what to do."""
    owner = type(config).__qualname__
    if isinstance(error, RecursionError):
        return UnstableIdentity(f"{owner} contains itself, or is nested too deeply: it cannot be named.")
    where = error.where()
    field = where.partition("[")[0]
    return UnstableIdentity(
        f"{owner}.{where} has no stable identity: it holds a {class_path(type(error.value))}, and "
        f"{error.reason}. Exclude the field from the uid (exclude_from_cache_uid=['{field}'], or "
        "_exclude_from_cls_uid on its class), give it a type that can be named (number, text, path, enum, "
        "dataclass, module-level function...), or give its class a method _exca_uid_(self) that returns "
        "such a value."
    )
