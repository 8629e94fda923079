"""The agent that looks after a worker on a node, without a scheduler: signals come from the tests."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from execution_calls import (
    PATIENCE_S,
    Loading,
    LoadingWithoutSaving,
    Saving,
    double,
    fail,
    kill_self,
    leave_a_thread,
    log_and_nap,
    mark_and_wait,
    note_loss,
    until,
    with_child,
)

from exca.errors import JobCancelled, JobFailed
from exca.execution import Call
from exca.execution._array._layout import CANCELLED, Verdict
from exca.execution._array._schedule import Posting
from exca.execution._array._slurm_node import is_ended_for_good, parse_duration
from exca.execution._places import Place, choose_place
from exca.execution._queued import QueuedJob
from exca.execution._tracking import TrackedArray
from exca.execution._writing import Surroundings, write_array

AGENT = """
import signal, sys
from pathlib import Path
from exca.execution._array._agent import Agent
from exca.execution._array._layout import ArrayPaths

def requeue():
    if (Path(sys.argv[1]) / "no-requeue").exists():
        raise OSError("Requested operation is presently disabled")
    (Path(sys.argv[1]) / "requeued").touch()

def time_left():
    left = Path(sys.argv[1]) / "time-left"
    return float(left.read_text()) if left.exists() else None

is_ending = (Path(sys.argv[1]) / "ending").exists
sys.exit(Agent(ArrayPaths(sys.argv[1]), 0, "7_0", requeue, signal.SIGUSR2, time_left, is_ending).run())
"""
SHORT = 100.0  # seconds: a limit so near that every warning is about it
LONG = 36_000.0


class Node:
    """An array and the processes that a scheduler would start for it."""

    def __init__(self, folder: Path) -> None:
        self._logs = folder / "logs"
        self._agents: list[subprocess.Popen[bytes]] = []
        self.place: Place

    def submit(self, calls: Sequence[Call], *, limit_s: float | None = None, pinned: bool = False) -> list[QueuedJob]:
        self.place = choose_place(str(self._logs))
        spec = write_array(self.place, calls, Surroundings({}), None)
        Posting(pinned, limit_s, warning_s=9.0).write(self.place.paths)
        array = TrackedArray(self.place.paths, spec)
        array.is_supervised = lambda: True  # type: ignore[method-assign] - nobody but the agent gives verdicts here
        return [QueuedJob(array, index) for index in range(len(calls))]

    def start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", AGENT, str(self.place.paths.folder)]
        self._agents.append(subprocess.Popen(command))
        return self._agents[-1]

    def run(self) -> int:
        """Start an agent, and wait for its exit code."""
        return self.start().wait(PATIENCE_S)

    @property
    def requeued(self) -> bool:
        """Whether the scheduler was asked to start the worker again; asked once for each time."""
        note = self.place.paths.folder / "requeued"
        found = note.exists()
        note.unlink(missing_ok=True)
        return found

    def close(self) -> None:
        for agent in self._agents:
            agent.kill()
            agent.wait()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path)
    yield node
    node.close()


def marked(path: Path) -> Callable[[], bool]:
    return lambda: path.exists() and path.stat().st_size > 0


def test_exit_codes_tell_the_scheduler(node: Node) -> None:
    jobs = node.submit([Call(double, (i,)) for i in range(3)])
    assert node.run() == 0
    assert [job.result() for job in jobs] == [0, 2, 4]
    jobs = node.submit([Call(double, (1,)), Call(fail, ("odd",))])
    assert node.run() == 1
    assert [job.status() for job in jobs] == ["completed", "failed"]


def test_a_pinned_worker_takes_its_call_alone(node: Node) -> None:
    jobs = node.submit([Call(double, (i,)) for i in range(3)], pinned=True)
    assert node.run() == 0
    assert [job.status() for job in jobs] == ["completed", "pending", "pending"]


def test_a_call_that_kills_its_process_costs_no_other(node: Node, tmp_path: Path) -> None:
    calls = [Call(kill_self, (signal.SIGSEGV,)), Call(double, (1,)), Call(os._exit, (3,)), Call(double, (2,))]
    lost = Call(kill_self, (signal.SIGKILL,), on_lost=NoteLoss(str(tmp_path)))
    jobs = node.submit([*calls, lost])
    assert node.run() == 1
    assert [jobs[i].result() for i in (1, 3)] == [2, 4]
    for index, reason in ((0, "signal 11 .SIGSEGV. on"), (2, "exit code 3 on"), (4, "signal 9 .SIGKILL. on")):
        with pytest.raises(JobFailed, match=reason):
            jobs[index].result()
    assert (tmp_path / "lost").read_text().startswith("killed by signal 9 (SIGKILL)")


def test_a_call_that_leaves_with_exit_code_0_has_not_completed(node: Node) -> None:
    jobs = node.submit([Call(os._exit, (0,)), Call(double, (1,))])
    assert node.run() == 1
    assert jobs[1].result() == 2, "the others go on"
    with pytest.raises(JobFailed, match="its process ended with exit code 0 on"):
        jobs[0].result()


def test_a_worker_says_why_it_cannot_go_on(node: Node) -> None:
    [job] = node.submit([Call(fill_the_disk)])
    assert node.run() == 1
    with pytest.raises(JobFailed, match=r"exit code 1 on .*: \[Errno 28\] No space left on device"):
        job.result()


def fill_the_disk() -> None:
    """As far as this process can tell."""

    def symlink(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    os.symlink = symlink  # type: ignore[assignment]


class NoteLoss:
    """`note_loss`, for a folder."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __call__(self, reason: str, log: Path) -> None:
        note_loss(self.folder, reason, log)


