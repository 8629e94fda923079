"""Under which key a model takes a field, and how a value is put there: for data that validates back."""

from __future__ import annotations

import itertools
from typing import Any

from pydantic import AliasChoices, AliasPath, BaseModel


def input_key(cls: type[BaseModel], name: str) -> str | AliasPath:
    """Under which key the model takes a field: its name, or its alias if it only goes by that."""
    config = cls.model_config
    field = cls.__pydantic_fields__.get(name)
    by_name = config.get("validate_by_name") or config.get("populate_by_name")
    if field is None or field.validation_alias is None or by_name or config.get("validate_by_alias") is False:
        return name
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return next((choice for choice in alias.choices if isinstance(choice, str)), alias.choices[0])
    return alias


def place_input(data: Any, key: str | AliasPath, value: Any) -> None:
    """Put a value where an alias is looked for: under a key, or along a path of keys and list indices."""
    if isinstance(key, str):
        data[key] = value
        return
    path = key.path
    for step, following in itertools.pairwise([*path, None]):
        if isinstance(data, list) and isinstance(step, int):
            data.extend([None] * (step + 1 - len(data)))
        elif step not in data:
            data[step] = None
        if following is None:
            data[step] = value
        elif data[step] is None:
            data[step] = [] if isinstance(following, int) else {}
        data = data[step]
