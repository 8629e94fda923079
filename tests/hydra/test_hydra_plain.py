"""Apps that know nothing of this package, and apps whose model has no infra, with ``hydra/launcher=exca``."""

from __future__ import annotations

import functools
import threading
import typing as tp
from pathlib import Path

import pytest
import yaml
from hydra_shell import APP, Shell, Sweep
from warm_python import FreshPython

from exca.errors import InvalidInfra, UnstableIdentity
from exca.hydra._launch_carried import AppName

pytest.importorskip("hydra_plugins.hydra_exca", reason="the plugin is not installed")

INLINE, POOL, LOCAL = "inline", "processpool", "local"
CLUSTERS = [
    INLINE,
    pytest.param(POOL, marks=pytest.mark.slow),
    pytest.param(LOCAL, marks=pytest.mark.slow),
]


class PlainShell(Shell):
    """Starts a plain app with our launcher."""

    def run(self, cluster: str, *overrides: str, **env: str) -> Sweep:
        launcher = ["hydra/launcher=exca"]
        launcher += [] if cluster == INLINE else [f"hydra.launcher.cluster={cluster}", "hydra.launcher.max_workers=2"]
        return self.sweep(*launcher, *overrides, **env)


@pytest.fixture
def shell(python: FreshPython, tmp_path: Path) -> PlainShell:
    return PlainShell(python, tmp_path, APP.with_name("plain_app.py"))


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_points_are_computed_once_and_found_again(shell: PlainShell, cluster: str) -> None:
    first = shell.run(cluster, "x=1,2", "kind=one,two")
    assert first.code == 0, first.err + first.out
    assert first.column("value") == ["0.5", "0.5", "1.0", "1.0"]
    assert first.column("source") == ["computed"] * 4
    again = shell.run(cluster, "x=1,2,3", "kind=two")
    assert again.code == 0, again.err
    assert again.column("source") == ["cached", "cached", "computed"]
    assert shell.computed() == [1, 1, 2, 2, 3]
    assert {path.name for path in (shell.folder / ".exca").glob("*")} >= {"plain_app.main,0"}


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_a_job_finds_around_it_what_hydra_puts_there(shell: PlainShell, cluster: str) -> None:
    words = ["hydra.job.chdir=true", "+hydra.job.env_set.PLAIN_APP_VARIABLE=set"]
    done = shell.run(cluster, "x=3,4", "seen=true", "hydra.sweep.subdir=job_${hydra.job.num}", *words)
    assert done.code == 0, done.err + done.out
    for number, x in enumerate((3, 4)):
        folder = str(done.folder / f"job_{number}")
        text = done.rows[number]["value"]
        for part in (f"doubled={2 * x}", f"folder='{folder}'", f"output='{folder}'", f"number={number}"):
            assert part in text, text
        assert "variable='set'" in text
        assert f"original='{shell.folder}'" in text


@pytest.mark.slow
@pytest.mark.parametrize("cluster", [INLINE, POOL, LOCAL])
def test_incident_20_one_failed_point_costs_one_point_and_its_log_tells(shell: PlainShell, cluster: str) -> None:
    done = shell.run(cluster, "x=1,2,3", "fail=[2]")
    assert done.code == 1
    assert done.column("status") == ["completed", "failed", "completed"]
    assert done.rows[1]["value"] == "ValueError: x=2 was told to fail"
    log = (done.folder / "1" / "plain_app.log").read_text()
    assert 'raise ValueError(f"x={config.x} was told to fail")' in log
    assert "at work on 2" in log
    again = shell.run(cluster, "x=1,2,3", "fail=[2]")
    assert set(again.column("source")) == {"cached"}, "a failure is a result"
    assert again.column("status") == done.column("status")
    retried = shell.run(cluster, "x=1,2,3", "fail=[2]", "hydra.launcher.mode=retry")
    assert retried.column("source") == ["cached", "computed", "cached"]
    assert shell.computed() == [1, 2, 2, 3]


@pytest.mark.slow
def test_incident_20_one_killed_point_of_a_plain_app_costs_one_point(shell: PlainShell) -> None:
    done = shell.run(LOCAL, "x=1,2,3", "kill=[2]")
    assert done.code == 1
    assert done.column("status") == ["completed", "failed", "completed"]
    assert "SIGKILL" in done.rows[1]["value"]


@pytest.mark.parametrize("cluster", [INLINE, pytest.param(LOCAL, marks=pytest.mark.slow)])
def test_leaving_ends_one_point(shell: PlainShell, cluster: str) -> None:
    done = shell.run(cluster, "x=1,2", "leave=[1]")
    assert done.column("status") == ["failed", "completed"]
    assert "SystemExit(3)" in done.rows[0]["value"]


