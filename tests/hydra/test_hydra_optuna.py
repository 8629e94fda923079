"""Other sweepers over our launcher: a study ends, and the same study again computes nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml
from hydra_shell import APP, Shell
from warm_python import FreshPython

pytest.importorskip("hydra_plugins.hydra_exca", reason="the plugin is not installed")


@pytest.fixture
def searching(python: FreshPython, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    path = [str(APP.with_name("plugins")), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    return Shell(python, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("sweeper", ["LikeAx", "LikeNevergrad"])
def test_a_failure_is_fatal_to_such_a_study_and_resumed_it_finds_what_was_computed(
    searching: Shell, sweeper: str
) -> None:
    first = searching.sweep(f"hydra/sweeper={sweeper}", "fail=[3]")
    assert first.code == 1
    assert not (first.folder / "best.json").exists()
    assert searching.computed() == [1, 2, 3, 4], "the sibling of the failed trial has its value"
    resumed = searching.sweep(f"hydra/sweeper={sweeper}", "infra.mode=retry")
    assert resumed.code == 0, resumed.err
    assert resumed.column("source") == ["cached", "cached", "computed", "cached", "computed", "computed"]
    assert json.loads((resumed.folder / "best.json").read_text()) == [0.1, 1]


@pytest.mark.parametrize(
    ("sweeper", "value"), [("LikeAx", "1e9"), pytest.param("LikeNevergrad", "inf", marks=pytest.mark.slow)]
)
def test_a_failure_can_be_a_bad_value_to_such_a_study(searching: Shell, sweeper: str, value: str) -> None:
    done = searching.sweep(f"hydra/sweeper={sweeper}", "fail=[1,3]", f"hydra.launcher.failure_value={value}")
    assert done.code == 0, done.err
    assert done.column("status") == ["failed", "completed", "failed", "completed", "completed", "completed"]
    assert "ValueError: x=3 was told to fail" in done.rows[2]["value"], "the table says what happened"
    assert json.loads((done.folder / "best.json").read_text()) == [0.2, 2]


@pytest.mark.slow
def test_an_optuna_study_with_a_killed_and_a_raising_trial(python: FreshPython, tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason="hydra-optuna-sweeper is not installed")
    shell = Shell(python, tmp_path)
    words = ["hydra/sweeper=optuna", "hydra/sweeper/sampler=tpe", "hydra.sweeper.sampler.seed=1"]
    words += ["hydra.sweeper.n_trials=40", "hydra.sweeper.n_jobs=8", "hydra.sweeper.max_failure_rate=0.5"]
    words += ["lr=interval(0.001,0.1)", "infra=local", "kill_call=7", "fail_call=12"]
    first = shell.sweep(*words)
    assert first.code == 0, first.out + first.err
    assert first.column("status").count("completed") == 38
    failed = [row["value"] for row in first.rows if row["status"] == "failed"]
    assert len(failed) == 2
    assert "SIGKILL" in "".join(failed)
    assert "was told to fail" in "".join(failed)
    assert len(shell.computed()) == 40
    best = yaml.safe_load((first.folder / "optimization_results.yaml").read_text())
    again = shell.sweep(*words)
    assert again.code == 0, again.err
    assert set(again.column("source")) == {"cached"}
    assert len(shell.computed()) == 40, "nothing was computed again"
    assert yaml.safe_load((again.folder / "optimization_results.yaml").read_text()) == best
