"""YAML as it is written to manifests and read from config files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, TypeAlias

from exca.errors import InvalidConfig

from ._block_text import NotSimple, block_text

Text: TypeAlias = str | bytes | IO[str] | IO[bytes]


def dump_yaml(data: object) -> str:
    """Plain data as YAML text: block style, keys in the order given, no anchors.

    Parameters
    ----------
    data: object
        None, bool, int, float, str, bytes, and lists and dicts of these (see ``export``).

    Example
    -------
    >>> print(dump_yaml({"lr": 0.1, "layers": [64, 32]}), end="")
    lr: 0.1
    layers:
    - 64
    - 32
    """
    try:
        return block_text(data)
    except NotSimple:
        from ._dialect import write  # PyYAML takes as long to import as the rest of this package

        return write(data)


def load_yaml(text: Text) -> Any:
    """Plain data from YAML text or an open file.

    ``1e-3`` is a number and an unquoted date is text, as in Hydra.

    Raises
    ------
    InvalidConfig
        not YAML, or a key given twice; with line and column.
    """
    from ._dialect import read

    return read(text)


def read_mapping(source: Text | Path) -> Mapping[Any, Any]:
    """The mapping in a YAML text or file; a str of one line that ends in ``.yaml`` or ``.yml`` is a path.

    Raises
    ------
    InvalidConfig
        not YAML, or not a mapping.
    """
    if isinstance(source, str) and "\n" not in source and source.endswith((".yaml", ".yml")):
        source = Path(source)
    data = load_yaml(source.read_bytes() if isinstance(source, Path) else source)
    if not isinstance(data, Mapping):
        hint = " Pass a pathlib.Path to read a file." if isinstance(data, str) else ""
        raise InvalidConfig(f"Expected YAML of a mapping, found {type(data).__name__}: {data!r:.80}.{hint}")
    return data
