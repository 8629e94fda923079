"""Process pools: their files, and their end."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest
from execution_calls import PATIENCE_S, double, nap, until
from executor_contract import results

from exca.errors import SubmissionFailed
from exca.execution import Call, Executor, Resources, make_executor
from exca.execution._array._layout import ArrayPaths


@pytest.fixture
def executor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Executor:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return make_executor(Resources(cluster="processpool", max_workers=2), None)


def pools(tmp_path: Path) -> list[Path]:
    return list((tmp_path / f"exca-{os.getuid()}" / "pools").iterdir())


def test_files_go_with_the_last_job(executor: Executor, tmp_path: Path) -> None:
    jobs = executor.submit([Call(double, (1,)), Call(double, (2,))])
    assert results(jobs) == [2, 4]
    until(jobs[0].array.paths.finished.is_symlink)  # type: ignore[attr-defined]
    last = jobs[1]
    del jobs
    gc.collect()
    assert len(pools(tmp_path)) == 1
    assert last.result() == 4
    del last
    gc.collect()
    assert pools(tmp_path) == []


def test_forgotten_jobs_run_on_and_their_files_go_later(executor: Executor, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    executor.submit([Call(nap, (0.2,)), Call(mark.touch)])
    gc.collect()
    until(mark.exists)
    [pool] = pools(tmp_path)
    until(ArrayPaths(pool).finished.is_symlink)
    jobs = executor.submit([Call(double, (1,))])
    assert results(jobs) == [2]
    assert pool not in pools(tmp_path)


SCRIPT = """
import os, sys, tempfile
from exca.execution import Call, Resources, make_executor
tempfile.tempdir = sys.argv[1]
jobs = make_executor(Resources(cluster="processpool"), None).submit([Call(os.getpid)])
print(jobs[0].result() == os.getpid(), flush=True)
if sys.argv[2] == "killed":
    os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("end", ["ended", "killed"])
def test_files_of_an_owner_that_has_gone(executor: Executor, tmp_path: Path, end: str) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), end]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert (done.stdout, done.stderr) == ("False\n", "")
    assert done.returncode == (0 if end == "ended" else -9)
    jobs = executor.submit([Call(double, (1,))])  # cleans up
    assert results(jobs) == [2]
    assert len(pools(tmp_path)) == 1


def test_a_temporary_folder_of_somebody_else(
    executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / f"exca-{os.getuid()}"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    with pytest.raises(SubmissionFailed, match="only you can enter"):
        executor.submit([Call(double, (1,))])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(SubmissionFailed, match="set TMPDIR"):
        executor.submit([Call(double, (1,))])
