"""A worker of an array, as Slurm starts it: with the variables that sbatch(1) and srun(1) document."""

from __future__ import annotations

import os
import signal
import subprocess

from ._agent import Agent
from ._helping import help_with
from ._layout import ArrayPaths

__all__ = ["parse_duration", "warning_signal", "work"]

_REQUEUE_S = 60  # how long the controller may take to answer
_ANSWER_S = 10  # the same where time is short


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
    return Agent(array, number, name, lambda: _requeue(job), warning_signal(), lambda: _time_left(job)).run()


def warning_signal() -> int:
    """The signal that submitit asks Slurm to send before the end."""
    return int(signal.Signals["SIG" + os.environ.get("SUBMITIT_PREEMPT_SIGNAL", "USR2")])


def _requeue(job: str) -> None:
    command = ["scontrol", "requeue", job]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_REQUEUE_S, start_new_session=True)
    if done.returncode not in (0, -signal.SIGTERM):  # when Slurm has agreed, it ends every process of the job
        raise OSError(done.stderr.strip() or f"scontrol requeue {job} ended with {done.returncode}")


def _time_left(job: str) -> float | None:
    """Seconds until the limit of a job (``%L`` of squeue(1)); None if there is no limit, or no answer."""
    command = ["squeue", "--noheader", f"--jobs={job}", "--format=%L"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_ANSWER_S, start_new_session=True)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_duration(done.stdout.strip())


def parse_duration(text: str) -> float | None:
    """Seconds in ``[days-][[hours:]minutes:]seconds``; None for anything else, such as ``UNLIMITED``."""
    days, dash, clock = text.rpartition("-")
    parts = [days or "0", *clock.split(":")]
    if len(parts) > 4 or not all(part.isdecimal() for part in parts) or (dash and not days):
        return None
    seconds = 0
    for part in parts[1:]:
        seconds = 60 * seconds + int(part)
    return float(86400 * int(parts[0]) + seconds)
