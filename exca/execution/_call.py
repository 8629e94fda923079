"""One computation to run somewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

__all__ = ["Call", "Shared"]

T = TypeVar("T")


class Shared(Generic[T]):
    """An argument that several calls of an array have in common, such as the items of a map.

    Given as an argument of a `Call`, it is written once for the array instead of once for each call, and loaded once
    in each worker. The function gets the value itself; as all calls of one worker get the same object, they must not
    change it.

    Parameters
    ----------
    value: what the functions get.

    Examples
    --------
    >>> items = Shared(list(range(1_000_000)))
    >>> jobs = executor.submit([Call(drain, (items, number)) for number in range(4)])  # doctest: +SKIP
    """

    __slots__ = ("value",)

    def __init__(self, value: T) -> None:
        self.value = value


@dataclass(frozen=True, slots=True)
class Call:
    """One computation to run somewhere.

    Attributes
    ----------
    function: what to call; classes and functions of the running script go to another process by value.
    args: its positional arguments; of those that are `Shared` the function gets the value.
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
        return self.function(*self.arguments())

    def arguments(self) -> tuple[object, ...]:
        """What the function is called with."""
        return tuple(argument.value if isinstance(argument, Shared) else argument for argument in self.args)
