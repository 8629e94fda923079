"""``python -m tests.benchmarks``: us, the peers and the raw floor, side by side, in one run.

Every number is the median of several rounds; subjects take turns within a round; each measurement has a process of
its own. Not collected by pytest: numbers depend on the machine, so nothing here passes or fails.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from tests.benchmarks import environments, processes, report
from tests.benchmarks.environments import Environment
from tests.benchmarks.workloads import EXCA, FLOOR, OURS, SUBJECTS, WORKLOADS, Seconds

ROWS = [workload.name for workload in WORKLOADS]
PROCESSES = ["import", "plugin", "sweep"]


class Run:
    """One run of the benchmarks; keeps what was measured for ``--json``."""

    def __init__(self, ours: Environment, peers: Environment, rounds: int, only: list[str]) -> None:
        self.ours = ours
        self.peers = peers
        self.rounds = rounds
        self.only = only
        self.measured: dict[str, Seconds] = {}

    def compare(self) -> None:
        """Print one row per workload, then how the cost of each grows."""
        places = {name: self.ours if name in (OURS, FLOOR, "lru_cache") else self.peers for name in SUBJECTS}
        subjects = list(SUBJECTS)
        rows, growth = [], []
        for workload in (workload for workload in WORKLOADS if workload.name in self.only):
            seconds = workload.measure(workload.size, places, self.rounds)
            self.measured[f"{workload.name} {workload.size}"] = seconds
            aim = 2 * seconds["lru_cache"] if workload.name == "ram_hit" else workload.aim
            rows.append(report.comparison(workload.title.format(size=f"{workload.size:,}"), seconds, aim, subjects))
            sized = sorted([(workload.size, seconds), *workload.growing(places, 1)]) if workload.growth else []
            for size, grown in sized:
                self.measured[f"{workload.name} {size}"] = grown
                growth.append([workload.name, f"{size:,}", *(report.duration(grown.get(name)) for name in subjects)])
        if "import" in self.only:
            seconds = self.measured["import"] = processes.imports(self.ours, self.peers, 3 * self.rounds)
            rows.append(report.comparison("import (floor: import pydantic)", seconds, 0.12, subjects))
        if rows:
            print(report.table(["work", *subjects, "to floor", f"{EXCA} to us", "aim"], rows), end="\n\n", flush=True)
        if growth:
            print(report.table(["how cost grows", "size", *subjects], growth), end="\n\n", flush=True)

    def sweep(self, points: int) -> None:
        """Print the wall time of a Hydra sweep under every launcher."""
        seconds = self.measured["sweep"] = processes.sweeps(self.ours, self.peers, points, self.rounds)
        aims = {"exca-hydra, in process": 4.0, "exca-hydra, local": 4.0, "exca-hydra, cached": 1.5}
        rows = []
        for name, value in seconds.items():
            aim = aims.get(name)
            verdict = f"{aim:g} s {'met' if value <= aim else 'missed'}" if aim else ""
            rows.append([name, report.duration(value), report.ratio(value, seconds[FLOOR]), verdict])
        title = f"Hydra sweep of {points} empty points (floor: one job)"
        print(report.table([title, "wall", "to floor", "aim"], rows), end="\n\n", flush=True)

    def plugin(self, pairs: int) -> None:
        """Print what the plugin adds to a Hydra app that does not use it."""
        rows = []
        for name, (middle, low, high) in processes.plugin_cost(self.peers, pairs).items():
            self.measured[f"plugin, {name}"] = {"median": middle, "lower quartile": low, "upper quartile": high}
            verdict = f"5 ms {'met' if middle <= 0.005 else 'missed'}"
            rows.append([name, *(report.duration(value) for value in (middle, low, high)), verdict])
        title = f"added by the plugin to an app that does not use it ({pairs} pairs)"
        header = [title, "median", "lower quartile", "upper quartile", "aim"]
        print(report.table(header, rows), end="\n\n", flush=True)


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=[*ROWS, *PROCESSES], default=[*ROWS, *PROCESSES])
    parser.add_argument("--rounds", type=int, default=3, help="rounds per median (default 3)")
    parser.add_argument("--points", type=int, default=50, help="points of the Hydra sweep (default 50)")
    parser.add_argument("--pairs", type=int, default=25, help="pairs for the cost of the plugin (default 25)")
    parser.add_argument(
        "--peers", type=Path, help="an interpreter that has the peers (default: .venv-peers, made here)"
    )
    parser.add_argument("--json", type=Path, help="write all medians, in seconds, to this file")
    options = parser.parse_args()
    run = Run(environments.ours(), environments.peers(options.peers), options.rounds, options.only)
    started = time.perf_counter()
    print(report.machine(), end="\n\n", flush=True)
    run.compare()
    if "sweep" in options.only:
        run.sweep(options.points)
    if "plugin" in options.only:
        run.plugin(options.pairs)
    if options.json:
        options.json.write_text(json.dumps(run.measured, indent=2))
    print(f"measured in {time.perf_counter() - started:.0f} s; {report.machine()}")


if __name__ == "__main__":
    main()
