"""The folder of a sweep, and how it may end."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hydra.errors import CompactHydraException
from omegaconf import DictConfig, open_dict, read_write

from exca.errors import ExecutionError
from exca.store import Claim

__all__ = ["SweepFailed", "SweepRefused", "own_folder"]

_MARK = ".running"


class SweepFailed(ExecutionError, CompactHydraException):
    """Points of a sweep failed. Hydra reports it without a traceback: those are in the logs of the points."""


class SweepRefused(ExecutionError, CompactHydraException):
    """A sweep that cannot be submitted as it is configured. Hydra reports it without a traceback."""


@contextmanager
def own_folder(config: DictConfig) -> Iterator[None]:
    """Give a sweep a folder that no other running sweep uses, by a number behind the name if need be.

    Hydra names the folder of a sweep by the second in which it starts.

    Raises
    ------
    SweepRefused
        if there cannot be one.
    """
    folder = Path(str(config.hydra.sweep.dir))
    for number in itertools.count(1):
        candidate = folder if number == 1 else folder.with_name(f"{folder.name}_{number}")
        with _claimed(candidate) as is_own:
            if is_own:
                with read_write(config), open_dict(config):
                    config.hydra.sweep.dir = str(candidate)
                yield
                return


@contextmanager
def _claimed(folder: Path) -> Iterator[bool]:
    """Claim a folder; it is removed again if nothing came of it. False if somebody alive is at work in it."""
    mark = None
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            mark = Claim.take(str(folder / _MARK))
        except OSError as error:
            raise SweepRefused(
                f"hydra.sweep.dir={folder} cannot be written: {error}; choose another folder"
            ) from error
        yield mark is not None
    finally:
        if mark is not None:
            mark.release()
        with suppress(OSError):  # something is in it
            folder.rmdir()
