"""Does a stored result belong to this config, these defaults and this code?"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from exca import provenance
from exca.errors import CodeChanged, DefaultsChanged, UidCollision
from exca.identity import load_yaml
from exca.store import Entry
from exca.task._computation import Computation
from exca.task._method import CodeChangedWarning

__all__ = ["Outdated", "check_facts"]


class Outdated(Exception):
    """A stored result is to be computed again, since its code changed and ``code_change="recompute"``."""


def check_facts(task: Computation, entry: Entry, facts: Mapping[str, Any]) -> None:
    """Compare what is stored beside results with the computation: the folder's name is short, the digests are not.

    Raises
    ------
    UidCollision, DefaultsChanged, CodeChanged
        saying what differs and what to do.
    Outdated
        if it is to be computed again.
    """
    identity = task.identity
    if facts.get("digest") != identity.digest:
        raise UidCollision(
            f"{entry.path} holds the result of another config:\n{entry.read_note('uid.yaml')}\nwhile this one is\n"
            f"{task.manifests()['uid.yaml']}\nMove that folder away, or change infra.version."
        )
    if facts.get("full_digest") != identity.full_digest and _default_changed(task, entry):
        raise DefaultsChanged(
            f"a default value changed since the result in {entry.path} was stored. Then:\n"
            f"{entry.read_note('full-uid.yaml')}\nnow:\n{task.manifests()['full-uid.yaml']}\n"
            "If results differ, raise infra.version; else recompute this one with mode='force', or write the "
            "old value into the config."
        )
    _check_code(task, entry, facts.get("code"))


def _default_changed(task: Computation, entry: Entry) -> bool:
    """Whether a field has another value now; one that was added since, or removed, does not count."""
    text = entry.read_note("full-uid.yaml")
    return text is None or _differ(load_yaml(text), load_yaml(task.manifests()["full-uid.yaml"]))


def _differ(one: object, other: object) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return any(_differ(one[key], other[key]) for key in one.keys() & other.keys())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) != len(other) or any(map(_differ, one, other))
    return bool(one != other)


def _check_code(task: Computation, entry: Entry, stored: str | None) -> None:
    policy = task.settings.code_change
    if policy == "ignore" or stored is None:
        return
    method = task.method
    current = provenance.code_fingerprint(method.owner, method.function)
    if stored == current or not provenance.comparable(stored, current):
        return
    if policy == "recompute" and task.settings.mode != "read-only":
        raise Outdated
    text = (
        f"the code of {method.title} changed since the result in {entry.path} was stored. "
        "Raise infra.version if results differ, or set infra.code_change to 'recompute' or 'ignore'."
    )
    if policy in ("error", "recompute"):
        raise CodeChanged(text)
    if (stored, current) not in _WARNED:  # once for a method, not once for each of its thousand results
        _WARNED.add((stored, current))
        warnings.warn(text, CodeChangedWarning, stacklevel=7)


_WARNED: set[tuple[str, str]] = set()
