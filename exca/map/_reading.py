"""Handing out stored results one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from exca.cachedict import CacheDict
from exca.errors import ResultNotFound

__all__ = ["read"]


def read(cache: CacheDict[Any], keys: Sequence[str], what: str) -> Iterator[Any]:
    """The results of some items, in order, one in memory at a time.

    Raises
    ------
    ResultNotFound
        if one was deleted since it was computed.
    """

    def deleted(key: str) -> ResultNotFound:
        return ResultNotFound(f"the result of {what} for {key!r} was deleted since the call: call it again")

    return cache.iter_many(keys, deleted)
