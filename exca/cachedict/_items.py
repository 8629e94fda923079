"""What a cache promises to the dict in front of it, and the one that lives in RAM alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from exca.cachedict._ram import KeptValues

__all__ = ["Items", "RamItems"]


class Items(Protocol):
    """Items by key."""

    def get(self, key: str) -> Any:
        """The value, which nobody else refers to; KeyError if it is not stored."""

    def stream(self, keys: Sequence[str]) -> Iterator[tuple[str, Any]]:
        """Those of the keys that are stored, with their values, in the order asked for; one value at a time."""

    def iter_kept(self, keys: Sequence[str]) -> Iterator[Any] | None:
        """The values of the keys, if all of them are in RAM now and as new as is known."""

    def put(self, key: str, value: Any) -> None:
        """Store a value, in place of the one that was there."""

    def remove(self, key: str) -> bool:
        """Forget an item; False if it is not stored."""

    def contains(self, key: str) -> bool:
        """Whether anybody has stored the item by now."""

    def missing(self, keys: Sequence[str]) -> Sequence[str]:
        """Those of the keys that nobody has stored by now."""

    def keys(self) -> list[str]:
        """All keys, in the order in which their values were written."""

    def count(self) -> int:
        """The number of keys."""

    def refresh(self) -> None:
        """See what others have stored by now."""

    def seal(self) -> None:
        """Make what was written quick to find for others."""

    def compact(self) -> None:
        """Give back the space of what was overwritten or deleted."""

    def close(self) -> None:
        """Say that nothing more will be written for now."""


class RamItems:
    """Items that live as long as the object."""

    def __init__(self) -> None:
        self.kept = KeptValues()

    def get(self, key: str) -> Any:
        # docstring inherited
        copier, value, _, _ = self.kept.values[key]
        return value if copier is None else copier(value)

    def stream(self, keys: Sequence[str]) -> Iterator[tuple[str, Any]]:
        # docstring inherited
        for key in keys:
            if key in self.kept.values:
                yield key, self.get(key)

    def iter_kept(self, keys: Sequence[str]) -> Iterator[Any] | None:
        # docstring inherited
        return self.kept.iter_all(keys, 0)

    def put(self, key: str, value: Any) -> None:
        # docstring inherited
        self.kept.hold(key, value)

    def remove(self, key: str) -> bool:
        # docstring inherited
        return self.kept.values.pop(key, None) is not None

    def contains(self, key: str) -> bool:
        # docstring inherited
        return key in self.kept.values

    def missing(self, keys: Sequence[str]) -> Sequence[str]:
        # docstring inherited
        return [key for key in keys if key not in self.kept.values]

    def keys(self) -> list[str]:
        # docstring inherited
        return list(self.kept.values)

    def count(self) -> int:
        # docstring inherited
        return len(self.kept.values)

    def refresh(self) -> None:
        # docstring inherited
        return

    def seal(self) -> None:
        # docstring inherited
        return

    def compact(self) -> None:
        # docstring inherited
        return

    def close(self) -> None:
        # docstring inherited
        return
