"""What an item is called: the name its result is stored under."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from exca.errors import UnstableIdentity

__all__ = ["MIN_LENGTH", "ItemRules", "shortened"]

_DIGEST_BYTES: Final = 16
# "-" and the digest, and something to read before them
MIN_LENGTH: Final = 2 * _DIGEST_BYTES + 1 + 7


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
        keys = list(map(self.item_uid, items))
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
