"""The other processes of a call that runs as several: they run the same function, and what it returns is dropped."""

from __future__ import annotations

import os

from ._layout import ArrayPaths
from ._worker import WorkSite, load_call, read_payload

__all__ = ["help_with"]


def help_with(array: ArrayPaths, index: int) -> int:
    """Run a call beside the process that has taken it; returns the exit code.

    A function with an attribute ``accompany`` is asked for that instead: it must not wait for the other process to
    compute and store the result.
    """
    spec, _ = array.read_spec()
    site, paths = WorkSite(array, spec), array.job(spec, index)
    with site.variables.of_call(spec.job_id(index), os.fspath(paths.folder)):
        site.prepare()
        function, args = load_call(site, read_payload(paths))
        getattr(function, "accompany", function)(*args)
    return 0
