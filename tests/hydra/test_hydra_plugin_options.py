"""Mistakes in ``hydra.launcher``, ``hydra.sweeper`` and choices below the root: said before anything runs."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from hydra_models import Experiment
from hydra_shell import Shell
from warm_python import FreshPython

import exca.hydra
from exca.errors import InvalidConfig
from exca.hydra._builder import schema_of
from exca.hydra._launch_results import Row, print_table, write_csv
from exca.hydra._parsing import parse
from exca.hydra._sweep_plan import counts
from exca.hydra._translation import translated
from exca.hydra._volatile import consequence, is_volatile


@pytest.fixture
def shell(python: FreshPython, tmp_path: Path) -> Shell:
    return Shell(python, tmp_path)


def test_the_launcher_has_the_fields_of_an_infra() -> None:
    # It lists them by name, as it must import nothing heavy. The folder has a default of its own there; RAM is for
    # those who hold on to a config, and the configs of a sweep's points are gone with their points.
    launcher = pytest.importorskip("hydra_plugins.hydra_exca.launcher", reason="the plugin is not installed")
    fields = launcher.INFRA_FIELDS
    assert len(set(fields)) == len(fields)
    assert set(exca.TaskInfra.model_fields) - set(fields) == {"folder", "keep_in_ram"}
    assert set(fields) <= set(exca.TaskInfra.model_fields)


@pytest.mark.parametrize(
    ("word", "field", "says"),
    [
        ("hydra.sweeper.dry_run=yess", "hydra.sweeper.dry_run", "value  'yess'"),
        ("hydra.sweeper.max_batch_size=many", "hydra.sweeper.max_batch_size", "valid integer"),
        ("hydra.launcher.max_workers=two", "hydra.launcher.max_workers", "from   override hydra.launcher.max_workers"),
        ("hydra.launcher.mode=cachd", "hydra.launcher.mode", "'cached', 'retry', 'force' or 'read-only'"),
        ("hydra.launcher.progress=maybe", "hydra.launcher.progress", "valid boolean"),
        ("+hydra.launcher.max_worker=2", "hydra.launcher.max_worker", "did you mean hydra.launcher.max_workers?"),
        ("hydra.launcher.max_worker=2", "hydra.launcher.max_worker", "did you mean hydra.launcher.max_workers?"),
        ("hydra.sweeper.dryrun=true", "hydra.sweeper.dryrun", "did you mean hydra.sweeper.dry_run?"),
        ("hydra/launcher=exa", "hydra.launcher", "did you mean hydra/launcher=exca?"),
        ("hydra/launcher=submitit_slurm", "hydra.launcher", "did you mean hydra/launcher=exca_slurm?"),
        ("hydra.launcher.array_parallelism=8", "hydra.launcher.array_parallelism", "hydra.launcher.max_workers?"),
        ("hydra.launcher.version=1", "hydra.launcher.version", """quote it: hydra.launcher.version="'1'\""""),
        ("hydra.launcher.slurm_setup=ls", "hydra.launcher.slurm_setup", "brackets: hydra.launcher.slurm_setup=[ls]"),
        ("hydra.launcher.exclude=3", "hydra.launcher.exclude", "valid string"),
        ("hydra.sweeper.zip=3", "hydra.sweeper.zip", "brackets: hydra.sweeper.zip=[3]"),
        ("hydra.launcher.qos=low", "hydra.launcher.qos", "did you mean hydra.launcher.slurm_qos?"),
        ("+hydra.launcher.gres=gpu:1", "hydra.launcher.gres", "slurm_additional_parameters={gres: ...}"),
    ],
)
def test_a_mistaken_option_is_named_and_nothing_runs(shell: Shell, word: str, field: str, says: str) -> None:
    done = shell.sweep("x=1,2", word)
    assert done.code == 1
    assert f"\n  {field}: " in done.err
    assert says in done.err
    assert "Traceback" not in done.err
    assert "nothing was run" in done.err
    assert shell.computed() == []


@pytest.mark.parametrize("words", [["infra.cluster=slrm"], ["infra.cluster=slrm", "hydra.sweeper.dry_run=true"]])
def test_a_cluster_that_is_none_is_said_before_anything_runs(shell: Shell, words: list[str]) -> None:
    done = shell.sweep("x=1,2", *words)
    assert done.code == 1
    assert "cluster='slrm' is not known" in done.err
    assert "did you mean 'slurm'?" in done.err
    assert "to compute" not in done.err


