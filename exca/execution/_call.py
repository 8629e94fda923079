"""One computation to run somewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Call"]


@dataclass(frozen=True, slots=True)
class Call:
    """One computation to run somewhere.

    Attributes
    ----------
    function: what to call; classes and functions of the running script go to another process by value.
    args: its positional arguments.
    name: shown as the name of the process and of the scheduler's job.
    on_lost: called as ``on_lost(reason, path_of_the_stderr_log)`` if the job ends without the function having returned
        or raised (killed, timed out, cancelled, not loadable where it should run), before the job is seen as done.
        It runs in whichever process noticed: a short-lived one beside the supervisor, the worker, or a process that
        waits for the job. In rare cases two notice, so it must bear being called twice. Must be picklable.

    Examples
    --------
    >>> Call(divmod, (7, 2)).run()
    (3, 1)
    """

    function: Callable[..., object]
    args: tuple[object, ...] = ()
    name: str = "exca"
    on_lost: Callable[[str, Path], None] | None = None

    def run(self) -> object:
        """Compute it, here and now."""
        return self.function(*self.args)
