"""What a job asks for."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exca.errors import InvalidInfra
from exca.execution._code import CodeCopy

__all__ = ["Resources"]


@dataclass(frozen=True, slots=True)
class Resources:
    """What a job asks for. Calls with equal resources fit in one array.

    Attributes
    ----------
    cluster: None (this process, at once), "auto", "local", "slurm", "debug", "processpool", "threadpool", or the name
        of a submitit plugin.
    max_workers: most workers alive at once; None: the CPUs this process may use, divided by `cpus_per_task`, or the
        GPUs divided by `gpus_per_node`.
    job_name: name of the jobs, where a call does not bring its own.
    timeout_min: minutes after which a call is ended; None: no limit.
    nodes, tasks_per_node: more than one is for schedulers.
    cpus_per_task: CPUs of one task.
    gpus_per_node: GPUs that a job holds alone.
    mem_gb: memory of a job in GB, for schedulers.
    workdir: a folder of code, or several things; jobs run in a copy made at submission. None: in the current folder.
    cache: folder that is no code, wherever it lies.
    slurm_*: passed on to Slurm. The mapping `slurm_additional_parameters` is kept as sorted pairs.
    conda_env: name or folder of the conda environment whose Python runs the job; None: the current Python.

    Raises
    ------
    InvalidInfra: a number is out of its range.
    """

    cluster: str | None = None
    max_workers: int | None = None
    job_name: str | None = None
    timeout_min: float | None = None
    nodes: int = 1
    tasks_per_node: int = 1
    cpus_per_task: int | None = None
    gpus_per_node: int | None = None
    mem_gb: float | None = None
    workdir: str | os.PathLike[str] | CodeCopy | None = None
    cache: str | os.PathLike[str] | None = None
    slurm_constraint: str | None = None
    slurm_partition: str | None = None
    slurm_account: str | None = None
    slurm_qos: str | None = None
    slurm_use_srun: bool = False
    slurm_setup: Sequence[str] | None = None
    slurm_additional_parameters: Mapping[str, object] | Sequence[tuple[str, object]] | None = None
    conda_env: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        for name in ("max_workers", "timeout_min", "nodes", "tasks_per_node", "cpus_per_task"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise InvalidInfra(f"{name}={value} is not positive")
        for name in ("gpus_per_node", "mem_gb"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise InvalidInfra(f"{name}={value} is negative")
        if self.slurm_setup is not None:
            object.__setattr__(self, "slurm_setup", tuple(self.slurm_setup))
        extra = self.slurm_additional_parameters
        if extra is not None:
            pairs = extra.items() if isinstance(extra, Mapping) else extra
            object.__setattr__(self, "slurm_additional_parameters", tuple(sorted(pairs)))
