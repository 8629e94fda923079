"""The bounded local queue under fire: kills, cancels, time limits, lost supervisors."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from execution_calls import (
    PATIENCE_S,
    Unreadable,
    Unwritable,
    count_at_work,
    crash,
    double,
    double_in_processes,
    environment,
    fail,
    fork_and_return,
    gpus_while_at_work,
    kill_self,
    leave_a_thread,
    leave_without_goodbye,
    loaded_modules,
    log_and_nap,
    mark_and_wait,
    nap,
    note_loss,
    stay,
    submit_from_a_worker,
    take,
    until,
    wait_for,
    with_child,
)
from executor_contract import results

from exca.errors import InvalidInfra, JobCancelled, JobFailed, SubmissionFailed
from exca.execution import Call, Executor, Job, Resources, job_from_folder, make_executor, wait_all


def local(folder: Path, **resources: object) -> Executor:
    return make_executor(Resources(cluster="local", **resources), f"{folder}/logs/%j")  # type: ignore[arg-type]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def supervisor_of(job: Job) -> int:
    stamp = job.array.paths.stamp()  # type: ignore[attr-defined]
    assert stamp is not None
    return int(stamp.pid)


# What ends a call


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (Call(kill_self, (signal.SIGKILL,)), "killed by signal 9 (SIGKILL)"),
        (Call(kill_self, (signal.SIGTERM,)), "killed by signal 15 (SIGTERM)"),
        (Call(crash), "killed by signal 11 (SIGSEGV)"),
        (Call(leave_without_goodbye, (3,)), "exit code 3"),
        (Call(leave_without_goodbye, (0,)), "exit code 0"),
    ],
    ids=["SIGKILL", "SIGTERM", "crash", "exit 3", "exit 0"],
)
def test_incident_20_a_killed_job_fails_alone(tmp_path: Path, call: Call, reason: str) -> None:
    jobs = local(tmp_path, max_workers=1).submit([Call(double, (1,)), call, Call(double, (2,)), Call(double, (3,))])
    assert wait_all(jobs, PATIENCE_S)
    assert [job.status() for job in jobs] == ["completed", "failed", "completed", "completed"]
    assert [jobs[i].result() for i in (0, 2, 3)] == [2, 4, 6]
    error = jobs[1].exception()
    assert type(error) is JobFailed
    assert reason in str(error)
    assert jobs[1].paths is not None
    notes = "\n".join(error.__notes__)
    assert str(jobs[1].paths.folder) in notes
    if call.function is kill_self:
        assert "last words" in notes
    if call.function is crash:
        assert "in crash" in notes  # the Python stack
    assert json.loads(jobs[1].paths.state.read_text())["status"] == "lost"


def test_whoever_submitted_is_told_of_a_loss_before_the_job_is_done(tmp_path: Path) -> None:
    import functools

    [job] = local(tmp_path).submit([Call(kill_self, (9,), on_lost=functools.partial(note_loss, str(tmp_path)))])
    assert job.wait(PATIENCE_S)
    assert (tmp_path / "lost").read_text() == f"killed by signal 9 (SIGKILL) on {os.uname().nodename} | stderr.log"


def test_an_on_lost_that_fails_leaves_the_verdict(tmp_path: Path) -> None:
    [job] = local(tmp_path).submit([Call(kill_self, (9,), on_lost=fail)])  # fail takes one argument
    with pytest.raises(JobFailed, match="SIGKILL"):
        job.result()
    log = job.array.paths.log.read_text()  # type: ignore[attr-defined]
    assert "TypeError: fail()" in log


def test_cancel_kills_the_call_and_its_children_and_nothing_else(tmp_path: Path) -> None:
    gate, mark = tmp_path / "gate", tmp_path / "mark"
    call = Call(with_child, (str(mark),))
    jobs = local(tmp_path, max_workers=2).submit([call, Call(wait_for, (str(gate),)), Call(double, (1,))])
    until(lambda: mark.exists() and mark.read_text())
    child = int(mark.read_text())
    assert is_alive(child)
    jobs[0].cancel()
    assert jobs[0].wait(PATIENCE_S)
    with pytest.raises(JobCancelled, match="cancelled while it ran"):
        jobs[0].result()
    until(lambda: not is_alive(child))
    gate.touch()
    assert results(jobs[1:]) == [str(gate), 2]


@pytest.mark.parametrize("how", ["polite", pytest.param("deaf", marks=pytest.mark.slow)])
def test_a_call_that_handles_the_signal_is_cancelled_all_the_same(tmp_path: Path, how: str) -> None:
    mark = tmp_path / "mark"
    jobs = local(tmp_path, max_workers=1).submit([Call(stay, (str(mark), how)), Call(double, (1,))])
    until(mark.exists)
    jobs[0].cancel()
    with pytest.raises(JobCancelled, match="cancelled while it ran"):
        jobs[0].result()
    assert jobs[1].result() == 2


@pytest.mark.slow
def test_a_call_out_of_time_fails_and_the_next_has_its_own_time(tmp_path: Path) -> None:
    jobs = local(tmp_path, max_workers=1, timeout_min=0.025).submit(
        [Call(nap, (0.1,)), Call(nap, (60.0,)), Call(nap, (0.1,))]
    )
    assert wait_all(jobs, PATIENCE_S)
    assert [job.status() for job in jobs] == ["completed", "failed", "completed"]
    with pytest.raises(JobFailed, match=r"timed out after 0\.025 min"):
        jobs[1].result()


@pytest.mark.slow
def test_threads_a_call_leaves_behind_do_not_keep_its_worker(tmp_path: Path) -> None:
    [job] = local(tmp_path).submit([Call(leave_a_thread)])
    assert results([job]) == [None]
    supervisor = supervisor_of(job)
    until(lambda: not is_alive(supervisor))


# Calls that cannot be loaded


def test_a_call_that_cannot_be_loaded_says_so(tmp_path: Path) -> None:
    import functools

    on_lost = functools.partial(note_loss, str(tmp_path))
    jobs = local(tmp_path).submit([Call(take, (Unreadable(),), on_lost=on_lost), Call(double, (1,))])
    with pytest.raises(JobFailed, match=r"could not be loaded .*ModuleNotFoundError: No module named 'only_at_home'"):
        jobs[0].result()
    assert "only_at_home" in (tmp_path / "lost").read_text()
    assert jobs[1].result() == 2


def test_a_value_that_cannot_be_loaded_says_so(tmp_path: Path) -> None:
    [job] = local(tmp_path).submit([Call(Unreadable)])
    with pytest.raises(JobFailed, match=r"cannot be loaded here.*only_at_home"):
        job.result()


def test_a_call_that_cannot_be_sent_is_refused_at_submission(tmp_path: Path) -> None:
    with pytest.raises(SubmissionFailed, match=r"my job cannot be sent.*stays at home"):
        local(tmp_path).submit([Call(take, (Unwritable(),), name="my job")])
    assert list((tmp_path / "logs").iterdir()) == []  # nothing is left over


def test_an_initializer_runs_once_in_each_worker_and_its_failure_is_the_failure_of_the_calls(tmp_path: Path) -> None:
    logs = f"{tmp_path}/%j"
    count = tmp_path / "count"
    script = f"open({str(count)!r}, 'a').write('x')"

    def initialize() -> None:
        exec(script)

    resources = Resources(cluster="local", max_workers=1)
    assert results(make_executor(resources, logs, initializer=initialize).submit([Call(double, (1,))] * 3)) == [2] * 3
    assert count.read_text() == "x"
    script = "1 / 0"
    jobs = make_executor(resources, logs, initializer=initialize).submit([Call(double, (1,))] * 2)
    assert wait_all(jobs, PATIENCE_S)
    for job in jobs:
        with pytest.raises(JobFailed, match="ZeroDivisionError"):
            job.result()


# The supervisor dies


def test_incident_19_a_dead_supervisor_leaves_nothing_pending_for_ever(tmp_path: Path) -> None:
    gate, mark = tmp_path / "gate", tmp_path / "mark"
    calls = [Call(mark_and_wait, (str(mark), str(gate))), Call(double, (1,))]
    running, pending = local(tmp_path, max_workers=1).submit(calls)
    until(lambda: mark.exists() and mark.read_text())
    os.kill(supervisor_of(running), signal.SIGKILL)
    with pytest.raises(JobFailed, match="queue died before the call was started"):
        pending.result()
    assert running.status() == "running"  # workers finish the call they are in
    gate.touch()
    assert running.result() is None
    until(lambda: not is_alive(int(mark.read_text())))  # and take no other


def test_incident_19_a_dead_supervisor_and_a_dead_worker(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    [job] = local(tmp_path).submit([Call(mark_and_wait, (str(mark), str(tmp_path / "never")))])
    until(lambda: mark.exists() and mark.read_text())
    os.kill(supervisor_of(job), signal.SIGKILL)
    os.kill(int(mark.read_text()), signal.SIGKILL)
    with pytest.raises(JobFailed, match="its worker and its queue died"):
        job.result()
    assert job.paths is not None
    assert job_from_folder(job.paths.folder).status() == "failed"


def test_a_running_call_can_be_cancelled_after_its_supervisor_died(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    [job] = local(tmp_path).submit([Call(mark_and_wait, (str(mark), str(tmp_path / "never")))])
    until(lambda: mark.exists() and mark.read_text())
    os.kill(supervisor_of(job), signal.SIGKILL)
    time.sleep(0.3)
    job.cancel()
    with pytest.raises(JobCancelled):
        job.result()


def test_a_supervisor_that_is_asked_to_end_ends_everything(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    calls = [Call(mark_and_wait, (str(mark), str(tmp_path / "never"))), Call(double, (1,))]
    jobs = local(tmp_path, max_workers=1).submit(calls)
    until(lambda: mark.exists() and mark.read_text())
    os.kill(supervisor_of(jobs[0]), signal.SIGTERM)
    assert wait_all(jobs, PATIENCE_S)
    for job in jobs:
        with pytest.raises(JobFailed, match="stopped by SIGTERM"):
            job.result()
    until(lambda: not is_alive(int(mark.read_text())))


# The submitter dies


SUBMITTER = """
import os, sys, time
from pathlib import Path
from exca.execution import Call, Resources, make_executor

