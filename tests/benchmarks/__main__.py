"""``python -m tests.benchmarks``: us, the peers and the raw floor, side by side, in one run.

Every number is the median of several rounds (of one, where a round takes more than 10 s); subjects take turns within
a round; each measurement has a process of its own. Not collected by pytest: numbers depend on the machine, so nothing
here passes or fails.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from tests.benchmarks import environments, processes, report
from tests.benchmarks.workloads import EXCA, FLOOR, OURS, SUBJECTS, WORKLOADS, Aim, Seconds, Workload

ROWS = [workload.name for workload in WORKLOADS]
PROCESSES = ["import", "plugin", "sweep"]
IMPORT_TITLE, IMPORT_AIM = "import (floor: pydantic's BaseModel)", Aim(0.12, 1.5)
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
        self.peers = environments.peers(options.peers)
        self.options = options
        self.root = root
        self.measured: dict[str, Seconds] = {}

    def compare(self) -> None:
        """Print one row per workload, then how the cost of each grows."""
        subjects = list(SUBJECTS)
        rows, growth = [], []
        for workload in (workload for workload in WORKLOADS if workload.name in self.options.only):
            sized = self._sized(workload)
            title = workload.title.format(size=f"{workload.size:,}")
            rows.append(report.comparison(title, sized[workload.size], workload.aim, subjects))
            for size, seconds in sorted(sized.items()) if len(sized) > 1 else ():
                cells = (report.duration(seconds.get(name)) for name in subjects)
                growth.append([workload.name, f"{size:,}", *cells])
        if "import" in self.options.only:
            seconds = processes.imports(self.ours, self.peers, 3 * self.options.rounds)
            self.measured["import"] = seconds
            rows.append(report.comparison(IMPORT_TITLE, seconds, IMPORT_AIM, subjects))
        if rows:
            header = ["work", *subjects, "us to floor", f"{EXCA} to us", "aim"]
            print(report.table(header, rows), end="\n\n", flush=True)
        if growth:
            print(report.table(["how cost grows", "size", *subjects], growth), end="\n\n", flush=True)

    def _sized(self, workload: Workload) -> dict[int, Seconds]:
        places = {name: self.ours if name in (OURS, FLOOR, "lru_cache") else self.peers for name in SUBJECTS}
        others = workload.growth + (workload.full if self.options.full else ())
        found = {}
        for size in (workload.size, *others):
            rounds = self.options.rounds if size == workload.size else 1
            found[size] = workload.measure(size, places, rounds, self.root)
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
    parser.add_argument("--only", nargs="+", choices=[*ROWS, *PROCESSES], default=[*ROWS, *PROCESSES])
    parser.add_argument("--rounds", type=int, default=3, help="rounds per median (default 3)")
    parser.add_argument("--points", type=int, default=50, help="points of the Hydra sweep (default 50)")
    parser.add_argument("--pairs", type=int, default=25, help="pairs for the cost of the plugin (default 25)")
    parser.add_argument(
        "--peers", type=Path, help="an interpreter that has the peers (default: .venv-peers, made here)"
    )
    parser.add_argument("--json", type=Path, help="write all medians, in seconds, to this file")
    parser.add_argument("--full", action="store_true", help="larger sizes too, which takes some minutes more")
    options = parser.parse_args()
    started = time.perf_counter()
    print(report.machine(), end="\n\n", flush=True)
    with environments.scratch() as root:
        run = Run(options, Path(root))
        run.compare()
        if "sweep" in options.only:
            run.sweep()
        if "plugin" in options.only:
            run.plugin()
    if options.json:
        options.json.write_text(json.dumps(run.measured, indent=2))
    print(f"measured in {time.perf_counter() - started:.0f} s; {report.machine()}")


if __name__ == "__main__":
    main()
