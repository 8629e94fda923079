"""Values as text of Hydra's override grammar.

Source of the grammar: hydra-core, ``hydra/grammar/OverrideLexer.g4``.
"""

from __future__ import annotations

import re
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString

from ._text import from_literal, literal, unheld

__all__ = ["as_literal", "is_key", "text_of"]

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_NOT_TEXT = {"null", "true", "false", "inf", "nan"}


def is_key(key: object) -> bool:
    """Whether a dict key can stand, as the text it is, in the key of an override."""
    return isinstance(key, str) and _WORD.fullmatch(key) is not None and key.lower() not in _NOT_TEXT


def text_of(value: Any) -> str:
    """Return the text of a plain value, as it stands after the ``=`` of an override.

    Texts that mean something to a config tree must be literals already (see ``_text.held``).

    Examples
    --------
    >>> text_of(["conv", "a b", None, 1e-3, {"k": True}])
    "[conv,'a b',null,0.001,{k:true}]"
    """
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return value if is_key(value) or from_literal(value) else QuotedString(value, Quote.single).with_quotes()
    if isinstance(value, list):
        return f"[{','.join(map(text_of, value))}]"
    if isinstance(value, dict) and all(map(is_key, value)):
        return "{" + ",".join(f"{key}:{text_of(item)}" for key, item in value.items()) + "}"
    return as_literal(value)


def as_literal(value: Any) -> str:
    """Return the text of a plain value that the grammar cannot spell, or that must replace a dict."""
    return literal(unheld(value))
