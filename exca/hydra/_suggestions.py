"""What the writer of a key that does not exist may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ._schema import Entry, Schema, Tree

__all__ = ["closest", "explain", "unknown_depth"]


def explain(schema: Schema, data: Mapping[str, Any], path: Sequence[str | int]) -> str | None:
    """Return advice about a key that is in no class, or None where there is none to give.

    Parameters
    ----------
    schema
        The schema of the model.
    data
        Plain data of the config the key was meant for: it tells which members of unions were chosen.
    path
        The whole path of the key.
    """
    tree, owner, depth = _walk(schema, data, path)
    if depth >= len(path) or tree is None:
        return _of_none(owner, path, depth)
    key, parent = str(path[depth]), [str(item) for item in path[:depth]]
    advice = _of_member(owner, data, key, parent) or _similar(tree, key, parent) or _deeper(schema.tree, key)
    return advice or f"the fields of {tree.model.__name__} are {', '.join(tree.entries)}"


def unknown_depth(schema: Schema, data: Mapping[str, Any], path: Sequence[str | int]) -> int:
    """Return how many keys of a path the tree knows, for the data at hand."""
    return _walk(schema, data, path)[2]


def closest(word: str, words: Sequence[str]) -> str | None:
    """Return the most similar of some words, or None where none is similar."""
    return next(iter(difflib.get_close_matches(word, words, n=1, cutoff=0.6)), None)


def _walk(schema: Schema, data: Mapping[str, Any], path: Sequence[str | int]) -> tuple[Tree | None, Entry | None, int]:
    """Follow a path as far as the tree knows it: the last tree, the field it belongs to, the keys used."""
    tree: Tree | None = schema.tree
    owner, node = None, data
    for depth, key in enumerate(path):
        entry = tree.entries.get(str(key)) if tree is not None else None
        if entry is None:
            return tree, owner, depth
        if entry.shape.kind == "value":
            return tree, owner, len(path)
        below = node.get(str(key))
        owner, node = entry, below if isinstance(below, Mapping) else {}  # a node can be None, or still to be set
        tree = entry.tree_for(node) if node or entry.shape.kind in ("model", "infra") else None
    return tree, owner, len(path)


def _of_none(owner: Entry | None, path: Sequence[str | int], depth: int) -> str | None:
    """Advise to choose a node before its fields are set."""
    if owner is None or owner.site is None or depth >= len(path):
        return None
    place, site = ".".join(map(str, path[:depth])), owner.site
    return f"{place} has no node here; choose one first: {site.choices()}"


def _of_member(owner: Entry | None, data: Mapping[str, Any], key: str, parent: list[str]) -> str | None:
    """Say which member of a union has a key that the chosen one has not."""
    if owner is None or owner.site is None or owner.shape.kind != "union":
        return None
    chosen: Any = data
    for item in parent:
        chosen = chosen[item]
    group = owner.site.group
    having = [text for text, model in _members(owner) if key in model.entries]
    if not having:
        return None
    texts = " or ".join(f"{group}={text}" for text in having)
    return f"{'.'.join([*parent, key])} belongs to {texts}; {group}={chosen.get(owner.shape.discriminator)} was chosen"


def _members(owner: Entry) -> Iterator[tuple[str, Tree]]:
    assert owner.site is not None
    for text in owner.shape.members:
        option = owner.site.of_text(text)
        if option is not None and option.tree is not None:
            yield text, option.tree


def _similar(tree: Tree, key: str, parent: list[str]) -> str | None:
    match = closest(key, list(tree.entries))
    return f"did you mean {'.'.join([*parent, match])}?" if match else None


def _deeper(tree: Tree, key: str) -> str | None:
    """Find fields of that name elsewhere in the tree."""
    found = [path for path in dict.fromkeys(_paths(tree)) if path.rsplit(".", 1)[-1] == key]
    return f"did you mean {' or '.join(found[:3])}?" if found else None


def _paths(tree: Tree, above: str = "") -> Iterator[str]:
    for key, entry in tree.entries.items():
        yield above + key
        trees = [entry.tree] if entry.tree is not None else []
        trees += [inner for _, inner in _members(entry)] if entry.site is not None else []
        for inner in trees:
            yield from _paths(inner, f"{above}{key}.")
