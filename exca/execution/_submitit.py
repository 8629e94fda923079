"""Hands arrays to a scheduler through submitit: Slurm, and whatever else has a plugin.

The one file that imports submitit.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import submitit
from submitit.core import plugins
from submitit.slurm.slurm import SlurmExecutor, SlurmJobEnvironment

from exca.errors import InvalidInfra, SchedulerRefused
from exca.execution._array._agent import Agent
from exca.execution._array._layout import ArrayPaths
from exca.execution._array._schedule import Posting, Schedule
from exca.execution._call import Call
from exca.execution._job import Announce, Job
from exca.execution._places import Place, choose_place
from exca.execution._queued import QueuedJob
from exca.execution._scheduled import track
from exca.execution._sighting import ALIVE, Sighting
from exca.execution._slurm import cancel_elements, is_inside_job, job_note, largest_array
from exca.execution._spawning import boot_command
from exca.execution._writing import Surroundings, remove_array, write_array
from exca.liveness import Stamp

__all__ = ["SchedulerRequest", "PluginWatch", "SubmititExecutor", "known_clusters"]

_TRIES_S = (2.0, 5.0, 15.0)  # pauses before a submission is tried again
_PASSING = ("unable to contact", "timed out", "connection refused", "temporarily", "try again")
_LONGEST_NAME = 200  # characters; Slurm refuses more than 1024 bytes
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class SchedulerRequest:
    """What to ask of a scheduler for each worker.

    Attributes
    ----------
    cluster: name of a submitit executor.
    parameters: for `update_parameters` of submitit's `SlurmExecutor`, or for a plugin of its `AutoExecutor`.
    max_workers: workers at once; fewer than there are calls, and they share the calls out among themselves.
    limit_s: how long a worker may live; None: what the scheduler gives.
    warning_s: how long before that it gets a signal.
    parallel: whether a call runs as several processes, which have a worker for themselves then.
    """

    cluster: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    max_workers: int | None = None
    limit_s: float | None = None
    warning_s: float = 90.0
    parallel: bool = False


class SubmititExecutor:
    """Runs each array of calls under a scheduler.

    Parameters
    ----------
    logs: template of a job's folder, which the nodes see too.
    """

    def __init__(self, request: SchedulerRequest, logs: str, around: Surroundings) -> None:
        self._request = request
        self._logs = logs
        self._around = around

    def submit(self, calls: Sequence[Call], announce: Announce | None = None) -> list[Job]:
        if not calls:
            return []
        place = choose_place(self._logs)
        spec = write_array(place, calls, self._around, None)
        workers = min(len(calls), self._request.max_workers or len(calls))
        pinned = workers == len(calls) or self._request.parallel
        count = len(calls) if pinned else workers
        request = self._request
        me = Stamp.current().to_dict()
        posting = Posting(pinned, request.limit_s, request.warning_s, cluster=request.cluster, submitter=me)
        try:
            posting.write(place.paths)
            array = track(place.paths)
            jobs: list[Job] = [QueuedJob(array, index) for index in range(len(calls))]
            if announce:
                announce(jobs)
            self._start(place, count, calls[0].name, workers)
        except BaseException:
            remove_array(place, spec)
            raise
        return jobs

    def _start(self, place: Place, count: int, name: str, at_once: int) -> None:
        """Have the scheduler start the workers: one array, or several where one would be too large."""
        largest = largest_array() if self._request.cluster == "slurm" else count
        ids: list[str] = []
        submitted = time.time()
        try:
            for first in range(0, count, largest):
                part = range(first, min(first + largest, count))
                ids += self._submit_part(place, part, name, at_once)
        except BaseException:
            if self._request.cluster == "slurm":
                cancel_elements(ids)
            raise
        schedule = Schedule(self._request.cluster, submitted, os.getuid(), place.array, ids)
        schedule.write(place.paths)
        arrays = sorted({job.partition("_")[0] for job in ids})
        _LOG.info("%d workers submitted to %s: %s", count, self._request.cluster, ", ".join(arrays))

    def _submit_part(self, place: Place, part: range, name: str, at_once: int) -> list[str]:
        for pause in (*_TRIES_S, None):
            try:
                return self._submit_once(place, part, name, at_once)
            except (submitit.core.utils.FailedJobError, submitit.core.utils.FailedSubmissionError, OSError) as error:
                text = " ".join(str(error).split())
                if pause is None or not any(phrase in text.lower() for phrase in _PASSING):
                    raise SchedulerRefused(f"{self._request.cluster} did not take the jobs: {text}") from error
                # If it was taken after all, the workers of one attempt find the calls taken by those of the other.
                _LOG.warning("%s does not answer (%s); trying again in %g s", self._request.cluster, text, pause)
                time.sleep(pause)
        raise AssertionError("the last attempt raises")

    def _submit_once(self, place: Place, part: range, name: str, at_once: int) -> list[str]:
        executor = self._make_executor(place, part, name, at_once)
        workers = [ArrayWorker(str(place.paths.folder), number) for number in part]
        with _outside_jobs():
            if self._request.cluster == "slurm" and len(part) > 1:
                # The nodes read no pickle of submitit's: one job that is an array needs one, not one for each element.
                executor.parameters["map_count"] = len(part)  # as `submit_array` does
                job = executor.submit(workers[0])
                return [f"{job.job_id}_{element}" for element in range(len(part))]
            # `batch` would leave the only job of an array of one pending, and log what we raise.
            return [str(job.job_id) for job in executor.submit_array(workers)]

    def _make_executor(self, place: Place, part: range, name: str, at_once: int) -> submitit.Executor:
        folder, request = place.paths.folder / "scheduler", self._request
        try:
            if request.cluster == "slurm":
                executor = SlurmExecutor(folder, python=self._slurm_command(place, part))
                executor.update_parameters(job_name=_plain_name(name), **self._slurm_parameters(place, part, at_once))
                return executor
            plugin = submitit.AutoExecutor(folder, cluster=request.cluster)
            plugin.update_parameters(name=name, **request.parameters)
            return plugin
        except (AssertionError, NameError, TypeError, ValueError) as error:
            raise InvalidInfra(f"cluster={request.cluster!r} does not take these resources: {error}") from error

    def _slurm_command(self, place: Place, part: range) -> str:
        """How the nodes start a worker.

        They need no submitit, which with numpy costs each worker 0.15 s and 30 MB: what submitit would have run comes
        after our own arguments, and is not looked at.
        """
        arguments = "--slurm", str(place.paths.folder), str(part.start)
        command = shlex.join(boot_command(self._around.interpreter, *arguments))
        # Without srun, the signal before the end must come to Python and not to the shell around it.
        return command if self._request.parameters["use_srun"] else f"exec {command}"

    def _slurm_parameters(self, place: Place, part: range, at_once: int) -> dict[str, Any]:
        parameters = dict(self._request.parameters)
        comment = parameters.get("comment")
        note = job_note(place.array, part.start)
        parameters["comment"] = f"{comment} {note}" if comment else note
        parameters["array_parallelism"] = at_once
        parameters["additional_parameters"] = _logs(place, part) | parameters["additional_parameters"]
        delay_s = parameters["signal_delay_s"] = int(self._request.warning_s)
        if not parameters["use_srun"]:  # sbatch(1): "B:" is for the batch process itself
            signal = {"signal": f"B:{SlurmJobEnvironment.USR_SIG}@{delay_s}"}
            parameters["additional_parameters"] = signal | parameters["additional_parameters"]
        return parameters


def _logs(place: Place, part: range) -> dict[str, str]:
    """Where the output of workers goes: where submitit has it, in a folder whose name may contain a percent sign."""
    folder = str(place.paths.folder / "scheduler").replace("%", "%%")
    job = "%A_%a" if len(part) > 1 else "%j"
    return {"output": f"{folder}/{job}_0_log.out", "error": f"{folder}/{job}_0_log.err"}


class ArrayWorker:
    """What submitit runs, for schedulers other than Slurm: the agent of one worker."""

    def __init__(self, folder: str, number: int) -> None:
        self.folder = folder
        self.number = number

    def __call__(self) -> None:
        env = submitit.JobEnvironment()
        array = ArrayPaths(self.folder)

        def requeue() -> None:
            env._requeue(Posting.read(array).max_timeouts)

        agent = Agent(array, self.number, env.job_id, requeue, int(env._usr_sig()))
        code = agent.run()
        if code:
            raise RuntimeError(f"some calls of {self.folder} failed: see the logs of the jobs")


def _plain_name(name: str) -> str:
    """A name that fits on a line of the batch script."""
    return "".join(letter if letter.isprintable() else " " for letter in name)[:_LONGEST_NAME]


def known_clusters() -> list[str]:
    """Names of the executors that submitit knows, its plugins' too."""
    return sorted(plugins.get_executors())


