"""Finds the Python of a conda environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from exca.errors import InvalidInfra

__all__ = ["find_interpreter"]


def find_interpreter(conda_env: str | os.PathLike[str] | None) -> str:
    """Path of the Python that runs the jobs.

    Parameters
    ----------
    conda_env: folder of a conda environment, or its name; None: the Python that runs now. Names are looked up beside
        the active environment, under the conda installation, and in ``CONDA_ENVS_PATH``.

    Raises
    ------
    InvalidInfra: there is no such environment, or this process has no interpreter of its own.
    """
    if conda_env is None:
        if not sys.executable:
            raise InvalidInfra(
                "this process knows no Python interpreter to start workers with (sys.executable is empty)"
            )
        return sys.executable
    folders = [Path(conda_env).expanduser().absolute(), *(root / conda_env for root in _environment_roots())]
    for folder in folders:
        if os.access(folder / "bin" / "python", os.X_OK):
            return str(folder / "bin" / "python")
    searched = ", ".join(str(folder) for folder in folders)
    raise InvalidInfra(f"conda_env={conda_env!r}: no bin/python in any of {searched}")


def _environment_roots() -> list[Path]:
    roots = [Path(entry) for entry in os.environ.get("CONDA_ENVS_PATH", "").split(os.pathsep) if entry]
    if "CONDA_PREFIX" in os.environ:
        prefix = Path(os.environ["CONDA_PREFIX"])
        roots += [prefix.parent, prefix / "envs"]
    if "CONDA_EXE" in os.environ:
        roots.append(Path(os.environ["CONDA_EXE"]).parents[1] / "envs")
    return roots
