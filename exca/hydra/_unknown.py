"""Overrides that name keys or options that do not exist, with advice."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import MissingConfigException

from exca.infra import BaseInfra

from ._launcher_words import launcher_hint, preset_hint
from ._parsing import key_path
from ._problems import Problem
from ._schema import Schema
from ._suggestions import closest, explain

__all__ = ["unknown_keys", "unknown_option"]

_OPTIONS: Final[Mapping[tuple[str, ...], Collection[str]]] = {
    ("hydra", "launcher"): {*BaseInfra.model_fields, "exclude", "failure_value", "progress"},
    ("hydra", "sweeper"): {"detach", "dry_run", "max_failure_rate", "points", "zip"},
}


def unknown_keys(schema: Schema, data: Mapping[str, Any], overrides: Sequence[Override]) -> list[Problem]:
    """Return a problem for every override of a key that the config has not.

    Parameters
    ----------
    schema
        The schema of the model.
    data
        Plain data of the config without these overrides, with or without Hydra's own node.
    overrides
        Overrides of values.
    """
    problems = []
    for override in overrides:
        path = key_path(override)
        if override.type is not OverrideType.CHANGE or path is None:
            continue
        if not _exists(data, path):
            advice = _of_hydra(data, path) if path[0] == "hydra" else explain(schema, data, path)
            problems.append(Problem(path, "no such key", origin=f"override {override.input_line}", hint=advice))
    return list(dict.fromkeys(problems))


def unknown_option(overrides: Sequence[Override], error: MissingConfigException) -> Problem | None:
    """Return the problem of the override that asks for an option which its group has not.

    Parameters
    ----------
    overrides
        The overrides of a composition.
    error
        What Hydra raised; where none of the overrides is its reason, a file is, and the message says which.
    """
    for override in overrides:
        group = override.key_or_group.replace(".", "/")
        if f"{group}/{override.value()}" == error.missing_cfg_file and error.options is not None:
            match = closest(str(override.value()), error.options)
            if group == "hydra/launcher":
                match = preset_hint(str(override.value())) or match
            return Problem(
                path=tuple(group.split("/")),
                message=f"Could not find '{error.missing_cfg_file}'; there are {', '.join(error.options)}",
                origin=f"override {override.input_line}",
                hint=f"did you mean {override.key_or_group}={match}?" if match else None,
            )
    return None


def _of_hydra(data: Any, path: Sequence[str]) -> str | None:
    """Advise about a key of Hydra's own node, or of a plugin's."""
    for depth, key in enumerate(path):
        if not isinstance(data, Mapping) or key not in data:
            if tuple(path[:depth]) == ("hydra", "launcher") and _is_ours(data):
                return launcher_hint(key, list(data))
            if depth == 2 and tuple(path[:2]) in _OPTIONS and key in _OPTIONS[path[0], path[1]]:
                return f"an option of {'/'.join(path[:2])}=exca"
            match = closest(key, list(data)) if isinstance(data, Mapping) else None
            return f"did you mean {'.'.join([*path[:depth], match])}?" if match else None
        data = data[key]
    return None


def _is_ours(launcher: Any) -> bool:
    return isinstance(launcher, Mapping) and str(launcher.get("_target_")).startswith("hydra_plugins.hydra_exca.")


def _exists(data: Any, path: Sequence[str]) -> bool:
    for key in path:
        if isinstance(data, list) and key.isdecimal() and int(key) < len(data):
            data = data[int(key)]
        elif isinstance(data, Mapping) and key in data:
            data = data[key]
        else:
            return isinstance(data, str) and "${" in data  # what it refers to may have the key
    return True
