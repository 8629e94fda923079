"""Handing out stored results one by one."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

from exca.cachedict import CacheDict
from exca.errors import ResultNotFound

__all__ = ["read"]

_MOST: Final = 1024
_QUICK_S: Final = 0.001
_GONE: Final = object()


def read(cache: CacheDict[Any], keys: Sequence[str], what: str) -> Iterator[Any]:
    """The results of some items, in order.

    Several are looked up together for as long as that takes next to no time: big ones are read one by one, so that
    memory holds one at a time.

    Raises
    ------
    ResultNotFound
        if one was deleted since it was computed.
    """
    start, size = 0, 1
    while start < len(keys):
        began = time.perf_counter()
        chunk = cache.get_many(keys[start : start + size], _GONE)
        took = time.perf_counter() - began
        start += len(chunk)
        size = min(size * 4, _MOST) if took < _QUICK_S else max(1, size // 2)
        chunk.reverse()
        while chunk:
            value = chunk.pop()
            if value is _GONE:
                key = keys[start - len(chunk) - 1]
                raise ResultNotFound(f"the result of {what} for {key!r} was deleted since the call: call it again")
            yield value
            del value