def test_keys_to_exclude_are_no_matter_of_an_app_whose_model_has_an_infra(shell: Shell) -> None:
    done = shell.sweep("x=1,2", "hydra.launcher.exclude=[x]")
    assert done.code == 1
    assert "@infra.apply(exclude_from_cache_uid=[...])" in done.err
    assert shell.computed() == []


def test_options_that_another_launcher_or_sweeper_has_not(shell: Shell) -> None:
    words = ["hydra/launcher=basic", "hydra/sweeper=basic", "hydra.launcher.mem_gb=1", "hydra.sweeper.dry_run=true"]
    done = shell.sweep("x=1,2", *words)
    assert "hint   an option of hydra/launcher=exca\n" in done.err
    assert "hint   an option of hydra/sweeper=exca\n" in done.err


def test_all_mistakes_are_said_together(shell: Shell) -> None:
    done = shell.sweep("y=1", "hydra.sweeper.dryrun=true", "hydra.job.chdr=true")
    assert "3 problems" in done.err
    assert "did you mean hydra.job.chdir?" in done.err


def test_one_key_to_exclude_may_be_written_without_brackets() -> None:
    launcher = pytest.importorskip("hydra_plugins.hydra_exca.launcher")
    assert launcher.ExcaLauncher(exclude="stamp").exclude == ["stamp"]
    assert launcher.ExcaLauncher(exclude=["a", "b"]).exclude == ["a", "b"]


def test_an_unknown_option_of_a_group_below_is_said_as_one_of_the_root() -> None:
    with pytest.raises(InvalidConfig) as caught:
        exca.hydra.compose(Experiment, ["optim.schedule=cosin"])
    (problem,) = caught.value.problems  # type: ignore[attr-defined]
    assert problem.message.startswith("Could not find 'optim/schedule/cosin'; there are ")
    assert problem.hint == "did you mean optim.schedule=cosine?"


def test_a_file_of_a_group_below_is_chosen_by_a_dotted_key(tmp_path: Path) -> None:
    (tmp_path / "optim/schedule").mkdir(parents=True)
    (tmp_path / "optim/schedule/long.yaml").write_text("kind: cosine\n")
    dotted = exca.hydra.compose(Experiment, ["optim.schedule=long"], config_dir=tmp_path)
    assert dotted == exca.hydra.compose(Experiment, ["optim/schedule=long"], config_dir=tmp_path)


def test_a_reference_in_the_place_of_an_option_stays_one() -> None:
    (meant,) = translated(schema_of(Experiment), parse(["optim.schedule=${data}"]))
    assert meant.key_or_group == "optim.schedule"


def test_tables_show_stars_for_secrets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [Row(n, {"token": f"exca-secret-{n}"}, 1, "completed", "computed", 0.1, "uid", "log") for n in range(2)]
    write_csv(tmp_path / "results.csv", rows, append=False)
    print_table(rows, tmp_path / "results.csv")
    screen, table = capsys.readouterr().out, (tmp_path / "results.csv").read_text()
    assert screen.count("**********") == table.count("**********") == 2
    assert "exca-secret" not in screen + table


def test_one_point_is_no_points() -> None:
    assert counts(["missing"]) == "1 point: 1 missing"
    assert counts(["missing", "cached"]) == "2 points: 1 missing, 1 cached"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("${hydra:runtime.cwd}/data", "only runs started in this folder find the result"),
        ("${hydra:runtime.cwd}/${now:%H}", "no run finds the result of another"),
        ("${now:%H}", "no run finds the result of another"),
    ],
)
def test_incident_29_what_a_value_of_the_run_means_for_the_uid(text: str, says: str) -> None:
    assert is_volatile(text)
    assert consequence(text) == says


def test_a_terminal_that_cannot_show_a_character_gets_the_table(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    screen = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", screen)
    rows = [Row(k, {"name": name}, "x" * 100, "completed", "computed", 1.0, "uid", "") for k, name in enumerate("aé")]
    print_table(rows, tmp_path / "results.csv")
    screen.flush()
    shown = screen.buffer.getvalue().decode("ascii")  # type: ignore[attr-defined]
    assert "\\xe9" in shown
    assert "2 points: 2 computed" in shown
    assert screen.errors == "strict"
