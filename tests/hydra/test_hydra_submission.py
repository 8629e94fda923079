"""A sweep that the scheduler does not take: said once, with what to do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hydra_shell import Shell
from warm_python import FreshPython

pytest.importorskip("hydra_plugins.hydra_exca", reason="the plugin is not installed")

REFUSING = """#!/bin/sh
echo asked >> {log}
echo "sbatch: error: invalid partition specified: gp" >&2
exit 1
"""


class Cluster:
    """The clients of a scheduler that takes nothing."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.log = folder / "log"
        self.path = f"{folder}{os.pathsep}{os.environ['PATH']}"
        for name, text in {"sbatch": REFUSING.format(log=self.log), "srun": "#!/bin/sh\n"}.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)

    def calls(self) -> int:
        return len(self.log.read_text().split())


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path / "programs")


@pytest.fixture
def shell(python: FreshPython, tmp_path: Path) -> Shell:
    return Shell(python, tmp_path)


@pytest.mark.parametrize("more", [[], ["infra.mode=retry"]])
def test_many_points(shell: Shell, cluster: Cluster, more: list[str]) -> None:
    done = shell.sweep("x=range(1,31)", "hydra/launcher=exca_slurm", *more, PATH=cluster.path)
    assert done.code == 1
    assert "slurm did not take the jobs: " in done.err
    assert "invalid partition specified: gp" in done.err
    assert done.err.count("; nothing was submitted") == 1
    assert "Traceback" not in done.err
    assert done.rows == []
    assert cluster.calls() == 1


def test_one_missing_point_keeps_the_values_of_its_siblings(shell: Shell, cluster: Cluster) -> None:
    shell.sweep("x=1,2")
    done = shell.sweep("x=1,2,3", "hydra/launcher=exca_slurm", PATH=cluster.path)
    assert done.code == 1
    assert done.column("status") == ["completed", "completed", "failed"]
    assert done.column("source") == ["cached", "cached", "refused"]
    assert "run the same command again" in done.err  # no failure was stored that a mode would have to compute again
    assert "mode=retry" not in done.err


def test_a_folder_that_is_a_file(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    done = shell.python.run(*shell.command("x=1,2")[1:-1], "hydra.sweep.dir=taken", cwd=tmp_path, env=os.environ)
    assert done.returncode == 1
    assert "hydra.sweep.dir=taken cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_table_that_cannot_be_written_is_shown(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "sweep1" / "results.csv").mkdir(parents=True)
    done = shell.python.run(*shell.command("x=1,2")[1:], cwd=tmp_path, env=os.environ)
    assert done.returncode == 0, done.stderr
    assert "2 points: 2 computed" in done.stdout
    assert "the table is not in sweep1/results.csv, which cannot be written" in done.stdout
