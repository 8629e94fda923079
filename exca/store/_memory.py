"""A store in RAM: the double that tests of other rooms use, held to the same contract as the folder."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exca.store._entry import Ended, Outcome
from exca.store._failures import describe_error, rebuild_error

__all__ = ["MemoryEntry", "MemoryStore"]


class MemoryStore:
    """A store that lives as long as the object."""

    def __init__(self) -> None:
        self._entries: dict[str, MemoryEntry] = {}

    def entry(self, uid: str) -> MemoryEntry:
        # docstring inherited
        return self._entries.setdefault(uid, MemoryEntry())

    def entries(self, prefix: str) -> list[MemoryEntry]:
        # docstring inherited
        uids = [uid for uid, entry in sorted(self._entries.items()) if uid.startswith(f"{prefix}/") and entry.prepared]
        return [self._entries[uid] for uid in uids]


class MemoryEntry:
    """One uid of a `MemoryStore`; values are kept as bytes so that nobody shares objects with anybody."""

    def __init__(self) -> None:
        self.path: Path | None = None
        self._lock = threading.Lock()
        self._outcome: Outcome | None = None
        self._notes: dict[str, str] = {}
        self._claimed = False
        self.prepared = False

    def status(self) -> Ended | None:
        # docstring inherited
        return None if self._outcome is None else self._outcome.status

    def outcome(self) -> Outcome | None:
        # docstring inherited
        return self._outcome

    def load(self, outcome: Outcome) -> Any:
        # docstring inherited
        return pickle.loads(outcome.record["value"])

    def error(self, outcome: Outcome) -> BaseException:
        # docstring inherited
        described = outcome.record["error"]
        error = rebuild_error(described, None, None)
        error.add_note(f"--- the stored error, as it was raised ---\n{described['traceback'].rstrip()}")
        return error

    def write_value(self, value: Any, facts: Mapping[str, Any], *, replace: bool) -> bool:
        # docstring inherited
        outcome = Outcome("completed", dict(facts), {"value": pickle.dumps(value)})
        with self._lock:
            if self.status() == "completed" and not replace:
                return False
            self._outcome = outcome
            return True

    def write_error(self, error: BaseException, facts: Mapping[str, Any], *, replace: bool) -> bool:
        # docstring inherited
        with self._lock:
            if self.status() == "completed" or (self.status() == "failed" and not replace):
                return False
            self._outcome = Outcome("failed", dict(facts), {"error": describe_error(error)})
            return True

    def prepare(self, manifests: Mapping[str, str], *, replace: bool = False) -> None:
        # docstring inherited
        self.prepared = True
        for name, text in manifests.items():
            if replace or name not in self._notes:
                self._notes[name] = text

    def read_note(self, name: str) -> str | None:
        # docstring inherited
        return self._notes.get(name)

    def write_note(self, name: str, text: str) -> None:
        # docstring inherited
        self._notes[name] = text

    def remove_note(self, name: str) -> None:
        # docstring inherited
        self._notes.pop(name, None)

    def claim(self) -> MemoryEntry | None:
        # docstring inherited
        with self._lock:
            if self._claimed:
                return None
            self._claimed = True
        return self

    def release(self) -> None:
        # docstring inherited
        self._claimed = False

    def watch(self) -> MemoryEntry:
        # docstring inherited
        return self

    def alive(self) -> bool:
        # docstring inherited
        return self._claimed

    def holder(self) -> str:
        # docstring inherited
        return "another thread"

    def link(self, name: str, target: Path) -> None:
        # docstring inherited
        self._notes[name] = str(target)

    def delete(self) -> None:
        # docstring inherited
        self._outcome = None
        self._notes.pop("job.json", None)