folder = Path(sys.argv[1])

def write(path, text):
    path.with_suffix(".tmp").write_text(text)
    path.with_suffix(".tmp").rename(path)  # whoever sees it may kill us at once

def wait(path, number):
    write(folder / f"pid{number}", str(os.getpid()))
    end = time.monotonic() + 60
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.01)
    return str(path)

jobs = make_executor(Resources(cluster=sys.argv[2], max_workers=2), f"{folder}/logs/%j").submit(
    [Call(wait, (folder / "gate", number)) for number in range(3)]
)
while not all((folder / f"pid{number}").exists() for number in (0, 1)):
    time.sleep(0.01)
write(folder / "jobs", "\\n".join(str(job.paths.folder) for job in jobs))
jobs[0].wait()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_the_queue_outlives_its_submitter(tmp_path: Path, number: int) -> None:
    command = [sys.executable, "-c", SUBMITTER, str(tmp_path), "local"]
    submitter = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    until(lambda: (tmp_path / "jobs").exists())
    os.killpg(submitter.pid, number)  # Ctrl-C reaches every process of the terminal's group
    assert submitter.wait(PATIENCE_S) != 0
    jobs = [job_from_folder(folder) for folder in (tmp_path / "jobs").read_text().split()]
    assert [job.status() for job in jobs] == ["running", "running", "pending"]
    (tmp_path / "gate").touch()
    assert results(jobs) == [str(tmp_path / "gate")] * 3


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_pool_ends_with_its_owner(tmp_path: Path, number: int) -> None:
    command = [sys.executable, "-c", SUBMITTER, str(tmp_path), "processpool"]
    owner = subprocess.Popen(command)
    until(lambda: (tmp_path / "jobs").exists())
    jobs = [job_from_folder(folder) for folder in (tmp_path / "jobs").read_text().split()]
    workers = [int((tmp_path / f"pid{number}").read_text()) for number in (0, 1)]
    assert all(is_alive(pid) for pid in workers)
    owner.send_signal(number)
    owner.wait(PATIENCE_S)
    until(lambda: not any(is_alive(pid) for pid in workers))
    assert wait_all(jobs, PATIENCE_S)
    assert [job.status() for job in jobs] == ["failed"] * 3


