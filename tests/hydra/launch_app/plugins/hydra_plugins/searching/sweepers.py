"""Two sweepers that search as Ax and Nevergrad do, and take failures as they do."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class Searcher(Sweeper):
    """Asks for batches of two, and writes down the best when the study has ended."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        best = (math.inf, 0)
        for first in range(0, 6, 2):
            batch = [(*arguments, f"x={x}") for x in (first + 1, first + 2)]
            self.validate_batch_is_legal(batch)
            returns = self.launcher.launch(batch, initial_job_idx=first)
            best = min([best, *((self.loss(result), first + k + 1) for k, result in enumerate(returns))])
        folder = Path(self.config.hydra.sweep.dir)
        (folder / "best.json").write_text(json.dumps(best))

    def loss(self, result: Any) -> float:
        raise NotImplementedError


class LikeAx(Searcher):
    """Any failed trial is fatal, and so is a value that is not a finite number."""

    def loss(self, result: Any) -> float:
        value = float(result.return_value)
        if not math.isfinite(value):
            raise ValueError(f"{value} is not a measurement")
        return value


class LikeNevergrad(Searcher):
    """A failed trial is fatal; an infinite loss is a bad one."""

    def loss(self, result: Any) -> float:
        return float(1 * result.return_value)


for _sweeper in (LikeAx, LikeNevergrad):
    _node = {"_target_": f"{_sweeper.__module__}.{_sweeper.__qualname__}"}
    ConfigStore.instance().store(group="hydra/sweeper", name=_sweeper.__name__, node=_node)
