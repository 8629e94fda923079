"""What Hydra's users know about config files holds for a model: search paths, packages, experiments, resolvers."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra.core.config_store import ConfigStore
from hydra_models import Conv, Cosine, Experiment, Stop, Transformer
from omegaconf import OmegaConf
from pydantic import BaseModel

import exca.hydra

FILES = {
    "conf/config": """
        defaults: [experiment, {extra: null}, _self_, {override optim/schedule: cosine}]
        seed: ${test.twice:${layers.0}}
        note: ${oc.env:TEST_NOTE}-${optim.lr}
        """,
    "conf/experiment/best": """
        # @package _global_
        defaults: [{override /model: transformer}, {override /stop: default}]
        optim: {lr: 0.7}
        """,
    "conf/extra/fast": "# @package optim\nmomentum: 0.1\n",
    "conf/extra/_named": "# @package data\nfraction: 0.9\n",
    "conf/searching": "defaults: [config, _self_]\nhydra: {searchpath: ['file://${oc.env:TEST_MORE}']}\n",
    "conf/sweeping": """
        defaults: [config, _self_]
        hydra: {mode: MULTIRUN, sweeper: {params: {model: 'conv,transformer', optim.lr: '0.1,0.2'}}, sweep: {dir: out}}
        """,
    "more/model/wide": "{name: transformer, dim: 512}\n",
    "packaged_conf/config": "defaults: [experiment, _self_, {override model: small}]\n",
    "packaged_conf/model/small": "{name: conv, channels: 2}\n",
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name, text in FILES.items():
        file = tmp_path / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text).lstrip())
    (tmp_path / "packaged_conf/__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("TEST_NOTE", "hello")
    monkeypatch.setenv("TEST_MORE", str(tmp_path / "more"))
    monkeypatch.chdir(tmp_path)
    OmegaConf.register_new_resolver("test.twice", lambda number: 2 * number, replace=True)
    yield tmp_path
    OmegaConf.clear_resolver("test.twice")


def composed(*overrides: str, name: str = "config", **where: Any) -> Experiment:
    return exca.hydra.compose(Experiment, overrides, config_name=name, **(where or {"config_dir": "conf"}))


def test_interpolations_and_resolvers(root: Path) -> None:
    made = composed("layers=[3]")
    assert (made.seed, made.note) == (6, "hello-0.3")
    assert composed("optim.lr=0.5").note == "hello-0.5"


def test_experiment_files_and_overrides_in_defaults_lists(root: Path) -> None:
    assert composed().optim.schedule == Cosine()
    best = composed("+experiment=best", "model.dim=3")
    assert (best.model, best.optim.lr, best.stop) == (Transformer(dim=3), 0.7, Stop())


def test_package_directives(root: Path) -> None:
    assert composed("extra=fast").optim.momentum == 0.1
    assert composed("extra=_named").data.fraction == 0.9
    assert composed("+extra@data=_named").data.fraction == 0.9


def test_search_paths(root: Path) -> None:
    assert composed("model=wide", name="searching").model == Transformer(dim=512)
    assert composed("model=wide", "hydra.searchpath=[file://more]").model == Transformer(dim=512)
    assert composed("model=small", "hydra.searchpath=[pkg://packaged_conf]").model == Conv(channels=2)


def test_configs_in_packages(root: Path) -> None:
    assert composed(config_path="pkg://packaged_conf").model == Conv(channels=2)


def test_the_options_of_another_model_are_not_those_of_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    class Named(BaseModel):
        model: str = "x"
        stop: list[int] = []

    store = ConfigStore.instance()
    monkeypatch.setattr(store, "repo", dict(store.repo))
    exca.hydra.register(Experiment)
    assert exca.hydra.compose(Named, ["model=conv", "stop=[1]"]) == Named(model="conv", stop=[1])
    store.store("own", {"a": 1}, group="stop")  # of the user
    assert exca.hydra.compose(Experiment, ["model=conv"]).model == Conv()


APP = """
    import sys
    sys.path.insert(0, {models!r})
    from hydra_models import Experiment
    from omegaconf import OmegaConf
    import exca.hydra

    OmegaConf.register_new_resolver("test.twice", lambda number: 2 * number)

    @exca.hydra.main(Experiment, config_path="conf", config_name="sweeping")
    def train(experiment):
        print("RUN", experiment.model.name, experiment.optim.lr, experiment.seed)

    if __name__ == "__main__":
        train()
"""


@pytest.mark.slow
@pytest.mark.parametrize("words", [[], ["hydra/launcher=basic", "hydra/sweeper=basic"]])
def test_a_sweep_that_the_config_defines(root: Path, words: list[str]) -> None:
    (root / "app.py").write_text(textwrap.dedent(APP).format(models=str(Path(__file__).parent)))
    env = {**os.environ, "PYTHONPATH": str(Path(exca.hydra.__file__).parents[2]), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "app.py", *words]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    points = [line for line in done.stdout.splitlines() if line.startswith("RUN")]
    assert sorted(points) == sorted(f"RUN {name} {lr} 16" for name in ("conv", "transformer") for lr in (0.1, 0.2))
