"""A worker of an array, as Slurm starts it: with the variables that sbatch(1) and srun(1) document."""

from __future__ import annotations

import os
import signal
import subprocess

from ._agent import Agent
from ._helping import help_with
from ._layout import ArrayPaths

__all__ = ["is_ended_for_good", "parse_duration", "warning_signal", "work"]

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
    # By the element's name: the number of one of them is that of the whole array.
    return Agent(
        array,
        number,
        name,
        lambda: _requeue(name),
        warning_signal(),
        time_left=lambda: parse_duration(_ask(name, "%L", "--format")),
        is_ending=lambda: is_ended_for_good(_ask(name, "State,PreemptTime", "--Format")),
    ).run()


def warning_signal() -> int:
    """The signal that submitit asks Slurm to send before the end."""
    return int(signal.Signals["SIG" + os.environ.get("SUBMITIT_PREEMPT_SIGNAL", "USR2")])


def _requeue(job: str) -> None:
    command = ["scontrol", "requeue", job]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_REQUEUE_S, start_new_session=True)
    if "pending execution" in done.stderr:  # whoever preempted it has done so
        return
    if done.returncode not in (0, -signal.SIGTERM):  # when Slurm has agreed, it ends every process of the job
        raise OSError(done.stderr.strip() or f"scontrol requeue {job} ended with {done.returncode}")


def _ask(job: str, what: str, option: str) -> str:
    """What squeue(1) knows of a job; "" if it does not answer."""
    command = ["squeue", "--noheader", f"--jobs={job}", f"{option}={what}"]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("SQUEUE_")}
    try:
        done = subprocess.run(
            command, env=plain, capture_output=True, text=True, timeout=_ANSWER_S, start_new_session=True
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def is_ended_for_good(answer: str) -> bool:
    """Whether Slurm ends a job, and not because another one needs its place (``State,PreemptTime`` of squeue(1))."""
    state, _, preempted = answer.partition(" ")
    return state == "COMPLETING" and preempted.strip() in ("", "N/A", "None")


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
