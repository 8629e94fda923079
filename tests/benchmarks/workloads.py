"""Workloads inside one process: each subject does what it can, in a new process for every round."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.environments import Environment
from tests.benchmarks.rounds import Command, medians

# Column title -> the module under subjects/ that does the work. Ours and the peer run the very same file.
OURS, EXCA, FLOOR = "exca-hydra", "exca 0.6.0", "floor"
SUBJECTS = {
    OURS: "infra",
    EXCA: "infra",
    "joblib": "joblib_memory",
    "diskcache": "disk_cache",
    "lru_cache": "lru",
    FLOOR: "floor",
}
Seconds = dict[str, float]


@dataclass(frozen=True)
class Aim:
    """What we want: seconds, or at most ``times`` the seconds of another subject on the same machine, or both."""

    seconds: float | None = None
    times: float | None = None
    subject: str = FLOOR


@dataclass(frozen=True)
class Workload:
    """One row: what is measured, on how many tasks, and the aim.

    Attributes
    ----------
    title
        What a reader of the table sees; ``{size}`` is filled in.
    name
        The function of the subjects that measures, in seconds.
    size
        Tasks in the row of the table.
    growth
        Other sizes, to show how cost grows.
    full
        Further sizes for ``--full``, which take minutes.
    prepare
        The function that fills a folder once per size; without it every round has an empty folder.
    aim
        What we want: seconds, or a multiple of another subject, or both.
    limit
        Largest size measured for a subject, where more would take minutes.
    """

    title: str
    name: str
    size: int = 1
    growth: tuple[int, ...] = ()
    full: tuple[int, ...] = ()
    prepare: str | None = None
    aim: Aim = Aim()
    limit: Mapping[str, int] = field(default_factory=dict)

    def measure(self, size: int, environments: Mapping[str, Environment], rounds: int, root: Path) -> Seconds:
        """Return the median over rounds for every subject, subjects alternating within a round.

        What is prepared in the root folder stays there for other workloads.
        """
        able = [name for name in SUBJECTS if size <= self.limit.get(name, size)]

        def measuring(name: str) -> Command:
            place = environments[name]
            return lambda: place.measure(SUBJECTS[name], self.name, size, self._folder(name, size, place, root))

        return medians(rounds, {name: measuring(name) for name in able})

    def _folder(self, name: str, size: int, environment: Environment, root: Path) -> Path:
        if self.prepare is None:
            return Path(tempfile.mkdtemp(dir=root))
        folder = root / f"{self.prepare} {size} {name}"
        if not folder.exists():
            folder.mkdir()
            environment.measure(SUBJECTS[name], self.prepare, size, folder)
        return folder


WORKLOADS = [
    Workload(
        "warm hit from a new object (build + call), {size} results stored",
        "warm_hit",
        1000,
        growth=(100,),
        full=(10_000,),
        prepare="store",
        aim=Aim(0.15e-3, 8.3, FLOOR),
        limit={EXCA: 1000},
    ),
    Workload("warm hit on the same object, in RAM", "ram_hit", aim=Aim(None, 2, "lru_cache")),
    Workload("build and uid of a nested config of 30 fields with a union", "identity", aim=Aim(0.15e-3, 5, FLOOR)),
    Workload("{size} clone_obj", "clone", 1000, growth=(100,), full=(10_000,), aim=Aim(0.1, 3.3, FLOOR)),
    Workload(
        "{size} cached tasks, fresh process",
        "fresh",
        1000,
        growth=(100,),
        full=(10_000,),
        prepare="store",
        aim=Aim(0.2),
        limit={EXCA: 1000},
    ),
    Workload(
        "job_array of {size} light tasks, in process",
        "array_inline",
        200,
        growth=(50,),
        full=(1000,),
        aim=Aim(0.2, 5, FLOOR),
    ),
    Workload(
        "job_array of {size} light tasks, local",
        "array_local",
        50,
        growth=(200,),
        full=(1000,),
        aim=Aim(2.0),
        limit={EXCA: 50},
    ),
    Workload("status of a task whose result is 80 MB", "status", prepare="store_block", aim=Aim(0.2e-3)),
]
