"""Slurm keeps what every executor promises: with a worker for each call, and with two workers that share them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cluster import Cluster
from execution_calls import double, environment, fail
from executor_contract import ExecutorContract, results

from exca.execution import Call, Executor, Resources, job_from_folder, make_executor, wait_all


class TestOneWorkerEach(ExecutorContract):
    captures = pickles = True

    @pytest.fixture
    def executor(self, tmp_path: Path) -> Executor:
        return make_executor(Resources(cluster="slurm"), str(tmp_path / "logs"))

    def test_a_pending_job_that_is_cancelled_never_starts(self, executor: Executor, tmp_path: Path) -> None:
        mark = tmp_path / "mark"
        held = make_executor(
            Resources(cluster="slurm", slurm_additional_parameters={"hold": True}), str(tmp_path / "held")
        )
        job, other = held.submit([Call(mark.touch), Call(double, (1,))])
        assert job.status() == "pending"
        job.cancel()
        assert job.wait(30)
        assert job.status() == "failed"
        assert other.status() == "pending"
        other.cancel()
        assert other.wait(30)
        assert not mark.exists()


class TestTwoWorkersThatShare(ExecutorContract):
    captures = pickles = True

    @pytest.fixture
    def executor(self, tmp_path: Path) -> Executor:
        return make_executor(Resources(cluster="slurm", max_workers=2), str(tmp_path / "logs"))


def test_jobs_know_where_they_are(tmp_path: Path, slurm: Cluster) -> None:
    executor = make_executor(Resources(cluster="slurm", cpus_per_task=2), str(tmp_path / "logs"))
    jobs = executor.submit([Call(environment), Call(environment)])
    found = results(jobs)
    assert jobs[0].paths is not None
    array = jobs[0].paths.ticket.resolve().parents[1]
    ids = json.loads((array / "scheduler.json").read_text())["ids"]
    assert found == [
        ("slurm", job_id, 1, str(job.paths.folder)) for job_id, job in zip(ids, jobs, strict=True) if job.paths
    ]
    assert ids[0].endswith("_0")


def test_incident_20_the_scheduler_sees_that_a_job_failed(tmp_path: Path, slurm: Cluster) -> None:
    jobs = make_executor(Resources(cluster="slurm"), str(tmp_path / "logs")).submit(
        [Call(double, (1,)), Call(fail, ("x",))]
    )
    assert wait_all(jobs, 30)
    assert jobs[0].paths is not None
    ids = json.loads((jobs[0].paths.ticket.resolve().parents[1] / "scheduler.json").read_text())["ids"]
    slurm.wait_for_end(ids)
    assert [slurm.state_of(job) for job in ids] == ["COMPLETED", "FAILED"]


def test_another_process_finds_the_jobs(tmp_path: Path) -> None:
    jobs = make_executor(Resources(cluster="slurm"), str(tmp_path / "logs")).submit(
        [Call(double, (i,)) for i in (1, 2)]
    )
    found = [job_from_folder(job.paths.folder) for job in jobs if job.paths]
    assert results(found) == [2, 4]
