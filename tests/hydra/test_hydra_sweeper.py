"""The sweeper's own options, as a user gives them: plans, detached sweeps, points of a file, paired values."""

from __future__ import annotations

import json
import os
import time
import typing as tp
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra_shell import Shell
from warm_python import FreshPython

from exca.hydra._launch_sweep import SweepRefused
from exca.hydra._sweep import Settings
from exca.hydra._sweep_points import expand, read_rows

pytest.importorskip("hydra_plugins.hydra_exca", reason="the plugin is not installed")


@pytest.fixture
def shell(python: FreshPython, tmp_path: Path) -> Shell:
    return Shell(python, tmp_path)


def points(*texts: str, **options: tp.Any) -> list[list[str]]:
    return expand(OverridesParser.create().parse_overrides(list(texts)), **options)


# ---------------------------------------------------------------------- which points


def test_a_grid_is_that_of_the_basic_sweeper() -> None:
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    texts = ["a=1,2", "b=x", "c=range(3)", "+d=[1,2],[3]", "~e", "a=5,6"]
    parsed = OverridesParser.create().parse_overrides(texts)
    assert expand(parsed) == BasicSweeper.split_arguments(parsed, None)[0]


def test_paired_values_go_together() -> None:
    found = points("lr=1,2", "seed=0,1", "batch=8,16", zipped=[["lr", "batch"]])
    assert found == [[f"lr={k}", f"batch={8 * k}", f"seed={seed}"] for k in (1, 2) for seed in (0, 1)]


def test_two_groups_of_pairs() -> None:
    found = points("a=1,2", "b=3,4", "c=5,6,7", "d=8,9,10", zipped=[["a", "b"], ["d", "c"]])
    assert len(found) == 6
    assert found[-1] == ["a=2", "b=4", "c=7", "d=10"]


@pytest.mark.parametrize(
    ("texts", "text"),
    [
        (["lr=1,2", "batch=8,16,32"], "lr has 2, batch has 3"),
        (["lr=1,2"], "batch is not swept"),
    ],
)
def test_pairs_that_do_not_fit_are_refused(texts: list[str], text: str) -> None:
    with pytest.raises(SweepRefused, match=text):
        points(*texts, zipped=[["lr", "batch"]])


def test_an_interval_needs_a_sweeper_that_searches() -> None:
    with pytest.raises(HydraException, match="does not support sweep type"):
        points("lr=interval(0,1)")


def test_rows_of_a_csv_file(tmp_path: Path) -> None:
    file = tmp_path / "points.csv"
    file.write_text('model, model.width, "tags"\nsmall, 3, "[a,b]"\nlarge,,\n\n')
    rows = read_rows(file)
    assert rows == [("model=small", "model.width=3", "tags=[a,b]"), ("model=large",)]
    assert points("x=1,2", rows=rows) == [[*row, f"x={x}"] for row in rows for x in (1, 2)]


