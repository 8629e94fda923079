"""The life of a worker process: it drains one array after another, as its supervisor hands them out."""

from __future__ import annotations

import os
from collections.abc import Callable

from ._crew import Post
from ._freshness import Freshness
from ._layout import ArrayPaths
from ._worker import drain, show_name

__all__ = ["redirect_output", "serve"]


def serve(array: ArrayPaths, post: Post, keep_going: Callable[[], bool]) -> int:
    """Drain an array, and those that follow; returns the exit code of the process."""
    freshness = Freshness()
    while True:
        drain(array, post.name, keep_going)
        freshness.note_imports()
        os.chdir("/")  # the folder of the array may go
        show_name(b"exca: idle")
        post.report()
        order = post.next_order()
        if order is None or not freshness.renew():
            return 0
        redirect_output(order)
        array = ArrayPaths(order)


def redirect_output(folder: str) -> None:
    """Send what is printed between two calls to the log of another array."""
    log = os.open(ArrayPaths(folder).log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    os.close(log)
