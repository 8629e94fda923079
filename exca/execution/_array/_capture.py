"""Sends what a call prints to its own log files."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ._libc import flush_c_buffers

__all__ = ["captured"]


@contextmanager
def captured(stdout: Path, stderr: Path) -> Iterator[None]:
    """Send file descriptors 1 and 2 to two files, so that C libraries and subprocesses are captured too.

    The files are appended to: a call that runs again keeps the log of its first attempt.
    """
    _flush()
    saved = [os.dup(descriptor) for descriptor in (1, 2)]
    try:
        for descriptor, path in ((1, stdout), (2, stderr)):
            log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            os.dup2(log, descriptor)
            os.close(log)
        yield
    finally:
        _flush()
        for descriptor, original in zip((1, 2), saved, strict=True):
            os.dup2(original, descriptor)
            os.close(original)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):  # closed or replaced by the call; nothing of it is left to write
            continue
    # What C code printed sits in the C library's own buffer, and would land in the next call's log.
    flush_c_buffers()
