"""Whose code a warning is about."""

from __future__ import annotations

import sys

__all__ = ["level_of_caller"]


def level_of_caller() -> int:
    """How far up the stack the first frame outside of this package is; `warnings.warn` counts from its own caller."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "exca":
        level, frame = level + 1, frame.f_back
    return level
