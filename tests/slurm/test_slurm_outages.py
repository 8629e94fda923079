"""What happens to jobs when parts of the cluster fail; each test has a cluster of its own to break."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster
from slurm_experiments import Point, running, slurm_id, submit, until

from exca.errors import JobFailed
from exca.execution import choose_cluster
from exca.execution._clusters import slurm_answers
from exca.execution._slurm import watch_of

pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def breakable(slurm: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A second cluster beside that of the other tests, one at a time; its commands come first on PATH."""
    with Path(f"{slurm.state}.breakable").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))  # sockets need short paths
        state.chmod(0o755)
        cluster = Cluster(state, port=free_port() // 10 * 10 % 20000 + 10000)
        cluster.start()
        monkeypatch.setenv("PATH", f"{cluster.clients}{os.pathsep}{os.environ['PATH']}")
        watch_of.cache_clear()
        slurm_answers.cache_clear()
        yield cluster
        watch_of.cache_clear()
        slurm_answers.cache_clear()
        cluster.stop()


@pytest.fixture
def infra(tmp_path: Path) -> dict[str, Any]:
    return {"folder": tmp_path / "cache", "cluster": "slurm"}


def number_of(cluster: Cluster, job: str) -> str:
    return cluster.run("squeue", "-h", "-r", "-j", job, "-o", "%A").stdout.strip()


def node_of(cluster: Cluster, job: str) -> str:
    return cluster.run("squeue", "-h", "-r", "-j", job, "-o", "%N").stdout.strip()


def test_the_controller_is_away_for_half_a_minute(
    tmp_path: Path, infra: dict[str, Any], breakable: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    points = [Point(x=x, marks=tmp_path, how="gated", infra=infra) for x in range(6)]
    submit(points)
    until(lambda: all(point.attempts() for point in points))
    breakable.end("slurmctld")
    began = time.monotonic()
    with caplog.at_level(logging.WARNING):
        while time.monotonic() < began + 30:
            assert {point.infra.status() for point in points} == {"running"}
            time.sleep(0.5)
        assert choose_cluster("auto") == "local"
        late = Point(x=100, marks=tmp_path, infra=infra)
        threading.Timer(12, breakable.start_controller).start()
        (tmp_path / "gate").touch()
        assert [point.run() for point in points] == [0, 2, 4, 6, 8, 10]  # they ended without the controller
        assert late.run() == 200  # its submission was tried again until the controller was back
    assert [point.attempts() for point in points] == [1] * 6
    asked = [record.message for record in caplog.records if "Slurm does not answer" in record.message]
    assert len(asked) == 1


def test_incident_21_auto_is_local_where_no_controller_answers(breakable: Cluster) -> None:
    assert choose_cluster("auto") == "slurm"
    breakable.end("slurmctld")
    slurm_answers.cache_clear()
    assert choose_cluster("auto") == "local"


@pytest.mark.parametrize("requeue", [True, False])
def test_a_node_goes_down(tmp_path: Path, infra: dict[str, Any], breakable: Cluster, requeue: bool) -> None:
    options = {} if requeue else {"slurm_additional_parameters": {"no-requeue": True}}
    points = [Point(x=x, marks=tmp_path, how="gated", infra=infra | options) for x in range(12)]
    submit(points)
    until(lambda: all(point.attempts() for point in points))
    lost = [point for point in points if node_of(breakable, slurm_id(point)) == "n2"]
    assert 0 < len(lost) < len(points)
    numbers = {point.x: number_of(breakable, slurm_id(point)) for point in lost}
    breakable.end("slurmd.n2", signal.SIGKILL)
    for point in lost:
        breakable.kill_job(numbers[point.x])
    breakable.run("scontrol", "update", "nodename=n2", "state=down", "reason=test")
    (tmp_path / "gate").touch()
    for point in points:
        if point in lost and not requeue:
            with pytest.raises(JobFailed, match=r"its node failed.*is NODE_FAIL"):
                point.run()
        else:
            assert point.run() == 2 * point.x
    assert all(point.attempts() == (2 if requeue and point in lost else 1) for point in points)


def test_incident_16_a_job_id_that_comes_again_is_another_job(
    tmp_path: Path, infra: dict[str, Any], breakable: Cluster
) -> None:
    first = Point(x=1, marks=tmp_path, how="gated", infra=infra)
    first.infra.job()
    job = running(breakable, first)
    until(lambda: first.attempts() == 1)
    for daemon in ("slurmctld", "slurmd.n1", "slurmd.n2"):
        breakable.end(daemon, signal.SIGKILL)
    breakable.kill_job()
    for memory in ("controller", "spool.n1", "spool.n2"):
        shutil.rmtree(breakable.state / memory)
        (breakable.state / memory).mkdir()
    text = breakable.configuration.read_text()
    breakable.configuration.write_text(re.sub(r"FirstJobId=\d+", f"FirstJobId={job}", text))
    breakable.start_controller()
    for node in breakable.nodes:
        breakable.start_node(node)
    until(breakable.is_up)
    second = Point(x=2, marks=tmp_path, how="gated", infra=infra)
    second.infra.job()
    assert running(breakable, second) == job
    with pytest.raises(JobFailed, match="does not know its job any more"):
        first.run()
    (tmp_path / "gate").touch()
    assert second.run() == 4
    again = first.infra.clone_obj({"infra.mode": "retry"})
    assert again.run() == 2
