"""How a sweep ends: every point has its row in the table, and the command says whether all went well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hydra.errors import CompactHydraException

from exca.errors import ExecutionError

__all__ = ["SweepFailed", "sweep_to_the_end"]


class SweepFailed(ExecutionError, CompactHydraException):
    """Points of a sweep failed. Hydra reports it without a traceback: those are in the logs of the points."""


def sweep_to_the_end(sweep: Callable[[], Any], failed: Callable[[], int]) -> Any:
    """Run a sweep, and turn the exception of its first failed point into one line about all.

    Parameters
    ----------
    sweep: raises the exception of a failed point after all points have ended.
    failed: how many points of this sweep failed.

    Raises
    ------
    SweepFailed
        if points failed; from the exception of the first one.
    """
    try:
        return sweep()
    except Exception as error:
        count = failed()
        if not count:
            raise
        again = "correct the cause and run the same command with infra.mode=retry to compute only those again"
        raise SweepFailed(f"{count} point{'s' if count > 1 else ''} failed; {again}") from error
