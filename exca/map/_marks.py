"""What a run has settled, where the cache alone does not tell: items that failed, items computed again."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable, Sequence

from exca.map._lists import KeyReader, KeyWriter

__all__ = ["Marks"]


class Marks:
    """Items that no worker of a run is to take any more, though they may be missing or old.

    Parameters
    ----------
    folder: where the workers of other processes read along; None: there are none.

    Attributes
    ----------
    stopped: whether the threads that share this object are to take nothing more.
    """

    def __init__(self, folder: str | None = None) -> None:
        self.stopped = False
        self._folder = folder
        self._own: dict[str, set[str]] = {"failed": set(), "renewed": set()}
        self._writers: dict[str, KeyWriter] = {}
        self._readers: dict[str, KeyReader] = {}

    def add(self, kind: str, keys: Iterable[str]) -> None:
        """Mark items.

        Parameters
        ----------
        kind: ``"failed"``, or ``"renewed"`` for what was computed although it was stored.
        keys: the items.
        """
        keys = list(keys)
        if self._folder is not None:
            if kind not in self._writers:
                path = os.path.join(self._folder, f"{secrets.token_hex(8)}.{kind}")
                self._writers[kind] = KeyWriter(path)
            with contextlib.suppress(OSError):  # others may do it again; what went wrong before must be told
                self._writers[kind].append(keys)
        self._own[kind].update(keys)

    def refresh(self) -> None:
        """Read along in what the other workers have marked."""
        if self._folder is None:
            return
        try:
            names = os.listdir(self._folder)
        except FileNotFoundError:
            return
        for name in names:
            kind = name.rpartition(".")[2]
            if kind in self._own:
                path = os.path.join(self._folder, name)
                self._own[kind] |= self._readers.setdefault(name, KeyReader(path)).refresh()

    def failed(self) -> set[str]:
        """Items that failed in this run."""
        return self._own["failed"]

    def renewed(self) -> set[str]:
        """Items that were computed in this run although they were stored."""
        return self._own["renewed"]

    def open_among(self, keys: Sequence[str]) -> list[str]:
        """Of these, what is neither failed nor renewed."""
        failed, renewed = self._own["failed"], self._own["renewed"]
        return [key for key in keys if key not in failed and key not in renewed]

    def close(self) -> None:
        """Close the files."""
        for writer in self._writers.values():
            writer.close(remove=False)
