"""The points of a sweep are all looked at, and all that is wrong with them is listed, before one is run."""

from __future__ import annotations

import pytest
from hydra import version
from hydra._internal.utils import create_config_search_path
from hydra.core.utils import setup_globals
from hydra.types import RunMode
from hydra_models import Experiment
from omegaconf import OmegaConf

import exca.hydra
from exca.errors import InvalidConfig
from exca.hydra._loader import ModelLoader
from exca.hydra._validation import check


class TestSweeps:
    """All points are looked at before one is run (incident 27)."""

    @pytest.fixture(autouse=True)
    def _as_in_an_app(self) -> None:
        version.setbase("1.3")
        setup_globals()

    @pytest.fixture
    def loader(self) -> ModelLoader:
        return ModelLoader(create_config_search_path(None), Experiment)

    def test_incident_27_every_bad_point_is_listed_before_anything_runs(self, loader: ModelLoader) -> None:
        master = loader.load_configuration("experiment", [], RunMode.MULTIRUN)
        points = [[f"optim.lr={lr}", f"seed={seed}"] for lr in ("0.1", "-1", "x") for seed in ("0", "1")]
        points += [["model=transformer", "model.channels=3", "seed=q"], ["model=convv"]]
        with pytest.raises(InvalidConfig) as caught:
            exca.hydra.read_points(loader, master, points, Experiment, first=10)
        found = [(problem.point, problem.field) for problem in caught.value.problems]  # type: ignore[attr-defined]
        assert found == [
            (12, "optim.lr"), (13, "optim.lr"), (14, "optim.lr"), (15, "optim.lr"),
            (16, "model.channels"), (16, "seed"), (17, "model"),
        ]  # fmt: skip
        text = str(caught.value)
        assert text.startswith("Experiment: 5 problems in 6 of 8 points; nothing was submitted.")
        assert text.count("Input should be greater than 0") == 1
        assert "#13  optim.lr=-1 seed=1" in text

    def test_a_point_that_chooses_none_is_one_of_the_bad_points(self, loader: ModelLoader) -> None:
        master = loader.load_configuration("experiment", ["model=null,conv"], RunMode.MULTIRUN)
        with pytest.raises(InvalidConfig) as caught:
            exca.hydra.read_points(loader, master, [["model=null"], ["model=conv"]], Experiment)
        found = [(problem.point, problem.field) for problem in caught.value.problems]  # type: ignore[attr-defined]
        assert found == [(0, "model")]

    def test_incident_27_what_no_point_can_have_is_listed_with_the_points(self) -> None:
        loader = ModelLoader(create_config_search_path(None), Experiment, ours=True, check=check)
        texts = ["seed=0,1,x", "model=conv,transformer", "model.dim=3", "sed=1"]
        master = loader.load_configuration("experiment", texts, RunMode.MULTIRUN)
        assert OmegaConf.to_container(master.hydra.overrides.task) == texts
        points = [["seed=0", "model=conv", *texts[2:]], ["seed=x", "model=transformer", *texts[2:]]]
        with pytest.raises(InvalidConfig) as caught:
            exca.hydra.read_points(loader, master, points, Experiment)
        found = [(problem.point, problem.field) for problem in caught.value.problems]  # type: ignore[attr-defined]
        assert found == [(0, "model.dim"), (0, "sed"), (1, "sed"), (1, "seed")]

    def test_other_launchers_are_given_no_sweep_that_does_not_compose(self) -> None:
        loader = ModelLoader(create_config_search_path(None), Experiment, ours=True, check=check)
        with pytest.raises(InvalidConfig, match="sed: no such key"):
            loader.load_configuration("experiment", ["sed=1", "hydra/launcher=basic"], RunMode.MULTIRUN)

    def test_good_points_become_models(self, loader: ModelLoader) -> None:
        master = loader.load_configuration("experiment", [], RunMode.MULTIRUN)
        points = [["seed=1"], ["seed=2", "model=transformer"]]
        models = exca.hydra.read_points(loader, master, points, Experiment)
        assert [model.seed for model in models] == [1, 2]
        configs = [loader.load_sweep_config(master, texts) for texts in points]
        assert exca.hydra.validate_points(configs, Experiment, points) == models

    def test_many_bad_points_are_listed_by_number(self, loader: ModelLoader) -> None:
        master = loader.load_configuration("experiment", [], RunMode.MULTIRUN)
        points = [["optim.lr=-1", f"seed={seed}"] for seed in range(40)]
        with pytest.raises(InvalidConfig, match=r"points #12-39"):
            exca.hydra.read_points(loader, master, points, Experiment)
