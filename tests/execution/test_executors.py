"""The contract, held by each executor."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from execution_calls import PATIENCE_S, double, fail
from executor_contract import ExecutorContract, results

from exca.execution import Call, Executor, Resources, make_executor


class TestInline(ExecutorContract):
    waits = False

    @pytest.fixture
    def executor(self) -> Executor:
        return make_executor(Resources(), None)

    def test_runs_in_this_thread_in_order(self, executor: Executor) -> None:
        seen: list[tuple[int, int]] = []
        executor.submit([Call(lambda i=i: seen.append((i, threading.get_ident()))) for i in range(3)])
        assert seen == [(i, threading.get_ident()) for i in range(3)]

    def test_an_interrupt_is_not_a_result(self, executor: Executor) -> None:
        def interrupt() -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            executor.submit([Call(interrupt)])


class TestThreads(ExecutorContract):
    @pytest.fixture
    def executor(self) -> Executor:
        return make_executor(Resources(cluster="threadpool", max_workers=2), None)

    def test_never_more_threads_than_max_workers(self, executor: Executor) -> None:
        alive, most, lock = 0, 0, threading.Lock()

        def work() -> None:
            nonlocal alive, most
            with lock:
                alive += 1
                most = max(most, alive)
            time.sleep(0.01)
            with lock:
                alive -= 1

        results([*executor.submit([Call(work)] * 6), *executor.submit([Call(work)] * 6)])
        assert most == 2


class TestProcessPool(ExecutorContract):
    captures = pickles = True

    @pytest.fixture
    def executor(self) -> Executor:
        return make_executor(Resources(cluster="processpool", max_workers=2), None)


class TestProcessPoolWithFolder(TestProcessPool):
    @pytest.fixture
    def executor(self, tmp_path: Path) -> Executor:
        return make_executor(Resources(cluster="processpool", max_workers=2), f"{tmp_path}/logs/{{user}}/%j")


class TestLocal(ExecutorContract):
    captures = pickles = True

    @pytest.fixture
    def executor(self, tmp_path: Path) -> Executor:
        return make_executor(Resources(cluster="local", max_workers=2), f"{tmp_path}/logs/{{user}}/%j")


class TestDebug:
    def test_the_exception_comes_out_of_submit_with_the_frames_of_the_user(self) -> None:
        executor = make_executor(Resources(cluster="debug"), None)
        with pytest.raises(KeyError) as caught:
            executor.submit([Call(double, (1,)), Call(fail, ("here",))])
        assert caught.traceback[-1].name == "fail"

    def test_values(self) -> None:
        assert results(make_executor(Resources(cluster="debug"), None).submit([Call(double, (1,))])) == [2]


def test_light_import() -> None:
    script = (
        "import sys, exca.errors; before = set(sys.modules); import exca.execution; "
        "heavy = {'submitit', 'numpy', 'torch', 'pandas', 'hydra', 'multiprocessing', 'cloudpickle', 'subprocess'}; "
        "print(sorted(heavy & (set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.stdout.strip() == "[]", done.stderr
