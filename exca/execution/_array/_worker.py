"""A worker: takes one call after another from an array, until none is left.

It knows nothing of whoever started it: everything passes through the array's folder.
"""

from __future__ import annotations

import faulthandler
import io
import json
import os
import pickle
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from exca.liveness import Stamp

from ._capture import captured
from ._layout import COMPLETED, LOST, RAISED, ArrayPaths, JobPaths, Spec, Verdict, write_atomically
from ._outcome import describe, dump
from ._variables import Variables

__all__ = [
    "Interrupted",
    "WorkSite",
    "drain",
    "load_call",
    "read_payload",
    "report_lost",
    "run_call",
    "show_name",
    "take_calls",
    "update_state",
]

_MISSES = 8  # calls found taken in a row before the tickets are listed again


def drain(array: ArrayPaths, worker: str, keep_going: Callable[[], bool] = lambda: True) -> int:
    """Run calls of an array until none is left.

    Parameters
    ----------
    worker: name of this worker, unique in the array.
    keep_going: asked before each call; False ends the worker.

    Returns
    -------
    int: how many calls failed, so that a scheduler can be told.
    """
    site = WorkSite.enter(array, worker)
    failed = 0
    for index in take_calls(array, site.spec.size, worker, keep_going):
        failed += run_call(site, index, worker).kind != COMPLETED
    return failed


def take_calls(array: ArrayPaths, count: int, worker: str, keep_going: Callable[[], bool]) -> Iterator[int]:
    """Take one call after the other until none is left; the next one when it is asked for."""
    while True:
        taken = {int(name) for name in os.listdir(array.tickets)}
        if len(taken) >= count:
            return
        misses = 0
        for index in range(count):
            if index in taken:
                continue
            if not keep_going():
                return
            if array.take(index, worker):
                misses = 0
                yield index
            elif (misses := misses + 1) >= _MISSES:
                break


class Interrupted(BaseException):
    """Raised inside a call by a signal handler of the worker: the call has no verdict, and begins anew elsewhere."""


class WorkSite:
    """The process state every call of an array expects; set up once, at the first call.

    Attributes
    ----------
    at_work: the function that is being called, and its arguments; None between two calls.
    interrupted: whether `Interrupted` was raised, whatever has become of it in the user's code.
    variables: of the environment.
    begin: called when a call has been loaded, just before it begins; may raise `Interrupted`.
    """

    def __init__(self, array: ArrayPaths, spec: Spec) -> None:
        self.array = array
        self.spec = spec
        self.process = os.getpid()
        self.at_work: tuple[Callable[..., object], tuple[object, ...]] | None = None
        self.interrupted = False
        self.begin: Callable[[], None] = lambda: None
        self._ready = False
        self._shared: dict[int, object] = {}
        self.variables = Variables(spec.environment)
        os.umask(umask := os.umask(0o077))
        self._umask = umask

    def shared(self, number: int) -> object:
        """An argument that calls have in common; loaded at its first use."""
        if number not in self._shared:
            with open(self.array.shared(number), "rb") as file:
                self._shared[number] = pickle.load(file)
        return self._shared[number]

    @classmethod
    def enter(cls, array: ArrayPaths, worker: str) -> WorkSite:
        """Begin to work as the worker of this name."""
        faulthandler.enable()  # a crash in C code leaves its Python stack in the log of the call
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(line_buffering=True)  # a log is read while it grows
        spec, _ = array.read_spec()
        array.sign(Stamp.current(), worker)
        return cls(array, spec)

    def prepare(self) -> None:
        """Enter the submitter's directory and import path, and run the initializer.

        Raises
        ------
        Exception: whatever the initializer raises, or an OSError if the directory has gone.
        """
        os.chdir(self.spec.cwd)  # before each call: the one before may have moved
        if self._ready:
            return
        sys.path[:] = dict.fromkeys([*self.spec.sys_path, *sys.path])
        if self.array.setup.exists():
            with self.variables.of_array():
                pickle.loads(self.array.setup.read_bytes())()
        self._ready = True

    def restore(self) -> None:
        """Undo what a call has set for its process, and what would end the next one."""
        os.umask(self._umask)
        signal.setitimer(signal.ITIMER_REAL, 0)


def run_call(site: WorkSite, index: int, worker: str) -> Verdict:
    """Run one call that was taken: its output, its state, its result, its verdict.

    Raises
    ------
    Interrupted: a signal handler of the worker ended the call; it has no verdict.
    """
    array, spec = site.array, site.spec
    paths, job_id = array.job(spec, index), spec.job_id(index)
    state = {"job_id": job_id, "host": os.uname().nodename, "pid": site.process, "worker": worker}
    state |= {"status": "running", "started": time.time()}
    _write_state(paths, state)
    try:
        with captured(paths.stdout, paths.stderr), site.variables.of_call(job_id, str(paths.folder)):
            verdict = _attempt(site, index, paths)
    except OSError as error:
        verdict = Verdict(LOST, f"its logs could not be written: {error}")
        report_lost(paths, verdict.reason)
    _write_state(paths, state | {"status": verdict.kind, "reason": verdict.reason, "ended": time.time()})
    array.end(index, verdict)
    return verdict


