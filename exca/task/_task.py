"""A computation without arguments: one result for each config. Here identity, store and execution meet."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from exca.errors import CorruptResult, ResultNotFound
from exca.policy import Action, Mode, Plan, Replace, Status, plan
from exca.store import Entry, Outcome, is_immutable
from exca.task._checks import Outdated, check_facts
from exca.task._computation import Computation
from exca.task._computing import call, compute, running_here
from exca.task._job import TaskJob
from exca.task._method import Method, TaskSettings
from exca.task._note import log_folder, read_note
from exca.task._submission import submit_all, submit_calls
from exca.task._tracking import Tracker

__all__ = ["Task"]

_MISSING: Final = object()
_MOST_SUBMISSIONS: Final = 3  # of one call whose job is never started
_ANEW: Final = Plan(Action.RECOMPUTE, Replace.ANYTHING)
_LOG = logging.getLogger(__name__)


class Task(Computation):
    """A config and one of its methods, with everything that happens to them.

    Parameters
    ----------
    config, method, settings, exclude: see `Computation`.
    """

    settings: TaskSettings
    ram: Any
    """A value that may be handed out without a look at anything else; there is no such attribute before."""

    def __init__(
        self, config: BaseModel, method: Method, settings: TaskSettings, exclude: Callable[[], Collection[str]]
    ) -> None:
        super().__init__(config, method, settings, exclude)
        self.carrier: Any = config  # what travels to a worker, and has the method's field there
        self._kept: Any = _MISSING
        self.tracker = Tracker(self)
        self._acted = False

    @property
    def mode(self) -> Mode:
        """The mode that counts now: ``force`` and ``retry`` act once per config."""
        mode = self.settings.mode
        return "cached" if self._acted and mode in ("force", "retry") else mode

    # ------------------------------------------------------------------ results

    def result(self) -> Any:
        """The value: loaded, awaited or computed, as the mode and the status say."""
        self.identity  # noqa: B018 - refuses a config that was changed in place
        if self._kept is not _MISSING and self.mode != "force":
            return copy.deepcopy(self._kept)
        entry = self.entry
        value = self._result_without_folder() if entry is None else self._result_in(entry)
        self._acted = True
        self.remember(value)
        return value

    def _result_in(self, entry: Entry) -> Any:
        if self.uid in running_here():  # it would wait for itself
            raise RecursionError(f"{self.method.title} asks for its own result")
        submissions = 0
        while True:
            status, outcome = self.tracker.look(entry)
            step = plan(self.mode, status)
            if step.action in (Action.LOAD, Action.RAISE):
                if outcome is None:
                    raise self.tracker.loss()
                try:
                    return self.open(entry, outcome)
                except CorruptResult:
                    if self.mode != "retry":
                        raise
                    step = _ANEW
                except Outdated:
                    step = _ANEW
            if step.action is Action.WAIT:
                self.tracker.wait(entry)
                continue
            if step.action is Action.REFUSE:
                raise ResultNotFound(f"nothing is stored for {self.uid} in {entry.path}, and mode is 'read-only'")
            if step.action is Action.CANCEL_AND_RECOMPUTE:
                self.tracker.cancel()
            if self.settings.cluster is None:
                self._acted = True
                return compute(self, step.replace)
            if submissions == _MOST_SUBMISSIONS:  # a queue that starts nothing would be filled for ever
                raise self.tracker.loss()
            submissions += 1
            self._submit(step.replace)

    def _result_without_folder(self) -> Any:
        if self.settings.mode == "read-only":
            raise ResultNotFound(f"{self.uid} has no folder to read from; set infra.folder")
        if self.settings.cluster is None:
            return call(self)
        return self.job().result()

    def open(self, entry: Entry, outcome: Outcome) -> Any:
        """The value of an outcome, or its error raised, once it is sure that it belongs to this config."""
        check_facts(self, entry, outcome.facts)
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
        """``not submitted``, ``running``, ``completed`` or ``failed``; reads neither the value nor its record."""
        entry = self.entry
        if entry is None:
            return "not submitted" if self.tracker.job is None else self.tracker.job.status()
        return self.tracker.status(entry)

    # ------------------------------------------------------------------ jobs

    def job(self) -> TaskJob:
        """The job of this computation; submitted if there is none, as the mode says."""
        entry = self.entry
        if entry is None:
            if self.tracker.job is None:
                self._submit(Replace.NOTHING)
        else:
            submit_all([self])
        return self.tracker.known_job()

    def _submit(self, replace: Replace) -> None:
        submit_calls([(self, replace)], max_workers=None)

    def clear(self) -> None:
        """Cancel what runs and forget the result; the config is unsealed for nobody, it just has no result."""
        self.tracker.cancel()
        self._kept = _MISSING
        self.__dict__.pop("ram", None)
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
        return None if self.entry is None else log_folder(self.entry)

    def planned(self) -> Plan:
        """What `submit_all` would do for this computation now."""
        if self.entry is None:
            return Plan(Action.COMPUTE if self.tracker.job is None else Action.WAIT)
        status, outcome = self.tracker.look(self.entry)
        step = plan(self.mode, status)
        if step.action in (Action.LOAD, Action.RAISE) and outcome is not None:
            try:
                check_facts(self, self.entry, outcome.facts)
            except Outdated:
                return _ANEW
        return step
