"""What a store promises: the protocols that the task room works against, and the records that go through them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

__all__ = ["Ended", "Entry", "Outcome", "Store", "Waiter"]

Ended = Literal["completed", "failed"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a computation ended, without its value.

    Attributes
    ----------
    status: ``"completed"`` or ``"failed"``.
    facts: what `Entry.write_value` or `Entry.write_error` was told to keep beside the result (digests, fingerprint).
    record: the stored record itself, for the entry to load the value or the error from.
    """

    status: Ended
    facts: Mapping[str, Any]
    record: Mapping[str, Any] = field(repr=False)


class Waiter(Protocol):
    """Watches whether somebody else is at work on an entry."""

    def alive(self) -> bool:
        """Whether a live process holds the claim; the claim of a dead one is cleared away."""

    def holder(self) -> str:
        """Who holds the claim, for messages."""


class Held(Protocol):
    """A claim this process holds."""

    def release(self) -> None:
        """Give the claim back."""


class Entry(Protocol):
    """The place of one uid: its result, its manifests, its claim."""

    @property
    def path(self) -> Path | None:
        """The folder, or None for a store without files."""

    def status(self) -> Ended | None:
        """How the computation ended; None if no result is stored. No file is opened, and so none is checked."""

    def outcome(self) -> Outcome | None:
        """How the computation ended; None if no result is stored. Cheap: the value is not read.

        Raises
        ------
        CorruptResult
            if a record is there that cannot be read.
        """

    def load(self, outcome: Outcome) -> Any:
        """The value of a completed outcome.

        Raises
        ------
        CorruptResult
            if the stored bytes cannot be read.
        UntrustedResult
            if it is a pickle that any user could have written.
        """

    def error(self, outcome: Outcome) -> BaseException:
        """The exception of a failed outcome, to be raised; a new object at every call."""

    def write_value(self, value: Any, facts: Mapping[str, Any], *, replace: bool) -> bool:
        """Store a value, whole or not at all; it takes the place of a failure, and with ``replace`` that of a value.

        Returns
        -------
        bool: False if another writer's value was first and stands.

        Raises
        ------
        ResultNotStored
            if the disk or the value does not allow it; the error carries the value.
        """

    def write_error(self, error: BaseException, facts: Mapping[str, Any], *, replace: bool) -> bool:
        """Store a failure; with ``replace`` it takes the place of a failure, and of a record that cannot be read.

        A value that can be read stands in any case.

        Returns
        -------
        bool: False if something else stands.
        """

    def prepare(self, manifests: Mapping[str, str], *, replace: bool = False) -> None:
        """Create the place and its manifests (file name to text); without ``replace``, those that exist stay."""

    def read_note(self, name: str) -> str | None:
        """A manifest or note, or None."""

    def write_note(self, name: str, text: str) -> None:
        """Write or replace a note (``job.json``)."""

    def remove_note(self, name: str) -> None:
        """Remove a note or a link, if it is there."""

    def claim(self) -> Held | None:
        """Claim the computation; None if a live process holds it.

        Raises
        ------
        ResultNotStored
            if the place cannot be written; nothing was computed.
        """

    def watch(self) -> Waiter:
        """Watch the claim of somebody else."""

    def link(self, name: str, target: Path) -> None:
        """Let ``name`` lead to another folder (logs, code)."""

    def delete(self) -> None:
        """Forget the result and the notes about jobs. Manifests and the user's own files (checkpoints) stay.

        Raises
        ------
        StoreError
            if that is not allowed here.
        """


class Store(Protocol):
    """Where results live."""

    def entry(self, uid: str) -> Entry:
        """The place of that uid, which may not exist yet."""

    def entries(self, prefix: str) -> Sequence[Entry]:
        """All places whose uid starts with ``prefix/``."""
