"""Computing items with workers: threads, processes, jobs. Each takes items until none is left."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from exca import execution
from exca.errors import JobFailed, ResultNotStored, UnstableIdentity
from exca.liveness import Stamp
from exca.main_module import main_name
from exca.map._claims import Claims, Others
from exca.map._drain import Drain
from exca.map._here import wait_for_others
from exca.map._marks import Marks
from exca.map._work import Work
from exca.store import make_folder
from exca.task import prepare_worker, show_to_main

if TYPE_CHECKING:
    from exca.map._item_map import ItemMap

__all__ = ["compute_elsewhere", "temporary_home"]

_FIRST_LOOK_S: Final = 0.005
_LAST_LOOK_S: Final = 0.5
_FAREWELL_S: Final = 5.0
_OLD_S: Final = 30 * 24 * 3600.0  # longer than any job


def compute_elsewhere(items: ItemMap, work: Work) -> None:
    """Compute all items of some work with the workers of the map's cluster; what others are at is waited for.

    Raises
    ------
    Exception
        what the method raised, when everything else has been computed.
    JobFailed
        if workers were killed, and new ones did not get any further.
    """
    claims = items.claims_in(work.home)
    try:
        left = list(work.items)
        while left:
            others = claims.others()
            if any(key not in others for key in left):
                left = _Round(items, work, claims).compute(_suspects_last(left, others))
            else:
                left = wait_for_others(work, Marks(), claims, left)
    finally:
        claims.release()


def _suspects_last(keys: Sequence[str], others: Others) -> list[str]:
    """What workers had taken before they died comes last, and what may have killed them at the very end."""
    if not others.abandoned:
        return list(keys)
    suspects = [key for key in keys if key in others.abandoned]
    return [*(key for key in keys if key not in others.abandoned), *suspects[1:], *suspects[:1]]


def temporary_home() -> str:
    """A folder for results that are kept nowhere."""
    return tempfile.mkdtemp(prefix="exca-map-")


@dataclass(frozen=True, slots=True)
class _Order:
    """What a worker is told: where the items are, where results go, how many others there are."""

    home: str
    run: str
    uid: str
    force: bool
    workers: int
    caller: Stamp


class _Round:
    """One array of workers.

    Parameters
    ----------
    items: the map.
    work: all that was asked for.
    claims: to see what others are at.
    """

    def __init__(self, items: ItemMap, work: Work, claims: Claims) -> None:
        self.items = items
        self.work = work
        self.claims = claims
        self.resources = items.settings.resources()
        self.in_process = self.resources.cluster == "threadpool"
        self.home = work.home
        self.run: str | None = None
        if not self.in_process:
            assert self.home is not None, "other processes cannot write to this one's RAM"
            self.run = os.path.join(self.home, "runs", secrets.token_hex(8))
        self.marks = Marks(self.run)

    def compute(self, keys: Sequence[str]) -> list[str]:
        """Returns what is still missing, to be computed by others or in another round."""
        todo = {key: self.work.items[key] for key in keys}
        jobs: list[execution.Job] = []
        try:
            self._submit(todo, jobs)
            left = self._watch(jobs, list(keys))
        except KeyboardInterrupt as interrupt:
            self._interrupted(jobs, interrupt)
            raise
        except BaseException:
            self._stop(jobs)
            self._end(jobs)
            raise
        self._end(jobs, patient=bool(left))
        if left:
            self._raise_failures(jobs, keys, left)
        return left

    # ------------------------------------------------------------------ submitting

    def _submit(self, todo: Mapping[str, Any], jobs: list[execution.Job]) -> None:
        """Submit workers for some items; `jobs` has them as soon as there are any."""
        count = self._workers(len(todo))
        settings, title = self.items.settings, self.items.method.title
        initializer = functools.partial(prepare_worker, main_name(), os.getcwd())
        executor = execution.make_executor(self.resources, settings.logs_template(), initializer=initializer)
        name = self.resources.job_name or title
        if self.run is None:
            work = _renewed(self.work, todo)
            calls = [execution.Call(self._drain_here, (work, count), name=name) for _ in range(count)]
        else:
            self._make_run_folder(self.run)
            order = _Order(str(self.home), self.run, self.items.uid, self.work.force, count, Stamp.current())
            # In one pickle, once for all workers: items may be big, and of classes that the config knows too.
            arguments = (execution.Shared((self.items.config, dict(todo))), self.items.method.field, order)
            calls = [execution.Call(_drain_there, arguments, name=name) for _ in range(count)]
        jobs += executor.submit(calls)
        self._link_code(jobs[0])

    def _link_code(self, job: execution.Job) -> None:
        entry = self.items.entry
        if entry is not None and job.paths is not None and job.paths.code.exists():
            entry.link("code", job.paths.code.resolve())

    def _workers(self, count: int) -> int:
        settings = self.items.settings
        bounds = [math.ceil(count / settings.min_samples_per_job)]
        for bound in (settings.max_jobs, execution.worker_bound(self.resources)):
            if bound is not None:
                bounds.append(bound)
        return max(1, min(bounds))

    def _make_run_folder(self, run: str) -> None:
        try:
            make_folder(run, self.items.settings.permissions)
            _clear_old_runs(os.path.dirname(run))
        except OSError as error:
            raise ResultNotStored(
                f"{run} cannot be made, so nothing was computed: {error}. Make room or ask for write access, set "
                "infra.folder to a folder of yours, or use mode='read-only'."
            ) from error

    def _drain_here(self, work: Work, count: int) -> None:
        """What a thread runs."""
        _drain(work, self.items.claims_in(self.home), self.marks, count)

    # ------------------------------------------------------------------ waiting

    def _watch(self, jobs: Sequence[execution.Job], left: list[str]) -> list[str]:
        """Return when all is stored, or all jobs have ended, with what is missing."""
        began, asked = time.monotonic(), len(left)
        pending = list(jobs)
        while True:
            ended = not pending  # before the look at what is stored
            looked = time.monotonic()
            left = self.work.open_among(left, self.marks)
            cost = time.monotonic() - looked
            if asked - len(left):
                self.work.advance(asked - len(left))
                asked = len(left)
            if not left or ended:
                break
            # Looking is no more than a tenth of the time: it is taken from the workers.
            pause = max(_FIRST_LOOK_S, 10 * cost, 0.1 * (time.monotonic() - began))
            _wait_for_all(pending, min(pause, _LAST_LOOK_S))
            pending = [job for job in pending if not job.done()]
        return self.work.open_among(left, Marks()) + sorted(self.marks.failed())

    def _end(self, jobs: Sequence[execution.Job], *, patient: bool = False) -> None:
        """Nothing is left to do for the workers: those that wait in a queue need not start any more.

        Parameters
        ----------
        jobs: the workers.
        patient: whether what they have to say is needed.
        """
        for job in jobs:
            if not job.done() and job.status() == "pending":
                job.cancel()
        _wait_for_all(jobs, _FAREWELL_S if not patient else None)
        self.marks.refresh()
        self.work.renewed.update(self.marks.renewed())
        self.marks.close()
        if self.run is not None:
            shutil.rmtree(self.run, ignore_errors=True)

    def _stop(self, jobs: Sequence[execution.Job]) -> bool:
        """Stop workers that work for this call alone: a thread when it has ended the item it is at."""
        if not execution.ends_with_this_process(self.resources.cluster):
            return False
        self.marks.stopped = True
        for job in jobs:
            job.cancel()
        return True

    def _interrupted(self, jobs: Sequence[execution.Job], interrupt: KeyboardInterrupt) -> None:
        stopped = self._stop(jobs)
        if stopped:
            self._end(jobs)
        stored = len(self.work.items) - len(self.work.open_among(list(self.work.items), self.marks))
        text = f"{stored} of {len(self.work.items)} items are stored"
        if stopped:
            text += "; the workers were stopped, and the next call goes on from there"
        elif not jobs:
            text += "; whether workers were submitted is not known: those that were go on"
        else:
            ids = ", ".join(job.job_id for job in jobs[:3]) + (", ..." if len(jobs) > 3 else "")
            text += f"; the workers go on ({ids}): call the method again to come back to them"
        interrupt.add_note(text)

    # ------------------------------------------------------------------ failures

    def _raise_failures(self, jobs: Sequence[execution.Job], keys: Sequence[str], left: Sequence[str]) -> None:
        errors = [error for job in jobs if job.done() and (error := job.exception()) is not None]
        raised = [error for error in errors if not isinstance(error, JobFailed)] or errors
        if not raised:
            return  # others are at what is missing
        failed = self.marks.failed()
        if not failed and all(isinstance(error, JobFailed) for error in errors) and len(left) < len(keys):
            return  # killed, but they had got somewhere: others take over
        stored = len(self.work.items) - len(left)
        shown = ", ".join(map(repr, sorted(failed)[:5])) + (", ..." if len(failed) > 5 else "")
        count = f"{len(failed)} item{'s' * (len(failed) != 1)} failed"
        text = f"{count} ({shown})" if failed else "the workers ended before all was computed"
        raised[0].add_note(f"{text}; {stored} of {len(self.work.items)} are stored: the next call computes the others")
        raise raised[0]


def _wait_for_all(jobs: Sequence[execution.Job], timeout: float | None) -> None:
    end = None if timeout is None else time.monotonic() + timeout
    for job in jobs:
        if not job.wait(None if end is None else max(0.0, end - time.monotonic())):
            return


def _renewed(work: Work, todo: Mapping[str, Any]) -> Work:
    """The same work for other items; its caller counts them."""
    return Work(work.place, work.home, work.config, work.function, todo, work.cache, work.force, work.renewed)


def _drain(work: Work, claims: Claims, marks: Marks, workers: int) -> None:
    drain = Drain(work, claims, marks, workers=workers, tolerant=True)
    try:
        drain.run()
    finally:
        claims.release()
    if drain.error is not None:
        raise drain.error


def _drain_there(shared: tuple[Any, dict[str, Any]], field: str, order: _Order) -> None:
    """What a worker process runs."""
    config, todo = shared
    items: ItemMap = getattr(config, field).bound()
    show_to_main(items.method.function)
    if items.uid != order.uid:
        raise UnstableIdentity(
            f"the config is {order.uid} where it was submitted and {items.uid} on the worker: some field has a value, "
            "or a default, that differs from process to process"
        )
    if not os.path.isdir(order.run):  # everything was computed while this worker was in the queue
        return
    cache = items.cache_in(order.home, keep_in_ram=False)
    work = Work(items.place, order.home, items.config, items.function, todo, cache, order.force)
    marks = Marks(order.run)
    try:
        _drain(work, items.claims_in(order.home), marks, order.workers)
        if order.caller.liveness() != "alive" and not order.force and not work.open_among(list(todo), Marks()):
            shutil.rmtree(order.run, ignore_errors=True)
    finally:
        marks.close()
        cache.close()


def _clear_old_runs(folder: str) -> None:
    """Remove what calls that were killed have left behind."""
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        with contextlib.suppress(OSError):  # somebody else's, or removed in this moment
            if time.time() - os.stat(path).st_mtime > _OLD_S:
                shutil.rmtree(path)
