"""Workloads inside one process: each subject does what it can, in a new process for every round."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.environments import Environment, scratch

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
    prepare
        The function that fills the folder once per size; without it every round has an empty folder.
    aim
        Seconds we want, or None.
    limit
        Largest size measured for a subject, where more would take minutes.
    """

    title: str
    name: str
    size: int
    growth: tuple[int, ...] = ()
    prepare: str | None = None
    aim: float | None = None
    limit: Mapping[str, int] = field(default_factory=dict)

    def measure(self, size: int, environments: Mapping[str, Environment], rounds: int) -> Seconds:
        """Return the median over rounds for every subject, subjects alternating within a round."""
        with scratch() as root:
            able = [name for name in SUBJECTS if size <= self.limit.get(name, size)]
            found: dict[str, list[float]] = {name: [] for name in able}
            folders = {name: self._prepared(name, size, Path(root), environments[name]) for name in able}
            for turn in range(rounds):
                for name in list(found):
                    folder = folders[name] if self.prepare else _new(Path(root) / f"{name} {turn}")
                    seconds = environments[name].measure(SUBJECTS[name], self.name, size, folder)
                    if seconds is None:
                        del found[name]
                    else:
                        found[name].append(seconds)
            return {name: statistics.median(values) for name, values in found.items()}

    def growing(self, environments: Mapping[str, Environment], rounds: int) -> Iterator[tuple[int, Seconds]]:
        """Yield the medians for every size of `growth`."""
        for size in self.growth:
            yield size, self.measure(size, environments, rounds)

    def _prepared(self, name: str, size: int, root: Path, environment: Environment) -> Path:
        folder = _new(root / name)
        if self.prepare:
            environment.measure(SUBJECTS[name], self.prepare, size, folder)
        return folder


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


WORKLOADS = [
    Workload(
        "warm hit from a new object (build + call), {size} results stored",
        "warm_hit",
        1000,
        growth=(100, 10_000),
        prepare="store",
        aim=0.15e-3,
        limit={EXCA: 1000},
    ),
    Workload("warm hit on the same object, in RAM", "ram_hit", 1),
    Workload("build and uid of a nested config of 30 fields with a union", "identity", 1, aim=0.15e-3),
    Workload("{size} clone_obj", "clone", 1000, growth=(100, 10_000), aim=0.1, limit={EXCA: 1000}),
    Workload(
        "{size} cached tasks, fresh process",
        "fresh",
        1000,
        growth=(100, 10_000),
        prepare="store",
        aim=0.2,
        limit={EXCA: 1000},
    ),
    Workload("job_array of {size} light tasks, in process", "array_inline", 200, growth=(1000,), aim=0.2),
    Workload("job_array of {size} light tasks, local", "array_local", 50, growth=(200,), aim=2.0, limit={EXCA: 50}),
    Workload("status of a task whose result is 80 MB", "status", 1, prepare="store_block", aim=0.2e-3),
]
