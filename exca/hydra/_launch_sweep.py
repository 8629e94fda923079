"""A sweep from its first folder to its exit code."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.errors import CompactHydraException
from omegaconf import DictConfig, open_dict, read_write

from exca.errors import ExecutionError
from exca.liveness import Stamp

__all__ = ["SweepFailed", "SweepRefused", "own_folder", "sweep_to_the_end"]

_MARK = ".running"


class SweepFailed(ExecutionError, CompactHydraException):
    """Points of a sweep failed. Hydra reports it without a traceback: those are in the logs of the points."""


class SweepRefused(ExecutionError, CompactHydraException):
    """A sweep that cannot be submitted as it is configured. Hydra reports it without a traceback."""


@contextmanager
def own_folder(config: DictConfig) -> Iterator[None]:
    """Give a sweep a folder that no other running sweep uses, by a number behind the name if need be.

    Hydra names the folder of a sweep by the second in which it starts.
    """
    folder = Path(str(config.hydra.sweep.dir))
    for number in itertools.count(1):
        candidate = folder if number == 1 else folder.with_name(f"{folder.name}_{number}")
        candidate.mkdir(parents=True, exist_ok=True)
        if _mark(candidate / _MARK):
            break
    with read_write(config), open_dict(config):
        config.hydra.sweep.dir = str(candidate)
    try:
        yield
    finally:
        (candidate / _MARK).unlink(missing_ok=True)


def _mark(path: Path) -> bool:
    """Whether the mark is now this process's; that of a dead one is taken over."""
    text = json.dumps(Stamp.current().to_dict())
    try:
        with open(path, "x") as stream:
            stream.write(text)
    except FileExistsError:
        try:
            holder = Stamp.from_dict(json.loads(path.read_text()))
        except (OSError, ValueError):
            return False  # just being written, or just gone: the next number is free
        if holder is None or holder.liveness() != "dead":
            return False
        path.write_text(text)
    return True


def sweep_to_the_end(sweep: Callable[[], Any], failed: Callable[[], int], config: DictConfig) -> Any:
    """Run a sweep in a folder of its own, and turn the exception of its first failed point into one line about all.

    Parameters
    ----------
    sweep: raises the exception of a failed point after all points have ended.
    failed: how many points of this sweep failed.
    config: the config of the sweep as a whole; its ``hydra.sweep.dir`` may be changed.

    Raises
    ------
    SweepFailed
        if points failed; from the exception of the first one.
    """
    try:
        with own_folder(config):
            return sweep()
    except Exception as error:
        count = failed()
        if not count:
            raise
        again = "correct the cause and run the same command with infra.mode=retry to compute only those again"
        raise SweepFailed(f"{count} point{'s' if count > 1 else ''} failed; {again}") from error
