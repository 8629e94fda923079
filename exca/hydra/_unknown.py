"""Overrides of keys that do not exist, with advice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.override_parser.types import Override, OverrideType

from ._parsing import key_path
from ._problems import Problem
from ._schema import Schema
from ._suggestions import explain

__all__ = ["unknown_keys"]


def unknown_keys(schema: Schema, data: Mapping[str, Any], overrides: Sequence[Override]) -> list[Problem]:
    """Return a problem for every override of a key that the config has not.

    Parameters
    ----------
    schema
        The schema of the model.
    data
        Plain data of the config without these overrides.
    overrides
        Overrides of values.
    """
    problems = []
    for override in overrides:
        path = key_path(override)
        if override.type is not OverrideType.CHANGE or path is None or path[0] == "hydra":
            continue
        if not _exists(data, path):
            advice = explain(schema, data, path)
            problems.append(Problem(path, "no such key", origin=f"override {override.input_line}", hint=advice))
    return list(dict.fromkeys(problems))


def _exists(data: Any, path: Sequence[str]) -> bool:
    for key in path:
        if isinstance(data, list) and key.isdecimal() and int(key) < len(data):
            data = data[int(key)]
        elif isinstance(data, Mapping) and key in data:
            data = data[key]
        else:
            return isinstance(data, str) and "${" in data  # what it refers to may have the key
    return True
