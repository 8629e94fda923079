"""What a user does with tasks on Slurm, beyond what every executor can do."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster
from slurm_experiments import Inner, Point, Ranks, Tool, slurm_id, submit, until

from exca import helpers


@pytest.fixture
def infra(tmp_path: Path) -> dict[str, Any]:
    return {"folder": tmp_path / "cache", "cluster": "slurm"}


def test_find_slurm_job(tmp_path: Path, infra: dict[str, Any]) -> None:
    points = [Point(x=x, marks=tmp_path, infra=infra) for x in range(3)]
    submit(points)
    assert [point.run() for point in points] == [0, 2, 4]
    for job_id in (slurm_id(points[2]), points[2].infra.job().job_id):
        for folder in (tmp_path / "cache", tmp_path):
            job = helpers.find_slurm_job(job_id=job_id, folder=folder)
            assert job is not None
            assert job.folder == points[2].infra.uid_folder()
            assert job.config["x"] == 2
            assert job.uid_config == {"x": 2}
            assert (job.done(), job.status(), job.result(), job.stdout()) == (True, "completed", 4, "point 2\n")
    known = helpers.find_slurm_job(job_id=slurm_id(points[1]))
    assert known is not None
    assert known.uid_config == {"x": 1}
    assert helpers.find_slurm_job(job_id="1_1", folder=tmp_path) is None
    with pytest.raises(LookupError, match=r"Slurm does not know job 1_1 .*say in which folder"):
        helpers.find_slurm_job(job_id="1_1")


def test_find_slurm_job_of_a_worker_that_several_share(tmp_path: Path, infra: dict[str, Any]) -> None:
    import json

    points = [Point(x=x, marks=tmp_path, how="gated", infra=infra) for x in range(3)]
    submit(points, max_workers=1)
    until(lambda: any(point.attempts() for point in points))
    [begun] = [point for point in points if point.attempts()]
    [schedule] = (tmp_path / "cache" / "logs").glob("*/*/scheduler.json")
    [job_id] = json.loads(schedule.read_text())["ids"]
    job = helpers.find_slurm_job(job_id=job_id, folder=tmp_path)
    assert job is not None
    assert job.config["x"] == begun.x
    assert job.status() == "running"
    (tmp_path / "gate").touch()
    assert sum(point.run() for point in points) == 6


def test_a_job_may_submit_jobs(tmp_path: Path, infra: dict[str, Any]) -> None:
    outer = infra | {"cpus_per_task": 3, "job_name": "outer"}
    assert Inner(folder=tmp_path / "inner", infra=outer).run() == [("inner", "1"), 14]


def test_several_processes_are_one_job(tmp_path: Path, infra: dict[str, Any]) -> None:
    ranks = Ranks(folder=tmp_path, infra=infra | {"tasks_per_node": 2, "nodes": 2})
    assert ranks.run() == 4
    assert sorted(path.name for path in tmp_path.glob("rank-*")) == ["rank-0", "rank-1", "rank-2", "rank-3"]
    assert ranks.infra.status() == "completed"


def test_a_queued_job_runs_the_code_that_was_submitted(tmp_path: Path, infra: dict[str, Any], slurm: Cluster) -> None:
    code = tmp_path / "project"
    code.mkdir()
    (code / "tool_of_the_user.py").write_text("VALUE = 'as submitted'")
    script = code / "script.py"
    script.write_text(f"""
import sys
import time
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from slurm_experiments import Tool
tool = Tool(infra={{"folder": {str(tmp_path / "cache")!r}, "cluster": "slurm", "workdir": {str(code)!r},
                   "slurm_additional_parameters": {{"hold": True}}}})
