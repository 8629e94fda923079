"""Waiting for many jobs, and being interrupted while at it."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from execution_calls import until, wait_for
from executor_contract import results

from exca.execution import Call, Resources, as_completed, make_executor, wait_all
from exca.execution._polling import pauses, poll


def test_pauses_grow_to_half_a_second() -> None:
    pause = pauses()
    first = [next(pause) for _ in range(70)]
    assert first[0] == 0.0003
    assert first == sorted(first)
    assert first[-1] == 0.5


def test_polling_returns_the_last_answer() -> None:
    answers = iter([False, False, True])
    assert poll(lambda: next(answers), None)
    assert not poll(lambda: False, 0.01)
    assert poll(lambda: True, 0)


def test_whoever_ends_first_comes_first(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    executor = make_executor(Resources(cluster="threadpool", max_workers=2), None)
    slow, quick = executor.submit([Call(wait_for, (str(gate),)), Call(os.getpid)])
    seen = []
    for job in as_completed([slow, quick]):
        seen.append(job)
        gate.touch()
    assert seen == [quick, slow]


def test_an_interrupt_says_what_goes_on(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    jobs = make_executor(Resources(cluster="local"), f"{tmp_path}/%j").submit([Call(wait_for, (str(gate),))])
    until(lambda: jobs[0].status() == "running")
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt) as caught:
        wait_all(jobs)
    assert jobs[0].paths is not None
    assert f"1 jobs were not waited for: {jobs[0].paths.folder} (job_from_folder" in caught.value.__notes__[0]
    gate.touch()
    assert results(jobs) == [str(gate)]


@pytest.mark.slow
def test_waiting_for_thousands_is_cheap(tmp_path: Path) -> None:
    """Each round of questions lists the folder once, whatever the number of jobs."""
    gate = tmp_path / "gate"
    calls = [Call(wait_for, (str(gate),)) for _ in range(500)]
    jobs = make_executor(Resources(cluster="local", max_workers=1), f"{tmp_path}/%j").submit(calls)
    started = time.process_time()
    for _ in range(20):
        assert not any(job.done() for job in jobs)
    assert (time.process_time() - started) / (20 * len(jobs)) < 20e-6
    os.kill(jobs[0].array.paths.stamp().pid, signal.SIGTERM)  # type: ignore[attr-defined]
    assert wait_all(jobs, 30)
