"""A Hydra app that knows nothing of this package: it says what it finds around it, and fails where it is told to."""

from __future__ import annotations

import logging
import os
import random
import signal
import sys
from dataclasses import dataclass
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

OmegaConf.register_new_resolver("double", lambda x: 2 * x, replace=True)
OmegaConf.register_new_resolver("chance", lambda: random.random(), replace=True)


@dataclass
class Seen:
    """What a job sees."""

    doubled: int
    folder: str
    output: str
    number: int
    variable: str | None
    original: str


class Trace(Callback):
    """Writes down what Hydra calls."""

    def __init__(self, file: str) -> None:
        self.file = file

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        self._write(f"start {config.x}")

    def on_job_end(self, config: DictConfig, job_return: Any, **kwargs: Any) -> None:
        self._write(f"end {config.x} {job_return.status.name}")

    def _write(self, text: str) -> None:
        with open(self.file, "a") as stream:
            stream.write(f"{text}\n")


@hydra.main(version_base="1.3", config_path="plain_conf", config_name="config")
def main(config: DictConfig) -> Any:
    """Return something about ``x``."""
    with open(config.trace, "a") as stream:
        stream.write(f"{config.x}\n")
    logging.getLogger(__name__).info("at work on %s", config.x)
    if config.x in config.fail:
        raise ValueError(f"x={config.x} was told to fail")
    if config.x in config.kill:
        os.kill(os.getpid(), signal.SIGKILL)
    if config.x in config.leave:
        sys.exit(3)
    if config.seen:
        info = HydraConfig.get()
        return Seen(
            doubled=config.doubled,
            folder=os.getcwd(),
            output=info.runtime.output_dir,
            number=info.job.num,
            variable=os.environ.get("PLAIN_APP_VARIABLE"),
            original=hydra.utils.get_original_cwd(),
        )
    return config.x * 0.5


if __name__ == "__main__":
    main()
