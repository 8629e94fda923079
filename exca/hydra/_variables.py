"""The environment variables that ``hydra.job.env_set`` gives a job."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, OmegaConf

__all__ = ["variables_of"]


def variables_of(config: DictConfig) -> dict[str, str]:
    """Return what a composed config sets in the environment of its job.

    References to the job's own values are resolved: ``SEED: ${seed}``.

    Parameters
    ----------
    config: with its ``hydra`` node; without one, Hydra has set the variables already.
    """
    given: Any = OmegaConf.select(config, "hydra.job.env_set") if "hydra" in config else None
    return {str(key): str(value) for key, value in given.items()} if given else {}
