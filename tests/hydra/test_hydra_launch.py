"""Sweeps of a bound app, as a user starts them: real processes, real Hydra, the installed plugin."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
import typing as tp
from pathlib import Path

import pytest
import yaml
from hydra_shell import APP, Shell
from warm_python import FreshPython

from exca.hydra._launch_results import Row, print_table, write_csv

pytest.importorskip("hydra_plugins.hydra_exca", reason="the plugin is not installed")


@pytest.fixture
def shell(python: FreshPython, tmp_path: Path) -> Shell:
    return Shell(python, tmp_path)


@pytest.mark.parametrize("cluster", ["inline", pytest.param("local", marks=pytest.mark.slow)])
def test_a_sweep_computes_once_and_is_found_again(shell: Shell, cluster: str) -> None:
    first = shell.sweep("x=1,2,3", "model=small,large", f"infra={cluster}")
    assert first.code == 0, first.err
    assert first.column("value") == ["0.1", "0.1", "0.2", "0.2", *[str(3 * 0.1)] * 2]
    assert set(first.column("source")) == {"computed"}
    assert shell.computed() == [1, 1, 2, 2, 3, 3]
    second = shell.sweep("x=1,2,3,4", "model=small,large", f"infra={cluster}")
    assert second.column("source") == ["cached"] * 6 + ["computed"] * 2
    assert "8 points: 2 computed, 6 cached, 0 failed" in second.out
    assert shell.computed() == [1, 1, 2, 2, 3, 3, 4, 4]


@pytest.mark.slow
def test_a_notebook_finds_what_a_sweep_computed(shell: Shell) -> None:
    shell.sweep("x=2,3", "infra=local")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from sweep_app import Study\n"
        "print(Study(x=3, infra={'folder': '.exca', 'mode': 'read-only'}).run())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(APP.parent)], cwd=shell.folder, capture_output=True, text=True, check=False
    )
    assert done.stdout == f"{3 * 0.1}\n", done.stderr
    assert shell.computed() == [2, 3]


def test_every_bad_point_is_listed_and_nothing_is_submitted(shell: Shell) -> None:
    done = shell.sweep("x=1,2,-3,4,5,6", "lr=0.1,fast", "infra=local")
    assert done.code == 1
    assert "Traceback" not in done.err
    assert "7 of 12 points" in done.err
    for text in ("override x=-3", "override lr=fast", "greater than 0", "valid number", "#4  x=-3 lr=0.1"):
        assert text in done.err
    assert shell.computed() == []
    assert done.rows == []
    assert not (shell.folder / ".exca").exists()


@pytest.mark.parametrize(
    ("override", "texts"),
    [
        ("modle=small", ("modle",)),
        ("model.widht=3", ("no such key", "model.width")),
        ("model=smal", ("smal", "small")),
        ("infra.cluster_=local", ("infra.cluster",)),
    ],
)
def test_incident_27_a_mistyped_key_exits_with_1_before_anything_is_queued(
    shell: Shell, override: str, texts: tuple[str, ...]
) -> None:
    done = shell.sweep("x=1,2", override)
    assert done.code == 1
    assert "Traceback" not in done.err
    for text in texts:
        assert text in done.err
    assert shell.computed() == []


def test_incident_25_a_swept_union_never_mixes_members(shell: Shell) -> None:
    done = shell.sweep("model=small,large", "model.width=3")
    assert done.code == 1
    assert "model=large" in done.err
    assert shell.computed() == []


@pytest.mark.parametrize("cluster", ["inline", pytest.param("local", marks=pytest.mark.slow)])
def test_one_point_that_raises_costs_one_point(shell: Shell, cluster: str) -> None:
    first = shell.sweep("x=1,2,3,4", "fail=[2]", f"infra={cluster}")
    assert first.code == 1
    assert first.column("status") == ["completed", "failed", "completed", "completed"]
    assert first.rows[1]["value"] == "ValueError: x=2 was told to fail"
    assert [row["value"] for row in first.rows if row["status"] == "completed"] == ["0.1", str(3 * 0.1), "0.4"]
    assert "1 point failed" in first.err
    assert "Traceback" not in first.out + first.err, "it is in the log of the point"
    log = (first.folder / "1" / "sweep_app.log").read_text()
    assert 'raise ValueError(f"x={self.x} was told to fail")' in log
    assert str(first.folder / "1" / "sweep_app.log") in first.out
    again = shell.sweep("x=1,2,3,4", "fail=[]", f"infra={cluster}")
    assert again.code == 1
    assert set(again.column("source")) == {"cached"}, "a failure is a result"
    retried = shell.sweep("x=1,2,3,4", "fail=[]", f"infra={cluster}", "infra.mode=retry")
    assert retried.code == 0
    assert retried.column("source") == ["cached", "computed", "cached", "cached"]
    assert shell.computed() == [1, 2, 2, 3, 4]


def test_many_failures_do_not_fill_the_screen(shell: Shell) -> None:
    done = shell.sweep("x=range(1,31)", f"fail={list(range(1, 26))}".replace(" ", ""), "hydra.output_subdir=null")
    assert done.code == 1
    assert (done.out + done.err).count(" failed: ValueError") == 20
    assert "5 more points failed; " in done.out + done.err
    assert done.column("status").count("failed") == 25


def test_incident_20_one_killed_point_costs_one_point(shell: Shell) -> None:
    done = shell.sweep("x=1,2,3,4", "kill=[3]", "infra=local")
    assert done.code == 1
    assert done.column("status") == ["completed", "completed", "failed", "completed"]
    assert "SIGKILL" in done.rows[2]["value"]


@pytest.mark.slow
def test_equal_points_are_one_computation(shell: Shell) -> None:
    done = shell.sweep("x=1,1,2", "infra=local")
    assert done.code == 0
    assert done.column("value") == ["0.1", "0.1", "0.2"]
    assert done.column("source") == ["computed", "shared", "computed"]
    assert shell.computed() == [1, 2]


@pytest.mark.slow
def test_launcher_fields_win_over_the_points_own(shell: Shell) -> None:
    done = shell.sweep("x=1,2", "hydra/launcher=exca_local", "hydra.launcher.folder=cache")
    assert done.code == 0
    assert shell.computed() == [1, 2]
    (note, _) = (shell.folder / "cache").glob("*/*/job.json")
    assert '"cluster": "local"' in note.read_text()


def test_output_folders_are_hydras_also_for_cached_points(shell: Shell) -> None:
    for _ in range(2):
        done = shell.sweep("x=1,2")
        assert done.code == 0
        for number in ("0", "1"):
            assert {"config.yaml", "hydra.yaml", "overrides.yaml"} <= set(os.listdir(done.folder / number / ".hydra"))
        assert (done.folder / "multirun.yaml").exists()


def test_basic_launcher_and_sweeper_can_still_be_chosen(shell: Shell) -> None:
    done = shell.sweep("x=1,2", "hydra/launcher=basic", "hydra/sweeper=basic", "infra.folder=cache")
    assert done.code == 0, done.err
    assert shell.computed() == [1, 2]
    assert done.rows == []


@pytest.mark.slow
def test_a_single_run_needs_no_launcher(shell: Shell) -> None:
    words = ["x=2", f"trace={shell.folder / 'trace'}", "infra.folder=.exca"]
    shell.python.run(str(APP), *words, cwd=shell.folder).check_returncode()
    assert shell.sweep("x=2,3").column("source") == ["cached", "computed"], "and shares its result with sweeps"


def test_incident_29_a_value_that_is_new_each_time_is_warned_about(shell: Shell) -> None:
    done = shell.sweep("x=1,2", "lr=${now:%S%f}")
    assert done.code == 0, done.err
    assert "lr" in done.err + done.out
    assert "every run" in done.err + done.out or "VolatileValueWarning" in done.err + done.out


@pytest.mark.slow
def test_incident_30_two_sweeps_at_once_share_the_work_and_no_folder(shell: Shell) -> None:
    processes = []
    for _ in range(2):  # by default the folder is named by the second
        command = [*shell.command("x=1,2,3", "sleep=0.5", "infra=local"), "hydra.sweep.dir=same"]
        processes.append(subprocess.Popen(command, cwd=shell.folder, stdout=subprocess.PIPE, text=True))
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert shell.computed() == [1, 2, 3]
    for folder in (shell.folder / "same", shell.folder / "same_2"):
        assert sorted(os.listdir(folder)) == ["0", "1", "2", "multirun.yaml", "results.csv"]
    logs = list((shell.folder / ".exca" / "logs").rglob("stdout.log"))
    assert len(logs) == 3


@pytest.mark.slow
def test_an_interrupted_sweep_goes_on_and_is_found_again(shell: Shell) -> None:
    command = shell.command("x=1,2", "sleep=1.5", "infra=local")
    process = subprocess.Popen(command, cwd=shell.folder, stdout=subprocess.PIPE, text=True)
    _until(lambda: shell.computed() == [1, 2])
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert process.returncode != 0
    assert "the same command finds them again" in out
    again = shell.sweep("x=1,2", "infra=local")
    assert again.code == 0
    assert shell.computed() == [1, 2], "nothing was computed twice"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "says"),
    [
        (["infra.cluster=null"], "interrupted in point #1; the same command goes on there"),
        (
            ["infra.cluster=processpool", "infra.max_workers=2"],
            "end with this process; the same command computes them",
        ),
    ],
)
def test_an_interrupted_sweep_says_what_ends_with_it(shell: Shell, where: list[str], says: str) -> None:
    """What runs in the queue of this machine or on Slurm goes on, what runs in this process does not."""
    command = shell.command("x=1,2,3", "sleep=1.5", *where)
    process = subprocess.Popen(command, cwd=shell.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    _until(lambda: 2 in shell.computed())
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 130, out
    assert says in out
    assert "and go on" not in out


@pytest.mark.slow
def test_a_sweep_that_is_interrupted_before_it_submits(shell: Shell) -> None:
    command = shell.command("x=range(1,20000)", "infra=local")
    process = subprocess.Popen(command, cwd=shell.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    _until((shell.folder / "sweep1" / ".running").exists)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 130, out
    assert "interrupted; " in out
    assert "Traceback" not in out
    assert not (shell.folder / "sweep1").exists()  # nothing came of it


@pytest.mark.slow
def test_what_hydra_says_of_each_point_reaches_its_model(shell: Shell) -> None:
    done = shell.sweep("x=5,5", "note=run_${hydra:job.num}_${hydra:runtime.output_dir}")
    assert done.code == 0, done.err
    assert done.column("source") == ["computed", "computed"], "two notes are two computations"
    notes = {yaml.safe_load(path.read_text())["note"] for path in (shell.folder / ".exca").glob("*/*/uid.yaml")}
    assert notes == {f"run_{number}_{done.folder / str(number)}" for number in range(2)}


@pytest.mark.slow
def test_incident_29_a_cache_folder_does_not_move_with_the_job(shell: Shell) -> None:
    command = [sys.executable, str(APP), "x=2", f"trace={shell.folder / 'trace'}", "infra.folder=cache"]
    for _ in range(2):
        subprocess.run([*command, "hydra.job.chdir=true"], cwd=shell.folder, check=True, capture_output=True)
    assert shell.computed() == [2]
    assert shell.sweep("x=2,3", "infra.folder=cache", "hydra.job.chdir=true").column("source") == [
        "cached",
        "computed",
    ]


@pytest.mark.slow
def test_points_that_never_started_are_computed_by_the_same_command(shell: Shell) -> None:
    command = shell.command("x=1,2,3,4", "sleep=0.6", "infra=local", "infra.max_workers=1")
    process = subprocess.Popen(command, cwd=shell.folder, stdout=subprocess.DEVNULL, start_new_session=True)
    _until(lambda: shell.computed() == [1])
    process.kill()
    process.wait()
    for stamp in (shell.folder / ".exca" / "logs").rglob("supervisor"):
        os.kill(json.loads(os.readlink(stamp))["pid"], signal.SIGKILL)
    done = shell.sweep("x=1,2,3,4", "sleep=0.6", "infra=local")
    assert done.code == 0, done.out + done.err
    assert done.column("status") == ["completed"] * 4
    assert len(shell.computed()) <= 5, "at most what was running was lost"


@pytest.mark.slow
def test_read_only_points_keep_their_siblings(shell: Shell) -> None:
    shell.sweep("x=1,3")
    done = shell.sweep("x=1,2,3", "infra.mode=read-only")
    assert done.code == 1
    assert "Traceback" not in done.err + done.out
    assert done.column("status") == ["completed", "failed", "completed"]
    assert "ResultNotFound" in done.rows[1]["value"]
    assert shell.computed() == [1, 3]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("infra=slurm", "slurm"),
        ("infra.workdir=nowhere infra=local", "nowhere"),
        ("hydra.launcher.cpus_per_task=x", "cpus_per_task"),
    ],
)
def test_a_sweep_that_cannot_be_submitted_is_explained(shell: Shell, override: str, text: str) -> None:
    done = shell.sweep("x=1,2", *override.split(), PATH="/no/scheduler/here")
    assert done.code == 1
    assert text in (done.err + done.out).lower()
    assert "Traceback" not in done.err
    assert shell.computed() == []


def test_a_value_that_cannot_be_shown_costs_no_table(tmp_path: Path) -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    values = ["\ud800 lone", Silent(), {"a": Silent()}, None, float("nan"), "a,b\nc", "[red]not markup[/red]"]
    rows = [
        Row(number, {"x": str(number)}, value, "completed", "computed", None, "uid", "log")
        for number, value in enumerate(values)
    ]
    write_csv(tmp_path / "results.csv", rows, append=False)
    print_table(rows, tmp_path / "results.csv")
    with open(tmp_path / "results.csv", newline="") as stream:
        back = list(csv.DictReader(stream))
    assert [row["value"] for row in back][3:] == ["None", "nan", "a,b\nc", "[red]not markup[/red]"]
    assert "Silent" in back[1]["value"]


def _until(condition: tp.Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
