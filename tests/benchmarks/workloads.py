"""Workloads inside one process: each subject does what it can, in a new process for every round."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.environments import Environment
from tests.benchmarks.rounds import Command, medians

OURS, EXCA, FLOOR = "exca-hydra", "exca 0.6.0", "floor"
Seconds = dict[str, float]


@dataclass(frozen=True)
class Subject:
    """A column: the module under subjects/ that does the work, and whose environment it needs."""

    module: str
    peer: bool = False


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
    judged
        The subject whose aim it is.
    function
        The function of the subjects, where two rows share one.
    unit
        What is measured: seconds, or MB.
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
    judged: str = OURS
    function: str | None = None
    unit: str = "s"
    limit: Mapping[str, int] = field(default_factory=dict)

    def measure(self, size: int, subject: Subject, environment: Environment, root: Path) -> float | None:
        """Run once in a new process and return what it says; what is prepared stays for other workloads."""
        function = self.function or self.name
        if self.prepare is not None:
            folder = self._prepared(self.prepare, size, subject, environment, root)
            return environment.measure(subject.module, function, size, folder)
        folder = Path(tempfile.mkdtemp(dir=root))
        try:
            return environment.measure(subject.module, function, size, folder)
        finally:
            shutil.rmtree(folder)  # what nobody will read must not be written out while others are measured

    def _prepared(self, prepare: str, size: int, subject: Subject, environment: Environment, root: Path) -> Path:
        folder = root / f"{prepare} {size} {subject.module} {subject.peer}"
        if not folder.exists():
            folder.mkdir()
            environment.measure(subject.module, prepare, size, folder)
        return folder


@dataclass(frozen=True)
class Family:
    """Workloads that share a table: the same subjects, in the same order."""

    name: str
    subjects: Mapping[str, Subject]
    workloads: Sequence[Workload]

    def measure(
        self, workload: Workload, size: int, places: Mapping[str, Environment], rounds: int, root: Path
    ) -> Seconds:
        """Return the median over rounds for every subject that has a place, subjects alternating within a round."""

        def measuring(subject: Subject, place: Environment) -> Command:
            return lambda: workload.measure(size, subject, place, root)

        able = {name: place for name, place in places.items() if size <= workload.limit.get(name, size)}
        return medians(rounds, {name: measuring(self.subjects[name], place) for name, place in able.items()})
