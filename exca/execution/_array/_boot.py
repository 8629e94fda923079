"""Starts the supervisor of an array: ``python -P _boot.py ARRAY_FOLDER``.

Or, on a node of a Slurm cluster, the agent of one of its workers: ``python -P _boot.py --slurm ARRAY_FOLDER FIRST``,
where FIRST is the number of the worker that is element 0 of Slurm's array.

Importing `exca` for real would bring pydantic (0.1 s, 30 MB) into every supervisor; bare package objects in its place
let the files of this folder be imported as usual. They are forgotten before any call runs, so that calls get the
real package.
"""

from __future__ import annotations

import os
import sys
import types


def _place_bare_packages() -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    execution = os.path.dirname(here)
    for name, folder in (("exca", os.path.dirname(execution)), ("exca.execution", execution)):
        module = types.ModuleType(name)
        module.__path__ = [folder]
        sys.modules[name] = module


def _forget_packages() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "exca"]:
        del sys.modules[name]


if __name__ == "__main__":
    _place_bare_packages()
    if sys.argv[1] == "--slurm":
        from exca.execution._array._slurm_node import work

        _forget_packages()
        sys.exit(work(sys.argv[2], int(sys.argv[3])))
    from exca.execution._array._supervisor import supervise

    _forget_packages()
    sys.exit(supervise(sys.argv[1]))