SCRIPT = """
import sys
from exca.execution import Call, Resources, make_executor

print("the script runs")

class Setting:
    def __init__(self, x): self.x = x
    def __eq__(self, other): return type(other) is Setting and other.x == self.x

class Refused(Exception):
    pass

def grow(setting):
    if setting.x < 0:
        raise Refused(setting.x)
    return Setting(setting.x + 1)

jobs = make_executor(Resources(cluster=sys.argv[1], max_workers=2), sys.argv[2]).submit(
    [Call(grow, (Setting(x),)) for x in (1, 2, -1)]
)
assert [job.result() for job in jobs[:2]] == [Setting(2), Setting(3)]
assert type(jobs[2].exception()) is Refused
"""


@pytest.mark.parametrize("cluster", ["local", "processpool"])
def test_incident_18_classes_of_a_script_without_a_main_guard(tmp_path: Path, cluster: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), cluster, f"{tmp_path}/logs/%j"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "the script runs\n"


# The bound


def test_incident_17_never_more_than_max_workers_at_once(tmp_path: Path) -> None:
    jobs = local(tmp_path, max_workers=2).submit(
        [Call(count_at_work, (str(tmp_path), 2 * (i < 2))) for i in range(50)]
    )
    assert max(results(jobs)) == 2
    assert len(os.listdir(jobs[0].array.paths.workers)) == 2  # type: ignore[attr-defined]


