"""The ``exca`` command, as a shell starts it."""

from __future__ import annotations

import typing as tp
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from warm_python import FreshPython

STUDY = """
import pydantic, exca

class Study(pydantic.BaseModel):
    x: int = 1
    infra: exca.TaskInfra = exca.TaskInfra()

    @infra.apply
    def run(self) -> int:
        return self.x * 2

class Double(Study):
    other: exca.TaskInfra = exca.TaskInfra()

    @other.apply
    def square(self) -> int:
        return self.x**2
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "study.py").write_text(STUDY)
    return tmp_path


Run = tp.Callable[..., CompletedProcess[str]]


@pytest.fixture
def run(python: FreshPython, folder: Path) -> Run:
    return lambda *words: python.run("-m", "exca.cli", *words, cwd=folder)


def test_a_single_run_prints_the_value(run: Run) -> None:
    done = run("run", "study:Study", "x=4")
    assert (done.returncode, done.stdout) == (0, "8\n"), done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["--method", "square", "study:Double", "x=4"],
        ["study:Double", "--method", "square", "x=4"],
        ["study:Double", "x=4", "--method=square"],
        ["--method", "run", "study:Double", "x=4", "hydra.job.num=3", "--method", "square"],
    ],
)
def test_the_method_may_be_named_before_and_after_the_model(run: Run, words: list[str]) -> None:
    done = run("run", *words)
    assert (done.returncode, done.stdout) == (0, "16\n"), done.stderr


def test_a_sweep_has_its_table(run: Run) -> None:
    done = run("run", "study:Study", "-m", "x=1,2")
    assert done.returncode == 0, done.stderr
    assert "2 points: 2 computed" in done.stdout


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["run", "study:Studi"], "did you mean 'Study'"),
        (["run", "studz:Study"], "no module named 'studz'"),
        (["run", "study"], "package.module:Class"),
        (["run", "study:pydantic"], "not a pydantic model"),
        (["run", "study:Study", "y=3"], "y: no such key"),
        (["run", "study:Double", "x=3"], "say which with --method"),
        (["run", "study:Double", "--method", "squar"], "(it has: square, run)"),
        (["run", "study:Double", "x=3", "--method"], "argument --method: expected one argument"),
        (["walk"], "invalid choice"),
    ],
)
def test_mistakes_are_explained_without_a_traceback(run: Run, words: list[str], text: str) -> None:
    done = run(*words)
    assert done.returncode != 0
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_help_and_version(run: Run) -> None:
    assert "COMMAND" in run("--help").stdout
    assert run("--version").stdout.startswith("exca-hydra ")
