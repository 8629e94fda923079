"""What every executor promises, as a class of tests that each of them inherits."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from execution_calls import (
    PATIENCE_S,
    OddError,
    Unwritable,
    change_the_process,
    describe_arguments,
    double,
    fail,
    fail_oddly,
    fail_with_cause,
    give_unwritable,
    leave,
    nap,
    speak,
    until,
    wait_for,
)

from exca.errors import JobCancelled, JobFailed
from exca.execution import Call, Executor, Job, Shared, as_completed, job_from_folder, wait_all


def results(jobs: Sequence[Job]) -> list[object]:
    assert wait_all(jobs, PATIENCE_S), jobs
    return [job.result() for job in jobs]


class ExecutorContract:
    """Tests of one executor; the subclass gives the fixture ``executor``."""

    captures = False  # output goes to files of the job
    pickles = False  # calls and values go through pickle
    waits = True  # `submit` returns before the calls have ended

    def test_values_in_the_order_of_the_calls(self, executor: Executor) -> None:
        jobs = executor.submit([Call(double, (i,)) for i in range(20)])
        assert results(jobs) == [2 * i for i in range(20)]
        assert [job.results() for job in jobs[:2]] == [[0], [2]]
        assert {job.status() for job in jobs} == {"completed"}
        assert all(job.done() and job.exception() is None for job in jobs)

    def test_what_calls_share_comes_in_its_place(self, executor: Executor) -> None:
        items, word = Shared(list(range(1000))), Shared("word")
        calls = [Call(describe_arguments, (items, i, word)) for i in range(4)] + [
            Call(describe_arguments, (0, items, 0))
        ]
        assert results(executor.submit(calls)) == [
            *[("list", 1000, i, "word") for i in range(4)],
            ("int", 0, list(range(1000)), 0),
        ]

    def test_nothing_to_do(self, executor: Executor) -> None:
        assert executor.submit([]) == []

    def test_one_executor_takes_many_arrays(self, executor: Executor) -> None:
        first, second = executor.submit([Call(double, (1,))]), executor.submit([Call(double, (2,))])
        assert results([*first, *second]) == [2, 4]

    def test_jobs_are_jobs_and_their_ids_are_unique(self, executor: Executor) -> None:
        jobs = [*executor.submit([Call(double, (i,)) for i in range(3)]), *executor.submit([Call(double, (3,))])]
        assert all(isinstance(job, Job) for job in jobs)
        assert len({job.job_id for job in jobs}) == 4
        assert all("/" not in job.job_id and job.job_id in repr(job) for job in jobs)
        assert wait_all(jobs, PATIENCE_S)

    def test_jobs_that_others_can_find_are_announced_before_they_start(self, executor: Executor) -> None:
        announced: list[tuple[str, str]] = []

        def announce(jobs: Sequence[Job]) -> None:
            announced.extend((job.job_id, job.status()) for job in jobs)

        jobs = executor.submit([Call(double, (i,)) for i in range(3)], announce)
        assert results(jobs) == [0, 2, 4]
        assert announced == [(job.job_id, "pending") for job in jobs if job.paths]

    def test_nothing_runs_if_it_cannot_be_announced(self, executor: Executor, tmp_path: Path) -> None:
        if not self.captures:
            pytest.skip("its jobs are not announced")
        folders: list[Path] = []

        def announce(jobs: Sequence[Job]) -> None:
            folders.extend(job.paths.folder for job in jobs if job.paths)
            raise KeyError("full")

        with pytest.raises(KeyError, match="full"):
            executor.submit([Call((tmp_path / "mark").touch)], announce)
        assert [folder.exists() for folder in folders] == [False]
        assert results(executor.submit([Call(double, (1,))])) == [2]
        assert not (tmp_path / "mark").exists()

    def test_a_failure_leaves_its_siblings_alone(self, executor: Executor) -> None:
        jobs = executor.submit([Call(double, (1,)), Call(fail, ("lost key",)), Call(double, (2,))])
        assert wait_all(jobs, PATIENCE_S)
        assert [job.status() for job in jobs] == ["completed", "failed", "completed"]
        assert (jobs[0].result(), jobs[2].result()) == (2, 4)
        for _ in range(2):
            with pytest.raises(KeyError, match="lost key"):
                jobs[1].result()
        assert isinstance(jobs[1].exception(), KeyError)

    def test_incident_11_an_exception_whose_constructor_takes_other_arguments(self, executor: Executor) -> None:
        [job] = executor.submit([Call(fail_oddly)])
        error = job.exception()
        assert type(error) is OddError
        assert str(error) == "lr is over 3"
        assert error.limit == 3

    def test_a_message_that_is_no_text_comes_home(self, executor: Executor) -> None:
        [job] = executor.submit([Call(fail, ("half a \ud83d pair\0",))])
        error = job.exception()
        assert type(error) is KeyError
        assert error.args == ("half a \ud83d pair\0",)

    def test_incident_11_the_traceback_of_the_user_stays_visible(self, executor: Executor) -> None:
        [job] = executor.submit([Call(fail_with_cause)])
        error = job.exception()
        assert type(error) is RuntimeError
        if self.pickles:
            notes = "\n".join(error.__notes__)
            assert 'raise RuntimeError("the effect") from error' in notes
            assert "KeyError: 'the cause'" in notes
            assert "_worker.py" not in notes
        else:
            assert isinstance(error.__cause__, KeyError)

    def test_a_call_that_exits_has_failed_and_ends_nobody_else(self, executor: Executor) -> None:
        jobs = executor.submit([Call(leave), Call(double, (4,))])
        assert wait_all(jobs, PATIENCE_S)
        with pytest.raises(JobFailed, match="SystemExit"):
            jobs[0].result()
        assert jobs[1].result() == 8

    def test_values_that_cannot_be_stored(self, executor: Executor) -> None:
        jobs = executor.submit([Call(give_unwritable), Call(double, (1,))])
        assert wait_all(jobs, PATIENCE_S)
        if self.pickles:
            with pytest.raises(JobFailed, match=r"could not be stored.*stays at home"):
                jobs[0].result()
        else:
            assert isinstance(jobs[0].result(), Unwritable)
        assert jobs[1].result() == 2

    def test_as_completed_gives_each_job_once(self, executor: Executor) -> None:
        jobs = executor.submit([Call(nap, (0.05,)), Call(double, (1,)), Call(double, (2,))])
        assert sorted(job.job_id for job in as_completed(jobs, PATIENCE_S)) == sorted(job.job_id for job in jobs)

    def test_waiting_with_a_time_limit(self, executor: Executor, tmp_path: Path) -> None:
        if not self.waits:
            pytest.skip("runs at submit")
        gate = tmp_path / "gate"
        [job] = executor.submit([Call(wait_for, (str(gate),))])
        started = time.monotonic()
        assert not job.wait(0.05)
        assert not wait_all([job], 0.05)
        with pytest.raises(TimeoutError, match="1 jobs have not ended"):
            list(as_completed([job], 0.01))
        assert time.monotonic() - started < 5
        until(lambda: job.status() == "running")
        assert not job.done()
        gate.touch()
        assert job.wait(PATIENCE_S)
        assert job.result() == str(gate)

    def test_a_pending_job_that_is_cancelled_never_starts(self, executor: Executor, tmp_path: Path) -> None:
        if not self.waits:
            pytest.skip("runs at submit")
        gate, mark = tmp_path / "gate", tmp_path / "mark"
        block = Call(wait_for, (str(gate),))
        *blockers, job = executor.submit([block, block, Call(mark.touch)])  # the fixtures have two workers
        until(lambda: all(job.status() == "running" for job in blockers))
        assert job.status() == "pending"
        job.cancel()
        assert job.wait(PATIENCE_S)
        assert job.status() == "failed"
        with pytest.raises(JobCancelled):
            job.result()
        gate.touch()
        assert results(blockers) == [str(gate)] * 2
        blockers[0].cancel()  # has ended
        assert blockers[0].result() == str(gate)
        assert not mark.exists()

    def test_what_is_printed(self, executor: Executor) -> None:
        jobs = executor.submit([Call(speak, (word,)) for word in ("one", "two")])
        assert wait_all(jobs, PATIENCE_S)
        for job, word in zip(jobs, ("one", "two"), strict=True):
            if self.captures:
                printed = job.stdout()
                assert printed is not None
                assert sorted(printed.split("\n")) == sorted(
                    [*(f"{who} {word}" for who in ("python", "child", "raw", "libc")), ""]
                )
                assert job.stderr() == f"python error {word}\n"
            else:
                assert job.stdout() is None

    def test_a_job_can_be_found_by_its_folder(self, executor: Executor) -> None:
        [job] = executor.submit([Call(double, (21,))])
        assert job.wait(PATIENCE_S)
        if not self.captures:
            assert job.paths is None
            return
        assert job.paths is not None
        found = job_from_folder(job.paths.folder)
        assert (found.job_id, found.status(), found.result()) == (job.job_id, "completed", 42)

    def test_calls_do_not_leak_into_each_other(self, executor: Executor) -> None:
        if not self.captures:
            pytest.skip("runs in the process of the test")
        here = os.getcwd()
        jobs = executor.submit([Call(change_the_process, (i,)) for i in range(6)])
        os.umask(umask := os.umask(0o077))
        assert results(jobs) == [(here, None, umask, 0.0)] * 6