def test_incident_17_the_bound_holds_across_arrays_of_one_folder(tmp_path: Path) -> None:
    call = Call(count_at_work, (str(tmp_path),))
    jobs = [job for _ in range(3) for job in local(tmp_path, max_workers=2).submit([call] * 6)]
    assert max(results(jobs)) <= 2


@pytest.mark.slow
def test_gpus_are_shared_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"test-{os.getpid()}-{letter}" for letter in "abc"]
    monkeypatch.setenv("EXCA_LOCAL_GPUS", ",".join(names))
    call = Call(gpus_while_at_work, (str(tmp_path), 3))
    assert sorted(results(local(tmp_path, gpus_per_node=1).submit([call] * 3))) == names
    call = Call(gpus_while_at_work, (str(tmp_path), 1))
    assert results(local(tmp_path, gpus_per_node=2).submit([call] * 2)) == [",".join(names[:2])] * 2
    with pytest.raises(InvalidInfra, match="gpus_per_node=4, but 3 GPUs"):
        local(tmp_path, gpus_per_node=4)


# Where things are


def test_the_environment_submitit_describes(tmp_path: Path) -> None:
    [job] = local(tmp_path).submit([Call(environment)])
    assert job.paths is not None
    assert job.result() == ("local", job.job_id, 1, str(job.paths.folder))


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file")
    with pytest.raises(SubmissionFailed, match=f"could not be written to {tmp_path}/logs/"):
        local(tmp_path).submit([Call(double, (1,))])


def test_logs_that_were_deleted(tmp_path: Path) -> None:
    import shutil

    [job] = local(tmp_path).submit([Call(double, (1,))])
    assert job.wait(PATIENCE_S)
    assert job.paths is not None
    until(lambda: not shutil.rmtree(tmp_path / "logs", ignore_errors=True) and not (tmp_path / "logs").exists())
    with pytest.raises(JobFailed, match="has gone"):
        job.result()
    with pytest.raises(FileNotFoundError, match="no job in"):
        job_from_folder(job.paths.folder)


