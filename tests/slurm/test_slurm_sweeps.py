"""Many jobs on Slurm: arrays, maps, sweeps of Hydra, and how few calls of sbatch they need."""

from __future__ import annotations

import csv
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster
from slurm_experiments import Doubles, Point, submit

from exca.execution._slurm import largest_array

ROOT = Path(__file__).parents[2]


@pytest.fixture
def infra(tmp_path: Path) -> dict[str, Any]:
    return {"folder": tmp_path / "cache", "cluster": "slurm"}


def arrays(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Ids of the arrays that were submitted: one for each call of sbatch."""
    lines = [r.message for r in caplog.records if "workers submitted to slurm" in r.message]
    return [job for line in lines for job in line.rpartition(": ")[2].split(", ")]


@pytest.fixture
def small_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a cluster that takes ten elements in an array."""
    monkeypatch.setattr("exca.execution._submitit.largest_array", lambda: 10)


def test_an_array_of_a_hundred(tmp_path: Path, infra: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    points = [Point(x=x, marks=tmp_path, infra=infra) for x in range(100)]
    with caplog.at_level(logging.INFO):
        submit(points)
    assert [point.run() for point in points] == [2 * x for x in range(100)]
    assert len(arrays(caplog)) == 1


@pytest.mark.parametrize("workers", [None, 12, 3])
@pytest.mark.usefixtures("small_arrays")
def test_more_points_than_an_array_takes(
    tmp_path: Path, infra: dict[str, Any], caplog: pytest.LogCaptureFixture, workers: int | None
) -> None:
    points = [Point(x=x, marks=tmp_path, infra=infra) for x in range(25)]
    with caplog.at_level(logging.INFO):
        submit(points, max_workers=workers)
    assert [point.run() for point in points] == [2 * x for x in range(25)]
    assert [point.attempts() for point in points] == [1] * 25
    assert len(arrays(caplog)) == {None: 3, 12: 2, 3: 1}[workers]


@pytest.mark.slow
def test_2500_points_on_eight_workers(
    tmp_path: Path, infra: dict[str, Any], caplog: pytest.LogCaptureFixture, slurm: Cluster
) -> None:
    points = [Point(x=x, marks=tmp_path, infra=infra) for x in range(2500)]
    with caplog.at_level(logging.INFO):
        submit(points, max_workers=8)
    assert [point.run() for point in points] == [2 * x for x in range(2500)]
    assert len(arrays(caplog)) == 1
    assert points[1234].infra.job().stdout() == "point 1234\n"


@pytest.mark.alone
@pytest.mark.slow
def test_2500_points_with_a_worker_for_each(
    tmp_path: Path, infra: dict[str, Any], caplog: pytest.LogCaptureFixture, slurm: Cluster
) -> None:
    assert largest_array() == 1001
    points = [Point(x=x, marks=tmp_path, infra=infra) for x in range(2500)]
    with caplog.at_level(logging.INFO):
        submit(points)
    assert [point.run() for point in points] == [2 * x for x in range(2500)]
    assert [point.attempts() for point in points] == [1] * 2500
    assert len(arrays(caplog)) == 3


def test_a_map_of_2000_items(infra: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    doubles = Doubles(infra=infra | {"max_jobs": 8})
    with caplog.at_level(logging.INFO):
        assert list(doubles.run(range(2000))) == [2 * x for x in range(2000)]
    assert len(arrays(caplog)) == 1


def test_points_with_other_resources_are_an_array_of_their_own(
    tmp_path: Path, infra: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    points = [Point(x=x, marks=tmp_path, infra=infra | {"cpus_per_task": 1 + x % 2}) for x in range(8)]
    with caplog.at_level(logging.INFO):
        submit(points)
    assert [point.run() for point in points] == [2 * x for x in range(8)]
    assert len(arrays(caplog)) == 2


@pytest.mark.slow
def test_the_demo_sweep(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    grid = ["model=softmax", "optim.lr=0.01,0.03,0.1", "seed=0,1", "optim.epochs=1"]

    def sweep(name: str) -> tuple[list[dict[str, str]], str]:
        command = [sys.executable, "docs/examples/digits/train.py", "-m", *grid, "hydra/launcher=exca_slurm"]
        places = [f"infra.folder={tmp_path}/cache", f"hydra.sweep.dir={tmp_path}/{name}"]
        done = subprocess.run([*command, *places], cwd=ROOT, capture_output=True, text=True, env={**os.environ})
        assert done.returncode == 0, done.stdout + done.stderr
        with (tmp_path / name / "results.csv").open(newline="") as table:
            return list(csv.DictReader(table)), done.stdout + done.stderr

    rows, printed = sweep("first")
    assert [row["status"] for row in rows] == ["completed"] * 6
    assert len(re.findall("workers submitted to slurm", printed)) == 1
    again, printed = sweep("second")
    assert "0 computed" in printed
    assert [row["value"] for row in again] == [row["value"] for row in rows]
