"""``python -m tests.benchmarks.cached_sweep``: a sweep whose points are all stored, against Hydra's Basic launcher.

From the start of the process to its end, an empty task, with and without the three YAML files of each job
(``hydra.output_subdir=null``). Basic computes the task each time, which costs nothing here: the difference is what the
launchers and the composition of the points cost. Takes two minutes for 1,000 points, nearly all of it Basic's.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks import environments, report
from tests.benchmarks.environments import Environment
from tests.benchmarks.processes import BOUND, PLAIN
from tests.benchmarks.rounds import medians

WITH, WITHOUT = "with job dirs", "hydra.output_subdir=null"
AIMS = {WITH: 10.0, WITHOUT: 30.0}


def main() -> None:
    """Measure and print one row for each of the two cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=1000, help="points of the sweep (default 1000)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of a median, where one takes under 10 s")
    given = parser.parse_args()
    rows = []
    with environments.scratch() as root:
        for case, words in ((WITH, []), (WITHOUT, [WITHOUT])):
            folder = Path(root, "without" if words else "with")
            seconds = _measured(environments.ours(), folder, given.points, given.rounds, words)
            us, basic = seconds["exca-hydra, cached"], seconds["Hydra Basic"]
            met = "met" if basic / us >= AIMS[case] else "missed"
            cells = [report.duration(basic), report.duration(us), report.duration(us / given.points)]
            rows.append([case, *cells, report.ratio(basic, us), f"{AIMS[case]:g}x {met}"])
    header = [f"{given.points:,} points, start to exit", "Hydra Basic", "us, cached", "a point", "Basic to us", "aim"]
    print(report.table(header, rows))
    print(report.machine())


def _measured(environment: Environment, root: Path, points: int, rounds: int, words: list[str]) -> dict[str, float]:
    root.mkdir()
    count = itertools.count()

    def swept(app: str, *overrides: str) -> Callable[[], float]:
        def run() -> float:
            folder = root / str(next(count))
            folder.mkdir()
            return environment.wall([app, "-m", *overrides, *words], folder)

        return run

    ours = swept(BOUND, f"x=range({points})", f"infra.folder={root}/cache")
    ours()  # computes them
    return medians(rounds, {"exca-hydra, cached": ours, "Hydra Basic": swept(PLAIN, f"+x=range({points})")})


if __name__ == "__main__":
    main()
