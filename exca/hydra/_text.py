"""Plain values as a config tree can hold them, and back.

A tree gives two texts a meaning of their own: ``???`` is a value still to be set, and ``${...}`` refers to
another. Where such a text is the value itself, it is held as ``${exca.literal:'<percent-encoded JSON>'}``,
which any OmegaConf config resolves to the value. The same form carries dicts whose keys the override
grammar cannot spell.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote, unquote

from omegaconf import OmegaConf

__all__ = ["MISSING", "UNSHOWN", "from_literal", "held", "literal", "register_resolver", "same"]

MISSING = "???"
"""What a tree holds where a value must still be set."""

UNSHOWN = "<default>"
"""What a tree shows for a default that has no plain form (a function, an array, a secret)."""

_LITERAL = re.compile(r"\$\{exca\.literal:'([^']*)'\}")


def literal(value: Any) -> str:
    """Return the text that stands for a value of JSON types wherever a plain one would be misread."""
    return "${exca.literal:'" + quote(json.dumps(value), safe="") + "'}"


def from_literal(text: str) -> tuple[Any] | None:
    """Return the value that ``literal`` wrote, in a tuple, or None where the text is something else."""
    match = _LITERAL.fullmatch(text)
    return (json.loads(unquote(match[1])),) if match else None


def held(value: Any) -> Any:
    """Return plain data as a tree holds it: texts that a tree would interpret become literals."""
    if isinstance(value, str):
        return literal(value) if value == MISSING or "${" in value else value
    if isinstance(value, dict):
        return {key: held(item) for key, item in value.items()}
    if isinstance(value, list):
        return [held(item) for item in value]
    return value


def same(left: Any, right: Any) -> bool:
    """Whether two plain values are equal and of the same types (``1``, ``1.0`` and ``True`` are three)."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(item, right[key]) for key, item in left.items())
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right) or (left != left and right != right)


def register_resolver() -> None:
    """Make ``${exca.literal:...}`` known to OmegaConf."""
    OmegaConf.register_new_resolver("exca.literal", lambda text: json.loads(unquote(text)), replace=True)


register_resolver()
