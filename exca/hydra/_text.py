"""Plain values as a config tree can hold them, and back.

A tree gives two texts a meaning of their own: ``???`` is a value still to be set, and ``${...}`` refers to
another. Where such a text is the value itself, it is held as ``${exca.literal:<percent-encoded JSON>}``,
which any OmegaConf config resolves to the value. The same form carries dicts whose keys the override
grammar cannot spell. (Percent-encoded without quotes, because Hydra keeps override texts as values of its
config, where they are parsed once more.)
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any
from urllib.parse import quote, unquote

from omegaconf import OmegaConf

__all__ = ["MISSING", "UNSHOWN", "from_literal", "held", "literal", "register_resolver", "same", "unheld"]

MISSING = "???"
"""What a tree holds where a value must still be set."""

UNSHOWN = "<default>"
"""What a tree shows for a default that has no plain form (a function, an array, a secret)."""

_BYTES = "=bytes="
_LITERAL = re.compile(r"\$\{exca\.literal:([^}]*)\}")


def literal(value: Any) -> str:
    """Return the text that stands for a value of JSON types wherever a plain one would be misread."""
    encoded = quote(json.dumps(value, default=_encoded), safe="").replace("~", "%7E")
    return "${exca.literal:" + encoded + "}"


def from_literal(text: str) -> tuple[Any] | None:
    """Return the value that ``literal`` wrote, in a tuple, or None where the text is something else."""
    match = _LITERAL.fullmatch(text)
    return (_loaded(match[1]),) if match else None


def held(value: Any) -> Any:
    """Return plain data as a tree holds it: texts that a tree would interpret become literals."""
    if isinstance(value, str):
        return literal(value) if value == MISSING or "${" in value else value
    if isinstance(value, bytes):
        return literal(value)
    if isinstance(value, dict):
        return {key: held(item) for key, item in value.items()}
    if isinstance(value, list):
        return [held(item) for item in value]
    return value


def unheld(value: Any) -> Any:
    """Return the plain data that ``held`` was given."""
    if isinstance(value, dict):
        return {key: unheld(item) for key, item in value.items()}
    if isinstance(value, list):
        return [unheld(item) for item in value]
    known = from_literal(value) if isinstance(value, str) else None
    return known[0] if known else value


def same(left: Any, right: Any) -> bool:
    """Whether two plain values are one: equal, and of the same types (``1``, ``1.0`` and ``True`` are three)."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(item, right[key]) for key, item in left.items())
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float):
        return repr(left) == repr(right)  # -0.0 is not 0.0, and nan is nan
    return bool(left == right)


def register_resolver() -> None:
    """Make ``${exca.literal:...}`` known to OmegaConf."""
    OmegaConf.register_new_resolver("exca.literal", _loaded, replace=True)


def _loaded(text: str) -> Any:
    return json.loads(unquote(text), object_hook=_decoded)


def _encoded(value: object) -> dict[str, str]:
    """Return what JSON can hold of a value that it has no form for: bytes."""
    if isinstance(value, bytes):
        return {_BYTES: base64.b64encode(value).decode("ascii")}
    raise TypeError(f"{type(value).__name__} has no form in a config tree")


def _decoded(data: dict[str, Any]) -> Any:
    return base64.b64decode(data[_BYTES]) if data.keys() == {_BYTES} else data


register_resolver()
