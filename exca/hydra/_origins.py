"""Where a value of a composed config came from: an override, a line of a YAML file, or a default."""

from __future__ import annotations

import importlib.resources
import pathlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml
from hydra.plugins.config_source import ConfigSource

from ._loader import ModelLoader
from ._parsing import key_path, parse
from ._plain import Where
from ._problems import QUOTE, Problem
from ._schema import Path, Schema
from ._text import MISSING
from ._yaml_errors import shown_path

__all__ = ["Origins"]


@dataclass(frozen=True, slots=True)
class _File:
    """A YAML file of a composition, and the place in the config where its values go."""

    package: tuple[str, ...]
    label: str
    root: yaml.Node | None
    left_out: Sequence[Path]

    def line(self, path: Where) -> int | None:
        """Return the line on which the file sets a value of the config, or None where it does not."""
        names = tuple(map(str, path))
        depth = len(self.package)
        if names[:depth] != self.package:
            return None
        if any(names[depth : depth + len(skipped)] == skipped for skipped in self.left_out):
            return None
        return _line(self.root, path[depth:])

    def unset(self) -> Iterator[tuple[Where, int]]:
        """Yield the paths in the config that the file says must still be set, with their lines."""
        for path, line in _unset(self.root, self.package):
            if path[0] not in ("hydra", "defaults"):
                yield path, line


class Origins:
    """Finds the origins of values; slow (milliseconds), so only asked about what is wrong.

    Parameters
    ----------
    loader
        The config loader that composed.
    config_name
        Name of the primary config.
    """

    def __init__(self, loader: ModelLoader, config_name: str | None) -> None:
        self._loader = loader
        self._config_name = config_name
        self._files: dict[tuple[str, ...], list[_File]] = {}

    def complete(self, problem: Problem, overrides: Sequence[str]) -> Problem:
        """Return a problem with its origin, where it has none yet.

        Parameters
        ----------
        problem
            The problem.
        overrides
            All overrides of the composition, in the order in which they were given.
        """
        if problem.origin is not None:
            return problem
        origin = self._of_override(problem.path, overrides) or self._of_file(problem.path, overrides)
        if origin is None and problem.message != "missing":
            origin = _of_default(self._loader.schema, problem.path)
        hint = problem.hint
        if hint == QUOTE and origin is not None and origin.startswith("override "):
            hint = _quoted(problem, origin.removeprefix("override "))
        return replace(problem, origin=origin, hint=hint)

    def unset(self, overrides: Sequence[str]) -> Iterator[Problem]:
        """Yield a problem for every value that the last file to speak of it says must be set, and that nothing sets.

        Parameters
        ----------
        overrides
            All overrides of the composition.
        """
        files = self._written(overrides)
        for number, file in enumerate(files):
            for path, line in file.unset():
                later = any(other.line(path) is not None for other in files[number + 1 :])
                if not later and self._of_override(path, overrides) is None:
                    hint = f"set it with {'.'.join(map(str, path))}=<value>"
                    yield Problem(path, "missing", origin=f"{file.label}:{line}", hint=hint)

    def _of_override(self, path: Where, overrides: Sequence[str]) -> str | None:
        """Find the last override of the value or of a node above it; else of something below."""
        names = tuple(map(str, path))
        choices = set(self._loader.choices(overrides))
        below = None
        for override in reversed(parse(overrides)):
            own = () if override.input_line in choices else key_path(override) or ()
            key = self._loader.own_path(own)
            if not override.is_delete() and key and key == names[: len(key)]:
                return f"override {override.input_line}"
            if not override.is_delete() and names and names == key[: len(names)]:
                below = below or f"override {override.input_line}"
        return below

    def _of_file(self, path: Where, overrides: Sequence[str]) -> str | None:
        for file in reversed(self._written(overrides)):
            line = file.line(path)
            if line is not None:
                return f"{file.label}:{line}"
        return None

    def _written(self, overrides: Sequence[str]) -> list[_File]:
        choices = tuple(self._loader.choices(overrides))
        if choices not in self._files:
            self._files[choices] = list(self._read(choices))
        return self._files[choices]

    def _read(self, overrides: Sequence[str]) -> Iterator[_File]:
        if self._config_name is None:
            return
        for default, source, left_out in self._loader.written(self._config_name, overrides):
            text = _text(source, str(default.config_path))
            if text is not None:
                package = tuple(default.package.split(".")) if default.package else ()
                yield _File(package, text[0], yaml.compose(text[1], Loader=yaml.SafeLoader), left_out)


def _quoted(problem: Problem, override: str) -> str:
    """Say how a shell and Hydra are both told that a value is text: Hydra must see quotes of its own."""
    key, _, value = override.partition("=")
    if key.lstrip("+") == problem.field:
        return f"""quote it: {key}="'{value}'\""""
    return f"""quote it inside the quotes of the shell: {key}="...'{problem.value}'...\""""


def _text(source: ConfigSource, config_path: str) -> tuple[str, str] | None:
    """Return the label and the text of the file behind a config, if it is a file."""
    name = f"{config_path.removesuffix('.yaml')}.yaml"
    if source.scheme() == "file":
        file = pathlib.Path(source.path, name)
        return shown_path(file), file.read_text(encoding="utf-8")
    if source.scheme() == "pkg":
        package = source.path.replace("/", ".")
        resource = importlib.resources.files(package).joinpath(name)
        return (str(resource), resource.read_text(encoding="utf-8")) if resource.is_file() else None
    return None


def _line(node: yaml.Node | None, path: Where) -> int | None:
    """Return the line, from 1, on which a file sets a value, or None where it does not."""
    line: int | None = None
    for key in path:
        below: Any = None
        if isinstance(node, yaml.MappingNode):
            for name, value in node.value:
                if name.value == str(key):
                    below, line = value, name.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            below = node.value[key]
            line = below.start_mark.line + 1
        if below is None:
            return line if isinstance(node, yaml.ScalarNode) else None
        node = below
    return line


def _unset(node: yaml.Node | None, path: Where) -> Iterator[tuple[Where, int]]:
    for name, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if isinstance(value, yaml.ScalarNode) and value.value == MISSING and value.style is None:
            yield (*path, name.value), name.start_mark.line + 1
        yield from _unset(value, (*path, name.value))


def _of_default(schema: Schema, path: Where) -> str | None:
    """Name the class whose default a value is."""
    tree, entry = schema.tree, None
    for key in path:
        if entry is not None:
            if entry.tree is None:
                break
            tree = entry.tree
        entry = tree.entries.get(str(key))
        if entry is None:
            return None
    return f"default of {tree.model.__name__}.{entry.name}" if entry is not None and not entry.required else None
