"""What a YAML parser says about a file, as a problem."""

from __future__ import annotations

import os

import yaml
from yaml.reader import ReaderError

from ._problems import Problem

__all__ = ["problem_of_yaml", "shown_path"]


def problem_of_yaml(error: yaml.YAMLError) -> Problem:
    """Return an error of the parser as a problem, with the file and the line on which it stopped."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark, context = error.problem_mark, error.context
        if context is not None and error.context_mark is not None:
            context = f"{context} that starts on line {error.context_mark.line + 1}"
        origin = f"{shown_path(mark.name)}:{mark.line + 1}"
        return Problem((), f"the file is not valid YAML: {error.problem}", origin=origin, hint=context)
    if isinstance(error, ReaderError):
        return Problem((), f"the file is not valid YAML: {error.reason}", origin=shown_path(str(error.name)))
    return Problem((), f"the file is not valid YAML: {error}")


def shown_path(file: str | os.PathLike[str]) -> str:
    """Return a file's path for a message: relative to the working directory where it is below that."""
    label = os.path.relpath(file)
    return label if not label.startswith("..") else str(file)
