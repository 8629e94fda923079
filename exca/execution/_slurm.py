"""What Slurm knows of our jobs: one question for all of them, asked less and less often."""

from __future__ import annotations

import functools
import logging
import os
import re
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from exca.execution._array._schedule import Schedule
from exca.execution._sighting import ALIVE, FORGOTTEN, UNKNOWN, Sighting

__all__ = ["SlurmWatch", "cancel_elements", "describe_job", "is_inside_job", "job_note", "largest_array", "watch_of"]

_FIRST_PAUSE_S: Final = 2.0
_LONGEST_PAUSE_S: Final = 30.0
_PATIENCE_S: Final = 40.0  # a controller that is away answers after two to four times MessageTimeout (10 s)
_LARGEST_ARRAY: Final = 1001  # Slurm's own default of MaxArraySize
_AT_ONCE: Final = 500  # ids on one command line
_MOMENT_S: Final = 0.2  # cancelled jobs are collected for so long
_APART_S: Final = 300.0  # clocks of two machines, and how long sbatch may take to say the ids
_LOG = logging.getLogger(__name__)

# Of the job reason codes of squeue(1), those that no waiting will end.
_STUCK: Final = re.compile(
    "held|never|badconstraints|invalid|notallowed|perjoblimit|timelimit|nodelimit|partition(config|down|inactive)",
    re.IGNORECASE,
)

# The job state codes of squeue(1) that are final; whatever else there may be, a job in that state goes on.
_ENDS: Final = {
    "BOOT_FAIL": "its node failed to boot",
    "CANCELLED": "cancelled in Slurm",
    "COMPLETED": "its Slurm job has ended",
    "DEADLINE": "its Slurm job could not end before its deadline",
    "FAILED": "its Slurm job failed",
    "NODE_FAIL": "its node failed",
    "OUT_OF_MEMORY": "out of memory (mem_gb)",
    "PREEMPTED": "preempted",
    "REVOKED": "its Slurm job was revoked",
    "TIMEOUT": "timed out (timeout_min)",
}


class Answer(NamedTuple):
    """What the controller said last."""

    asked: float  # time of the question, in seconds since the epoch
    tick: float  # the same by the monotonic clock
    jobs: Mapping[str, tuple[str, str, str]]  # id: comment, state, reason


class SlurmWatch:
    """The jobs of one user, as the controller describes them.

    It is asked for all of the user's jobs at once, as it can answer that from an index, and then as rarely as nothing
    new is to be expected: every 2 s at first, every 30 s in the end. Any number of threads may share a watch.
    """

    def __init__(self, user_id: int) -> None:
        self._user_id = user_id
        self._answer = Answer(0.0, float("-inf"), {})
        self._asking = threading.Lock()
        self._next = float("-inf")
        self._pause = _FIRST_PAUSE_S
        self._away = False
        self._known: dict[str, float] = {}  # when an array was heard of first, by the monotonic clock
        self._warned: set[str] = set()  # of reasons
        self._cancelling = Cancelling()

    def sighting(self, schedule: Schedule, job: str) -> Sighting:
        """What is known of one job of the schedule."""
        self._ask_if_due(schedule.token, schedule.submitted)
        answer = self._answer
        comment, state, reason = answer.jobs.get(job, ("", "", ""))
        if schedule.token not in comment:  # never heard of, forgotten, or another's who got the same id
            # Or not submitted yet when the controller was asked, by whatever clock the submitter has.
            is_later = answer.asked > schedule.submitted + _APART_S or answer.tick >= self._known[schedule.token]
            return FORGOTTEN if is_later else UNKNOWN
        if state not in _ENDS:
            return ALIVE
        detail = f" ({reason})" if reason not in ("", "None") else ""
        return Sighting(state, f"{_ENDS[state]}{detail}, Slurm job {job} is {state}")

    def cancel(self, schedule: Schedule, jobs: Sequence[str]) -> None:  # noqa: ARG002 - see `Watch`
        self._cancelling.add(jobs)
        self._expect_news(after_s=5 * _MOMENT_S)

    def ids_of(self, token: str, since: float) -> list[str] | None:
        """Ids of the jobs that are the workers of an array, in their order; "" for one that there is not.

        Parameters
        ----------
        since: None is returned unless the controller was asked after that time.
        """
        self._ask_if_due(token, since)
        answer = self._answer
        if answer.asked <= since:
            return None
        found: dict[int, str] = {}
        for job, (comment, _, _) in answer.jobs.items():
            note = re.search(rf"(?:^|\s){re.escape(token)}\+(\d+)(?:\s|$)", comment)
            if note:
                found[int(note[1]) + int(job.partition("_")[2] or 0)] = job
        return [found.get(number, "") for number in range(max(found, default=-1) + 1)]

    def _ask_if_due(self, token: str, since: float) -> None:
        if token not in self._known:
            self._known[token] = time.monotonic()
            if self._answer.asked <= since and not self._away:
                self._expect_news()
        if time.monotonic() >= self._next and self._asking.acquire(blocking=False):  # else another thread asks
            try:
                self._ask()
                self._next = time.monotonic() + self._pause
                self._pause = min(1.5 * self._pause, _LONGEST_PAUSE_S)
            finally:
                self._asking.release()

    def _expect_news(self, after_s: float = 0.0) -> None:
        self._pause = _FIRST_PAUSE_S
        self._next = min(self._next, time.monotonic() + after_s)

    def _ask(self) -> None:
        asked, tick = time.time(), time.monotonic()
        command = [
            "squeue",
            "--noheader",
            "--array",
            "--states=all",
            f"--user={self._user_id}",
            "--format=%i|%T|%r|%k",
        ]
        try:
            done = subprocess.run(
                command, env=_plain(), capture_output=True, text=True, timeout=_PATIENCE_S, errors="replace"
            )
            problem = (done.stderr.strip() or f"squeue ended with {done.returncode}") if done.returncode else ""
        except (OSError, subprocess.TimeoutExpired) as error:
            problem = str(error)
        if problem:
            if not self._away:
                _LOG.warning("Slurm does not answer (%s); its jobs are waited for all the same", problem)
            self._away = True
            return
        if self._away:
            _LOG.warning("Slurm answers again")
            self._away = False
        jobs: dict[str, tuple[str, str, str]] = {}
        for line in done.stdout.splitlines():
            job, state, reason, comment = (line.split("|", 3) + [""] * 3)[:4]
            jobs[job] = comment, state, reason
        self._answer = Answer(asked, tick, jobs)  # all at once, for the other threads
        self._warn_of_stuck(jobs)

    def _warn_of_stuck(self, jobs: Mapping[str, tuple[str, str, str]]) -> None:
        """Say once what keeps jobs in the queue that somebody waits for, if it is for good."""
        stuck: dict[str, list[str]] = {}
        for job, (comment, state, reason) in jobs.items():
            token = comment.rpartition(" ")[2].partition("+")[0]
            if state == "PENDING" and token in self._known and _STUCK.search(reason):
                stuck.setdefault(reason, []).append(job)
        for reason in stuck.keys() - self._warned:
            first, *others = stuck[reason]
            more = f" and {len(others)} more" if others else ""
            _LOG.warning(
                "Slurm job %s%s will not start as it is (%s): see `scontrol show job %s`, then release it, or cancel "
                "it and ask for something else",
                *(first, more, reason, first),
            )
            self._warned.add(reason)


