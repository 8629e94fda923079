"""Sweeps of Hydra on Slurm: left alone, killed, and continued; apps that know nothing of this package."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster
from slurm_experiments import Point, until

from exca.errors import JobNotStarted
from exca.execution import job_from_folder, wait_all

APP = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import exca.hydra
from slurm_experiments import Point

@exca.hydra.main(Point)
def main(point: Point) -> int:
    return point.run()

if __name__ == "__main__":
    main()
"""
PLAIN = Path(__file__).parents[1] / "hydra" / "launch_app" / "plain_app.py"


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open(newline="") as table:
        return list(csv.DictReader(table))


class App:
    """A script of a user, and its sweep over ten points that wait for a gate."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "app.py").write_text(APP.format(tests=str(Path(__file__).parent)))

    def command(self, name: str, *more: str) -> list[str]:
        points = ["x=range(10)", "how=gated", f"marks={self.folder}", f"infra.folder={self.folder}/cache"]
        where = ["hydra/launcher=exca_slurm", f"hydra.sweep.dir={self.folder}/{name}"]
        return [sys.executable, str(self.folder / "app.py"), "-m", *points, *where, *more]

    def start(self, *more: str) -> subprocess.Popen[str]:
        log = (self.folder / "first.log").open("w")
        with log:
            return subprocess.Popen(
                self.command("first", *more),
                cwd=self.folder,
                stdout=log,
                stderr=log,
                text=True,
                start_new_session=True,
            )

    def run(self, name: str, *more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(name, *more), cwd=self.folder, capture_output=True, text=True, timeout=120)

    def open(self) -> None:
        (self.folder / "gate").touch()

    def attempts(self) -> list[int]:
        return [Point(x=x, marks=self.folder).attempts() for x in range(10)]

    def schedules(self) -> list[Path]:
        return list((self.folder / "cache" / "logs").glob("*/*/scheduler.json"))

    def postings(self) -> list[Path]:
        return list((self.folder / "cache" / "logs").glob("*/*/posting.json"))


@pytest.fixture
def app(tmp_path: Path) -> App:
    return App(tmp_path)


@pytest.mark.parametrize("packed", [(), ("infra.max_workers=3",)])
def test_a_sweep_whose_submitter_is_killed_with_kill_9(app: App, packed: tuple[str, ...]) -> None:
    first = app.start(*packed)
    until(app.schedules)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    app.open()
    second = app.run("second", *packed)
    assert second.returncode == 0, second.stdout + second.stderr
    assert [row["value"] for row in rows(app.folder / "second")] == [str(2 * x) for x in range(10)]
    assert app.attempts() == [1] * 10
    assert "workers submitted" not in second.stdout + second.stderr


def test_a_detached_sweep_goes_on_and_is_found_again(app: App) -> None:
    detached = app.run("first", "hydra.sweeper.detach=true")
    assert detached.returncode == 0, detached.stdout + detached.stderr
    until(lambda: any(app.attempts()))
    again = app.run("again", "hydra.sweeper.detach=true")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "workers submitted" not in again.stdout + again.stderr
    app.open()
    done = app.run("third")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [row["value"] for row in rows(app.folder / "third")] == [str(2 * x) for x in range(10)]
    assert app.attempts() == [1] * 10


SLOW_SBATCH = """#!/bin/sh
{before}
"{sbatch}" "$@" || exit
{after}
"""


@pytest.mark.parametrize("moment", ["before Slurm has it", "after Slurm has it"])
def test_a_submitter_that_is_killed_before_it_knows_the_ids(
    app: App, moment: str, slurm: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow client of Slurm keeps the window open in which the jobs may or may not exist."""
    pause = f"touch {app.folder}/in-window; sleep 600"
    before, after = (pause, "") if moment.startswith("before") else ("", pause)
    bin_folder = app.folder / "bin"
    bin_folder.mkdir()
    script = SLOW_SBATCH.format(before=before, after=after, sbatch=slurm.clients / "sbatch")
    (bin_folder / "sbatch").write_text(script)
    (bin_folder / "sbatch").chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", f"{bin_folder}{os.pathsep}{os.environ['PATH']}")
        first = app.start()
        until((app.folder / "in-window").exists)
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
    [unanswered] = (path.parent for path in app.postings())
    jobs = [job_from_folder(unanswered.with_name(f"{unanswered.name}_{k}")) for k in range(10)]
    if moment.startswith("before"):
        assert wait_all(jobs, 30)
        assert {type(job.exception()) for job in jobs} == {JobNotStarted}
    else:  # whoever looks finds them in Slurm, and writes down where they are
        until(lambda: {job.status() for job in jobs} and (unanswered / "scheduler.json").exists())
        assert len(json.loads((unanswered / "scheduler.json").read_text())["ids"]) == 10
    app.open()
    began = time.monotonic()
    second = app.run("second")
    assert second.returncode == 0, second.stdout + second.stderr
    assert time.monotonic() - began < 60
    assert len(app.postings()) == (2 if moment.startswith("before") else 1)
    assert [row["value"] for row in rows(app.folder / "second")] == [str(2 * x) for x in range(10)]
    assert app.attempts() == [1] * 10


