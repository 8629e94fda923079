"""Every workload of maps runs, checks what it reads, and says what it measured; on a few items, whatever the time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.environments import ours
from tests.benchmarks.map_family import MAPS, OUR_DICT
from tests.benchmarks.workloads import FLOOR, OURS, Workload

FEW = 12


@pytest.mark.slow
@pytest.mark.parametrize("workload", MAPS.workloads, ids=lambda workload: workload.name)
def test_workload_runs_through_the_infra_and_beside_it(workload: Workload, tmp_path: Path) -> None:
    places = {name: ours() for name, subject in MAPS.subjects.items() if not subject.peer}
    measured = MAPS.measure(workload, FEW, places, 1, tmp_path)
    assert OURS in measured
    assert all(value > 0 for value in measured.values()) or workload.unit != "s"


@pytest.mark.slow
def test_the_command_prints_a_row_with_its_aim() -> None:
    command = [sys.executable, "-m", "tests.benchmarks", "--only", "map_one_same", "--rounds", "1", "--subjects"]
    root = Path(__file__).parents[2]
    done = subprocess.run([*command, OURS, OUR_DICT, FLOOR], cwd=root, capture_output=True, text=True, check=True)
    row = next(line for line in done.stdout.splitlines() if line.startswith("| map: one cached item"))
    assert "15 us" in row
