"""``make demo``: sweep the digits example, sweep it again from the cache, read its results from plain Python.

Every command is printed as a user would type it. The exit code is not zero unless the sweep has at least 12
points, its best test accuracy is at least 0.95, the second sweep computes nothing, and plain Python reads the
same values.
"""

from __future__ import annotations

import csv
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEMO = Path(".exca/demo")
APP = "docs/examples/digits/train.py"
GRID = [
    "model=softmax,mlp",
    "optim.lr=0.01,0.03,0.1",
    "seed=0,1",
    "infra=local",
    f"infra.folder={DEMO}/cache",
]


def run(*arguments: str) -> str:
    """Run Python with these arguments from the root, showing and returning what it prints."""
    print(f"\n$ python {shlex.join(arguments)}", flush=True)
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        print(line, end="", flush=True)
        lines.append(line)
    if process.wait():
        sys.exit(f"demo: that command ended with exit code {process.returncode}")
    print(f"[{time.perf_counter() - started:.1f} s]", flush=True)
    return "".join(lines)


def sweep(name: str) -> tuple[list[dict[str, str]], str]:
    """Run the sweep with its own output folder; return the rows of its table and what it printed."""
    printed = run(APP, "-m", *GRID, f"hydra.sweep.dir={DEMO}/{name}")
    with (ROOT / DEMO / name / "results.csv").open(newline="") as table:
        return list(csv.DictReader(table)), printed


def require(true: bool, what: str) -> None:
    """Print what was checked; leave with an error if it is not so."""
    print(f"{'ok' if true else 'NOT SO'}: {what}", flush=True)
    if not true:
        sys.exit(1)


def main() -> None:
    """Run the demo from an empty cache and check every claim it makes."""
    shutil.rmtree(ROOT / DEMO, ignore_errors=True)
    first, _ = sweep("first")
    best = max(float(row["value"]) for row in first)
    require(len(first) >= 12, f"{len(first)} points in the sweep, at least 12")
    require(best >= 0.95, f"best test accuracy {best:.4f}, at least 0.95")
    second, printed = sweep("second")
    require("0 computed" in printed, "the second sweep says '0 computed'")
    require([row["value"] for row in second] == [row["value"] for row in first], "and has the same values")
    run("docs/examples/digits/read.py", str(DEMO / "first" / "results.csv"), str(DEMO / "cache"))
    require(True, "plain Python reads the values of the sweep")


if __name__ == "__main__":
    main()
