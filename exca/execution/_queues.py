"""Runs calls in worker processes of this machine: the executors "local" and "processpool"."""

from __future__ import annotations

import getpass
import hashlib
import os
import pickle
import shutil
import sys
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from exca.errors import SubmissionFailed
from exca.execution._array._layout import ArrayPaths, Queue, Spec, write_file
from exca.execution._call import Call
from exca.execution._job import Job
from exca.execution._queued import QueuedJob
from exca.execution._runtime import user_folder
from exca.execution._spawning import Tether, start_supervisor
from exca.execution._tracking import TrackedArray
from exca.liveness import Stamp

__all__ = ["QueueExecutor", "Site"]

_OWNER = "owner"  # signs beside the workers of a pool
_SHARE_AFTER_S = 60.0
_ENVIRONMENT = {  # what submitit's JobEnvironment reads
    "SUBMITIT_EXECUTOR": "local",
    "SUBMITIT_FOLDER": "%f",
    "SUBMITIT_LOCAL_JOB_ID": "%j",
    "SUBMITIT_LOCAL_NTASKS": "1",
    "SUBMITIT_LOCAL_JOB_NUM_NODES": "1",
    "SUBMITIT_LOCAL_NODEID": "0",
    "SUBMITIT_LOCAL_GLOBALID": "0",
    "SUBMITIT_LOCAL_LOCALID": "0",
}


@dataclass(frozen=True)
class Site:
    """Where and how the workers of a queue run.

    Attributes
    ----------
    max_workers: workers of one array alive at once.
    logs: template of a job's folder with ``{user}`` and ``%j`` (the job's id); None: a temporary folder.
    tied: the workers end with this process; else they go on without it.
    timeout_s: seconds a call may take; None: no limit.
    gpus: names of the GPUs to share out; empty: none.
    gpus_per_worker: how many of them each worker holds.
    cwd: folder to run in, first on the import path; None: the current one.
    interpreter: path of the Python that runs the workers.
    share_after_s: a worker that has held its slots this long gives them to an array that has no worker at all, after
        the call it is in.
    """

    max_workers: int
    logs: str | None
    tied: bool
    timeout_s: float | None = None
    gpus: tuple[str, ...] = ()
    gpus_per_worker: int = 0
    cwd: str | None = None
    interpreter: str = sys.executable
    share_after_s: float = _SHARE_AFTER_S


