"""The folder of a sweep, and how it may end."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hydra.errors import CompactHydraException
from omegaconf import DictConfig, open_dict, read_write

from exca.errors import ExecutionError
from exca.liveness import Stamp

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
        try:
            candidate.mkdir(parents=True, exist_ok=True)
            if _mark(candidate / _MARK):
                break
        except OSError as error:
            raise SweepRefused(
                f"hydra.sweep.dir={folder} cannot be written: {error}; choose another folder"
            ) from error
    with read_write(config), open_dict(config):
        config.hydra.sweep.dir = str(candidate)
    try:
        yield
    finally:
        (candidate / _MARK).unlink(missing_ok=True)
        with suppress(OSError):  # nothing came of it
            candidate.rmdir()


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