@pytest.mark.slow
def test_a_call_is_cancelled_with_all_it_started_and_the_next_one_runs(node: Node, tmp_path: Path) -> None:
    mark = tmp_path / "child"
    jobs = node.submit([Call(with_child, (str(mark),)), Call(double, (4,))])
    agent = node.start()
    until(marked(mark))
    node.place.paths.sentence(0, Verdict(CANCELLED, "cancelled while it ran"))
    with pytest.raises(JobCancelled, match="cancelled while it ran"):
        jobs[0].result()
    assert jobs[1].result() == 8
    assert agent.wait(PATIENCE_S) == 1
    until(lambda: not Path("/proc", mark.read_text()).exists())


@pytest.mark.slow
def test_threads_that_a_call_left_behind_do_not_keep_the_worker(node: Node) -> None:
    [job] = node.submit([Call(leave_a_thread)])
    assert node.run() == 0
    assert job.status() == "completed"


@pytest.mark.slow
@pytest.mark.parametrize("limit_s", [SHORT, LONG, None])
def test_a_warned_call_that_can_save_its_state_goes_on_later(node: Node, tmp_path: Path, limit_s: float) -> None:
    jobs = node.submit([Call(Saving(), (str(tmp_path),)), Call(double, (1,))], limit_s=limit_s)
    agent = node.start()
    until(marked(tmp_path / "begun"))
    time.sleep(1.2 if limit_s == SHORT else 0)
    agent.send_signal(signal.SIGUSR2)
    assert agent.wait(PATIENCE_S) == 1
    assert node.requeued
    assert [job.status() for job in jobs] == ["running", "pending"]
    (tmp_path / "gate").touch()
    assert node.run() == 0
    assert jobs[0].result() == ["saved"]
    assert jobs[1].result() == 2


def preempted_once(node: Node, job: QueuedJob, begun: Path, gate: Path) -> None:
    """Warn the agent once the call has come so far, and let the agent's next life finish it."""
    agent = node.start()
    until(marked(begun))
    agent.send_signal(signal.SIGUSR2)
    assert agent.wait(PATIENCE_S) == 1
    assert node.requeued
    assert job.status() == "running"
    gate.touch()
    assert node.run() == 0


@pytest.mark.parametrize("kind", [Loading, LoadingWithoutSaving])
def test_a_warning_that_comes_while_a_call_is_loaded_is_not_lost(
    node: Node, tmp_path: Path, kind: type[Loading]
) -> None:
    [job] = node.submit([Call(kind(str(tmp_path)))], limit_s=LONG)
    preempted_once(node, job, tmp_path / "loading", tmp_path / "gate")
    assert job.result() == []  # what had not begun had nothing to save


@pytest.mark.slow
def test_a_preempted_call_begins_again(node: Node, tmp_path: Path) -> None:
    [job] = node.submit([Call(mark_and_wait, (str(tmp_path / "mark"), str(tmp_path / "gate")))], limit_s=LONG)
    preempted_once(node, job, tmp_path / "mark", tmp_path / "gate")
    assert job.status() == "completed"


@pytest.mark.slow
def test_a_call_that_had_all_the_time_has_timed_out(node: Node, tmp_path: Path) -> None:
    [job] = node.submit([Call(mark_and_wait, (str(tmp_path / "mark"), str(tmp_path / "gate")))], limit_s=30.5)
    agent = node.start()
    until(marked(tmp_path / "mark"))
    time.sleep(1.0)
    agent.send_signal(signal.SIGUSR2)
    time.sleep(0.3)
    assert job.status() == "running"  # it may still make it
    agent.send_signal(signal.SIGTERM)
    assert agent.wait(PATIENCE_S) == 1
    assert not node.requeued
    with pytest.raises(JobFailed, match=r"timed out after 0.5 min \(timeout_min\)"):
        job.result()


@pytest.mark.slow
def test_threads_do_not_keep_a_worker_that_is_to_begin_anew(node: Node, tmp_path: Path) -> None:
    calls = [Call(leave_a_thread), Call(Saving(), (str(tmp_path),))]
    jobs = node.submit(calls, limit_s=LONG)
    agent = node.start()
    until(marked(tmp_path / "begun"))
    agent.send_signal(signal.SIGUSR2)
    assert agent.wait(PATIENCE_S) == 1
    assert node.requeued
    assert [job.status() for job in jobs] == ["completed", "running"]


