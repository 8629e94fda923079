"""What writers that were killed have left in a uid folder: bulk files that no record names, and temporary files."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from typing import Final

__all__ = ["DAY_S", "find_leftovers"]

DAY_S: Final = 86_400.0
# Exactly the names that this package gives: the folder is the user's, too (checkpoints).
_BULK: Final = re.compile(r"value-[0-9a-f]{12}\.(npy|parquet|json|pkl)")
_TEMPORARY: Final = re.compile(r"\..+-\d+-[0-9a-f]{12}-\d+\.tmp")


def find_leftovers(folder: str, named: Collection[str], *, bulk_age_s: float = DAY_S) -> list[str]:
    """Names of the files that nobody will ask for; none where that cannot be known.

    Parameters
    ----------
    folder: the uid folder, just changed: its time stamp is the clock of the disk.
    named: bulk files that the result is made of.
    bulk_age_s: how old other bulk files must be, so that they are not those of a writer that is about to name them.
        Temporary files must be a day old.
    """
    try:
        with os.scandir(folder) as entries:
            found = [entry for entry in entries if entry.name not in named and _is_ours(entry.name)]
        now = os.stat(folder).st_mtime if found else 0.0
        return [entry.name for entry in found if now - entry.stat().st_mtime >= _least_age_s(entry.name, bulk_age_s)]
    except OSError:  # gone in this moment, or not to be listed
        return []


def _is_ours(name: str) -> bool:
    return (_BULK.fullmatch(name) or _TEMPORARY.fullmatch(name)) is not None


def _least_age_s(name: str, bulk_age_s: float) -> float:
    return bulk_age_s if _BULK.fullmatch(name) else DAY_S