@pytest.mark.slow
@pytest.mark.parametrize("cluster", CLUSTERS)
def test_output_folders_and_callbacks_are_hydras_also_for_cached_points(shell: PlainShell, cluster: str) -> None:
    calls = shell.folder / "calls"
    callback = f"+hydra.callbacks.trace={{_target_:plain_app.Trace,file:'{calls}'}}"
    for _ in range(2):
        done = shell.run(cluster, "x=1,2", callback)
        assert done.code == 0, done.err
        assert sorted(calls.read_text().splitlines()) == [*(f"end {x} COMPLETED" for x in "12"), "start 1", "start 2"]
        calls.unlink()
        for number, x in enumerate("12"):
            folder = done.folder / str(number)
            log = (folder / "plain_app.log").read_text()
            assert ("at work on" in log) != ("not run: the value is that of plain_app.main,0/" in log)
            assert yaml.safe_load((folder / ".hydra" / "overrides.yaml").read_text()) == [f"x={x}", *done.shared]
    assert shell.computed() == [1, 2]


@pytest.mark.slow
def test_incident_29_a_value_of_the_run_is_warned_about_and_can_be_left_out(shell: PlainShell) -> None:
    words = ["x=1,2", "+stamp=${now:%H%M%S%f}"]
    done = shell.run(INLINE, *words)
    assert done.code == 0, done.err
    assert "no run finds the result" in done.err + done.out
    assert "hydra.launcher.exclude=[stamp]" in done.err + done.out
    for source in ("computed", "cached"):
        left_out = shell.run(INLINE, *words, "hydra.launcher.exclude=[stamp]")
        assert left_out.code == 0, left_out.err
        assert set(left_out.column("source")) == {source}
        assert "no run finds the result" not in left_out.err + left_out.out


def test_a_value_that_differs_each_time_is_refused(shell: PlainShell) -> None:
    done = shell.run(INLINE, "x=1,2", "+seed=${chance:}")
    assert done.code == 1
    assert "hydra.launcher.exclude=[seed]" in done.rows[0]["value"]
    assert shell.computed() == []


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["x=1,2", "kidn=one"], "kidn"),
        (["x=1,2", "kind=one,three"], "three"),
        (["x=1,2", "hydra.launcher.cluster=threadpool"], "choose processpool or local"),
        (["x=1,2", "hydra.launcher.cpus_per_task=many"], "cpus_per_task"),
        (["x=1,2", "hydra.launcher.exclude=[kidn]"], "no point has a key 'kidn'; did you mean kind?"),
    ],
)
def test_what_cannot_run_is_said_before_anything_does(shell: PlainShell, words: list[str], text: str) -> None:
    done = shell.run(INLINE, *words)
    assert done.code == 1
    assert text in done.err
    assert "Traceback" not in done.err
    assert shell.computed() == []


def test_under_a_sweeper_of_hydra_too_is_said_how_to_compute_again_what_failed(shell: PlainShell) -> None:
    done = shell.run(INLINE, "x=1,2", "fail=[2]")
    assert "1 point failed; the same command with hydra.launcher.mode=retry computes again what failed" in done.out


@pytest.mark.slow
def test_a_plan_of_a_plain_app(shell: PlainShell) -> None:
    shell.run(INLINE, "x=1")
    done = shell.run(INLINE, "x=1,2", "hydra/sweeper=exca", "hydra.sweeper.dry_run=true")
    assert done.code == 0, done.err
    assert "2 points: 1 cached, 1 missing" in done.out
    assert "plain_app.main,0/" in done.out


@pytest.mark.parametrize("cluster", [INLINE, pytest.param(LOCAL, marks=pytest.mark.slow)])
def test_a_model_without_infra_is_the_identity_of_its_apps_function(
    python: FreshPython, tmp_path: Path, cluster: str
) -> None:
    shell = PlainShell(python, tmp_path, APP.with_name("bare_app.py"))
    for source in ("computed", "cached"):
        done = shell.run(cluster, "x=2,3")
        assert done.code == 0, done.err + done.out
        assert done.column("value") == ["20", "30"]
        assert set(done.column("source")) == {source}
    assert shell.computed() == [2, 3]
    assert (tmp_path / ".exca" / "bare_app.main,0").is_dir()
    assert shell.run(cluster, "x=2,-3").code == 1


# ---------------------------------------------------------------------- names of functions


def _made(held: object) -> tp.Callable[[], object]:
    def inner() -> object:
        return held

    return inner


class _Callable:
    def __init__(self, held: object) -> None:
        self.held = held

    def __call__(self, config: object) -> object:
        return self.held

    def method(self, config: object) -> object:
        return self.held


def _top(config: object, more: int = 0) -> object:
    return config


def test_a_function_of_a_module_has_no_variants() -> None:
    name = AppName(_top)
    assert (name.owner.__module__, name.owner.__qualname__, name.variant()) == (__name__, "_top", "")


@pytest.mark.parametrize(
    "make",
    [_made, _Callable, lambda held: _Callable(held).method, lambda held: functools.partial(_top, more=held)],
    ids=["closure", "object", "method", "partial"],
)
def test_what_a_function_holds_tells_it_from_others(make: tp.Callable[[object], tp.Callable[..., object]]) -> None:
    assert AppName(make(1)).variant() == AppName(make(1)).variant() != ""
    assert AppName(make(1)).variant() != AppName(make(2)).variant()


def test_what_cannot_be_named_is_refused() -> None:
    with pytest.raises(UnstableIdentity, match="top level of a module"):
        AppName(_made(threading.Lock())).variant()
    with pytest.raises(InvalidInfra, match="not a Python function"):
        AppName(print)
