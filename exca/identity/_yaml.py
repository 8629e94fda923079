"""YAML as it is written to manifests and read from config files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, TypeAlias

import yaml
from yaml.nodes import MappingNode, SequenceNode

from exca.errors import InvalidConfig

try:
    from yaml import CSafeDumper as _SafeDumper
    from yaml import CSafeLoader as _SafeLoader
except ImportError:  # PyYAML was built without libyaml: ten times slower, same result
    from yaml import SafeDumper as _SafeDumper  # type: ignore[assignment]
    from yaml import SafeLoader as _SafeLoader  # type: ignore[assignment]

Text: TypeAlias = str | bytes | IO[str] | IO[bytes]

# YAML 1.1 reads 1e-3 as text; YAML 1.2 and Hydra read a number.
_FLOAT = re.compile(
    r"""^(?:[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+]?[0-9]+)?
        |[-+]?(?:[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)
        |\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?
        |[-+]?\.(?:inf|Inf|INF)
        |\.(?:nan|NaN|NAN))$""",
    re.VERBOSE,
)
_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_MERGE = "tag:yaml.org,2002:merge"
_TUPLE = "tag:yaml.org,2002:python/tuple"


class _Dumper(_SafeDumper):
    """Writes repeated objects in full rather than as anchors."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


class _Loader(_SafeLoader):
    """Refuses a key given twice; dates stay text, for pydantic to convert (as Hydra does)."""

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: dict[Any, Any] = {}
        for key_node, _ in node.value:
            if key_node.tag == _MERGE:
                continue
            if isinstance(key_node, SequenceNode):  # a tuple was a key
                key_node.tag = _TUPLE
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise InvalidConfig(
                    f"Key {key!r} is given twice in one mapping: {seen[key]} and {key_node.start_mark}."
                )
            seen[key] = key_node.start_mark
        return super().construct_mapping(node, deep=deep)


def _construct_tuple(loader: _Loader, node: SequenceNode) -> tuple[Any, ...]:
    return tuple(loader.construct_sequence(node, deep=True))


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != _TIMESTAMP]
    for first, resolvers in _SafeLoader.yaml_implicit_resolvers.items()
}
# On these two classes alone: resolvers and constructors of PyYAML itself stay as they are for everybody else.
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))
_Loader.add_constructor(_TUPLE, _construct_tuple)


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
    return str(yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000))


def load_yaml(text: Text) -> Any:
    """Plain data from YAML text or an open file.

    ``1e-3`` is a number and an unquoted date is text, as in Hydra.

    Raises
    ------
    InvalidConfig
        not YAML, or a key given twice; with line and column.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise InvalidConfig(f"Cannot read YAML: {error}") from error


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
