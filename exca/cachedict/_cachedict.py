"""CacheDict: the dict protocol in front of a folder, or of RAM."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, ItemsView, Iterable, Iterator, MutableMapping, Sequence, ValuesView
from pathlib import Path
from typing import Any, Final, Generic, Self, TypeVar

from exca.cachedict._folder_items import FolderItems
from exca.cachedict._formats import check_cache_type
from exca.cachedict._items import Items, RamItems

__all__ = ["CacheDict"]

X = TypeVar("X")

_FEW: Final = 3  # keys that are read faster one by one


class _Missing:
    """No default: a missing key is an error."""


MISSING: Final = _Missing()


class CacheDict(MutableMapping[str, X], Generic[X]):
    """A dict of results by string key, in a folder that any number of processes and machines read and write.

    An item is stored, for everybody to see, when ``cache[key] = value`` returns. What is read back is what was
    stored, in memory of its own: changing it changes nothing in the cache.

    Parameters
    ----------
    folder: where the items are; created with the first one. None: in RAM only.
    keep_in_ram: also keep the values that this object has read or written.
    cache_type: name of the format of all values (see the reference of cache formats); None: what fits their types.
    permissions: mode bits for new folders and files, for example ``0o770``; None: the umask decides.

    Raises
    ------
    ValueError
        if there is neither a folder nor RAM to keep items in.
    InvalidInfra
        if there is no such format.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cache = CacheDict(folder)
    ...     with cache.write():
    ...         for number in range(3):
    ...             cache[f"square-{number}"] = number**2
    ...     list(CacheDict(folder).items())
    [('square-0', 0), ('square-1', 1), ('square-2', 4)]
    """

    def __init__(
        self,
        folder: str | os.PathLike[str] | None,
        keep_in_ram: bool = False,
        cache_type: str | None = None,
        permissions: int | None = None,
    ) -> None:
        if folder is None and not keep_in_ram:
            raise ValueError("a CacheDict without a folder needs keep_in_ram=True: there is nowhere to keep items")
        check_cache_type(cache_type)
        self.folder = None if folder is None else Path(folder)
        self.keep_in_ram = keep_in_ram
        self.cache_type = cache_type
        self.permissions = permissions
        self._writing = threading.local()
        self._items = self._open()

    def _open(self) -> Items:
        if self.folder is None:
            return RamItems()
        return FolderItems(self.folder, self.cache_type, self.permissions, keep=self.keep_in_ram)

    def __getitem__(self, key: str) -> X:
        return self._items.get(_checked(key))  # type: ignore[no-any-return]

    def __setitem__(self, key: str, value: X) -> None:
        self._items.put(_checked(key), value)

    def __delitem__(self, key: str) -> None:
        if not self._items.remove(_checked(key)):
            raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._items.contains(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._items.keys())

    def __len__(self) -> int:
        return self._items.count()

    def __bool__(self) -> bool:
        return len(self) > 0

    def _stream(self) -> Iterator[tuple[str, X]]:
        return self._items.stream(self._items.keys())

    def __repr__(self) -> str:
        place = "in RAM" if self.folder is None else str(self.folder)
        count = len(self)
        return f"<CacheDict {place}: {count} item{'s' * (count != 1)}>"

    def items(self) -> ItemsView[str, X]:
        """All items as they are now, read many at a time."""
        return _Items(self)

    def values(self) -> ValuesView[X]:
        """All values as they are now, read many at a time."""
        return _Values(self)

    def get_many(self, keys: Sequence[str], default: Any = MISSING) -> list[X]:
        """The values of many keys, much faster than one by one.

        Parameters
        ----------
        keys: what to read; keys may be repeated.
        default: stands for what is not stored.

        Raises
        ------
        KeyError
            naming the first key that is not stored, if there is no default.
        """
        kept = self._items.iter_kept(keys)
        if kept is not None:
            return list(kept)
        found = dict(self._items.stream(list(dict.fromkeys(_all_checked(keys)))))
        if default is MISSING and (missing := next((key for key in keys if key not in found), None)) is not None:
            raise KeyError(missing)
        values = [found.get(key, default) for key in keys]
        if len(found) < len(values):  # every mention of a key gets a value of its own
            seen: set[str] = set()
            for place, key in enumerate(keys):
                if key in seen and key in found:
                    values[place] = self._items.get(key)
                seen.add(key)
        return values

    def iter_many(self, keys: Sequence[str], missing: Callable[[str], Exception] = KeyError) -> Iterator[X]:
        """The values of many keys, as fast as `get_many` where they are small, and one in memory at a time.

        Parameters
        ----------
        keys: what to read; keys may be repeated.
        missing: makes what is raised at the first key that is not stored.

        Raises
        ------
        KeyError
            or what `missing` makes, when its turn comes.
        """
        kept = self._items.iter_kept(_all_checked(keys))
        return self._iter_stored(keys, missing) if kept is None else kept

    def _iter_stored(self, keys: Sequence[str], missing: Callable[[str], Exception]) -> Iterator[X]:
        if len(keys) <= _FEW:
            for key in keys:
                try:
                    value = self._items.get(key)
                except KeyError:
                    raise missing(key) from None
                yield value
            return
        wanted = iter(keys)
        for key, value in self._items.stream(keys):
            if (expected := next(wanted)) != key:
                raise missing(expected)
            yield value
        for key in wanted:
            raise missing(key)

    def missing(self, keys: Iterable[str]) -> list[str]:
        """Those keys that nobody has stored by now, in that order, each once."""
        wanted = _all_checked(keys if isinstance(keys, list) else list(keys))
        missing = self._items.missing(wanted)
        return list(dict.fromkeys(missing)) if missing else []

    def update(self, other: Any = (), /, **named: X) -> None:
        """Store many items; see `dict.update`."""
        with self.write():
            super().update(other, **named)

    def clear(self) -> None:
        """Delete all items."""
        for key in list(self):
            self._items.remove(key)

    def popitem(self) -> tuple[str, X]:
        """Remove the item that was written last and return it.

        Raises
        ------
        KeyError
            if there is none.
        """
        for key in reversed(self._items.keys()):
            with contextlib.suppress(KeyError):  # somebody else was faster
                return key, self.pop(key)
        raise KeyError(f"{self!r} is empty")

    @contextlib.contextmanager
    def write(self) -> Iterator[Self]:
        """A context for storing many items.

        It changes nothing about when an item is stored: when ``cache[key] = value`` returns. On leaving, an index of
        what was written is completed, so that others find single items fast.
        """
        depth = getattr(self._writing, "depth", 0)
        self._writing.depth = depth + 1
        try:
            yield self
        finally:
            self._writing.depth = depth
            if not depth:
                self._items.seal()

    def refresh(self) -> None:
        """See what others have stored by now.

        A key that is not found is looked for anew in any case; so this is for keys that others overwrite or delete.
        """
        self._items.refresh()

    def compact(self) -> None:
        """Give back the space of what was overwritten or deleted, and merge small segments.

        Happens by itself when it is worth it. Nothing is done while another process does it.
        """
        self._items.compact()

    def close(self) -> None:
        """Complete what this object has written: others may then merge it. It can be used again afterwards."""
        self._items.close()

    def __getstate__(self) -> dict[str, Any]:
        settings = {name: getattr(self, name) for name in ("folder", "keep_in_ram", "cache_type", "permissions")}
        return settings if self.folder is not None else {**settings, "_items": self._items}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._writing = threading.local()
        if self.folder is not None:
            self._items = self._open()


class _Items(ItemsView[str, X]):
    """Items, read many at a time."""

    _mapping: CacheDict[X]

    def __iter__(self) -> Iterator[tuple[str, X]]:
        return self._mapping._stream()


class _Values(ValuesView[X]):
    """Values, read many at a time."""

    _mapping: CacheDict[X]

    def __iter__(self) -> Iterator[X]:
        return (value for _, value in self._mapping._stream())


def _checked(key: object) -> str:
    if type(key) is str or isinstance(key, str):
        return key
    raise TypeError(f"keys of a CacheDict are strings, not {key!r} of type {type(key).__qualname__}")


def _all_checked(keys: Sequence[str]) -> Sequence[str]:
    for key in keys:
        if type(key) is not str:
            _checked(key)
    return keys
