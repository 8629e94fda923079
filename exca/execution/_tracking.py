"""What a process that waits knows of an array: which calls have ended, and whether anybody still looks after it."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from exca.execution._array._layout import CANCELLED, LOST, NEVER_STARTED, ArrayPaths, JobPaths, Spec, Verdict
from exca.execution._array._worker import report_lost, update_state
from exca.execution._spawning import reap
from exca.liveness import Stamp

__all__ = ["TrackedArray"]

_LIST_AGAIN_S = 0.0002  # a thousand jobs asked one after the other list the folder once
_RESTS = 20  # and never sooner than after so many times what the listing took
_LOOK_AGAIN_S = 0.25
_START_S = 30.0  # time a supervisor may take to sign, if its starter was killed just then
_BEAT_S = 90.0  # a supervisor elsewhere whose heartbeat (every 10 s) is older than this has died


class TrackedArray:
    """An array as seen by a process that waits for it."""

    def __init__(self, paths: ArrayPaths, spec: Spec) -> None:
        self.paths = paths
        self.spec = spec
        self._ended: set[str] = set()
        self._list_at = self._looked_at = float("-inf")
        self._supervised = True

    def job(self, index: int) -> JobPaths:
        return self.paths.job(self.spec, index)

    def verdict(self, index: int) -> Verdict | None:
        """How a call ended; None while it may still end.

        A call that nobody will ever end gets its verdict here.
        """
        if str(index) in self._list_ended() or not self.is_supervised():
            return self.paths.verdict(index) or self._settle(index)
        return None

    def is_supervised(self) -> bool:
        """Whether the supervisor is alive, as far as can be known from here."""
        now = time.monotonic()
        if now > self._looked_at + _LOOK_AGAIN_S:
            self._looked_at = now
            reap()
            self._supervised = self._find_supervisor()
        return self._supervised

    def end(self, index: int, verdict: Verdict) -> Verdict:
        """Give a call the verdict, unless it got another in the meantime; returns the one that stands."""
        paths = self.job(index)
        if verdict.kind != NEVER_STARTED:  # there is nothing to report: it can be submitted again
            report_lost(paths, verdict.reason)
        try:
            update_state(paths, status=verdict.kind, reason=verdict.reason, ended=time.time())
            self.paths.end(index, verdict)
            self._ended.add(str(index))  # seen at once, however long ago they were listed
        except OSError:  # somebody else's folder: what is known is known all the same
            return verdict
        return self.paths.verdict(index) or verdict

    def _list_ended(self) -> set[str]:
        now = time.monotonic()
        if now > self._list_at:
            try:
                self._ended = set(os.listdir(self.paths.ended))
            except FileNotFoundError:
                self._ended = set()
            listed = time.monotonic()
            self._list_at = listed + max(_LIST_AGAIN_S, _RESTS * (listed - now))
        return self._ended

    def _find_supervisor(self) -> bool:
        try:
            stamp = self.paths.stamp()
            if os.path.lexists(self.paths.finished):
                return False
            if stamp is None:
                return _age_s(self.paths.spec) < _START_S
            liveness = stamp.liveness()
            if liveness == "elsewhere":
                return _age_s(self.paths.heartbeat) < _BEAT_S
        except FileNotFoundError:
            return False
        return liveness == "alive"

    def _settle(self, index: int) -> Verdict | None:
        """Nobody looks after the array: find out whether the call can still end."""
        if not self.paths.folder.exists():
            return Verdict(LOST, f"the folder of its array, {self.paths.folder}, has gone")
        try:
            if self.paths.take(index, "reader"):
                reason = f"its queue died before the call was started; {self._last_words()}"
                return self.end(index, Verdict(NEVER_STARTED, reason))
        except OSError:  # somebody else's folder
            return Verdict(LOST, f"its queue died; {self._last_words()}")
        if self._live_worker(index):
            return None  # workers finish the call they are in
        verdict = self.paths.sentence_of(index)
        if verdict is None:
            verdict = Verdict(LOST, f"its worker and its queue died; {self._last_words()}")
        return self.paths.verdict(index) or self.end(index, verdict)

    def cancel(self, index: int) -> None:
        """End a call: here if it has not been taken, else by its supervisor.

        Raises
        ------
        PermissionError: it is somebody else's.
        """
        with self._explain_refusal():
            if not self._condemn(index) or self.is_supervised():
                return
            worker = self._live_worker(index)
            if worker:
                with contextlib.suppress(ProcessLookupError):  # it has just ended
                    os.killpg(worker.pid, signal.SIGKILL)

    def _condemn(self, index: int) -> bool:
        """Keep a call from being started, or ask whoever runs it to end it; False if there is nothing to end."""
        try:
            if self.paths.take(index, "cancelled"):
                self.end(index, Verdict(CANCELLED, "cancelled before it started"))
            elif self.verdict(index) is None:
                self.paths.sentence(index, Verdict(CANCELLED, "cancelled while it ran"))
            else:
                return False
        except FileNotFoundError:  # the folder has gone: there is nobody to be told
            pass
        return True

    @contextlib.contextmanager
    def _explain_refusal(self) -> Iterator[None]:
        try:
            yield
        except PermissionError as error:
            user = _name_user(self.paths.folder)
            message = f"not cancelled: the job belongs to {user}, who alone can cancel it"
            raise PermissionError(error.errno, message, os.fspath(self.paths.folder)) from error

    def _last_words(self) -> str:
        try:
            printed = self.paths.log.read_text(errors="replace").split("\n")
        except FileNotFoundError:
            printed = []
        last = next((line for line in reversed(printed) if line.strip()), "nothing")
        return f"{self.paths.log} ends with: {last}"

    def _live_worker(self, index: int) -> Stamp | None:
        stamp = self.paths.stamp(self.paths.owner(index) or "nobody")
        return stamp if stamp is not None and stamp.liveness() == "alive" else None


def _name_user(folder: Path) -> str:
    """Whose a folder is."""
    number = os.stat(folder).st_uid
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # of another machine
        return f"user {number}"


def _age_s(path: os.PathLike[str]) -> float:
    return time.time() - os.stat(path).st_mtime
