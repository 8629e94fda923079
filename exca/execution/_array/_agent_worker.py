"""The worker of an agent, in a child process: runs the calls, and has them save their state when their time ends."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

from ._layout import ArrayPaths
from ._worker import Interrupted, WorkSite, run_call, take_calls

__all__ = ["LEFT", "Worker"]

LEFT = 75  # EX_TEMPFAIL of sysexits.h: the worker has left calls to whoever comes next


class Worker:
    """Runs calls of an array, and reports to the agent, in lines.

    ``begin 3`` and ``end completed`` frame each call, ``done`` says that none is left, ``left`` that the others are
    for whoever comes next. When the agent has handed on the scheduler's warning, ``warned`` says that it arrived,
    ``saved`` or ``cannot save`` what the call made of it. ``problem ...`` says why the worker itself cannot go on.

    Parameters
    ----------
    name: of the worker, the same in all its lives.
    warning: number of the signal that is sent before the end.
    reports: file descriptor to write to.
    """

    def __init__(self, array: ArrayPaths, name: str, warning: int, reports: int) -> None:
        self._array = array
        self._name = name
        self._signals = (warning, signal.SIGTERM)
        self._reports = reports
        self._leaving = False
        self._warned_by: int | None = None
        self._site: WorkSite | None = None

    def work(self, pinned: int | None, again: bool) -> NoReturn:
        """Run calls until none is left, or until it is time to leave; ends in SystemExit.

        Parameters
        ----------
        pinned: the only call to run; None: whatever is left.
        again: this worker has been ended before, perhaps within a call.
        """
        self._listen()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        site = self._site = WorkSite.enter(self._array, self._name)
        site.begin = self._begin
        try:
            for index in self._calls(site.spec.size, pinned, again):
                self._report(f"begin {index}")
                self._report(f"end {run_call(site, index, self._name).kind}")
                self._listen()  # the call may have had handlers of its own
        except Interrupted:
            self._leaving = True
        except OSError as error:  # not even the end of a call can be written
            self._report(f"problem {' '.join(str(error).split())}")
            raise
        for number in self._signals:  # Python would let them kill it while it shuts down
            signal.signal(number, signal.SIG_IGN)
        if self._leaving:
            self._report("left")
            raise SystemExit(LEFT)
        self._report("done")
        raise SystemExit(0)

    def _listen(self) -> None:
        for number in self._signals:
            signal.signal(number, self._save)

    def _calls(self, count: int, pinned: int | None, again: bool) -> Iterator[int]:
        """The calls of this worker: first those it had begun when it was ended, if it was."""
        array = self._array
        for index in (range(count) if pinned is None else [pinned]) if again else ():
            if array.owner(index) == self._name and not array.has_ended(index) and self._stays():
                yield index
        if pinned is None:
            yield from take_calls(array, count, self._name, self._stays)
        elif self._stays() and array.take(pinned, self._name):
            yield pinned

    def _stays(self) -> bool:
        return not self._leaving

    def _save(self, number: int, _: FrameType | None) -> None:
        """The time of the worker is about to end: have the call save its state, if it can."""
        site = self._site
        if site is not None and site.process != os.getpid():
            return  # a process that the call has forked
        self._leaving = True
        self._warned_by = number
        self._report("warned")
        if site is not None and site.at_work is not None and not site.interrupted:
            self._leave(site, *site.at_work, begun=True)

    def _begin(self) -> None:
        """A call has been loaded; the warning may have come while it was."""
        site = self._site
        if self._leaving and site is not None and site.at_work is not None:
            self._leave(site, *site.at_work, begun=False)

    def _leave(
        self, site: WorkSite, function: Callable[..., object], arguments: tuple[object, ...], *, begun: bool
    ) -> None:
        """Have a call save its state, if it can and there is any; else it goes on until the agent ends it."""
        save = getattr(function, "checkpoint", None)
        if save is None:
            if self._warned_by != signal.SIGTERM:
                self._report("cannot save")
            return
        site.interrupted = True
        try:
            if begun:
                save(*arguments)
        except Exception:  # the user's code; what it saved before must do
            traceback.print_exc()
        self._report("saved")
        raise Interrupted

    def _report(self, line: str) -> None:
        os.write(self._reports, f"{line}\n".encode())
