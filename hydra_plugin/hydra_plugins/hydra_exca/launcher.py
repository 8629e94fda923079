"""``hydra/launcher=exca``: finished points are skipped, missing ones go out as one array.

Hydra imports this module whenever it scans for plugins, in every Hydra app: it only imports what Hydra has loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

# The fields of an infra, by name, but keep_in_ram, and folder, which has a default of its own here; null leaves a
# point's own infra as it is.
INFRA_FIELDS = (
    "mode",
    "version",
    "permissions",
    "code_change",
    "cluster",
    "max_workers",
    "logs",
    "workdir",
    "job_name",
    "timeout_min",
    "nodes",
    "tasks_per_node",
    "cpus_per_task",
    "gpus_per_node",
    "mem_gb",
    "slurm_constraint",
    "slurm_partition",
    "slurm_account",
    "slurm_qos",
    "slurm_use_srun",
    "slurm_setup",
    "slurm_additional_parameters",
    "conda_env",
)


class ExcaLauncher(Launcher):
    """Launches the points of a sweep through the uid cache.

    Parameters
    ----------
    folder: cache of points whose infra names none; relative to where the app was started.
    progress: whether to show progress on the terminal.
    exclude: dotted keys of the config that do not enter the uid; for plain apps, whose points have no infra.
    failure_value: what a sweeper is told of a failed point instead of its exception, for sweepers that stop at the
        first failure; None: the exception.
    **fields: fields of the infra; those that are not None win over a point's own.
    """

    def __init__(
        self,
        folder: str = ".exca",
        progress: bool = True,
        exclude: Any = (),
        failure_value: Any = None,
        **fields: Any,
    ) -> None:
        self.folder = folder
        self.progress = progress
        several = isinstance(exclude, Sequence) and not isinstance(exclude, str)
        self.exclude: list[str] = list(exclude) if several else [exclude]
        self.failure_value = failure_value
        self.fields = {name: value for name, value in fields.items() if value is not None}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        # docstring inherited
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        # docstring inherited
        from exca.hydra import launch_points

        return launch_points(self, job_overrides, initial_job_idx)


_TARGET = f"{ExcaLauncher.__module__}.{ExcaLauncher.__qualname__}"
_STORE = ConfigStore.instance()
_STORE.store(
    group="hydra/launcher",
    name="exca",
    node={
        "_target_": _TARGET,
        "folder": ".exca",
        "progress": True,
        "exclude": [],
        "failure_value": None,
        **dict.fromkeys(INFRA_FIELDS),
    },
    provider="exca",
)
for _cluster in ("local", "slurm", "debug"):
    # Built on the first: the nodes of four full presets would cost every Hydra app a millisecond each.
    _preset = {"defaults": ["exca", "_self_"], "cluster": _cluster}
    _STORE.store(group="hydra/launcher", name=f"exca_{_cluster}", node=_preset, provider="exca")
