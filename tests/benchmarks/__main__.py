"""``python -m tests.benchmarks``: us, the peers and the raw floor, side by side, in one run.

Every number is the median of several rounds (of one, where a round takes more than 10 s); subjects take turns within
a round; each measurement has a process of its own. Not collected by pytest: numbers depend on the machine, so nothing
here passes or fails.
"""

from __future__ import annotations

import argparse
import functools
import json
import time
from pathlib import Path

from tests.benchmarks import environments, processes, queues, report
from tests.benchmarks.map_family import MAPS
from tests.benchmarks.task_family import TASKS
from tests.benchmarks.workloads import EXCA, FLOOR, Aim, Family, Seconds, Workload

FAMILIES = {family.name: family for family in (TASKS, MAPS)}
ROWS = {name: [workload.name for workload in family.workloads] for name, family in FAMILIES.items()}
SUBJECTS = list(dict.fromkeys(name for family in FAMILIES.values() for name in family.subjects))
WAITING_S = 180  # a job long enough for its submitter to become patient
PROCESSES = ["import", "plugin", "queues", "sweep"]
CHOICES = [*FAMILIES, *(row for rows in ROWS.values() for row in rows), *PROCESSES]
IMPORTS = Workload("import of TaskInfra (floor: pydantic's BaseModel)", "import", aim=Aim(0.12, 1.5))
PLUGIN_AIM_S = 0.005
SWEEP_AIMS = {
    "exca-hydra, in process": Aim(4.0),
    "exca-hydra, local": Aim(4.0),
    "exca-hydra, cached": Aim(1.5),
}