def _attempt(site: WorkSite, index: int, paths: JobPaths) -> Verdict:
    durable = site.spec.durable
    try:
        site.prepare()
        payload = read_payload(paths)
        show_name(payload["name"])
        function, args = load_call(site, payload)
    except BaseException as error:
        return _refuse(paths, error)
    site.at_work = function, args
    try:
        site.begin()
        value = function(*args)
    except BaseException as error:  # SystemExit too: a job that wants to leave has failed, its siblings have not
        _leave_if_forked(site.process, 1)
        if site.interrupted:
            raise Interrupted from None
        verdict = _account(paths, error, durable=durable)
        if isinstance(error, Exception):
            return verdict
        return site.array.sentence_of(index) or verdict  # SIGTERM came through as a SystemExit
    finally:
        site.at_work = None
        site.restore()
    _leave_if_forked(site.process, 0)
    try:
        write_atomically(paths.result, dump(value), durable=durable)
    except Exception as error:
        kind = type(value)
        reason = f"its value ({kind.__module__}.{kind.__qualname__}) could not be stored: {error!r}"
        print(reason, file=sys.stderr)
        return Verdict(LOST, reason)
    return Verdict(COMPLETED)


def load_call(site: WorkSite, payload: dict[str, bytes]) -> tuple[Callable[..., object], tuple[object, ...]]:
    """The function of a stored call, and its arguments."""
    function, args = pickle.loads(payload["call"])
    arguments = list(args)
    for position, number in pickle.loads(payload["shared"]) if "shared" in payload else ():
        arguments.insert(position, site.shared(number))
    return function, tuple(arguments)


def _leave_if_forked(process: int, exit_code: int) -> None:
    """A call that forks comes back twice; it is the parent's."""
    if os.getpid() != process:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(exit_code)


def _account(paths: JobPaths, error: BaseException, *, durable: bool) -> Verdict:
    frames = error.__traceback__
    raised = describe(error.with_traceback(frames.tb_next if frames else None))  # without the frame of this file
    print(raised.traceback, file=sys.stderr, end="")
    try:
        write_atomically(paths.result, pickle.dumps(tuple(raised)), durable=durable)
    except OSError as problem:
        return Verdict(LOST, f"{raised.one_line()} (the traceback could not be stored: {problem})")
    return Verdict(RAISED, raised.one_line())


def _refuse(paths: JobPaths, error: BaseException) -> Verdict:
    """The call could not even be loaded here."""
    raised = describe(error)
    print(raised.traceback, file=sys.stderr, end="")
    reason = f"the call could not be loaded on {os.uname().nodename}: {raised.one_line()}"
    report_lost(paths, reason)
    return Verdict(LOST, reason)


def read_payload(paths: JobPaths) -> dict[str, bytes]:
    """The parts of a stored call: its "name"; still pickled, its "call", and "on_lost" if there is one.

    Arguments that several calls have in common are not in the call: "shared" lists position and number of each.
    """
    payload: dict[str, bytes] = pickle.loads(paths.call.read_bytes())
    return payload


def report_lost(paths: JobPaths, reason: str) -> None:
    """Tell whoever submitted the call, through its `on_lost`, that it never came to its end."""
    try:
        payload = read_payload(paths)
        if "on_lost" in payload:
            pickle.loads(payload["on_lost"])(reason, paths.stderr)
    except Exception as error:  # the verdict must be written whatever the user's code does; the log has the cause
        print(describe(error).traceback, file=sys.stderr, end="")


def update_state(paths: JobPaths, **news: object) -> None:
    """Add to what people can read about a job; as nothing depends on it, a full disk is no reason to fail."""
    try:
        state = json.loads(paths.state.read_bytes())
    except (FileNotFoundError, ValueError):  # not there yet, or its writer was killed
        state = {}
    _write_state(paths, state | news)


def _write_state(paths: JobPaths, state: dict[str, object]) -> None:
    with suppress(OSError), open(paths.state, "w") as file:
        file.write(json.dumps(state))


def show_name(name: bytes) -> None:
    """Let `top` and `ps -o comm` show the call instead of "python" (proc(5); the kernel cuts it to 15 bytes)."""
    with suppress(OSError), open("/proc/self/comm", "wb") as comm:
        comm.write(name)