def test_an_app_that_knows_nothing_of_this_package(tmp_path: Path) -> None:
    def sweep(name: str, *more: str) -> tuple[subprocess.CompletedProcess[str], list[dict[str, str]]]:
        words = ["hydra/launcher=exca_slurm", f"trace={tmp_path}/trace", f"hydra.sweep.dir={name}", *more]
        command = [sys.executable, str(PLAIN), "-m", *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        return done, rows(tmp_path / name)

    done, table = sweep("first", "x=1,2,3,4", "fail=[2]", "kill=[4]")
    assert done.returncode == 1
    assert [row["status"] for row in table] == ["completed", "failed", "completed", "failed"]
    assert [table[k]["value"] for k in (0, 1, 2)] == ["0.5", "ValueError: x=2 was told to fail", "1.5"]
    assert "SIGKILL" in table[3]["value"]
    assert 'raise ValueError(f"x={config.x} was told to fail")' in (tmp_path / "first/1/plain_app.log").read_text()
    assert "at work on 3" in (tmp_path / "first/2/plain_app.log").read_text()
    done, table = sweep("second", "x=1,2,3,4", "fail=[2]", "kill=[4]")
    assert [row["source"] for row in table] == ["cached"] * 4
    done, table = sweep("third", "x=1,3", "fail=[2]", "kill=[4]", "hydra.job.chdir=true", "seen=true")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"folder='{tmp_path}/third/1'" in table[1]["value"]


@pytest.mark.alone  # its jobs take every node
def test_what_was_cancelled_in_the_queue_is_not_submitted_again_by_the_same_sweep(app: App, slurm: Cluster) -> None:
    """Slurm forgets single elements that are cancelled before they start. Who cancels them wants them to end."""
    first = app.start("hydra.launcher.cpus_per_task=8")  # a whole node
    until(lambda: sum(app.attempts()) == 2)
    [schedule] = app.schedules()
    queue = slurm.run("squeue", "-h", "-r", "-t", "PENDING", "-o", "%i").stdout.split()
    ids = set(json.loads(schedule.read_text())["ids"])
    pending = [job for job in queue if job in ids]
    assert len(pending) == 8
    slurm.run("scancel", *pending)
    app.open()
    assert first.wait(60) == 1
    assert [row["source"] for row in rows(app.folder / "first")] == ["computed"] * 2 + ["refused"] * 8
    text = (app.folder / "first.log").read_text()
    assert text.count("workers submitted") == 1
    assert "was not started" in text
    assert "run the same command again" in text
    second = app.run("second")
    assert second.returncode == 0, second.stdout + second.stderr
    assert app.attempts() == [1] * 10


def test_points_of_which_slurm_takes_some(app: App) -> None:
    """What asks for other resources is another array, and fails alone."""
    app.open()
    partitions = ",".join(["main", "no-such"] * 5)
    zipped = (f"infra.slurm_partition={partitions}", "hydra.sweeper.zip=[x,infra.slurm_partition]")
    done = app.run("first", *zipped)
    assert done.returncode == 1
    assert [row["source"] for row in rows(app.folder / "first")] == ["computed", "refused"] * 5
    assert "5 points failed; correct the cause and run the same command again" in done.stderr
    assert app.attempts() == [1, 0] * 5
    assert app.run("second").returncode == 0
    assert app.attempts() == [1] * 10


def test_what_slurm_is_told_by_the_launcher(app: App, slurm: Cluster) -> None:
    more = ("hydra.launcher.cpus_per_task=2", "hydra.launcher.job_name=swept", "hydra.sweeper.detach=true")
    assert app.run("first", *more).returncode == 0
    [schedule] = app.schedules()
    ids: list[Any] = json.loads(schedule.read_text())["ids"]
    shown = slurm.run("scontrol", "show", "job", ids[3]).stdout
    assert "JobName=swept" in shown
    assert "CPUs/Task=2" in shown
    app.open()
    assert app.run("second").returncode == 0
    assert app.attempts() == [1] * 10
