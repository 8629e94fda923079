"""What is said about calls that did not end by themselves, by whoever looks after their workers."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Iterable, Mapping

from ._layout import ArrayPaths, Spec, Verdict
from ._worker import WorkSite, report_lost, update_state

__all__ = ["pronounce"]

_ON_LOST_S = 60  # time limit of all calls of `on_lost` together


def pronounce(array: ArrayPaths, spec: Spec, verdicts: Mapping[int, Verdict], handled: Iterable[int]) -> None:
    """Tell the submitter, and then everybody, how calls ended that will not say so themselves.

    Parameters
    ----------
    verdicts: by the index of the call.
    handled: signals that this process handles in a way of its own, which the submitter's code must not inherit.
    """
    if not verdicts:
        return
    _tell_submitter(array, spec, verdicts, handled)
    for index, verdict in verdicts.items():
        try:
            update_state(array.job(spec, index), status=verdict.kind, reason=verdict.reason, ended=time.time())
            array.end(index, verdict)
        except OSError:  # a full disk: the others must go on, and readers see that this worker is dead
            traceback.print_exc()


def _tell_submitter(array: ArrayPaths, spec: Spec, verdicts: Mapping[int, Verdict], handled: Iterable[int]) -> None:
    """Call `on_lost` of each, in a process of its own: it imports the user's code, and might hang or crash."""
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        return
    try:
        for number in handled:
            signal.signal(number, signal.SIG_DFL)
        signal.alarm(_ON_LOST_S)
        WorkSite(array, spec).prepare()
        for index, verdict in verdicts.items():
            report_lost(array.job(spec, index), verdict.reason)
    except BaseException:  # the verdicts must be written all the same; the log of this process has the cause
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
