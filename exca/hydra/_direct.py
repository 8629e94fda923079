"""Single values of a composed config, read and written without OmegaConf's parser.

A look at ``${hydra.job.name}`` through OmegaConf parses the text anew, half a millisecond each time; a point of a
sweep needs a handful. Whatever is not as simple as a reference to a plain value is left to OmegaConf.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any

from omegaconf import Container, DictConfig, ListConfig, Node, OmegaConf, ValueNode, open_dict, read_write

__all__ = ["assign", "filled", "plain_of", "text_at"]

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)\}")


def text_at(config: DictConfig, path: str) -> str:
    """The value at a dotted path as text, references resolved.

    Parameters
    ----------
    config: the root of a config.
    path: where; something must be there.
    """
    node = _node_at(config, path)
    value = None if node is None else node._value()
    known = _simple(config, value) if isinstance(value, str) else None
    return str(OmegaConf.select(config, path, throw_on_missing=True)) if known is None else known


@contextmanager
def filled(config: DictConfig, path: str) -> Iterator[None]:
    """Let what lies below a dotted path hold values in the place of simple references to them, for a while."""
    changed: list[tuple[ValueNode, str]] = []
    for node in _texts(_node_at(config, path)):
        text = node._value()
        known = None if _REFERENCE.fullmatch(text) else _simple(config, text)  # a reference alone keeps its type
        if known is not None:
            changed.append((node, text))
            node.__dict__["_val"] = known
    try:
        yield
    finally:
        for node, text in changed:
            node.__dict__["_val"] = text


def assign(config: DictConfig, path: str, value: str | int) -> None:
    """Set a value of which it is known that its node takes it, whatever the flags say."""
    node = _node_at(config, path)
    if isinstance(node, ValueNode):
        node.__dict__["_val"] = value
        return
    parent, _, key = path.rpartition(".")
    holder = OmegaConf.select(config, parent)
    with read_write(holder), open_dict(holder):
        holder[key] = value


def plain_of(node: Any) -> Any:
    """Return a config as plain data: references and values to be set as texts, enum members as names."""
    value = node.__dict__["_content"] if isinstance(node, Container) else node._value()
    if isinstance(value, dict):
        return {key: plain_of(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain_of(item) for item in value]
    if isinstance(value, Node):  # inside a node of several types
        return plain_of(value)
    return value.name if isinstance(value, Enum) else value


def _node_at(config: DictConfig, path: str) -> Node | None:
    node: Any = config
    for key in path.split("."):
        content = node.__dict__.get("_content") if isinstance(node, DictConfig) else None
        if not isinstance(content, dict):
            return None
        node = content.get(key)
    found: Node | None = node
    return found


def _simple(config: DictConfig, text: str) -> str | None:
    """A text with its references filled in; None if it holds anything else."""
    if "${" not in text:
        return None if "\\" in text or text == "???" else text
    pieces: list[str] = []
    end = 0
    for match in _REFERENCE.finditer(text):
        node = _node_at(config, match[1])
        value = node._value() if isinstance(node, ValueNode) else None
        if type(value) not in (str, int) or (isinstance(value, str) and ("${" in value or value == "???")):
            return None
        pieces += [text[end : match.start()], str(value)]
        end = match.end()
    rest = text[end:]
    filled = "".join(pieces) + rest
    return None if "${" in filled or "\\" in text else filled


def _texts(node: Any) -> Iterator[ValueNode]:
    """The nodes below a node that hold references."""
    if isinstance(node, ValueNode):
        value = node._value()
        if isinstance(value, str) and "${" in value:
            yield node
    elif isinstance(node, DictConfig | ListConfig):
        content = node.__dict__["_content"]
        for item in content.values() if isinstance(content, dict) else content if isinstance(content, list) else ():
            yield from _texts(item)
