"""The importable name of the script being run, so that running a file and importing it name the same things."""

from __future__ import annotations

import os
import sys

__all__ = ["main_name", "set_main_name"]

_given: str | None = None


def main_name() -> str:
    """Name under which the module ``__main__`` could be imported.

    Returns
    -------
    str: the dotted name after ``python -m``, else the file stem of the script, else ``"__main__"`` (a notebook,
        ``python -c``, standard input).

    Examples
    --------
    In a file ``train.py`` that is being run, ``main_name()`` is ``"train"``.
    """
    if _given is not None:
        return _given
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return str(spec.name).removesuffix(".__main__")
    file = getattr(main, "__file__", None)
    if not file or file.startswith("<"):  # "<stdin>" is no file
        return "__main__"
    return str(os.path.splitext(os.path.basename(file))[0])


def set_main_name(name: str) -> None:
    """Say what ``__main__`` was called where the work was submitted; a worker process calls this once.

    Its own ``__main__`` is the worker's, while the classes it was handed still say ``__main__``.
    """
    global _given
    _given = name
