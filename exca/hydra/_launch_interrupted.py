"""What is said when somebody presses Ctrl-C: what goes on, and how to come back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["COMPUTED", "INTERRUPTED", "SUBMITTED", "interruptions"]

_LOG = logging.getLogger(__name__)
INTERRUPTED: Final = 130  # what a shell makes of SIGINT
SUBMITTED: Final = "what was submitted goes on, and the same command finds it"
COMPUTED: Final = "what was computed is stored, and the same command finds it"


@contextmanager
def interruptions(what: str, prepare: Callable[[], object] = lambda: None) -> Iterator[None]:
    """End on Ctrl-C with one line; the traceback would be of this package.

    Parameters
    ----------
    what: what became of the points.
    prepare: called before that is said: the logging of the process may be that of a job.

    Raises
    ------
    SystemExit
        in the place of the interrupt.
    """
    try:
        yield
    except KeyboardInterrupt:
        prepare()
        _LOG.warning("interrupted; %s", what)
        raise SystemExit(INTERRUPTED) from None
