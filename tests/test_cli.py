"""The ``exca`` command, as a shell starts it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

STUDY = """
import pydantic, exca

class Study(pydantic.BaseModel):
    x: int = 1
    infra: exca.TaskInfra = exca.TaskInfra()

    @infra.apply
    def run(self) -> int:
        return self.x * 2
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "study.py").write_text(STUDY)
    return tmp_path


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "exca.cli", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def test_a_single_run_prints_the_value(folder: Path) -> None:
    done = run(folder, "run", "study:Study", "x=4")
    assert (done.returncode, done.stdout) == (0, "8\n"), done.stderr


def test_a_sweep_has_its_table(folder: Path) -> None:
    done = run(folder, "run", "study:Study", "-m", "x=1,2")
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
        (["walk"], "invalid choice"),
    ],
)
def test_mistakes_are_explained_without_a_traceback(folder: Path, words: list[str], text: str) -> None:
    done = run(folder, *words)
    assert done.returncode != 0
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_help_and_version(folder: Path) -> None:
    assert "COMMAND" in run(folder, "--help").stdout
    assert run(folder, "--version").stdout.startswith("exca-hydra ")