@pytest.mark.slow
def test_the_limit_is_the_one_that_the_scheduler_has_given(node: Node, tmp_path: Path) -> None:
    [job] = node.submit([Call(mark_and_wait, (str(tmp_path / "mark"), str(tmp_path / "gate")))])
    (node.place.paths.folder / "time-left").write_text("29.5")
    agent = node.start()
    until(marked(tmp_path / "mark"))
    agent.send_signal(signal.SIGUSR2)
    time.sleep(1.0)
    assert agent.poll() is None, "it was not preempted"
    agent.send_signal(signal.SIGTERM)
    assert agent.wait(PATIENCE_S) == 1
    assert not node.requeued
    with pytest.raises(JobFailed, match=r"timed out after 0.5 min \(the cluster.s own limit: set timeout_min\)"):
        job.result()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0:30", 30), ("1:00:00", 3600), ("2-03:04:05", 183845), ("UNLIMITED", None), ("INVALID", None), ("", None)],
)
def test_durations_of_slurm(text: str, seconds: float | None) -> None:
    assert parse_duration(text) == seconds


def test_who_is_ended_for_good() -> None:
    assert is_ended_for_good("COMPLETING          N/A                 ")
    assert not is_ended_for_good("COMPLETING          2026-11-22T22:34:24")
    assert not is_ended_for_good("RUNNING             N/A                 ")
    assert not is_ended_for_good("")


def test_a_call_that_is_cancelled_by_the_scheduler_is_not_started_again(node: Node, tmp_path: Path) -> None:
    [job] = node.submit([Call(Saving(), (str(tmp_path),))], limit_s=LONG)
    (node.place.paths.folder / "ending").touch()
    agent = node.start()
    until(marked(tmp_path / "begun"))
    agent.send_signal(signal.SIGTERM)
    assert agent.wait(PATIENCE_S) == 1
    assert not node.requeued
    assert (tmp_path / "state").read_text() == "saved"
    assert job.status() == "running", "the scheduler says why"


@pytest.mark.slow
def test_a_call_that_shared_the_time_begins_again(node: Node, tmp_path: Path) -> None:
    last = Call(mark_and_wait, (str(tmp_path / "mark"), str(tmp_path / "gate")))
    first, job = node.submit([Call(log_and_nap, (str(tmp_path), 1, 0.2)), last], limit_s=SHORT)
    agent = node.start()
    until(marked(tmp_path / "mark"))
    time.sleep(1.2)
    agent.send_signal(signal.SIGUSR2)
    assert agent.wait(PATIENCE_S) == 1
    assert node.requeued
    assert [first.status(), job.status()] == ["completed", "running"]
    (tmp_path / "gate").touch()
    assert node.run() == 0
    assert job.status() == "completed"
    assert (tmp_path / "1").read_text() == "x"


def test_a_scheduler_that_does_not_requeue(node: Node, tmp_path: Path) -> None:
    [job] = node.submit([Call(Saving(), (str(tmp_path),))], limit_s=LONG)
    (node.place.paths.folder / "no-requeue").touch()
    agent = node.start()
    until(marked(tmp_path / "begun"))
    agent.send_signal(signal.SIGUSR2)
    assert agent.wait(PATIENCE_S) == 1
    with pytest.raises(JobFailed, match="preempted, and could not be requeued: Requested operation is presently"):
        job.result()


@pytest.mark.slow
def test_a_call_may_run_into_its_limit_three_times(node: Node, tmp_path: Path) -> None:
    [job] = node.submit([Call(Saving(), (str(tmp_path),))], limit_s=SHORT)
    for attempt in range(4):
        agent = node.start()
        until(marked(tmp_path / "begun"))
        time.sleep(1.2)
        agent.send_signal(signal.SIGUSR2)
        assert agent.wait(PATIENCE_S) == 1
        assert node.requeued == (attempt < 3)
        (tmp_path / "begun").unlink()
    with pytest.raises(JobFailed, match="timed out 4 times"):
        job.result()


def test_what_ends_all_processes_of_a_job_leaves_the_verdict_to_the_scheduler(node: Node, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    [job] = node.submit([Call(mark_and_wait, (str(mark), str(tmp_path / "gate")))])
    agent = node.start()
    until(marked(mark))
    agent.send_signal(signal.SIGTERM)
    os.kill(int(mark.read_text()), signal.SIGKILL)
    assert agent.wait(PATIENCE_S) == 1
    assert job.status() == "running"


@pytest.mark.slow
def test_a_killed_agent_takes_its_worker_along(node: Node, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    node.submit([Call(mark_and_wait, (str(mark), str(tmp_path / "gate")))])
    agent = node.start()
    until(marked(mark))
    agent.kill()
    until(lambda: not Path("/proc", mark.read_text()).exists())
