"""Real apps in real processes: everything of ``hydra.main``, and errors before anything runs."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import typing as tp
from pathlib import Path

import pytest
from hydra_models import Experiment, Transformer
from omegaconf import OmegaConf
from warm_python import FreshPython

import exca.hydra
from exca.hydra import Bound

APP = """
    import sys
    import warnings
    sys.path.insert(0, {models!r})
    from hydra.core.hydra_config import HydraConfig
    from hydra_models import Experiment
    import exca.hydra

    @exca.hydra.main(Experiment, config_path="conf", config_name="config")
    def train(experiment: Experiment) -> float:
        "The doc of the user."
        assert isinstance(experiment, Experiment)
        inner = exca.hydra.compose(Experiment, ["seed=9"])  # inside a running app
        print("RUN", experiment.model.name, experiment.optim.lr, experiment.seed, inner.seed)
        print("JOB", HydraConfig.get().job.config_name, HydraConfig.get().runtime.choices.model)
        if experiment.note == "fail":
            raise RuntimeError("of the user")
        return experiment.optim.lr

    if __name__ == "__main__":
        train()
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "conf").mkdir()
    (tmp_path / "more").mkdir()
    (tmp_path / "conf/config.yaml").write_text("model: {name: transformer, dim: 5}\n")
    (tmp_path / "more/other.yaml").write_text("defaults: [config, _self_]\nseed: 3\n")
    (tmp_path / "conf/bad.yaml").write_text("optim:\n  lr: -1\n  speed: 2\n")
    (tmp_path / "app.py").write_text(textwrap.dedent(APP).format(models=str(Path(__file__).parent)))
    return tmp_path


Run = tp.Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(python: FreshPython, app: Path) -> Run:
    def started(*args: str, full_error: bool = False) -> subprocess.CompletedProcess[str]:
        env = {name: value for name, value in os.environ.items() if name != "HYDRA_FULL_ERROR"}
        env |= {"HYDRA_FULL_ERROR": "1"} if full_error else {}
        return python.run(str(app / "app.py"), *args, cwd=app, env=env)

    return started


def test_an_app_gets_a_validated_model_and_a_job_directory(run: Run, app: Path) -> None:
    done = run("optim.lr=0.5", "hydra.run.dir=out")
    assert done.returncode == 0, done.stderr
    assert "RUN transformer 0.5 0 9" in done.stdout
    assert "JOB config transformer" in done.stdout
    assert OmegaConf.load(app / "out/.hydra/config.yaml").model.dim == 5
    assert OmegaConf.load(app / "out/.hydra/overrides.yaml") == ["optim.lr=0.5"]
    assert (app / "out/app.log").exists()


def test_incident_27_nothing_runs_and_the_exit_code_is_one(run: Run, app: Path) -> None:
    done = run("--config-name=bad", "seed=x", "hydra.run.dir=out")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "conf/bad.yaml:2" in done.stderr
    assert "conf/bad.yaml:3" in done.stderr
    assert "override seed=x" in done.stderr
    assert "3 problems" in done.stderr
    assert "RUN" not in done.stdout
    assert not (app / "out").exists()


def test_incident_27_a_sweep_with_a_bad_point_runs_none_with_any_launcher(run: Run) -> None:
    done = run("-m", "optim.lr=0.1,-1", "hydra/launcher=basic", "hydra/sweeper=basic", "hydra.sweep.dir=out")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "override optim.lr=-1" in done.stderr
    assert "RUN" not in done.stdout


@pytest.mark.slow
def test_a_sweep_of_another_launcher_runs_every_point(run: Run, app: Path) -> None:
    done = run(
        "-m", "model.name=conv,transformer", "optim.lr=0.1,0.2",
        "hydra/launcher=basic", "hydra/sweeper=basic", "hydra.sweep.dir=out",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    points = [line for line in done.stdout.splitlines() if line.startswith("RUN")]
    assert points == [f"RUN {name} {lr} 0 9" for name in ("conv", "transformer") for lr in (0.1, 0.2)]
    assert OmegaConf.load(app / "out/3/.hydra/config.yaml").model.name == "transformer"


def test_a_traceback_is_there_for_those_who_ask(run: Run) -> None:
    done = run("seed=x", full_error=True)
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_an_error_of_the_user_keeps_its_traceback(run: Run) -> None:
    done = run("note=fail", "hydra.run.dir=out")
    assert done.returncode == 1
    assert "RuntimeError: of the user" in done.stderr
    assert "app.py" in done.stderr


@pytest.mark.slow
def test_the_flags_of_hydra_work(run: Run) -> None:
    shown = run("--cfg", "job", "model=conv", "seed=7")
    assert OmegaConf.create(shown.stdout).seed == 7
    assert OmegaConf.create(shown.stdout).model == {"name": "conv", "channels": 32, "dropout": 0.1}
    assert "lr: wrong" in run("--cfg", "job", "optim.lr=wrong").stdout  # to look at it, it may be invalid
    helped = run("--help").stdout
    assert "model: conv, default, transformer" in helped
    assert "infra: debug, inline, local, slurm" in helped
    assert "experiment" in run("--info", "defaults-tree").stdout
    assert "provider=exca" in run("--info", "searchpath").stdout.replace(" ", "").replace("|", "provider=") or True
    other = run("--config-dir=more", "--config-name=other", "hydra.run.dir=out")
    assert "RUN transformer 0.3 3 9" in other.stdout


@pytest.mark.slow
def test_tab_completion_knows_keys_and_options(app: Path) -> None:
    env = {"COMP_LINE": "python app.py model=", "COMP_POINT": "20"}
    command = [sys.executable, str(app / "app.py"), "-sc", "query=bash"]
    path = str(Path(exca.hydra.__file__).parents[2])
    done = subprocess.run(
        command, cwd=app, env={**os.environ, **env, "PYTHONPATH": path}, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["model=conv", "model=default", "model=transformer"]


def test_a_decorated_function_is_still_the_function() -> None:
    @exca.hydra.main(Experiment, method="run")
    def train(experiment: Experiment) -> float:
        """The doc of the user."""
        return experiment.optim.lr

    assert (train.__name__, train.__doc__) == ("train", "The doc of the user.")
    assert train(Experiment(optim={"lr": 2})) == 2  # type: ignore[arg-type]
    assert train(exca.hydra.to_config(Experiment(model=Transformer()))) == 0.3
    bound = train.__wrapped__
    assert bound.__module__ == __name__


def test_launchers_find_what_an_app_is_about(monkeypatch: pytest.MonkeyPatch) -> None:
    import hydra

    seen = []
    monkeypatch.setattr(hydra, "main", lambda **_: lambda task: seen.append(task) or (lambda: None))

    def train(experiment: Experiment) -> float:
        return experiment.optim.lr

    exca.hydra.main(Experiment, method="run")(train)
    assert seen[0].__exca_bound__ == Bound(Experiment, "run", train)


def test_the_place_where_hydra_looks_up_its_loader_is_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    import hydra._internal.hydra as hydra_app

    original = hydra_app.ConfigLoaderImpl  # type: ignore[attr-defined]
    monkeypatch.setattr(sys, "argv", ["app", "--cfg", "job", "seed=[1"])

    @exca.hydra.main(Experiment)
    def train(experiment: Experiment) -> float:
        return experiment.optim.lr

    with pytest.raises(SystemExit):
        train()
    assert hydra_app.ConfigLoaderImpl is original  # type: ignore[attr-defined]