class PluginWatch:
    """The jobs of one array under a submitit plugin, as the plugin describes them.

    Parameters
    ----------
    folder: submitit's folder of these jobs.

    Raises
    ------
    InvalidInfra: the plugin that has submitted them is not installed here.
    """

    def __init__(self, cluster: str, folder: Path) -> None:
        executor = plugins.get_executors().get(cluster)
        if executor is None:
            raise InvalidInfra(f"the submitit plugin {cluster!r}, which submitted {folder}, is not installed here")
        self._job_class = executor.job_class
        self._folder = folder
        self._jobs: dict[str, submitit.Job[object]] = {}

    def sighting(self, schedule: Schedule, job: str) -> Sighting:
        handle = self._job(job)
        if not handle.done():
            return ALIVE
        state = handle.state
        return Sighting(state, f"{schedule.cluster} job {job} ended without a word ({state})")

    def cancel(self, schedule: Schedule, jobs: Sequence[str]) -> None:  # noqa: ARG002 - see `Watch`
        for job in jobs:
            self._job(job).cancel(check=False)

    def _job(self, job: str) -> submitit.Job[object]:
        if job not in self._jobs:
            self._jobs[job] = self._job_class(folder=self._folder, job_id=job)
        return self._jobs[job]


@contextlib.contextmanager
def _outside_jobs() -> Iterator[None]:
    """Hide the Slurm job that this process is part of, or its settings would become those of the jobs it submits."""
    if not is_inside_job():
        yield
        return
    configuration = os.environ.get("SLURM_CONF")  # the clients would look in the wrong place
    with submitit.helpers.clean_env():
        if configuration is not None:
            os.environ["SLURM_CONF"] = configuration
        yield
