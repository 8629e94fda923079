"""One computation: a config and one of its methods. The only place where identity, store and execution meet."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from exca import execution, provenance
from exca.errors import (
    ConfigChanged,
    CorruptResult,
    JobFailed,
    JobNotStarted,
    ResultNotFound,
)
from exca.identity import Identity, computation_name, dump_yaml, export, identify
from exca.policy import Action, Mode, Plan, Replace, Status, plan
from exca.store import Entry, FolderStore, Outcome, Store, is_immutable
from exca.task._checks import Outdated, check_outcome
from exca.task._computing import call, compute, running_here
from exca.task._home import absolute
from exca.task._job import FIRST_POLL_S, LAST_POLL_S, TaskJob
from exca.task._method import Method, TaskSettings
from exca.task._note import read_note
from exca.task._submission import submit_all, submit_calls

__all__ = ["MISSING", "Task"]

MISSING: Final = object()
_ANEW: Final = Plan(Action.RECOMPUTE, Replace.ANYTHING)
_CANCEL_S: Final = 30.0
_LOG = logging.getLogger(__name__)


class Task:
    """A config and one of its methods, with everything that happens to them.

    Parameters
    ----------
    config: the validated model; sealed once the uid is computed.
    method: which computation.
    settings: where results live and who computes.
    exclude: fields of the config that do not enter the uid.
    """

    def __init__(
        self, config: BaseModel, method: Method, settings: TaskSettings, exclude: Callable[[], Collection[str]]
    ) -> None:
        self.config = config
        self.method = method
        self.settings = settings
        self.function = method.function
        self.ram: Any = MISSING  # only what may be handed out without a look at anything else
        self._exclude = exclude
        self._excluded: tuple[str, ...] | None = None
        self._kept: Any = MISSING
        self._identity: Identity | None = None
        self._uid: str | None = None
        self._entry: Entry | None = None
        self._job: TaskJob | None = None
        self._replacing: execution.Job | None = None
        self._acted = False

    # ------------------------------------------------------------------ names

    @property
    def sealed(self) -> bool:
        """Whether the uid was computed, so that the config must not change any more."""
        return self._identity is not None

    @property
    def identity(self) -> Identity:
        """Digests of the config.

        Raises
        ------
        ConfigChanged
            if a value inside the config was changed in place since the first look.
        """
        known = self._identity
        if known is None:
            known = self._identity = identify(self.config, exclude=self.excluded)
        elif known.mutable:
            self.check_unchanged()
        return known

    @property
    def uid(self) -> str:
        """``module.Class.method,version/readable-hash``."""
        identity = self.identity
        if self._uid is None:
            name = computation_name(self.method.owner, self.method.name, self.settings.version)
            self._uid = f"{name}/{identity.name}"
        return self._uid

    @property
    def excluded(self) -> tuple[str, ...]:
        """Fields that do not enter the uid."""
        if self._excluded is None:
            field = self.method.field
            self._excluded = (*(() if field.startswith("_") else (field,)), *self._exclude())
        return self._excluded

    def check_unchanged(self) -> None:
        """Look again whether the config is what it was when its uid was computed.

        Raises
        ------
        ConfigChanged
            if it is not.
        """
        known = self._identity
        if known is not None and identify(self.config, exclude=self.excluded).digest != known.digest:
            raise ConfigChanged(
                f"a value inside {self.method.owner.__qualname__} was changed in place after its uid was computed "
                f"({known.name}). Build another config instead: infra.clone_obj(...) or model_copy(update=...)."
            )

    def facts(self) -> dict[str, Any]:
        """What is stored beside the result, to be compared with when it is read."""
        identity = self.identity
        code = provenance.code_fingerprint(self.method.owner, self.method.function)
        return {"digest": identity.digest, "full_digest": identity.full_digest, "code": code}

    def manifests(self) -> dict[str, str]:
        """The three YAML files that say what is computed."""
        excluded = self.excluded
        return {
            "config.yaml": dump_yaml(export(self.config)),
            "full-uid.yaml": dump_yaml(export(self.config, uid=True, exclude=excluded)),
            "uid.yaml": dump_yaml(export(self.config, uid=True, exclude_defaults=True, exclude=excluded)),
        }

    # ------------------------------------------------------------------ places

    @property
    def store(self) -> Store | None:
        """Where results live; None without a folder."""
        folder = self.settings.folder
        return None if folder is None else FolderStore(absolute(folder), self.settings.permissions)

    @property
    def entry(self) -> Entry | None:
        """The place of this uid; None without a folder."""
        if self._entry is None:
            store = self.store
            self._entry = None if store is None else store.entry(self.uid)
        return self._entry

    @property
    def mode(self) -> Mode:
        """The mode that counts now: ``force`` and ``retry`` act once per config."""
        mode = self.settings.mode
        return "cached" if self._acted and mode in ("force", "retry") else mode

    # ------------------------------------------------------------------ results

    def result(self) -> Any:
        """The value: loaded, awaited or computed, as the mode and the status say."""
        self.identity  # noqa: B018 - refuses a config that was changed in place
        if self._kept is not MISSING and self.mode != "force":
            return copy.deepcopy(self._kept)
        entry = self.entry
        value = self._result_without_folder() if entry is None else self._result_in(entry)
        self._acted = True
        self.remember(value)
        return value

    def _result_in(self, entry: Entry) -> Any:
        if self.uid in running_here():  # it would wait for itself
            raise RecursionError(f"{self.method.owner.__qualname__}.{self.method.name} asks for its own result")
        while True:
            status, outcome = self._look(entry)
            step = plan(self.mode, status)
            if step.action in (Action.LOAD, Action.RAISE):
                if outcome is None:
                    raise self._loss()
                try:
                    return self.open(entry, outcome)
                except CorruptResult:
                    if self.mode != "retry":
                        raise
                    step = _ANEW
                except Outdated:
                    step = _ANEW
            if step.action is Action.WAIT:
                self._wait(entry)
                continue
            if step.action is Action.REFUSE:
                raise ResultNotFound(f"nothing is stored for {self.uid} in {entry.path}, and mode is 'read-only'")
            if step.action is Action.CANCEL_AND_RECOMPUTE:
                self.cancel_running()
            if self.settings.resources().cluster is None:
                self._acted = True
                return compute(self, step.replace)
            self._submit(step.replace)

    def _result_without_folder(self) -> Any:
        if self.settings.mode == "read-only":
            raise ResultNotFound(f"{self.uid} has no folder to read from; set infra.folder")
        if self.settings.resources().cluster is None:
            return call(self)
        return self.job().result()

    def open(self, entry: Entry, outcome: Outcome) -> Any:
        """The value of an outcome, or its error raised, once it is sure that it belongs to this config."""
        check_outcome(self, entry, outcome)
        if outcome.status == "failed":
            raise entry.error(outcome)
        return entry.load(outcome)

    def remember(self, value: Any) -> None:
        """Keep a value in this process, if the infra asks for that."""
        if not self.settings.keep_in_ram:
            return
        if is_immutable(value):
            self._kept = value
            if not self.identity.mutable:
                self.ram = value
            return
        try:
            self._kept = copy.deepcopy(value)
        except Exception as error:  # a lock, an open connection
            _LOG.warning("the value of %s is not kept in RAM, since it cannot be copied: %r", self.uid, error)

    # ------------------------------------------------------------------ status

    def status(self) -> Status:
        """``not submitted``, ``running``, ``completed`` or ``failed``; never reads the value."""
        entry = self.entry
        if entry is None:
            return "not submitted" if self._job is None else self._job.status()
        return self._look(entry)[0]

    def _look(self, entry: Entry) -> tuple[Status, Outcome | None]:
        if self._replacing is not None and not self._replacing.done():
            return "running", None  # what is stored is about to be replaced
        try:
            outcome = entry.outcome()
        except CorruptResult:
            if self.mode in ("retry", "force"):
                return "failed", None
            raise
        if outcome is not None:
            return outcome.status, outcome
        job = self._submitted_job()
        if job is not None:
            if not job.done():
                return "running", None
            return self._settle(entry, job)
        return ("running" if entry.watch().alive() else "not submitted"), None

    def _settle(self, entry: Entry, job: execution.Job) -> tuple[Status, Outcome | None]:
        """The executor says that a job ended: its outcome, or the reason why there is none, kept as a failure."""
        outcome = entry.outcome()  # it may have been written between the two looks
        if outcome is None:
            error = job.exception()
            if error is None or isinstance(error, JobNotStarted):  # its result was cleared since; its queue died
                return "not submitted", None
            try:
                entry.write_error(error, self.facts(), replace=False)
            except OSError as full:
                _LOG.warning("that %s failed could not be stored in %s: %s", self.uid, entry.path, full)
            outcome = entry.outcome()
        return ("failed", None) if outcome is None else (outcome.status, outcome)

    def _loss(self) -> BaseException:
        """Why a computation has no outcome, where not even that could be stored."""
        job = self._submitted_job()
        error = None if job is None else job.exception()
        return error or JobFailed(f"{self.uid} ended without a result")

    def _submitted_job(self) -> execution.Job | None:
        """The job that was submitted for this uid, by this or another process, if its folder is still there."""
        if self._job is not None and self._job.handle is not None:
            return self._job.handle
        path = self.log_folder()
        if path is None:
            return None
        try:
            return execution.job_from_folder(path)
        except FileNotFoundError:  # logs may be deleted at any time
            return None

    def _wait(self, entry: Entry) -> None:
        """Return when the running computation has ended, whoever runs it."""
        try:
            self._wait_for_end(entry)
        except KeyboardInterrupt as interrupt:
            job = self._submitted_job()
            who = entry.watch().holder() if job is None else f"job {job.job_id}"
            interrupt.add_note(f"{self.uid} goes on ({who}); call the method again to come back to it")
            raise

    def _wait_for_end(self, entry: Entry) -> None:
        replacing, self._replacing = self._replacing, None
        if replacing is not None:
            replacing.wait()
            self._raise_if_lost(entry, replacing)
            return
        watch = entry.watch()
        pause = FIRST_POLL_S
        while entry.outcome() is None:
            job = self._submitted_job()
            if job is not None:
                if job.wait(pause):
                    return
            elif not watch.alive():
                return
            else:
                time.sleep(pause)
            pause = min(pause * 1.5, LAST_POLL_S)

    def _raise_if_lost(self, entry: Entry, job: execution.Job) -> None:
        """A recomputation that was killed leaves the old result in place; its caller is told all the same."""
        error = job.exception()
        if error is not None:
            outcome = entry.outcome()
            if outcome is None or outcome.status == "completed":
                raise error

    def cancel_running(self) -> None:
        """End the job that runs for this uid, if there is one."""
        job = None if self.entry is None else self._submitted_job()
        if job is not None and not job.done():
            job.cancel()
            job.wait(_CANCEL_S)  # so that its last words do not come after what follows
        self._job = None

    # ------------------------------------------------------------------ jobs

    def job(self) -> TaskJob:
        """The job of this computation; submitted if there is none, as the mode says."""
        entry = self.entry
        if entry is None:
            if self._job is None:
                self._submit(Replace.NOTHING)
            assert self._job is not None
            return self._job
        submit_all([self])
        return self.known_job()

    def known_job(self) -> TaskJob:
        """The job, if it was submitted by whomever; else one without an executor's part."""
        if self._job is None:
            self._job = TaskJob(self, None if self.entry is None else self._submitted_job())
        return self._job

    def adopt(self, handle: execution.Job, *, replacing: bool) -> None:
        """Take what the executor gave for this computation.

        Parameters
        ----------
        handle: the executor's job.
        replacing: whether it replaces a result, which is then not to be read before the job has ended.
        """
        self._job = TaskJob(self, handle)
        self._replacing = handle if replacing else None

    def _submit(self, replace: Replace) -> None:
        self._acted = True
        submit_calls([(self, replace)], max_workers=None)

    def clear(self) -> None:
        """Cancel what runs and forget the result; the config is unsealed for nobody, it just has no result."""
        self.cancel_running()
        self.ram = self._kept = MISSING
        self._acted = False
        if self.entry is not None:
            self.entry.delete()

    def mark_acted(self) -> None:
        """What ``force`` or ``retry`` ask for has been done, by this or an equal config: go on as ``cached``."""
        self._acted = True

    def note(self) -> dict[str, Any]:
        """``job.json``: times, host, versions; empty if there is none."""
        return {} if self.entry is None else read_note(self.entry)

    def log_folder(self) -> Path | None:
        """Folder of the log files of this computation's job; None if it ran in its caller's process."""
        folder = self.note().get("job_folder")
        if folder is None or self.entry is None or self.entry.path is None:
            return None
        return Path(self.entry.path, str(folder)).resolve()

    def planned(self) -> Plan:
        """What `submit_all` would do for this computation now."""
        if self.entry is None:
            return Plan(Action.COMPUTE if self._job is None else Action.WAIT)
        status, outcome = self._look(self.entry)
        step = plan(self.mode, status)
        if step.action in (Action.LOAD, Action.RAISE) and outcome is not None:
            try:
                check_outcome(self, self.entry, outcome)
            except Outdated:
                return _ANEW
        return step
