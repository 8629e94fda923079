"""A worker of an array, as Slurm starts it: with the variables that sbatch(1) and srun(1) document."""

from __future__ import annotations

import os
import signal
import subprocess

from ._agent import Agent
from ._helping import help_with
from ._layout import ArrayPaths

__all__ = ["warning_signal", "work"]

_REQUEUE_S = 60  # how long the controller may take to answer


def work(folder: str, first: int) -> int:
    """Be the worker that Slurm wants here; returns the exit code.

    Parameters
    ----------
    folder: of the array.
    first: number of the worker that is element 0 of Slurm's array.
    """
    element = os.environ.get("SLURM_ARRAY_TASK_ID")
    job = os.environ["SLURM_JOB_ID"]
    name = job if element is None else f"{os.environ['SLURM_ARRAY_JOB_ID']}_{element}"
    number = first + int(element or 0)
    array = ArrayPaths(folder)
    os.environ["SUBMITIT_EXECUTOR"] = "slurm"
    if os.environ.get("SLURM_PROCID", "0") != "0" and "SLURM_STEP_ID" in os.environ:
        return help_with(array, number)
    return Agent(array, number, name, lambda: _requeue(job), warning_signal()).run()


def warning_signal() -> int:
    """The signal that submitit asks Slurm to send before the end."""
    return int(signal.Signals["SIG" + os.environ.get("SUBMITIT_PREEMPT_SIGNAL", "USR2")])


def _requeue(job: str) -> None:
    command = ["scontrol", "requeue", job]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_REQUEUE_S, start_new_session=True)
    if done.returncode not in (0, -signal.SIGTERM):  # when Slurm has agreed, it ends every process of the job
        raise OSError(done.stderr.strip() or f"scontrol requeue {job} ended with {done.returncode}")
