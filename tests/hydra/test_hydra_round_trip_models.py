"""For any model: composing the overrides of an instance gives an equal instance, with the same uid."""

from __future__ import annotations

import pytest
from generated_models import generated
from omegaconf import OmegaConf

import exca.hydra
from exca.hydra._fields import shape_of
from exca.identity import identify

SEEDS = [pytest.param(seed, marks=() if seed < 12 else pytest.mark.slow) for seed in range(240)]


@pytest.mark.parametrize("seed", SEEDS)
def test_overrides_and_yaml_of_a_generated_model_give_it_back(seed: int) -> None:
    config = generated(seed)
    overrides = exca.hydra.to_overrides(config)
    made = exca.hydra.compose(type(config), overrides)
    assert made == config, overrides
    assert identify(made) == identify(config)
    text = OmegaConf.to_yaml(exca.hydra.to_config(config))
    assert exca.hydra.to_model(OmegaConf.create(text), type(config)) == config
    assert exca.hydra.to_overrides(made) == overrides


def test_generated_models_are_of_every_kind() -> None:
    models = [type(generated(seed)) for seed in range(60)]
    kinds = {shape_of(info).kind for model in models for info in model.model_fields.values()}
    assert kinds == {"value", "model", "optional", "union"}
