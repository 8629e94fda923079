"""``hydra.job.env_set``: a computation finds its variables, in a sweep as in a single run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hydra_shell import APP, Shell
from warm_python import FreshPython

pytest.importorskip("hydra_plugins.hydra_exca", reason="the plugin is not installed")

SET = "+hydra.job.env_set.SEEN_VARIABLE"
NOTE = "note=${oc.env:SEEN_VARIABLE,none}"


@pytest.fixture
def shell(python: FreshPython, tmp_path: Path) -> Shell:
    return Seeing(python, tmp_path, APP.with_name("variable_app.py"))


class Seeing(Shell):
    """Starts an app that writes no trace."""

    def command(self, *overrides: str) -> list[str]:
        return [word for word in super().command(*overrides) if not word.startswith("trace=")]


@pytest.mark.parametrize(
    "cluster", ["null", *(pytest.param(name, marks=pytest.mark.slow) for name in ("processpool", "local"))]
)
def test_a_sweep_and_a_single_run_see_the_same(shell: Shell, cluster: str) -> None:
    where = (f"infra.cluster={cluster}", "infra.folder=cache")
    swept = shell.sweep("x=1,2", NOTE, f"{SET}=set", *where)
    assert swept.code == 0, swept.err
    assert swept.column("value") == ["set set set"] * 2
    app = [str(shell.app), "x=1", NOTE, f"{SET}=set", *where, "infra.mode=read-only", "hydra.run.dir=single"]
    single = shell.python.run(*app, cwd=shell.folder, env=os.environ)
    assert single.returncode == 0, single.stderr  # one uid: what the sweep computed is found
    assert "set set set" in single.stdout


def test_each_point_has_variables_of_its_own(shell: Shell) -> None:
    swept = shell.sweep("x=1,2,3", NOTE, SET + "=v${x}")
    assert swept.column("value") == ["v1 v1 v1", "v2 v2 v2", "v3 v3 v3"], swept.err


def test_variables_of_a_config_file(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "conf/hydra/env").mkdir(parents=True)
    (tmp_path / "conf/hydra/env/mine.yaml").write_text("# @package hydra.job.env_set\nSEEN_VARIABLE: filed\n")
    swept = shell.sweep("x=1,2", "hydra/env=mine", f"hydra.searchpath=[file://{tmp_path}/conf]")
    assert swept.column("value") == ["filed nothing filed"] * 2, swept.err


def test_threads_share_the_variables_of_their_process(shell: Shell) -> None:
    swept = shell.sweep("x=1,2", f"{SET}=set", "infra.cluster=threadpool", "infra.folder=cache")
    assert swept.code == 1
    assert "hydra.job.env_set: variables are those of a whole process" in swept.err
    assert "Traceback" not in swept.err
