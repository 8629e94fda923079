"""Running a computation in this process: claimed, so that nobody else does, and stored, whatever becomes of it."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from exca.errors import ConfigChanged, CorruptResult, ResultNotStored
from exca.policy import Replace
from exca.store import Entry, Outcome
from exca.task._job import FIRST_POLL_S, LAST_POLL_S
from exca.task._note import JobNote

if TYPE_CHECKING:
    from exca.task._task import Task

__all__ = ["call", "compute", "prepare", "running_here"]

_LOG = logging.getLogger(__name__)


def compute(task: Task, replace: Replace, *, submitted: bool = False) -> Any:
    """Compute, store, and return what is stored; without a folder just compute.

    Parameters
    ----------
    task: what to compute.
    replace: what the result may be put in the place of, when it is there.
    submitted: whether this is the job that ``job.json`` already speaks of.
    """
    entry = task.entry
    if entry is None:
        return call(task)
    manifests = prepare(task, entry)
    with _claimed(entry):
        try:
            outcome = entry.outcome()
        except CorruptResult:  # nobody can make anything of it
            outcome, replace = None, Replace.ANYTHING
        if outcome is not None and _stands(outcome, replace):  # somebody else was faster
            return task.open(entry, outcome)
        return _compute_and_store(task, entry, JobNote(task, entry, keep=submitted), replace, manifests)


def prepare(task: Task, entry: Entry) -> Mapping[str, str]:
    """Create the folder and its manifests before anything is computed; those of a result that is there stay.

    Returns
    -------
    Mapping: the manifests of this computation, by file name.

    Raises
    ------
    ResultNotStored
        if that is not possible.
    """
    manifests = task.manifests()
    try:
        entry.prepare(manifests)
    except OSError as error:
        raise ResultNotStored(
            f"{entry.path} cannot be written, so nothing was computed: {error}. "
            "Set infra.folder to a folder of yours, or use mode='read-only'."
        ) from error
    return manifests


def call(task: Task) -> Any:
    """Just compute."""
    running, uid = running_here(), task.uid  # as it is before the method may change the config
    running.add(uid)
    try:
        return task.function(task.config)
    finally:
        running.discard(uid)


def running_here() -> set[str]:
    """Uids that this thread is computing."""
    found: set[str] = _RUNNING.__dict__.setdefault("uids", set())
    return found


def _outcome(entry: Entry) -> Outcome | None:
    with contextlib.suppress(CorruptResult):  # whoever came to compute in its place knows
        return entry.outcome()
    return None


def _stands(outcome: Outcome, replace: Replace) -> bool:
    return replace is Replace.NOTHING or (replace is Replace.FAILURE and outcome.status == "completed")


def _compute_and_store(task: Task, entry: Entry, note: JobNote, replace: Replace, manifests: Mapping[str, str]) -> Any:
    facts = task.facts()  # as they are before the method may change the config
    try:
        value = call(task)
        task.check_unchanged()
        note.write("completed")  # before the result, so that whoever sees the result sees the note
        won = entry.write_value(value, facts, replace=replace is Replace.ANYTHING)
    except Exception as error:
        note.write("failed", error)
        if not isinstance(error, ConfigChanged) and _store_failure(entry, error, facts, replace):
            _renew(entry, manifests, replace)
        raise
    if won:
        _renew(entry, manifests, replace)
        return value
    outcome = entry.outcome()
    return value if outcome is None else task.open(entry, outcome)


def _renew(entry: Entry, manifests: Mapping[str, str], replace: Replace) -> None:
    """Let the manifests speak of what is stored now: until then they spoke of what was there before."""
    if replace is Replace.NOTHING:
        return
    try:
        entry.prepare(manifests, replace=True)
    except OSError as error:
        _LOG.warning("the manifests in %s are those of the result of before: %s", entry.path, error)


def _store_failure(entry: Entry, error: Exception, facts: Mapping[str, Any], replace: Replace) -> bool:
    """Keep a failure, unless that would cost a value: what force was to replace stays until there is a better one."""
    current = _outcome(entry)
    if current is not None and current.status == "completed":
        error.add_note(f"the result of before stays in {entry.path}")
        return False
    if isinstance(error, ResultNotStored) and isinstance(error.__cause__, OSError):
        return False  # a full disk says nothing about the computation
    try:
        stored = entry.write_error(error, facts, replace=replace is not Replace.NOTHING)
    except OSError as second:
        error.add_note(f"this failure could not be stored in {entry.path}: {second}")
        return False
    error.add_note(f"this failure is stored in {entry.path}; recompute with mode='retry'")
    return stored


@contextlib.contextmanager
def _claimed(entry: Entry) -> Iterator[None]:
    """Hold the claim, after whoever holds it now."""
    pause = FIRST_POLL_S
    watch = entry.watch()
    while (claim := entry.claim()) is None:
        watch.alive()  # clears the claim of an author who fell silent
        time.sleep(pause)
        pause = min(pause * 1.5, LAST_POLL_S)
    try:
        yield
    finally:
        claim.release()


_RUNNING = threading.local()
