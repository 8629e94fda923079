"""What pydantic says about a config, as problems."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ._plain import Missing, Where
from ._problems import QUOTE, Problem, shown
from ._schema import Schema
from ._secrets import MASK
from ._suggestions import closest

__all__ = ["problems_of"]

_SPELLED = {"None": "null", "True": "true", "False": "false"}


def problems_of(error: ValidationError, schema: Schema, data: Mapping[str, Any]) -> list[Problem]:
    """Return one problem per error that pydantic found.

    Parameters
    ----------
    error
        The exception.
    schema
        The schema of the model.
    data
        What was validated.
    """
    return list(dict.fromkeys(_problem(detail, schema, data) for detail in error.errors(include_url=False)))


def _problem(detail: ErrorDetails, schema: Schema, data: Mapping[str, Any]) -> Problem:
    path = _path(detail["loc"], data, detail["type"])
    message = re.sub(r"^(Value error|Assertion failed), ", "", detail["msg"])
    value = detail["input"]
    if detail["type"] == "missing":
        name = ".".join(map(str, path))
        return Problem(path, "missing", hint=f"set it with {name}=<value>")
    hint = None
    if detail["type"] == "union_tag_invalid":
        context = detail.get("ctx", {})
        key, value = str(context["discriminator"]).strip("'"), context["tag"]
        path = (*path, key)
        texts = re.findall(r"'([^']*)'", str(context["expected_tags"]))
        match = closest(str(value), texts)
        message = f"no such member; there are {', '.join(texts)}"
        hint = f"did you mean {match}?" if match else None
    elif detail["type"] in ("literal_error", "enum"):
        hint = _of_choices(value, re.findall(r"'([^']*)'", detail["msg"]))
    elif detail["type"] in ("string_type", "path_type") and isinstance(value, int | float):
        hint = QUOTE
    text = _shown(value, schema, path, data)
    return Problem(path, message, text, hint=None if text == MASK else hint)


def _of_choices(value: Any, texts: Sequence[str]) -> str | None:
    """Say which of some texts was meant; a value that reads like one, but is none (``nan``), lacks quotes."""
    if not isinstance(value, str) and _SPELLED.get(str(value), str(value)) in texts:
        return QUOTE
    match = closest(str(value), texts)
    return f"did you mean {match}?" if match else None


def _path(loc: Sequence[int | str], data: Any, kind: str) -> Where:
    """Return the path in the config of a pydantic location, which also names branches of unions."""
    path: list[int | str] = []
    for index, item in enumerate(loc):
        below = _item(data, item)
        if below:
            data = below[0]
        elif kind != "missing" or index < len(loc) - 1:
            continue
        path.append(item)
    return tuple(path)


def _item(data: Any, key: Any) -> tuple[Any] | None:
    """Return what stands under a key or index, in a tuple; None where nothing does."""
    try:
        return (data[key],) if isinstance(data, Mapping | list | tuple) else None
    except (LookupError, TypeError):
        return None


def _shown(value: Any, schema: Schema, path: Where, data: Any) -> str | None:
    """Return a refused value for the message; None for whole nodes, and masked where it is a secret."""
    if isinstance(value, Mapping | Missing):
        return None
    tree, secret = schema.tree, False
    for key in path:
        entry = tree.entries.get(str(key))
        if entry is None:
            break
        field = tree.model.model_fields[entry.name]
        secret = "Secret" in repr(field.annotation) or tree.model.model_config.get("hide_input_in_errors", False)
        node = data.get(str(key)) if isinstance(data, Mapping) else None
        below = entry.tree_for(node) if isinstance(node, Mapping) else None
        if below is None:
            break
        tree, data = below, node
    return MASK if secret else shown(value)
