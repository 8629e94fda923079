"""Handing computations to executors: what the mode asks for, one array for each set of resources."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Sequence
from dataclasses import replace as replace_fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exca import execution
from exca.errors import JobCancelled, JobFailed, ResultNotFound
from exca.main_module import main_name
from exca.policy import Action, Replace
from exca.store import Entry
from exca.task._computing import compute, prepare
from exca.task._note import SubmissionNotes
from exca.task._submitted import prepare_worker, submitted

if TYPE_CHECKING:
    from exca.task._task import Task

__all__ = ["submit_all", "submit_calls"]


def submit_all(tasks: Sequence[Task], max_workers: int | None = None) -> None:
    """Submit what the mode and status of each task ask for, one array for each set of resources.

    Nothing is waited for; `Tracker.known_job` is the job of each.

    Parameters
    ----------
    tasks: computations with distinct uids.
    max_workers: upper bound of jobs at work at once; None: what the infra says.
    """
    todo: list[tuple[Task, Replace]] = []
    steps = [(task, task.planned()) for task in tasks]
    for task, step in steps:
        if step.action is Action.REFUSE:
            raise ResultNotFound(f"nothing is stored for {task.uid}, and mode is 'read-only'")
    for task, step in steps:
        if step.action is Action.CANCEL_AND_RECOMPUTE:
            task.tracker.ask_to_end()  # all of them, before any is waited for
    for task, step in steps:
        if step.action is Action.CANCEL_AND_RECOMPUTE:
            task.tracker.cancel()
        if step.action in (Action.COMPUTE, Action.RECOMPUTE, Action.CANCEL_AND_RECOMPUTE):
            todo.append((task, step.replace))
    submit_calls(todo, max_workers)


def submit_calls(todo: Sequence[tuple[Task, Replace]], max_workers: int | None) -> None:
    """Hand computations to their executors: one array for each set of resources."""
    groups: dict[tuple[execution.Resources, str | None], list[tuple[Task, Replace]]] = {}
    for task, replace in todo:
        resources = task.settings.resources()
        if max_workers is not None:
            resources = replace_fields(resources, max_workers=_smaller(max_workers, resources.max_workers))
        groups.setdefault((resources, task.settings.logs_template()), []).append((task, replace))
    for (resources, logs), members in groups.items():
        initializer = functools.partial(prepare_worker, main_name(), os.getcwd())
        _submit_array(execution.make_executor(resources, logs, initializer=initializer), members)


def _submit_array(executor: execution.Executor, members: Sequence[tuple[Task, Replace]]) -> None:
    """Claim, submit, note: whoever sees a claim or a note knows that the computation is on its way."""
    with contextlib.ExitStack() as claims:
        mine = [(task, replace) for task, replace in members if _claim_for_submission(task, claims, replace)]
        with SubmissionNotes() as notes:

            def announce(jobs: Sequence[execution.Job]) -> None:
                for (task, _), job in zip(mine, jobs, strict=True):
                    notes.write(task, job)

            handles = executor.submit([_call_of(task, replace) for task, replace in mine], announce)
        for (task, replace), handle in zip(mine, handles, strict=True):
            task.tracker.adopt(handle, replacing=replace is not Replace.NOTHING)
        for task, _ in members:
            task.mark_acted()  # a refused submission would have raised


def _claim_for_submission(task: Task, claims: contextlib.ExitStack, replace: Replace) -> bool:
    """Whether this process is the one to submit; False if another is at it, which is then waited for as usual."""
    entry = task.entry
    if entry is None or execution.runs_in_this_process(task.settings.cluster):
        return True
    prepare(task, entry)
    claim = entry.claim()
    if claim is not None:
        claims.callback(claim.release)
    return claim is not None or replace is not Replace.NOTHING  # which waits on the worker


def _call_of(task: Task, replace: Replace) -> execution.Call:
    settings = task.settings
    name = settings.job_name or f"{task.method.owner.__name__}.{task.method.name}".rstrip(".")
    if execution.runs_in_this_process(settings.cluster):
        return execution.Call(_run_here, (task, replace), name=name)
    on_lost = None
    if task.entry is not None:
        on_lost = functools.partial(_store_loss, task.entry, task.uid, task.facts(), replace)
    return execution.Call(submitted(task, replace), name=name, on_lost=on_lost)


def _run_here(task: Task, replace: Replace) -> Any:
    task.mark_acted()
    value = compute(task, replace)
    task.remember(value)
    return value if task.entry is None else None


def _store_loss(entry: Entry, uid: str, facts: dict[str, Any], replace: Replace, reason: str, log: Path) -> None:
    """What whoever watches a job calls when it ended without a result; a value of before is left as it is."""
    current = entry.outcome()
    if current is not None and current.status == "completed":
        return
    kind = JobCancelled if reason.startswith("cancelled") else JobFailed
    entry.write_error(kind(f"{uid}: {reason}; see {log}"), facts, replace=replace is not Replace.NOTHING)


def _smaller(one: int, other: int | None) -> int:
    return one if other is None else min(one, other)