def test_incident_9_logs_that_were_moved(tmp_path: Path) -> None:
    [job] = local(tmp_path).submit([Call(double, (1,))])
    assert job.wait(PATIENCE_S)
    assert job.paths is not None
    (tmp_path / "logs").rename(tmp_path / "elsewhere")
    assert job_from_folder(tmp_path / "elsewhere" / job.paths.folder.name).result() == 2


def test_a_template_without_a_place_for_the_job_id(tmp_path: Path) -> None:
    jobs = make_executor(Resources(cluster="local"), f"{tmp_path}/{{user}}").submit(
        [Call(double, (i,)) for i in (1, 2)]
    )
    assert results(jobs) == [2, 4]
    assert {job.paths.folder.name for job in jobs if job.paths} == {job.job_id for job in jobs}


# What a call may do


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_call_may_use_multiprocessing(tmp_path: Path, method: str) -> None:
    assert results(local(tmp_path).submit([Call(double_in_processes, (method,))])) == [[2, 4]]


def test_a_call_may_submit_calls(tmp_path: Path) -> None:
    assert results(local(tmp_path).submit([Call(submit_from_a_worker, (str(tmp_path),))])) == [[2, 4]]


def test_a_call_that_forks_gives_one_value(tmp_path: Path) -> None:
    jobs = local(tmp_path, max_workers=1).submit([Call(fork_and_return), Call(double, (2,))])
    [pid, value] = results(jobs)
    assert isinstance(pid, int)
    assert pid > 0
    assert value == 4


def test_workers_start_light(tmp_path: Path) -> None:
    """The supervisor brings nothing into the workers that the calls did not ask for."""
    [modules] = results(local(tmp_path).submit([Call(loaded_modules)]))
    assert isinstance(modules, list)
    heavy = {"exca", "exca.execution", "pydantic", "numpy", "submitit", "cloudpickle", "multiprocessing"}
    assert heavy.isdisjoint(modules)


def test_the_supervisor_is_small(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    [job] = local(tmp_path).submit([Call(wait_for, (str(gate),))])
    until(lambda: job.status() == "running")
    status = Path(f"/proc/{supervisor_of(job)}/status").read_text()
    resident_kb = int(status.split("VmRSS:")[1].split()[0])
    gate.touch()
    assert resident_kb < 25_000
    assert job.wait(PATIENCE_S)


# Everything at once


@pytest.mark.slow
def test_a_storm_of_kills_and_cancels(tmp_path: Path) -> None:
    """Whatever is killed whenever: every call is made at most once, and every job ends, once, with its own value."""
    dice = random.Random(0)
    (tmp_path / "made").mkdir()
    calls = [Call(log_and_nap, (f"{tmp_path}/made", i, dice.random() / 20)) for i in range(200)]
    jobs = local(tmp_path, max_workers=3).submit(calls)
    array = jobs[0].array.paths  # type: ignore[attr-defined]
    while not all(job.done() for job in jobs):
        time.sleep(dice.random() / 20)
        workers = [stamp for name in os.listdir(array.workers) if (stamp := array.stamp(name)).liveness() == "alive"]
        if dice.random() < 0.3:
            dice.choice(jobs).cancel()
        elif workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(dice.choice(workers).pid, dice.choice([signal.SIGKILL, signal.SIGTERM]))
    assert wait_all(jobs, PATIENCE_S)
    kinds = {"completed": 0, "killed": 0, "cancelled": 0}
    for number, job in enumerate(jobs):
        made = tmp_path / "made" / str(number)
        assert not made.exists() or made.read_text() in ("", "x")  # killed before it wrote, or made once
        error = job.exception()
        if error is None:
            assert job.result() == number
            kinds["completed"] += 1
        else:
            kind = "cancelled" if isinstance(error, JobCancelled) else "killed"
            assert kind in str(error)
            kinds[kind] += 1
    assert all(kinds.values()), kinds
