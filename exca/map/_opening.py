"""The folder of a map: what it says about its results, and whether they belong to this config and this code."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from typing import TYPE_CHECKING, Any, Final

from exca import provenance
from exca.errors import ResultNotStored
from exca.liveness import Stamp
from exca.map._claims import Claims
from exca.store import Entry
from exca.task import Outdated, check_facts

if TYPE_CHECKING:
    from exca.map._item_map import ItemMap

__all__ = ["open_folder", "prepare_folder"]

_NOTE: Final = "map.json"
_MANIFESTS: Final = ("config.yaml", "full-uid.yaml", "uid.yaml")  # what `Computation.manifests` writes
_LOG = logging.getLogger(__name__)


def open_folder(items: ItemMap, entry: Entry, claims: Claims) -> None:
    """Compare what stands beside the results with this map.

    Parameters
    ----------
    items: the map.
    entry: its folder.
    claims: to be alone where results of other code are moved away.

    Raises
    ------
    UidCollision, DefaultsChanged, CodeChanged
        saying what differs and what to do.
    """
    facts = _read(entry)
    if "digest" not in facts:
        return
    try:
        check_facts(items, entry, facts)
    except Outdated:
        _set_aside(entry, claims, str(facts.get("code")))


def prepare_folder(items: ItemMap, entry: Entry) -> None:
    """Create the folder and what describes it, before anything is computed.

    Raises
    ------
    ResultNotStored
        if that is not possible.
    """
    try:
        described = "digest" in _read(entry)
        if described and all(entry.read_note(name) is not None for name in _MANIFESTS):
            return  # without a word of YAML, which takes longer to import than an item to be stored
        entry.prepare(items.manifests())
        if not described:
            entry.write_note(_NOTE, json.dumps(_describe(items), indent=1))
    except OSError as error:
        raise ResultNotStored(
            f"{entry.path} cannot be written, so nothing was computed: {error}. "
            "Set infra.folder to a folder of yours, or use mode='read-only'."
        ) from error


def _describe(items: ItemMap) -> dict[str, Any]:
    return {
        "uid": items.uid,
        **items.facts(),
        "created": time.time(),
        "process": Stamp.current().to_dict(),
        **provenance.environment(),
        "git": provenance.source_state(items.method.owner),
    }


def _read(entry: Entry) -> dict[str, Any]:
    try:
        data = json.loads(entry.read_note(_NOTE) or "{}")
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _set_aside(entry: Entry, claims: Claims, code: str) -> None:
    """Results of other code are to be computed again: they make room, and are kept beside the new ones."""
    assert entry.path is not None
    aside = entry.path / f"items.{''.join(filter(str.isalnum, code))[:16]}.{time.time_ns():x}"
    try:
        with claims.turn():
            if str(_read(entry).get("code")) != code:  # another process was faster
                return
            with contextlib.suppress(FileNotFoundError):
                os.rename(entry.path / "items", aside)
                _LOG.warning("the code changed: the results of before are now in %s, new ones are computed", aside)
            entry.write_note(_NOTE, "{}")
    except OSError as error:
        raise ResultNotStored(
            f"the code changed, and the results of before in {entry.path} cannot be moved away: {error}. Raise "
            "infra.version, or set infra.code_change to 'ignore'."
        ) from error
