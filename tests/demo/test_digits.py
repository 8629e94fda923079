"""The experiment of the example app: accuracy on unseen digits, reproducibility, configuration."""

from __future__ import annotations

from pathlib import Path

import pytest
from digits import Experiment, Mlp
from pydantic import ValidationError

import exca.hydra

CONF = Path(__file__).parents[2] / "conf"


@pytest.mark.parametrize("model", ["softmax", pytest.param("mlp", marks=pytest.mark.slow)])
def test_reads_95_percent_of_unseen_digits(model: str) -> None:
    result = Experiment(model={"name": model}, optim={"lr": 0.03}).run()
    assert result["test_accuracy"] >= 0.95
    assert result["train_accuracy"] >= result["test_accuracy"]


@pytest.mark.slow
def test_same_seed_same_numbers_another_seed_others(tmp_path: Path) -> None:
    quick = Experiment(model={"name": "mlp"}, optim={"epochs": 3})
    again = Experiment(model={"name": "mlp"}, optim={"epochs": 3}, infra={"folder": tmp_path})
    other = Experiment(model={"name": "mlp"}, optim={"epochs": 3}, seed=1)
    assert quick.run() == again.run()
    assert quick.run() != other.run()
    assert quick.infra.uid() != other.infra.uid()


def test_a_key_of_the_other_model_is_refused() -> None:
    with pytest.raises(ValidationError, match="hidden"):
        Experiment(model={"name": "softmax", "hidden": 3})


def test_config_tree_composes_to_the_same_experiment_as_python() -> None:
    composed = exca.hydra.compose(
        Experiment, overrides=["model=mlp", "optim.lr=0.03"], config_dir=str(CONF), config_name="config"
    )
    plain = Experiment(model={"name": "mlp"}, optim={"lr": 0.03}, infra={"folder": ".exca/digits"})
    assert composed == plain
    assert composed.infra.uid() == plain.infra.uid()


def test_an_option_in_yaml_stands_beside_those_of_the_union() -> None:
    composed = exca.hydra.compose(Experiment, overrides=["model=deep"], config_dir=str(CONF), config_name="config")
    assert composed.model == Mlp(hidden=96, layers=3)


def test_an_experiment_file_changes_several_parts() -> None:
    composed = exca.hydra.compose(
        Experiment, overrides=["+experiment=regularised"], config_dir=str(CONF), config_name="config"
    )
    assert (composed.optim.weight_decay, composed.optim.epochs) == (0.003, 100)
