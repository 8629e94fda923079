"""A Hydra app of no weight that knows nothing of this package."""

import os
import time

import hydra
from omegaconf import DictConfig


@hydra.main(version_base="1.3", config_path=None, config_name=None)
def main(config: DictConfig) -> float:
    """Return the square of ``x``."""
    time.sleep(float(os.environ.get("NAP_S", 0)))
    return float(config.get("x", 0)) ** 2


main()