class Cancelling:
    """Ends the jobs that are cancelled one after the other with few calls of scancel, a moment later.

    Nothing is lost if this process is killed within that moment: a call that was cancelled is not begun any more, and
    what runs is ended by its agent.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: list[str] = []

    def add(self, jobs: Sequence[str]) -> None:
        with self._lock:
            if jobs and not self._jobs:
                threading.Timer(_MOMENT_S, self._flush).start()  # the interpreter waits for it before it exits
            self._jobs += jobs

    def _flush(self) -> None:
        with self._lock:
            jobs, self._jobs = self._jobs, []
        cancel_elements(jobs)


def _plain() -> dict[str, str]:
    """The environment without what the user likes to see of a queue (squeue(1): a partition, an account)."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SQUEUE_")}


def job_note(token: str, first: int) -> str:
    """What the comment of Slurm's jobs says: the array, and which worker element 0 is."""
    return f"{token}+{first}"


@functools.cache
def watch_of(user_id: int) -> SlurmWatch:
    """The one watch of a user's jobs in this process."""
    return SlurmWatch(user_id)


os.register_at_fork(after_in_child=watch_of.cache_clear)  # a thread of the parent may be asking


def cancel_elements(jobs: Sequence[str]) -> None:
    """Ask Slurm to end jobs; those that have ended, or that it does not know, are passed over."""
    for start in range(0, len(jobs), _AT_ONCE):
        command = ["scancel", "--quiet", *jobs[start : start + _AT_ONCE]]
        try:
            subprocess.run(command, capture_output=True, timeout=_PATIENCE_S, check=True, text=True)
        except (OSError, subprocess.SubprocessError) as error:
            detail = getattr(error, "stderr", None) or error
            _LOG.warning("scancel of %d jobs failed: %s", len(jobs), detail)


def describe_job(job_id: str) -> dict[str, str]:
    """What ``scontrol show job`` says of a job, or of the first element of an array: some minutes after its end too.

    Raises
    ------
    LookupError: Slurm does not know the job, or does not answer.
    """
    command = ["scontrol", "show", "job", "--oneliner", job_id]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        detail = (getattr(error, "stderr", None) or str(error)).strip()
        raise LookupError(f"Slurm does not know job {job_id} ({detail}): say in which folder to look") from error
    return dict(item.split("=", 1) for item in done.stdout.split("\n")[0].split() if "=" in item)


@functools.cache
def largest_array() -> int:
    """How many elements an array may have (``MaxArraySize`` of slurm.conf(5))."""
    try:
        done = subprocess.run(
            ["scontrol", "show", "config"], capture_output=True, text=True, timeout=_PATIENCE_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return _LARGEST_ARRAY
    for line in done.stdout.splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "MaxArraySize" and value.strip().isdigit():
            return max(1, int(value))
    return _LARGEST_ARRAY


def is_inside_job() -> bool:
    """Whether this process is part of a Slurm job."""
    return "SLURM_JOB_ID" in os.environ
