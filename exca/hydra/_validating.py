"""Validation of plain data that was read from text: strict models take it as they take JSON."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import PurePath
from typing import Any, TypeVar
from uuid import UUID

from pydantic import BaseModel, ValidationError
from pydantic_core import to_jsonable_python

from ._forms import is_secret

__all__ = ["validated"]

M = TypeVar("M", bound=BaseModel)

_FROM_TEXT = (list, str, int, float, dict)
"""What YAML and overrides give in the place of tuples, sets, paths, dates, enum members."""

_SCALARS = (enum.Enum, bytes, Decimal, PurePath, UUID, date, time, timedelta)


def validated(model: type[M], data: Mapping[str, Any]) -> M:
    """Validate data; what a strict field refuses though JSON could not say it otherwise is validated as JSON.

    Parameters
    ----------
    model
        The class.
    data
        Arguments as plain data, perhaps with some objects.

    Raises
    ------
    ValidationError
        The data is refused.

    Examples
    --------
    >>> class Strict(BaseModel, strict=True):
    ...     size: tuple[int, int]
    >>> validated(Strict, {"size": [1, 2]})
    Strict(size=(1, 2))
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        text = _as_json(data) if _is_strictness(error) else None
        if text is None:
            raise
        try:
            return model.model_validate_json(text)
        except ValidationError as rest:
            if rest.error_count() < error.error_count():
                raise
            raise error from None


def _is_strictness(error: ValidationError) -> bool:
    """Whether any value was refused for its type alone."""
    details = error.errors(include_url=False, include_context=False)
    return any(
        isinstance(detail["input"], _FROM_TEXT)
        and (detail["type"].endswith("_type") or detail["type"] in ("is_instance_of", "dataclass_exact_type"))
        for detail in details
    )


def _as_json(data: Mapping[str, Any]) -> str | None:
    try:
        return json.dumps(data, default=_value_of)
    except (TypeError, ValueError):  # an object that no JSON stands for
        return None


def _value_of(item: object) -> object:
    """The JSON of an object that stands for a scalar, or holds others."""
    if isinstance(item, tuple | set | frozenset):
        return list(item)
    if is_secret(type(item)) or not isinstance(item, _SCALARS):
        raise TypeError(f"{type(item).__name__} is not JSON")
    return to_jsonable_python(item)
