"""Which executor a `cluster` stands for, and which Python runs the jobs."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from execution_calls import double
from executor_contract import results

from exca.errors import InvalidInfra, SubmissionFailed
from exca.execution import Call, Executor, Resources, choose_cluster, make_executor, runs_in_this_process
from exca.execution._clusters import slurm_answers
from exca.execution._interpreters import find_interpreter
from exca.execution._queues import ENVIRONMENT, Bounds, QueueExecutor
from exca.execution._writing import Surroundings


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of programs that is all of PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    slurm_answers.cache_clear()
    yield folder
    slurm_answers.cache_clear()


def program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.mark.parametrize("cluster", [None, "debug", "threadpool", "processpool", "local"])
def test_where_calls_run(tmp_path: Path, cluster: str | None) -> None:
    [process] = results(make_executor(Resources(cluster=cluster), str(tmp_path)).submit([Call(os.getpid)]))
    assert (process == os.getpid()) == runs_in_this_process(cluster)


@pytest.mark.parametrize(
    ("scontrol", "expected"),
    [
        (None, "local"),
        ("echo 'Slurmctld(primary) at head is UP'", "slurm"),
        ("echo 'Slurmctld(primary) at head is DOWN'", "local"),
        ("echo 'Slurmctld(primary) at head is UP'; exit 1", "local"),
        ("echo 'slurm_load_ctl_conf error: Unable to contact slurm controller' >&2; exit 1", "local"),
    ],
)
def test_incident_21_auto_is_slurm_only_where_a_controller_answers(
    programs: Path, scontrol: str | None, expected: str
) -> None:
    program(programs / "sbatch", "exit 0")
    if scontrol:
        program(programs / "scontrol", scontrol)
    assert choose_cluster("auto") == expected


def test_the_controller_is_asked_once(programs: Path) -> None:
    program(programs / "sbatch", "exit 0")
    program(programs / "scontrol", f"echo asked >> {programs}/log; echo it is UP")
    assert [choose_cluster("auto") for _ in range(3)] == ["slurm"] * 3
    assert (programs / "log").read_text() == "asked\n"


def test_other_names_stand_for_themselves() -> None:
    assert [choose_cluster(name) for name in (None, "local", "slurm", "debug")] == [None, "local", "slurm", "debug"]


@pytest.mark.parametrize("cluster", [None, "debug", "threadpool", "processpool", "local"])
def test_every_executor_fits_the_protocol(tmp_path: Path, cluster: str | None) -> None:
    assert isinstance(make_executor(Resources(cluster=cluster), str(tmp_path)), Executor)


def test_clusters_that_are_not_there(programs: Path) -> None:
    with pytest.raises(InvalidInfra, match=r"cluster='nonsense' is not known: there are None, 'auto', .*'slurm'"):
        make_executor(Resources(cluster="nonsense"), "/logs")
    with pytest.raises(InvalidInfra, match="cluster='slurm', but there is no sbatch on PATH"):
        make_executor(Resources(cluster="slurm"), "/logs")
    for name in ("sbatch", "srun"):
        program(programs / name, "exit 0")
    with pytest.raises(InvalidInfra, match=r"cluster='slurm' outlives this process.*set `folder`"):
        make_executor(Resources(cluster="slurm"), None)


def test_resources_that_one_machine_does_not_have() -> None:
    with pytest.raises(InvalidInfra, match="nodes=2: cluster='local'"):
        make_executor(Resources(cluster="local", nodes=2), "/logs")
    with pytest.raises(InvalidInfra, match="set `folder`"):
        make_executor(Resources(cluster="local"), None)


@pytest.mark.parametrize("name", ["max_workers", "timeout_min", "nodes", "tasks_per_node", "cpus_per_task"])
def test_numbers_out_of_range(name: str) -> None:
    with pytest.raises(InvalidInfra, match=f"{name}=0"):
        Resources(**{name: 0})


def test_equal_resources_are_one_group() -> None:
    one = Resources(slurm_additional_parameters={"b": 1, "a": 2}, slurm_setup=["x"])
    other = Resources(slurm_additional_parameters=(("a", 2), ("b", 1)), slurm_setup=("x",))
    assert len({one, other}) == 1


def test_workers_per_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exca.execution._clusters.allowed_cpus", lambda: 8)
    for cpus, workers in ((None, 8), (3, 2), (16, 1)):
        executor = make_executor(Resources(cluster="local", cpus_per_task=cpus), "/logs")
        assert executor._bounds.max_workers == workers  # type: ignore[attr-defined]


# conda_env


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    folder = tmp_path / "envs" / "torch"
    (folder / "bin").mkdir(parents=True)
    program(folder / "bin" / "python", f'exec {sys.executable} "$@"')
    return folder


def test_interpreters(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONDA_PREFIX", "CONDA_EXE", "CONDA_ENVS_PATH"):
        monkeypatch.delenv(name, raising=False)
    python = str(environment / "bin" / "python")
    assert find_interpreter(None) == sys.executable
    assert find_interpreter(environment) == python
    with pytest.raises(InvalidInfra, match=r"conda_env='torch': no bin/python in any of .*/torch"):
        find_interpreter("torch")
    for name, value in (
        ("CONDA_ENVS_PATH", environment.parent),
        ("CONDA_PREFIX", environment.parent / "other"),
        ("CONDA_PREFIX", environment.parents[1]),
        ("CONDA_EXE", environment.parents[1] / "bin" / "conda"),
    ):
        monkeypatch.setenv(name, str(value))
        assert find_interpreter("torch") == python
        monkeypatch.delenv(name)


def test_the_python_of_a_conda_environment_runs_the_jobs(environment: Path, tmp_path: Path) -> None:
    program(environment / "bin" / "python", f'EXCA_TEST_PYTHON=here exec {sys.executable} "$@"')
    executor = make_executor(Resources(cluster="local", conda_env=str(environment)), str(tmp_path / "logs"))
    assert results(executor.submit([Call(os.getenv, ("EXCA_TEST_PYTHON",)), Call(double, (1,))])) == ["here", 2]


def under(interpreter: Path, folder: Path) -> QueueExecutor:
    return QueueExecutor(
        Bounds(1), str(folder / "logs"), Surroundings(ENVIRONMENT, interpreter=str(interpreter)), tied=False
    )


def test_a_python_that_does_not_start(tmp_path: Path) -> None:
    executor = under(tmp_path / "missing", tmp_path)
    with pytest.raises(SubmissionFailed, match="could not be started"):
        executor.submit([Call(double, (1,))])
    assert os.listdir(tmp_path / "logs") == []


def test_a_python_that_ends_at_once_is_quoted(tmp_path: Path) -> None:
    program(tmp_path / "python", "echo no such library >&2; exit 127")
    executor = under(tmp_path / "python", tmp_path)
    [job] = executor.submit([Call(double, (1,))])
    error = job.exception()
    assert error is not None
    assert "supervisor.log ends with: no such library" in str(error)