class QueueExecutor:
    """Runs each array of calls under a supervisor of its own, in at most `Site.max_workers` processes.

    Parameters
    ----------
    initializer: called in each worker before it loads its first call.
    """

    def __init__(self, site: Site, initializer: Callable[[], None] | None = None) -> None:
        self._site = site
        self._initializer = initializer

    def submit(self, calls: Sequence[Call]) -> list[Job]:
        if not calls:
            return []
        site, identifier = self._site, _new_array_id()
        if site.logs is None:
            pool = _new_pool_folder(identifier)
            array, template = ArrayPaths(pool), f"{pool}/jobs/%j"
        else:
            template = _complete_template(site.logs)
            array = ArrayPaths(template.replace("%j", identifier))
        tether = Tether() if site.tied else None
        spec = self._spec(identifier, len(calls), os.path.relpath(template, array.folder))
        try:
            self._write(array, spec, self._queue(template, tether), calls)
            start_supervisor(array, site.interpreter, tether)
        except BaseException as error:
            _remove(array, spec)
            if isinstance(error, OSError) and not isinstance(error, SubmissionFailed):
                raise SubmissionFailed(f"the jobs could not be written to {array.folder}: {error}") from error
            raise
        tracked = TrackedArray(array, spec)
        if site.logs is None:
            weakref.finalize(tracked, _discard_pool, array, os.getpid())
        return [QueuedJob(tracked, index) for index in range(len(calls))]

    def _spec(self, identifier: str, count: int, template: str) -> Spec:
        site = self._site
        cwd = os.path.abspath(site.cwd or os.getcwd())
        paths = [os.path.abspath(entry) for entry in sys.path]  # "" and "." are the submitter's directory
        if site.interpreter != sys.executable:  # another Python has its own standard library and packages
            paths = [path for path in paths if not path.startswith((sys.prefix, sys.base_prefix))]
        sys_path = [cwd, *paths] if site.cwd else paths
        durable = site.logs is not None
        return Spec(identifier, count, template, cwd, sys_path, _ENVIRONMENT, durable)

    def _queue(self, template: str, tether: Tether | None) -> Queue:
        site = self._site
        slots: Path | None = None
        names: list[str] = []
        if site.gpus:
            slots, names = user_folder() / "gpus", list(site.gpus)
        elif not site.tied:
            root = os.path.realpath(template.partition("%j")[0])
            slots = user_folder() / "slots" / hashlib.sha256(root.encode()).hexdigest()[:16]
            names = [str(number) for number in range(site.max_workers)]
        return Queue(
            max_workers=site.max_workers,
            timeout_s=site.timeout_s,
            slots=str(slots) if slots else None,
            slot_names=names,
            slots_per_worker=site.gpus_per_worker if site.gpus else 1,
            gpus=bool(site.gpus),
            share_after_s=site.share_after_s,
            tether=tether.for_child if tether else None,
            private=site.logs is None,
        )

    def _write(self, array: ArrayPaths, spec: Spec, queue: Queue, calls: Sequence[Call]) -> None:
        array.create()
        if self._site.logs is None:
            array.sign(Stamp.current(), _OWNER)
        if self._initializer:
            write_file(array.setup, _pickle(self._initializer, "the initializer of the workers"))
        for index, call in enumerate(calls):
            paths = array.job(spec, index)
            paths.folder.mkdir(mode=0o775, parents=True)  # nobody may swap the pickles in it
            payload = {"name": call.name.encode(), "call": _pickle((call.function, call.args), call.name)}
            if call.on_lost:
                payload["on_lost"] = _pickle(call.on_lost, f"on_lost of {call.name}")
            write_file(paths.call, pickle.dumps(payload))
            os.symlink(os.path.relpath(f"{array.tickets}/{index}", paths.folder), paths.ticket)
        array.write_spec(spec, queue)


def _pickle(content: object, what: str) -> bytes:
    import cloudpickle  # 25 ms, and only jobs of other processes need it

    try:
        return bytes(cloudpickle.dumps(content))
    except Exception as error:  # pickling runs the user's code, which raises what it likes
        raise SubmissionFailed(f"{what} cannot be sent to another process: {error!r}") from error


def _new_array_id() -> str:
    """An id that no other array gets, on any machine; ids sort by time."""
    now = time.time()
    day = time.strftime("%Y%m%d-%H%M%S", time.localtime(now))
    host = "".join(letter if letter.isalnum() else "-" for letter in os.uname().nodename)[:20]
    return f"{day}-{int(now % 1 * 1e6):06d}-{host}-{os.getpid()}-{os.urandom(3).hex()}"


def _complete_template(logs: str) -> str:
    template = os.path.abspath(logs.replace("{user}", _user_name()))
    return template if "%j" in template else f"{template}/%j"


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return str(os.getuid())


# Pools that were forgotten while they ran.
_forgotten: list[ArrayPaths] = []


def _new_pool_folder(identifier: str) -> Path:
    """Folder of a pool; those that nobody needs any more are removed."""
    pools = user_folder() / "pools"
    for array in [array for array in _forgotten if not _is_running(array)]:
        shutil.rmtree(array.folder, ignore_errors=True)
        _forgotten.remove(array)
    for name in os.listdir(pools) if pools.exists() else ():
        owner = ArrayPaths(pools / name).stamp(_OWNER)
        if owner and owner.liveness() == "dead":  # killed before it could remove its pool
            shutil.rmtree(pools / name, ignore_errors=True)
    return pools / identifier


def _discard_pool(array: ArrayPaths, owner: int) -> None:
    if os.getpid() != owner:
        return  # a fork of the owner
    if _is_running(array):
        _forgotten.append(array)
    else:
        shutil.rmtree(array.folder, ignore_errors=True)


def _is_running(array: ArrayPaths) -> bool:
    supervisor = array.stamp()
    return supervisor is not None and supervisor.liveness() == "alive"


def _remove(array: ArrayPaths, spec: Spec) -> None:
    for index in range(spec.size):
        shutil.rmtree(array.job(spec, index).folder, ignore_errors=True)
    shutil.rmtree(array.folder, ignore_errors=True)
