"""The experiments that the tests on Slurm run; imported on the nodes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import pydantic
from cluster import Cluster

from exca import MapInfra, TaskInfra

PATIENCE_S = 60.0


def until(ready: object, patience_s: float = PATIENCE_S) -> None:
    """Wait for a condition, a callable."""
    assert callable(ready)
    end = time.monotonic() + patience_s
    while not ready():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


class Point(pydantic.BaseModel):
    """Doubles its number, in one of several ways; leaves a byte in ``<marks>/<x>`` each time it is computed."""

    x: int
    marks: Path
    how: Literal["at once", "gated", "kill the process", "sleep", "large", "raise"] = "at once"
    infra: TaskInfra = TaskInfra()

    @infra.apply(exclude_from_cache_uid=["marks"])
    def run(self) -> int | bytes:
        with open(self.marks / str(self.x), "a") as file:
            file.write("x")
        print(f"point {self.x}")
        if self.how == "gated":
            until((self.marks / "gate").exists)
        elif self.how == "kill the process":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.how == "sleep":
            time.sleep(600)
        elif self.how == "large":
            return os.urandom(4_000_000)
        elif self.how == "raise":
            raise ValueError("bad point")
        return 2 * self.x

    def attempts(self) -> int:
        """How often it was begun."""
        mark = self.marks / str(self.x)
        return mark.stat().st_size if mark.exists() else 0


class Counter(pydantic.BaseModel):
    """Counts to a number, a step a tenth of a second, and saves how far it is when it is told that it must end."""

    to: int
    infra: TaskInfra = TaskInfra()

    @infra.apply
    def run(self) -> list[int]:
        """Numbers at which it was interrupted, and the number reached."""
        saved = self.saved()
        start = saved[-1] if saved else 0
        for number in range(start, self.to):
            self._now = number + 1
            print(self._now)
            time.sleep(0.1)
        return [*saved, self.to]

    _now: int = 0

    def checkpoint(self) -> None:
        with open(self.state(), "a") as file:
            file.write(f"{self._now}\n")

    def state(self) -> Path:
        folder = self.infra.uid_folder()
        assert folder is not None
        return folder / "state"

    def saved(self) -> list[int]:
        return [int(line) for line in self.state().read_text().split()] if self.state().exists() else []


def submit(points: list[Point], max_workers: int | None = None) -> None:
    with points[0].infra.job_array(max_workers=max_workers) as tasks:
        tasks.extend(points)


def slurm_id(config: Point | Counter) -> str:
    """What Slurm calls the job of an unpacked computation."""
    import json

    paths = config.infra.job().paths
    assert paths is not None
    array = (paths.folder / os.readlink(paths.ticket)).resolve().parents[1]
    index = int(os.path.basename(os.readlink(paths.ticket)))
    ids: list[str] = json.loads((array / "scheduler.json").read_text())["ids"]
    return ids[index]


def running(cluster: Cluster, config: Point | Counter) -> str:
    """Wait until a computation runs, and return its id in Slurm."""
    until(lambda: cluster.state_of(slurm_id(config)) == "RUNNING")
    return slurm_id(config)


class Named(pydantic.BaseModel):
    """Says under which name, and with how many cores, it runs."""

    infra: TaskInfra = TaskInfra()

    @infra.apply
    def run(self) -> tuple[str, str]:
        return os.environ["SLURM_JOB_NAME"], os.environ["SLURM_CPUS_ON_NODE"]


class Inner(pydantic.BaseModel):
    """Submits jobs from inside a job."""

    folder: Path
    infra: TaskInfra = TaskInfra()

    @infra.apply
    def run(self) -> list[object]:
        assert "SLURM_JOB_ID" in os.environ
        infra = {"folder": self.folder, "cluster": "slurm", "job_name": "inner"}
        named = Named(infra=infra)
        point = Point(x=7, marks=self.folder.parent, infra=infra)
        return [named.run(), point.run()]


class Ranks(pydantic.BaseModel):
    """Runs as several processes, which find each other before any of them goes on."""

    folder: Path
    infra: TaskInfra = TaskInfra()

    @infra.apply
    def run(self) -> int:
        (self.folder / f"rank-{os.environ['SLURM_PROCID']}").touch()
        count = int(os.environ["SLURM_NTASKS"])
        until(lambda: len(list(self.folder.glob("rank-*"))) == count)
        return count


class Tool(pydantic.BaseModel):
    """Uses code of the user that is not installed."""

    infra: TaskInfra = TaskInfra()

    @infra.apply
    def run(self) -> str:
        from tool_of_the_user import VALUE

        return str(VALUE)


class Doubles(pydantic.BaseModel):
    """Doubles numbers."""

    infra: MapInfra = MapInfra()

    @infra.apply(item_uid=str)
    def run(self, items: Iterable[int]) -> Iterator[int]:
        for item in items:
            yield 2 * item
