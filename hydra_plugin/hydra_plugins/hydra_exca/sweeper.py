"""``hydra/sweeper=exca``: the Basic sweeper's grammar; every point is composed and validated before any is submitted.

Hydra imports this module whenever it scans for plugins, in every Hydra app: it only imports what Hydra has loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class ExcaSweeper(Sweeper):
    """A grid of points, like ``hydra/sweeper=basic``.

    Parameters
    ----------
    max_batch_size: points handed to the launcher at once; None: all.
    params: overrides that are always part of the sweep, key to value.
    dry_run: print what each point would do, and stop.
    detach: submit, and do not wait; the same command later finds what ran, and submits what is missing.
    max_failure_rate: share of failed points, between 0 and 1, above which the sweep fails; looked at after each batch.
    points: a CSV or JSON file of points; the grid is made for each of them.
    zip: keys whose values go together, ``[lr,batch]``; or several such groups, ``[[lr,batch],[a,b]]``.
    """

    def __init__(
        self,
        max_batch_size: int | None = None,
        params: dict[str, str] | None = None,
        dry_run: bool = False,
        detach: bool = False,
        max_failure_rate: float = 0.0,
        points: str | None = None,
        zip: Sequence[Any] = (),
    ) -> None:
        self.options = {
            "max_batch_size": max_batch_size,
            "params": dict(params or {}),
            "dry_run": dry_run,
            "detach": detach,
            "max_failure_rate": max_failure_rate,
            "points": points,
            "zip": [zip] if isinstance(zip, str) else zip,
        }

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        # docstring inherited
        self.hydra_context = hydra_context
        self.config = config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        # docstring inherited
        from exca.hydra import run_sweep

        ours = type(self.launcher).__module__ == "hydra_plugins.hydra_exca.launcher"
        return run_sweep(self, arguments, ours=ours)  # type: ignore[arg-type] # Hydra types its parts as optional


_TARGET = f"{ExcaSweeper.__module__}.{ExcaSweeper.__qualname__}"
ConfigStore.instance().store(
    group="hydra/sweeper",
    name="exca",
    node={
        "_target_": _TARGET,
        "max_batch_size": None,
        "params": None,
        "dry_run": False,
        "detach": False,
        "max_failure_rate": 0.0,
        "points": None,
        "zip": [],
    },
    provider="exca",
)
