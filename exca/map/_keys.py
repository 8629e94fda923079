"""What an item is called: the name its result is stored under."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Final

from exca.errors import UnstableIdentity

__all__ = ["MIN_LENGTH", "ItemRules", "shortened", "warn_of_collisions"]

_DIGEST_BYTES: Final = 16
# "-" and the digest, and something to read before them
MIN_LENGTH: Final = 2 * _DIGEST_BYTES + 1 + 7
_COMPARABLE: Final = (str, bytes, int, float, tuple, PurePath)


@dataclass(frozen=True, slots=True)
class ItemRules:
    """How the items of a map are named and stored.

    Attributes
    ----------
    item_uid: gives the name of an item; must be the same in every process.
    max_length: longest name, in characters; longer ones are shortened by `shortened`.
    cache_type: format of the stored results; None: chosen by type.
    """

    item_uid: Callable[[Any], str]
    max_length: int = 256
    cache_type: str | None = None

    def keys(self, items: Sequence[Any], what: str) -> list[str]:
        """The name of each item.

        Parameters
        ----------
        items: the items of a call.
        what: the method, for messages.

        Raises
        ------
        UnstableIdentity
            if a name is no string, or holds the address of an object, which differs from process to process.
        """
        try:
            keys = list(map(self.item_uid, items))
        except Exception as error:
            error.add_note(f"while item_uid of {what} was naming one of {len(items)} items")
            raise
        if not keys:
            return keys
        try:
            longest, addresses = max(map(len, keys)), " at 0x" in "\n".join(keys)
        except TypeError:
            self._refuse_other_types(keys, items, what)
            raise
        if addresses:
            _refuse_addresses(keys, items, what)
        if longest > self.max_length:
            keys = [shortened(key, self.max_length) if len(key) > self.max_length else key for key in keys]
        return keys

    def _refuse_other_types(self, keys: Sequence[object], items: Sequence[Any], what: str) -> None:
        for key, item in zip(keys, items, strict=True):
            if not isinstance(key, str):
                raise UnstableIdentity(
                    f"item_uid of {what} gave {key!r} ({type(key).__name__}) for the item {item!r:.200}: "
                    "it must return a str, such as item_uid=str"
                )


def warn_of_collisions(keys: Sequence[str], items: Sequence[Any], named: Mapping[str, Any], what: str) -> None:
    """Warn if two items of a call that certainly differ have one name: both get the result of the first.

    Parameters
    ----------
    keys, items: as in `ItemRules.keys`.
    named: the item that each name stands for.
    what: the method.
    """
    for key, item in zip(keys, items, strict=True):
        if _certainly_differ(item, named[key]):
            warnings.warn(
                f"item_uid of {what} gives {key!r} for both {named[key]!r:.200} and {item!r:.200}: they count as one "
                "item, whose result is that of the first. If they are not the same, let item_uid tell them apart.",
                UserWarning,
                stacklevel=4,  # of the call of the method
            )
            return


def _certainly_differ(one: Any, other: Any) -> bool:
    """Of values whose comparison means something; False of all others."""
    if one is other or not (isinstance(one, _COMPARABLE) and isinstance(other, _COMPARABLE)):
        return False
    try:
        return type(one) is not type(other) or bool(one != other and repr(one) != repr(other))  # NaN is not NaN
    except Exception:  # an array in a tuple
        return False


def shortened(key: str, max_length: int) -> str:
    """A name of that length: its beginning, for people, and 128 bits of blake2b of the whole.

    Examples
    --------
    >>> shortened("a" * 100, 41)
    'aaaaaaaa-c0a85dbcd2b9c2eb1d5e5a2b6fcbe1fa'
    """
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).hexdigest()
    return f"{key[: max_length - len(digest) - 1]}-{digest}"


def _refuse_addresses(keys: Sequence[str], items: Sequence[Any], what: str) -> None:
    for key, item in zip(keys, items, strict=True):
        if not isinstance(item, str) and f" at 0x{id(item):x}" in key:
            raise UnstableIdentity(
                f"item_uid of {what} gave {key!r:.200}, which holds an address in memory: no other process would "
                "find the result. Name the item by what it is (a path, an index, a field)."
            )
