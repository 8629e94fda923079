"""The environment variables that a call finds, and which of those that are set meanwhile last.

A worker imports a module once. What the module sets then stays for all later calls, as each would find it in a process
of its own. What a call sets ends with it. Else results would depend on which calls happen to share a worker.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import TypeAlias

__all__ = ["Variables"]

Text: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]
_IMPORT_SYSTEM = "<frozen importlib._bootstrap>"  # file name of its frames
_set_by_imports: dict[str, str | None] = {}  # in this process; None for one that was removed


class Variables:
    """The environment variables of an array's calls.

    Parameters
    ----------
    templates: variables of each call; ``%j`` stands for the job's id, ``%f`` for its folder.
    """

    def __init__(self, templates: Mapping[str, str]) -> None:
        self._templates = templates
        self._of_array: dict[str, str | None] = {}
        self._between: dict[str, str] | None = None  # two calls, but for what imports set

    @contextmanager
    def of_call(self, job_id: str, folder: str) -> Iterator[None]:
        """Set the variables of a call; undo afterwards what it has changed."""
        _watch_imports()
        if self._between is None:
            self._between = dict(os.environ)  # each look at them costs as much as opening a file
        for name, template in self._templates.items():
            if name not in _set_by_imports:
                os.environ[name] = template.replace("%j", job_id).replace("%f", folder)
        _assign(self._of_array)
        try:
            yield
        finally:
            before = _overlay(self._between, _set_by_imports)
            _assign(_difference(dict(os.environ), before))

    @contextmanager
    def of_array(self) -> Iterator[None]:
        """What is set in here, by an initializer, is set for all calls of the array that this process runs."""
        before = dict(os.environ)
        yield
        self._of_array |= _difference(before, dict(os.environ))


def _difference(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str | None]:
    removed = dict.fromkeys(before.keys() - after.keys())
    return removed | {name: value for name, value in after.items() if before.get(name) != value}


def _overlay(variables: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in {**variables, **changes}.items() if value is not None}


def _assign(changes: Mapping[str, str | None]) -> None:
    for name, value in changes.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@functools.cache
def _watch_imports() -> None:
    """Take note of what modules set while they are imported, from now on.

    A look before and after would not tell an import within a call from the rest of the call. `os.environ` goes through
    these two functions of its module, which are in its documentation.
    """
    set_variable, remove_variable = os.putenv, os.unsetenv

    def putenv(name: Text, value: Text) -> None:
        set_variable(name, value)
        if _is_importing():
            _set_by_imports[os.fsdecode(name)] = os.fsdecode(value)

    def unsetenv(name: Text) -> None:
        remove_variable(name)
        if _is_importing():
            _set_by_imports[os.fsdecode(name)] = None

    os.putenv, os.unsetenv = putenv, unsetenv


def _is_importing() -> bool:
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_filename == _IMPORT_SYSTEM:
            return True
        frame = frame.f_back
    return False
