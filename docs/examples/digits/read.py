"""Read results of a sweep from plain Python: no Hydra, and nothing is computed.

Every row of the sweep's ``results.csv`` is built again as an `Experiment` and looked up in the cache; a value
that is missing or differs ends the script with a non-zero exit code.

Example
-------
From the root of the repository::

    python docs/examples/digits/read.py multirun/2026-01-31/12-00-00/results.csv .exca/digits
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from digits import Experiment


def read(row: dict[str, str], folder: str) -> float:
    """Return the stored test accuracy of one row of the table."""
    experiment = Experiment(
        model={"name": row["model"]},
        optim={"lr": row["optim.lr"]},
        seed=row["seed"],
        infra={"folder": folder, "mode": "read-only"},
    )
    return experiment.run()["test_accuracy"]


def main(table: Path, folder: str) -> int:
    """Compare every row with the cache and return the exit code."""
    with table.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    differing = [row for row in rows if read(row, folder) != float(row["value"])]
    for row in differing:
        print(f"differs from the cache: {row}", file=sys.stderr)
    print(f"{len(rows) - len(differing)} of {len(rows)} values of {table} equal those in {folder}")
    return 1 if differing or not rows else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
