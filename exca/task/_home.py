"""Where relative folders start: the current folder, or, in a worker, that of the process that submitted."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["absolute", "set_home"]

_home: str | None = None


def set_home(folder: str) -> None:
    """Let relative folders start there; a worker calls this once, since it may run in a copy of the code."""
    global _home
    _home = folder


def absolute(folder: Path) -> str:
    """The folder as an absolute path; an order of magnitude cheaper than pathlib's way."""
    path = os.path.expanduser(folder)
    return os.path.abspath(path if _home is None else os.path.join(_home, path))