class Run:
    """One run of the benchmarks; keeps what was measured for ``--json``."""

    def __init__(self, options: argparse.Namespace, root: Path) -> None:
        self.ours = environments.ours()
        self.options = options
        self.root = root
        self.measured: dict[str, Seconds] = {}

    @functools.cached_property
    def peers(self) -> environments.Environment:
        """Made when the first peer is measured."""
        return environments.peers(self.options.peers)

    def compare(self, family: Family) -> None:
        """Print one row per workload of the family, then how the cost of each grows."""
        subjects = [name for name in family.subjects if name in self.options.subjects]
        rows, growth = [], []
        for workload in (workload for workload in family.workloads if workload.name in self.options.only):
            sized = self._sized(family, workload)
            rows.append(report.comparison(workload, sized[workload.size], subjects))
            for size, seconds in sorted(sized.items()) if len(sized) > 1 else ():
                cells = (report.quantity(seconds.get(name), workload.unit) for name in subjects)
                growth.append([workload.name, f"{size:,}", *cells])
        if family is TASKS and "import" in self.options.only:
            seconds = processes.imports(self.ours, self.peers, 3 * self.options.rounds)
            self.measured["import"] = seconds
            rows.append(report.comparison(IMPORTS, seconds, subjects))
        if rows:
            header = ["work", *subjects, "us to floor", f"{EXCA} to us", "aim"]
            print(report.table(header, rows), end="\n\n", flush=True)
        if growth:
            print(report.table(["how cost grows", "size", *subjects], growth), end="\n\n", flush=True)

    def _sized(self, family: Family, workload: Workload) -> dict[int, Seconds]:
        places = {
            name: self.peers if subject.peer else self.ours
            for name, subject in family.subjects.items()
            if name in self.options.subjects
        }
        others = workload.growth + (workload.full if self.options.full else ())
        found = {}
        for size in (workload.size, *others):
            rounds = self.options.rounds if size == workload.size else 1
            found[size] = family.measure(workload, size, places, rounds, self.root)
            self.measured[f"{workload.name} {size}"] = found[size]
        return found

    def sweep(self) -> None:
        """Print the wall time of a Hydra sweep under every launcher."""
        points = self.options.points
        seconds = processes.sweeps(self.ours, self.peers, points, self.options.rounds)
        self.measured[f"sweep {points}"] = seconds
        rows = []
        for name, value in seconds.items():
            aim = report.verdict(seconds, name, SWEEP_AIMS.get(name, Aim()))
            rows.append([name, report.duration(value), report.ratio(value, seconds[FLOOR]), aim])
        title = f"Hydra sweep of {points} empty points (floor: one job)"
        print(report.table([title, "wall", "to floor", "aim"], rows), end="\n\n", flush=True)

    def queues(self) -> None:
        """Print the wall time of light jobs in queues, and what Slurm was asked."""
        points = self.options.points
        found = queues.measure(self.ours, self.peers, points, self.options.rounds, WAITING_S)
        rows = []
        for cluster, seconds in found.seconds.items():
            self.measured[f"queues {cluster} {points}"] = seconds
            us = seconds[queues.ONE_EACH]
            for name, value in seconds.items():
                calls = found.calls.get(name, {}) if cluster == "slurm" else {}
                asked = ", ".join(f"{count} {call}" for call, count in sorted(calls.items()))
                rows.append([cluster, name, report.duration(value), report.ratio(value, us), asked])
        header = [
            f"{points} light jobs, start to exit",
            "subject",
            "wall",
            "to us",
            "calls of the scheduler's commands",
        ]
        print(report.table(header, rows), end="\n\n", flush=True)
        rows = [
            [name, ", ".join(f"{60 * count / WAITING_S:.1f} {call}" for call, count in sorted(calls.items()))]
            for name, calls in found.waiting.items()
        ]
        header = [f"4 Slurm jobs of {WAITING_S} s", "calls of the scheduler's commands in a minute"]
        print(report.table(header, rows), end="\n\n", flush=True)
        if found.problem:
            print(f"nothing about Slurm: {found.problem}", end="\n\n", flush=True)

    def plugin(self) -> None:
        """Print what the plugin adds to a Hydra app that does not use it."""
        rows = []
        for name, (middle, low, high) in processes.plugin_cost(self.peers, self.options.pairs).items():
            self.measured[f"plugin, {name}"] = {"median": middle, "lower quartile": low, "upper quartile": high}
            judged = high - low <= PLUGIN_AIM_S * 4  # a wider spread says nothing about milliseconds
            verdict = f"5 ms {'met' if middle <= PLUGIN_AIM_S else 'missed'}" if judged else "spread too wide"
            rows.append([name, *(report.duration(value) for value in (middle, low, high)), verdict])
        title = f"added by the plugin to an app that does not use it ({self.options.pairs} pairs)"
        header = [title, "median", "lower quartile", "upper quartile", "aim"]
        print(report.table(header, rows), end="\n\n", flush=True)


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", choices=CHOICES, default=CHOICES, metavar="ROW", help=f"of {', '.join(CHOICES)}"
    )
    parser.add_argument(
        "--subjects", nargs="+", choices=SUBJECTS, default=SUBJECTS, metavar="NAME", help=f"of {', '.join(SUBJECTS)}"
    )
    parser.add_argument("--rounds", type=int, default=3, help="rounds per median (default 3)")
    parser.add_argument("--points", type=int, default=50, help="points of the Hydra sweep (default 50)")
    parser.add_argument("--pairs", type=int, default=25, help="pairs for the cost of the plugin (default 25)")
    parser.add_argument(
        "--peers", type=Path, help="an interpreter that has the peers (default: .venv-peers, made here)"
    )
    parser.add_argument("--json", type=Path, help="write all medians, in seconds, to this file")
    parser.add_argument("--full", action="store_true", help="larger sizes too, which takes some minutes more")
    options = parser.parse_args()
    options.only = {row for name in options.only for row in ROWS.get(name, [name])}
    started = time.perf_counter()
    print(report.machine(), end="\n\n", flush=True)
    with environments.scratch() as root:
        run = Run(options, Path(root))
        for family in FAMILIES.values():
            run.compare(family)
        if "sweep" in options.only:
            run.sweep()
        if "queues" in options.only:
            run.queues()
        if "plugin" in options.only:
            run.plugin()
    if options.json:
        options.json.write_text(json.dumps(run.measured, indent=2))
    print(f"measured in {time.perf_counter() - started:.0f} s; {report.machine()}")


if __name__ == "__main__":
    main()