tool.infra.job()
""")
    subprocess.run([sys.executable, str(script)], check=True, cwd=code)
    (code / "tool_of_the_user.py").write_text("VALUE = 'edited since'")
    tool = Tool(infra=infra)
    slurm.run("scontrol", "release", slurm_id(tool))
    assert tool.run() == "as submitted"
    folder = tool.infra.uid_folder()
    assert folder is not None
    assert (folder / "code" / "tool_of_the_user.py").read_text() == "VALUE = 'as submitted'"


def test_status_of_a_thousand_opens_no_file_for_each_and_asks_slurm_once(
    tmp_path: Path, infra: dict[str, Any], slurm: Cluster
) -> None:
    held = infra | {"slurm_additional_parameters": {"hold": True}}
    waiting = [Point(x=x, marks=tmp_path, infra=held) for x in range(200)]
    submit(waiting)
    here = infra | {"cluster": None}
    for x in range(200, 900):
        Point(x=x, marks=tmp_path, infra=here).run()
    for x in range(900, 1000):
        with pytest.raises(ValueError, match="bad point"):
            Point(x=x, marks=tmp_path, how="raise", infra=here).run()
    script = f"""
import sys, os
from collections import Counter
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from slurm_experiments import Point
infra = {{"folder": {str(tmp_path / "cache")!r}, "cluster": "slurm"}}
how = ["at once"] * 900 + ["raise"] * 100
points = [Point(x=x, marks=Path({str(tmp_path)!r}), how=how[x], infra=infra) for x in range(1000)]
points[0].infra.status(), [point.infra.uid() for point in points]
opened, started = [], []
sys.addaudithook(lambda event, args: opened.append(args[0]) if event == "open" else
                 started.append(args[1]) if event == "subprocess.Popen" else None)
print(*sorted(Counter(point.infra.status() for point in points).items()))
sys.stderr.write(f"{{len(opened)}} {{len(started)}}")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout == "('completed', 700) ('failed', 100) ('running', 200)\n", done.stderr
    assert "_0 and 199 more will not start as it is (JobHeldUser)" in done.stderr
    opened, started = map(int, done.stderr.splitlines()[-1].split())
    assert opened <= 10
    assert started <= 1
    for point in waiting:
        point.infra.job().cancel()
    assert waiting[7].infra.status() == "failed"


@pytest.mark.slow
def test_threads_that_submit_and_wait_at_the_same_time(tmp_path: Path, infra: dict[str, Any]) -> None:
    points = [Point(x=x, marks=tmp_path, infra=infra) for x in range(32)]
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(Point.run, points)) == [2 * x for x in range(32)]
    assert [point.attempts() for point in points] == [1] * 32
    assert len(list((tmp_path / "cache" / "logs").glob("*/*/scheduler.json"))) == 32, "none was submitted twice"


@pytest.mark.slow
def test_jobs_that_run_are_replaced_all_at_once(tmp_path: Path, infra: dict[str, Any]) -> None:
    points = [Point(x=x, marks=tmp_path, how="gated", infra=infra) for x in range(12)]
    submit(points)
    until(lambda: all(point.attempts() for point in points))
    began = time.monotonic()
    forced = [point.infra.clone_obj({"infra.mode": "force"}) for point in points]
    submit(forced)
    assert time.monotonic() - began < 5, "not half a second for each"
    (tmp_path / "gate").touch()
    assert [point.run() for point in forced] == [2 * x for x in range(12)]
    assert [point.attempts() for point in points] == [2] * 12


def test_slurm_names_and_limits(tmp_path: Path, infra: dict[str, Any], slurm: Cluster) -> None:
    asked = infra | {
        "job_name": "my job",
        "timeout_min": 7,
        "cpus_per_task": 2,
        "mem_gb": 0.5,
        "slurm_partition": "main",
        "slurm_setup": ["export EXCA_TEST_SETUP=done"],
        "slurm_additional_parameters": {"hold": True, "comment": "mine", "nice": 5},
    }
    point = Point(x=1, marks=tmp_path, infra=asked)
    point.infra.job()
    shown = slurm.run("scontrol", "show", "job", slurm_id(point)).stdout
    fields = dict(item.split("=", 1) for item in shown.split() if "=" in item)
    assert "JobName=my job" in shown
    assert (fields["TimeLimit"], fields["CPUs/Task"], fields["MinMemoryNode"]) == ("00:07:00", "2", "512M")
    assert "Comment=mine 20" in shown
    assert fields["Partition"] == "main"
    point.infra.job().cancel()
    assert point.infra.status() == "failed"
    assert os.environ.get("SLURM_JOB_ID") is None