def test_rows_of_a_json_file_keep_their_types(tmp_path: Path) -> None:
    file = tmp_path / "points.json"
    file.write_text(json.dumps([{"x": 1, "s": "1", "t": "a, b", "l": [None, True, 0.5]}, ["x=3", "~s"]]))
    rows = read_rows(file)
    assert rows == [("x=1", "s='1'", "t='a, b'", "l=[null,true,0.5]"), ("x=3", "~s")]


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("p.csv", "x,y\n1\n", "p.csv:2: 1 cells under 2 keys"),
        ("p.csv", "x,x\n1,2\n", "p.csv:1: every column needs a key of its own"),
        ("p.csv", 'x\n"1,2"\n', r"p.csv:2: x=1,2 is a sweep"),
        ("p.csv", 'x\n"a, b"\n', r"p.csv:2: .* a text with a comma 'a,b'"),
        ("p.csv", "x;y\n1;2\n", "p.csv:1: 'x;y' is no key; columns are separated by commas"),
        ("p.csv", "x\n[1\n", "p.csv:2: "),
        ("p.csv", "x\n", "no points in it"),
        ("p.json", "{", "not JSON"),
        ("p.json", "[3]", "point 0: neither"),
        ("p.json", '{"x": 1}', "point 0: neither"),
    ],
)
def test_a_file_that_holds_no_points_is_refused_with_its_line(
    tmp_path: Path, name: str, content: str, text: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(SweepRefused, match=text):
        read_rows(tmp_path / name)


def test_a_range_among_other_values_is_refused() -> None:
    with pytest.raises(SweepRefused, match=r"x=range\(1,3\),7: a range among other values"):
        points("x=range(1,3),7")


def test_a_key_is_given_by_the_file_or_the_command_line() -> None:
    with pytest.raises(SweepRefused, match="x is also set"):
        points("x=1,2", rows=[("x=3",)])


@pytest.mark.parametrize("option", [{"max_batch_size": 0}, {"max_failure_rate": 2.0}])
def test_options_out_of_range_are_refused(option: dict[str, tp.Any]) -> None:
    given: dict[str, tp.Any] = {
        "max_batch_size": None,
        "params": {},
        "dry_run": False,
        "detach": False,
        "max_failure_rate": 0.0,
        "points": None,
        "zip": [],
    }
    with pytest.raises(SweepRefused, match=next(iter(option))):
        Settings(**(given | option))


# ---------------------------------------------------------------------- whole sweeps


@pytest.mark.slow
def test_a_file_and_pairs_on_the_command_line(shell: Shell) -> None:
    (shell.folder / "points.csv").write_text("model,lr\nsmall,0.5\nlarge,0.25\n")
    done = shell.sweep("hydra.sweeper.points=points.csv", "x=1,2", "note=a,b", "hydra.sweeper.zip=[x,note]")
    assert done.code == 0, done.err
    assert done.column("value") == ["0.5", "1.0", "0.25", "0.5"]
    assert done.column("note") == ["a", "b", "a", "b"]


def test_a_dry_run_prints_the_plan_and_leaves_nothing(shell: Shell) -> None:
    before = sorted(os.listdir(shell.folder))
    done = shell.sweep("x=1,2", "infra=local", "infra.cpus_per_task=2", "hydra.sweeper.dry_run=true")
    assert done.code == 0, done.err
    assert sorted(os.listdir(shell.folder)) == before
    assert done.out.count("missing") == 3, done.out
    assert "local cpus_per_task=2" in done.out
    assert "sweep_app.Study.run,0/x=2" in done.out
    assert "2 points: 2 missing; a dry run" in done.out


@pytest.mark.slow
def test_a_dry_run_says_what_is_stored(shell: Shell) -> None:
    shell.sweep("x=1,2,3", "fail=[3]")
    done = shell.sweep("x=1,2,3,4,4", "hydra.sweeper.dry_run=true")
    assert "5 points: 2 cached, 1 failed, 1 missing, 1 shared" in done.out, done.out
    retried = shell.sweep("x=1,2,3", "infra.mode=retry", "hydra.sweeper.dry_run=true")
    assert "3 points: 2 cached, 1 recompute" in retried.out
    assert shell.computed() == [1, 2, 3]


def test_a_dry_run_refuses_what_the_sweep_would(shell: Shell) -> None:
    done = shell.sweep("x=1,-2", "hydra.sweeper.dry_run=true")
    assert done.code == 1
    assert "greater than 0" in done.err


def test_all_batches_are_validated_before_the_first_runs(shell: Shell) -> None:
    done = shell.sweep("x=1,2,3,-4", "hydra.sweeper.max_batch_size=1")
    assert done.code == 1
    assert "greater than 0" in done.err
    assert shell.computed() == []
    assert not done.folder.exists(), "nothing came of it"


@pytest.mark.slow
def test_some_failures_may_be_allowed(shell: Shell) -> None:
    done = shell.sweep("x=1,2,3,4", "fail=[2]", "hydra.sweeper.max_failure_rate=0.25")
    assert done.code == 0, done.err
    assert done.column("status") == ["completed", "failed", "completed", "completed"]
    assert "1 of 4 points failed, which hydra.sweeper.max_failure_rate allows" in done.out
    refused = shell.sweep("x=1,2,3,4", "hydra.sweeper.max_failure_rate=0.2")
    assert refused.code == 1
    assert "1 point failed (of 4; allowed: 20%)" in refused.err


def test_too_many_failures_stop_the_batches_to_come(shell: Shell) -> None:
    done = shell.sweep("x=1,2,3,4", "fail=[1]", "hydra.sweeper.max_batch_size=2")
    assert done.code == 1
    assert shell.computed() == [1, 2]
    assert "1 point failed, and the 2 of later batches were not run; " in done.err


@pytest.mark.slow
@pytest.mark.parametrize("cluster", ["null", "processpool"])
def test_what_ends_with_the_process_cannot_be_detached(shell: Shell, cluster: str) -> None:
    done = shell.sweep("x=1,2", f"infra.cluster={cluster}", "hydra.sweeper.detach=true")
    assert done.code == 1
    assert f"the jobs of cluster={cluster} end with this process" in done.err
    assert shell.computed() == []


@pytest.mark.parametrize("detach", ["true", "false"])
def test_a_folder_that_cannot_be_written_is_said_without_a_traceback(shell: Shell, detach: str) -> None:
    (shell.folder / "cache").mkdir()
    (shell.folder / "cache" / "sweep_app.Study.run,0").touch()  # as a full disk: nothing can be stored beside it
    done = shell.sweep("x=1,2", "infra=local", "infra.folder=cache", f"hydra.sweeper.detach={detach}")
    assert done.code == 1
    assert "Traceback" not in done.err
    assert "cannot be written, so nothing was computed" in done.err + done.out
    assert done.column("status") == ([] if detach == "true" else ["failed"] * 2)


@pytest.mark.slow
def test_a_detached_sweep_goes_on_and_the_same_command_comes_back_to_it(shell: Shell) -> None:
    words = ("x=1,2,3", "sleep=5", "infra=local", "infra.max_workers=3", "hydra.sweeper.detach=true")
    started = time.monotonic()
    first = shell.sweep(*words)
    assert first.code == 0, first.err
    assert "3 points: 3 running" in first.out, first.out
    assert "run the same command again" in first.out
    assert first.rows == []
    again = shell.sweep(*words)  # at once: attaches
    assert again.code == 0
    assert "running" in again.out, "still as the first command left them"
    assert "shared" not in again.out, "they are nobody else's"
    assert time.monotonic() - started < 60
    waited = shell.sweep(*words[:-1])  # waits for the same jobs
    assert waited.code == 0, waited.err
    assert waited.column("value") == ["0.1", "0.2", str(3 * 0.1)]
    last = shell.sweep(*words)  # everything has ended: the table
    assert last.code == 0
    assert last.column("source") == ["cached"] * 3
    assert shell.computed() == [1, 2, 3], "nothing was computed twice"


@pytest.mark.slow
def test_a_detached_sweep_submits_what_is_missing_and_reports_what_failed(shell: Shell) -> None:
    shell.sweep("x=1,2", "infra=local", "fail=[2]")
    done = shell.sweep("x=1,2,3", "sleep=2", "infra=local", "hydra.sweeper.detach=true")
    assert done.code == 0
    assert "3 points: 1 cached, 1 failed, 1 running" in done.out, done.out
    shell.sweep("x=1,2,3", "infra=local")
    ended = shell.sweep("x=1,2,3", "sleep=2", "infra=local", "hydra.sweeper.detach=true")
    assert ended.code == 1, "it has ended, and one point failed"
    assert shell.computed() == [1, 2, 3]


def test_options_of_ours_say_that_they_need_our_launcher(shell: Shell) -> None:
    done = shell.sweep("x=1,2", "hydra/launcher=basic", "hydra.sweeper.dry_run=true")
    assert done.code == 1
    assert "dry_run needs hydra/launcher=exca" in done.err
    assert "Traceback" not in done.err
