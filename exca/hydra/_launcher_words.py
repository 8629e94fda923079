"""What the options of the launcher are called by who comes from Hydra's submitit launcher."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ._suggestions import closest

__all__ = ["launcher_hint", "preset_hint"]

_FIELDS: Final = {
    "array_parallelism": "max_workers",
    "name": "job_name",
    "submitit_folder": "logs",
    "partition": "slurm_partition",
    "qos": "slurm_qos",
    "account": "slurm_account",
    "constraint": "slurm_constraint",
    "setup": "slurm_setup",
    "use_srun": "slurm_use_srun",
    "additional_parameters": "slurm_additional_parameters",
}
_OF_SBATCH: Final = {"comment", "gres", "cpus_per_gpu", "gpus_per_task", "mem_per_gpu", "mem_per_cpu", "nodelist"}
_WITHOUT: Final = {
    "max_num_timeout": "jobs with a method `checkpoint` go on after their time limit, others end there",
    "signal_delay_s": "jobs are warned 90 s before the end of their time, sooner if that is short",
    "stderr_to_stdout": "stdout and stderr of a job are two files of its folder",
}
_PRESETS: Final = {"submitit_slurm": "exca_slurm", "submitit_local": "exca_local", "joblib": "exca_local"}


def launcher_hint(key: str, known: Sequence[str]) -> str | None:
    """Say which option of ``hydra.launcher`` was meant by one that does not exist.

    Parameters
    ----------
    known: the options that exist.
    """
    if key in _OF_SBATCH:
        return f"for other options of sbatch: hydra.launcher.slurm_additional_parameters={{{key}: ...}}"
    match = _FIELDS.get(key) or closest(key, known)
    return _WITHOUT.get(key) or (f"did you mean hydra.launcher.{match}?" if match else None)


def preset_hint(name: str) -> str | None:
    """Name the preset that does the work of another launcher."""
    return _PRESETS.get(name)
