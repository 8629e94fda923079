"""The same workloads for this package and for the peer of the same import name: whichever ``exca`` is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import configs
import numpy as np
import timing
from pydantic import BaseModel

import exca


class Square(BaseModel):
    """A task of no weight: what remains is the cost of the package."""

    x: int = 0
    infra: exca.TaskInfra = exca.TaskInfra(version="1")

    @infra.apply
    def run(self) -> float:
        """Return the square of ``x``."""
        return float(self.x**2)


class Block(BaseModel):
    """A task whose result is an array of 80 MB."""

    seed: int = 0
    infra: exca.TaskInfra = exca.TaskInfra(version="1")

    @infra.apply
    def run(self) -> np.ndarray[Any, Any]:
        """Return ten million numbers."""
        return np.random.default_rng(self.seed).random(10_000_000)


class Training(configs.Training):
    """The nested config of 30 fields, with an infra."""

    infra: exca.TaskInfra = exca.TaskInfra(version="1")

    @infra.apply
    def run(self) -> float:
        """Return a number."""
        return self.optim.lr


def store(folder: Path, size: int) -> None:
    """Store the results of ``size`` tasks."""
    for x in range(size):
        Square(x=x, infra={"folder": folder}).run()


def store_block(folder: Path, size: int) -> None:
    """Store the result of 80 MB."""
    Block(infra={"folder": folder}).run()


def warm_hit(folder: Path, size: int) -> float:
    """Build a config and read its stored result: seconds."""
    x = size // 2
    return timing.per_call(lambda: Square(x=x, infra={"folder": folder}).run())


def ram_hit(folder: Path, size: int) -> float:
    """Call the same object again, its result kept in RAM: seconds."""
    square = Square(x=3, infra={"folder": folder, "keep_in_ram": True})
    square.run()
    return timing.per_call(square.run)


def identity(folder: Path, size: int) -> float:
    """Build the nested config and compute its uid: seconds."""
    return timing.per_call(lambda: Training(**configs.values()).infra.uid())


def clone(folder: Path, size: int) -> float:
    """Make ``size`` copies of the nested config with another learning rate: seconds."""
    training = Training(**configs.values())
    return timing.once(lambda: [training.infra.clone_obj({"optim.lr": 1 / (i + 1)}) for i in range(size)])


def fresh(folder: Path, size: int) -> float:
    """Read ``size`` stored results in a process that has read none: seconds."""
    return timing.once(lambda: [Square(x=x, infra={"folder": folder}).run() for x in range(size)])


def array_inline(folder: Path, size: int) -> float:
    """Compute ``size`` new tasks as one job array in this process: seconds."""
    return timing.once(lambda: _array(folder, size, None))


def array_local(folder: Path, size: int) -> float:
    """Compute ``size`` new tasks as one job array in processes of this machine: seconds."""
    return timing.once(lambda: _array(folder, size, "local"))


def status(folder: Path, size: int) -> float:
    """Build the config of a stored task and ask for its status: seconds."""
    return timing.per_call(lambda: Block(infra={"folder": folder}).infra.status())


def _array(folder: Path, size: int, cluster: str | None) -> None:
    square = Square(infra={"folder": folder, "cluster": cluster})
    with square.infra.job_array() as tasks:
        tasks.extend(square.infra.clone_obj({"x": x}) for x in range(size))
    assert [task.run() for task in tasks] == [x**2 for x in range(size)]
