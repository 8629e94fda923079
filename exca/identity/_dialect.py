"""The dialect of YAML spoken here, as subclasses of PyYAML's readers and writers: PyYAML itself is not changed."""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.nodes import MappingNode, SequenceNode

from exca.errors import InvalidConfig

try:
    from yaml import CSafeDumper as SafeDumper
    from yaml import CSafeLoader as SafeLoader
except ImportError:  # PyYAML was built without libyaml: ten times slower, same result
    from yaml import SafeDumper, SafeLoader  # type: ignore[assignment]

# A number with an exponent, as in the core schema of YAML 1.2 (section 10.3.2); YAML 1.1 wants a dot and a sign.
_EXPONENT = re.compile(r"^[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9]+)[eE][-+]?[0-9]+$")
_FLOAT = "tag:yaml.org,2002:float"
_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_MERGE = "tag:yaml.org,2002:merge"
_TUPLE = "tag:yaml.org,2002:python/tuple"


class Dumper(SafeDumper):
    """Writes repeated objects in full rather than as anchors."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


class Loader(SafeLoader):
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


def _construct_tuple(loader: Loader, node: SequenceNode) -> tuple[Any, ...]:
    return tuple(loader.construct_sequence(node, deep=True))


Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != _TIMESTAMP]
    for first, resolvers in SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver(_FLOAT, _EXPONENT, list("-+0123456789."))
Dumper.add_implicit_resolver(_FLOAT, _EXPONENT, list("-+0123456789."))
Loader.add_constructor(_TUPLE, _construct_tuple)


def write(data: object) -> str:
    """Plain data as text: block style, keys in the order given."""
    return str(yaml.dump(data, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=10_000))


def read(text: Any) -> Any:
    """Plain data from text or an open file.

    Raises
    ------
    InvalidConfig
        it is not YAML.
    """
    try:
        return yaml.load(text, Loader=Loader)
    except yaml.YAMLError as error:
        raise InvalidConfig(f"Cannot read YAML: {error}") from error
