"""What a worker that is kept must forget, or notice, before it may run the calls of another array.

A worker that has just been started imports what is on disk, and knows no class of the script. One that is kept must
not be told apart from it by the calls: see `Freshness.renew`.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from typing import Any

__all__ = ["Freshness"]

_CLOCK_TICK_NS = 20_000_000  # time stamps of files lag behind the clock by up to a tick of the kernel
_STANDARD = os.path.dirname(os.__file__)
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


class Freshness:
    """Watches over what one worker has imported.

    Made before the first call; `note_imports` after each array, `renew` before each but the first.
    """

    def __init__(self) -> None:
        self._main = dict(vars(sys.modules["__main__"]))
        self._known: set[str] = set()
        self._sources: dict[str, tuple[int, int]] = {}  # file: time of its last change (ns), size (bytes)
        self._since_ns = time.time_ns() - _CLOCK_TICK_NS
        self._stale = False

    def note_imports(self) -> None:
        """Remember what the source files of the modules imported lately were like.

        Installed packages and the standard library are not looked at: nobody edits them beside a running session.
        """
        modules = dict(sys.modules)
        for name in modules.keys() - self._known:
            file = _source_of(modules[name])
            if file is None or file.startswith(_STANDARD) or any(part in file for part in _INSTALLED):
                continue
            state = _state(file)
            if state is None:
                continue  # inside of an archive, or made up
            if state[0] >= self._since_ns:  # edited before the import, or after: who knows
                self._stale = True
            self._sources[file] = state
        self._known = set(modules)

    def renew(self) -> bool:
        """Forget what came from the script of the last array; False if only a new process would be good enough."""
        if self._stale or any(_state(file) != state for file, state in self._sources.items()):
            return False
        self._since_ns = time.time_ns() - _CLOCK_TICK_NS
        importlib.invalidate_caches()
        main = vars(sys.modules["__main__"])
        main.clear()
        main.update(self._main)
        return _forget_classes()


def _source_of(module: object) -> str | None:
    """The file of a module, without waking one that imports its content when it is first looked at."""
    try:
        file = object.__getattribute__(module, "__dict__").get("__file__")
    except AttributeError:  # whatever somebody has put there
        return None
    return file if isinstance(file, str) and os.path.isabs(file) else None


def _state(file: str) -> tuple[int, int] | None:
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _forget_classes() -> bool:
    """Have the classes of a script that come next be made anew, even where they were sent before.

    cloudpickle gives a class that it has met an update in place; whoever remembers the class would go on with
    functions of before the update.
    """
    cloudpickle = sys.modules.get("cloudpickle.cloudpickle")
    if cloudpickle is None:
        return True
    classes: Any = getattr(cloudpickle, "_DYNAMIC_CLASS_TRACKER_BY_ID", None)
    if classes is None:  # a version that keeps them elsewhere
        return False
    classes.clear()
    return True
