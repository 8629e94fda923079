"""What a user sees when something goes wrong on a cluster, and what is lost: nothing but the work that was killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster
from slurm_experiments import Counter, Point, running, slurm_id, submit, until

from exca.errors import JobCancelled, JobFailed, ResultNotStored, SubmissionFailed


@pytest.fixture
def infra(tmp_path: Path) -> dict[str, Any]:
    return {"folder": tmp_path / "cache", "cluster": "slurm"}


def gated(tmp_path: Path, infra: dict[str, Any], count: int, **changes: Any) -> list[Point]:
    points = [Point(x=x, marks=tmp_path, how="gated", infra=infra) for x in range(count)]
    return [point.infra.clone_obj(changes.get(f"x{point.x}", {})) for point in points]


def agent_of(config: Point | Counter) -> int:
    """Process id of the agent, the parent of the process that computes."""
    import json

    paths = config.infra.job().paths
    assert paths is not None
    worker = json.loads(paths.state.read_text())["pid"]
    return int(Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[1])


def test_scancel_of_one_of_eight(tmp_path: Path, infra: dict[str, Any], slurm: Cluster) -> None:
    points = gated(tmp_path, infra, 8)
    submit(points)
    until(lambda: all(point.attempts() for point in points))
    slurm.run("scancel", running(slurm, points[3]))
    with pytest.raises(JobCancelled, match=r"cancelled in Slurm, Slurm job \d+_3 is CANCELLED"):
        points[3].run()
    (tmp_path / "gate").touch()
    assert [point.run() for point in points if point.x != 3] == [0, 2, 4, 8, 10, 12, 14]
    again = points[3].infra.clone_obj({"infra.mode": "retry"})
    assert again.run() == 6
    assert [point.attempts() for point in points] == [1, 1, 1, 2, 1, 1, 1, 1]


def test_incident_19_a_killed_call_is_seen_at_once(tmp_path: Path, infra: dict[str, Any]) -> None:
    points = gated(tmp_path, infra, 4, x1={"how": "kill the process"})
    submit(points)
    until(lambda: points[0].attempts())
    began = time.monotonic()
    with pytest.raises(JobFailed, match=r"killed by signal 9 \(SIGKILL\) on .*stderr.log"):
        points[1].run()
    assert time.monotonic() - began < 10
    (tmp_path / "gate").touch()
    assert [points[x].run() for x in (0, 2, 3)] == [0, 4, 6]


def test_incident_19_a_killed_worker_with_all_its_processes(
    tmp_path: Path, infra: dict[str, Any], slurm: Cluster
) -> None:
    points = gated(tmp_path, infra, 2)
    submit(points)
    until(lambda: all(point.attempts() for point in points))
    os.kill(agent_of(points[1]), signal.SIGKILL)
    with pytest.raises(JobFailed, match=r"its Slurm job failed.*_1 is FAILED"):
        points[1].run()
    assert points[1].infra.status() == "failed"
    (tmp_path / "gate").touch()
    assert points[0].run() == 0


def test_a_killed_call_of_packed_workers_costs_no_other(tmp_path: Path, infra: dict[str, Any]) -> None:
    points = [
        Point(x=x, marks=tmp_path, infra=infra, how="kill the process" if x == 2 else "at once") for x in range(9)
    ]
    submit(points, max_workers=2)
    with pytest.raises(JobFailed, match=r"killed by signal 9"):
        points[2].run()
    assert [point.run() for point in points if point.x != 2] == [0, 2, 6, 8, 10, 12, 14, 16]
    assert all(point.infra.job().stdout() == f"point {point.x}\n" for point in points)


def test_a_killed_packed_worker_leaves_the_rest_to_the_other(
    tmp_path: Path, infra: dict[str, Any], slurm: Cluster
) -> None:
    points = gated(tmp_path, infra, 6)
    submit(points, max_workers=2)
    until(lambda: sum(point.attempts() for point in points) == 2)
    begun = [point for point in points if point.attempts()]
    os.kill(agent_of(begun[0]), signal.SIGKILL)
    with pytest.raises(JobFailed, match="its Slurm job failed"):
        begun[0].run()
    (tmp_path / "gate").touch()
    assert [point.run() for point in points if point is not begun[0]] == [
        2 * point.x for point in points if point is not begun[0]
    ]


def test_packed_workers_that_are_all_gone_leave_calls_that_can_be_submitted_again(
    tmp_path: Path, infra: dict[str, Any], slurm: Cluster
) -> None:
    points = gated(tmp_path, infra, 3)
    submit(points, max_workers=1)
    until(lambda: any(point.attempts() for point in points))
    [begun] = [point for point in points if point.attempts()]
    os.kill(agent_of(begun), signal.SIGKILL)
    with pytest.raises(JobFailed):
        begun.run()
    (tmp_path / "gate").touch()
    left = [point for point in points if point is not begun]
    assert [point.run() for point in left] == [2 * point.x for point in left]
    assert [point.attempts() for point in points] == [1, 1, 1]


def test_cancel_acts_on_one_element_of_an_array(tmp_path: Path, infra: dict[str, Any], slurm: Cluster) -> None:
    points = gated(tmp_path, infra, 3)
    submit(points)
    until(lambda: all(point.attempts() for point in points))
    points[1].infra.job().cancel()
    with pytest.raises(JobCancelled, match="cancelled while it ran"):
        points[1].run()
    points[2].infra.clear_job()
    assert points[2].infra.status() == "not submitted"
    slurm.wait_for_end([slurm_id(points[1])])
    assert slurm.state_of(slurm_id(points[0])) == "RUNNING"
    (tmp_path / "gate").touch()
    assert [points[x].run() for x in (0, 2)] == [0, 4]


def test_cancel_of_one_call_of_a_packed_worker(tmp_path: Path, infra: dict[str, Any]) -> None:
    points = gated(tmp_path, infra, 3)
    submit(points, max_workers=1)
    until(lambda: any(point.attempts() for point in points))
    [begun] = [point for point in points if point.attempts()]
    begun.infra.job().cancel()
    with pytest.raises(JobCancelled, match="cancelled while it ran"):
        begun.run()
    (tmp_path / "gate").touch()
    assert [point.run() for point in points if point is not begun] == [
        2 * point.x for point in points if point is not begun
    ]


def test_an_environment_that_is_not_on_the_node(tmp_path: Path, infra: dict[str, Any], slurm: Cluster) -> None:
    python = tmp_path / "env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    held = infra | {"conda_env": tmp_path / "env", "slurm_additional_parameters": {"hold": True}}
    point = Point(x=1, marks=tmp_path, infra=held)
    point.infra.job()
    python.unlink()
    slurm.run("scontrol", "release", slurm_id(point))
    with pytest.raises(JobFailed, match=r"its worker could not begin: .*FAILED.*(not found|No such file)"):
        point.run()


def test_a_result_that_does_not_fit_on_the_disk(tmp_path: Path, infra: dict[str, Any]) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(small)]).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        placed = infra | {"folder": small, "logs": str(tmp_path / "logs")}
        large, other = (Point(x=x, marks=tmp_path, how=how, infra=placed) for x, how in ((1, "large"), (2, "at once")))
        submit([large, other])
        with pytest.raises(ResultNotStored, match="No space left"):
            large.run()
        assert other.run() == 4
        assert large.attempts() == 1
    finally:
        subprocess.run(["umount", "--lazy", str(small)], check=True)


def test_incident_9_logs_deleted_afterwards(tmp_path: Path, infra: dict[str, Any]) -> None:
    points = [Point(x=x, marks=tmp_path, infra=infra) for x in range(3)]
    submit(points)
    assert [point.run() for point in points] == [0, 2, 4]
    shutil.rmtree(tmp_path / "cache" / "logs")
    found = [Point(x=x, marks=tmp_path, infra=infra) for x in range(3)]
    assert [point.infra.status() for point in found] == ["completed"] * 3
    assert [point.run() for point in found] == [0, 2, 4]
    assert [point.attempts() for point in found] == [1, 1, 1]


def test_incident_9_logs_deleted_while_jobs_run(tmp_path: Path, infra: dict[str, Any]) -> None:
    points = gated(tmp_path, infra, 2)
    submit(points)
    until(lambda: all(point.attempts() for point in points))
    shutil.rmtree(tmp_path / "cache" / "logs")
    others = gated(tmp_path, infra, 2)
    assert [point.infra.status() for point in (*points, *others)] == ["running"] * 4
    (tmp_path / "gate").touch()
    assert [point.run() for point in (*points, *others)] == [0, 2, 0, 2]
    assert [point.attempts() for point in points] == [1, 1]


def test_what_slurm_refuses_is_said_at_once(tmp_path: Path, infra: dict[str, Any]) -> None:
    point = Point(x=1, marks=tmp_path, infra=infra | {"slurm_partition": "nowhere"})
    with pytest.raises(SubmissionFailed, match=r"slurm did not take the jobs: .*[Ii]nvalid partition"):
        point.run()
    assert point.infra.status() == "not submitted"
    folder = point.infra.uid_folder()
    assert folder is not None
    assert not (folder / "job.json").exists()


DEAF_SBATCH = """#!/bin/sh
answer=$("{sbatch}" "$@") || exit
if mkdir "{first}"; then echo "sbatch: error: Socket timed out on send/recv operation" >&2; exit 1; fi
echo "$answer"
"""


def test_a_submission_whose_answer_is_lost_is_taken_twice(
    tmp_path: Path, infra: dict[str, Any], slurm: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    sbatch = tmp_path / "bin" / "sbatch"
    sbatch.parent.mkdir()
    sbatch.write_text(DEAF_SBATCH.format(sbatch=slurm.clients / "sbatch", first=tmp_path / "first"))
    sbatch.chmod(0o755)
    points = gated(tmp_path, infra, 3)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", f"{sbatch.parent}{os.pathsep}{os.environ['PATH']}")
        submit(points)
    second = slurm_id(points[0]).partition("_")[0]
    until(lambda: all(point.attempts() for point in points))
    until(lambda: second not in slurm.run("squeue", "--noheader", "--format=%A").stdout)
    time.sleep(5)  # whoever watches asks again after two seconds
    assert {point.infra.status() for point in points} == {"running"}
    (tmp_path / "gate").touch()
    assert [point.run() for point in points] == [0, 2, 4]
    assert [point.attempts() for point in points] == [1, 1, 1]


def test_a_refused_submission_leaves_what_was_stored(tmp_path: Path, infra: dict[str, Any]) -> None:
    point = Point(x=1, marks=tmp_path, infra=infra | {"cluster": None})
    assert point.run() == 2
    folder = point.infra.uid_folder()
    assert folder is not None
    note = (folder / "job.json").read_bytes()
    forced = point.infra.clone_obj(
        {"infra.mode": "force", "infra.cluster": "slurm", "infra.slurm_partition": "nowhere"}
    )
    with pytest.raises(SubmissionFailed):
        forced.run()
    assert (folder / "job.json").read_bytes() == note
    assert not (folder / "submitit").is_symlink()
    assert point.infra.clone_obj().run() == 2


def test_a_warning_makes_a_computation_save_its_state_and_go_on_in_its_folder(
    tmp_path: Path, infra: dict[str, Any], slurm: Cluster
) -> None:
    counter = Counter(to=40, infra=infra)
    job = counter.infra.job()
    until(job.stdout)  # it counts
    slurm.run("scancel", "--batch", "--signal=USR2", slurm_id(counter))
    until(counter.saved)
    found = counter.run()
    assert 1 <= found[0] < 40
    assert found[-1] == 40
    assert len(found) == 2


def test_scancel_ends_a_job_that_could_save_its_state(tmp_path: Path, infra: dict[str, Any], slurm: Cluster) -> None:
    counter = Counter(to=600, infra=infra)
    job = counter.infra.job()
    until(lambda: (paths := job.paths) is not None and paths.stdout.exists())
    time.sleep(1.0)
    name = slurm_id(counter)
    slurm.run("scancel", name)
    with pytest.raises(JobCancelled, match=r"cancelled in Slurm"):
        counter.run()
    slurm.wait_for_end([name])
    assert slurm.state_of(name) == "CANCELLED", "it did not ask to be started again"


def test_a_job_that_asks_to_be_started_again_costs_no_sibling(
    tmp_path: Path, infra: dict[str, Any], slurm: Cluster
) -> None:
    counters = [Counter(to=to, infra=infra) for to in (60, 61, 62)]
    with counters[0].infra.job_array() as tasks:
        tasks.extend(counters)
    jobs = [counter.infra.job() for counter in counters]
    until(lambda: all((paths := job.paths) is not None and paths.stdout.exists() for job in jobs))
    time.sleep(1.0)
    for counter in counters:  # one of them has the number of the whole array
        name = slurm_id(counter)
        number = slurm.run("squeue", "-h", "-r", "-j", name, "-o", "%A").stdout.strip()
        if number == name.partition("_")[0]:
            slurm.run("scancel", "--batch", "--signal=USR2", name)
    assert sorted(len(counter.run()) for counter in counters) == [1, 1, 2]


def test_a_requeued_computation_begins_again(tmp_path: Path, infra: dict[str, Any], slurm: Cluster) -> None:
    [point] = gated(tmp_path, infra, 1)
    submit([point])
    until(lambda: point.attempts() == 1)
    slurm.run("scontrol", "requeue", running(slurm, point))
    until(lambda: point.attempts() == 2)
    assert point.infra.status() == "running"
    (tmp_path / "gate").touch()
    assert point.run() == 0


@pytest.mark.slow
def test_a_job_over_its_time_limit(tmp_path: Path, infra: dict[str, Any]) -> None:
    limited = infra | {"timeout_min": 1}
    point, other = (Point(x=x, marks=tmp_path, how=how, infra=limited) for x, how in ((1, "sleep"), (2, "at once")))
    submit([point, other])
    assert other.run() == 4
    with pytest.raises(JobFailed, match=r"timed out.*timeout_min"):
        point.run()
    assert point.attempts() == 1
    assert point.infra.status() == "failed"


@pytest.mark.slow
def test_a_job_over_its_time_limit_that_saves_its_state(tmp_path: Path, infra: dict[str, Any]) -> None:
    counter = Counter(to=900, infra=infra | {"timeout_min": 1})
    found = counter.run()
    assert found[-1] == 900
    assert len(found) >= 2
    assert found == sorted(found)


def test_a_submitter_that_is_killed_with_kill_9(tmp_path: Path, infra: dict[str, Any]) -> None:
    script = tmp_path / "sweep.py"
    script.write_text(f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from slurm_experiments import Point, submit
infra = {{"folder": {str(tmp_path / "cache")!r}, "cluster": "slurm"}}
points = [Point(x=x, marks=Path({str(tmp_path)!r}), how="gated", infra=infra) for x in range(10)]
submit(points)
print("submitted", flush=True)
print(sum(point.run() for point in points))
""")
    command = [sys.executable, str(script)]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert first.stdout is not None
    assert first.stdout.readline() == "submitted\n"
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    first.stdout.close()
    (tmp_path / "gate").touch()
    second = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert second.stdout == "submitted\n90\n", second.stderr
    assert [Point(x=x, marks=tmp_path, infra=infra).attempts() for x in range(10)] == [1] * 10
