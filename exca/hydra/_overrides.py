"""From an experiment back to a config tree, and to the overrides that compose it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from pydantic import BaseModel, RootModel, ValidationError

from exca.identity import export, input_key

from ._builder import schema_of
from ._defaults import default_of
from ._enums import named
from ._fields import tree_keys
from ._forms import is_secret
from ._grammar import as_literal, is_key, text_of
from ._plain import Where, references
from ._problems import Problem, as_error, raise_problems, shown
from ._pydantic_errors import problems_of
from ._reading import changes
from ._schema import Entry, Option, Path, Site, Tree
from ._text import MISSING, UNSHOWN, held, same, unheld
from ._validating import validated

__all__ = ["to_config", "to_overrides"]


def to_config(config: BaseModel) -> DictConfig:
    """Return an experiment as a config tree, for ``to_model`` and for code that wants a ``DictConfig``.

    Secrets are left to be set (``???``), and defaults that have no plain form are left out.

    Parameters
    ----------
    config
        The experiment.

    Raises
    ------
    InvalidConfig
        A field holds an object that no plain data validates into.

    Examples
    --------
    >>> class Experiment(BaseModel):
    ...     lr: float = 0.1
    >>> to_config(Experiment(lr=0.5))
    {'lr': 0.5}
    """
    return OmegaConf.create(_tree_data(config))


def to_overrides(config: BaseModel) -> list[str]:
    """Return the overrides that compose an experiment from its class: what differs from the defaults.

    ``compose(type(config), to_overrides(config)) == config``, for whatever texts, dicts, paths, dates,
    enums, sets or union members it holds. A secret is left to be set (``token=???``).

    Parameters
    ----------
    config
        The experiment.

    Raises
    ------
    InvalidConfig
        A field holds an object that no plain data validates into.

    Examples
    --------
    >>> class Experiment(BaseModel):
    ...     lr: float = 0.1
    ...     note: str = ""
    >>> to_overrides(Experiment(lr=0.5, note="a, b"))
    ['lr=0.5', "note='a, b'"]
    """
    schema = schema_of(type(config))
    return list(_tree(schema.tree, _tree_data(config), ()))


def _tree_data(config: BaseModel) -> dict[str, Any]:
    """Return an experiment as plain data of its tree; raise unless it can be read back."""
    schema = schema_of(type(config))
    data = _Writer(schema.objects).model(config, export(config), schema.tree.full())
    if all(text != MISSING for _, text in references(data)):
        problems: list[Problem] = []
        changed = changes(schema, unheld(data), problems)
        raise_problems(type(config).__name__, problems)
        hint = "set it in Python, after composing"
        try:
            again = validated(schema.model, changed)
        except ValidationError as error:
            raise as_error(type(config).__name__, problems_of(error, schema, changed)) from error
        for path, value, other in _differences(config, again, ()):
            same_type = type(value) is type(other) and not isinstance(value, BaseModel)
            message = f"a validator makes {shown(other)} of it" if same_type else "has no plain form"
            problems.append(Problem(path, message, value=shown(value), hint=hint))
        raise_problems(type(config).__name__, problems)
    return data


class _Writer:
    """Writes values as a tree holds them: secrets still to be set, objects by the text that stands for them."""

    def __init__(self, objects: Mapping[str, Any]) -> None:
        self._objects = objects

    def model(self, value: BaseModel, data: dict[str, Any], default: Any, *, in_tree: bool = True) -> dict[str, Any]:
        cls, own = type(value), schema_of(type(value)).tree.entries
        written: dict[str, Any] = {}
        for key, name, item in _items(value, data):
            field = value.__dict__.get(name) if name is not None else (value.__pydantic_extra__ or {}).get(key)
            outer = default.get(key) if isinstance(default, dict) else None
            entry = own.get(key)
            if name is not None and entry is None:
                continue  # no argument of the class
            if entry is not None and entry.default == UNSHOWN and self._is_default(cls, entry, field):
                written |= {key: UNSHOWN} if in_tree else {}
            else:
                below = in_tree and entry is not None and entry.shape.kind != "value"
                written[key] = self.value(field, item, outer, in_tree=below)
        return written

    def value(self, value: Any, data: Any, default: Any = None, *, in_tree: bool = False) -> Any:
        """Return a value as the tree holds it, from its plain form."""
        if is_secret(type(value)):
            return MISSING
        if isinstance(default, str) and default in self._objects and _equal(self._objects[default], value):
            return default
        if isinstance(value, RootModel):
            return self.value(value.root, data)
        if isinstance(value, BaseModel) and isinstance(data, dict):
            return self.model(value, data, default, in_tree=in_tree)
        if isinstance(value, Mapping) and isinstance(data, dict):
            pairs = zip(value.items(), data, strict=True)
            return {named(original, key): self.value(item, data[key]) for (original, item), key in pairs}
        if isinstance(value, list | tuple) and isinstance(data, list):
            return [self.value(item, below) for item, below in zip(value, data, strict=True)]
        return held(named(value, data))

    def _is_default(self, cls: type[BaseModel], entry: Entry, value: Any) -> bool:
        return _equal(default_of(cls.model_fields[entry.name]), value)


def _items(value: BaseModel, data: Mapping[str, Any]) -> Iterator[tuple[str, str | None, Any]]:
    """Yield the items of exported data by the keys of the tree, with the names of fields; None for extra keys."""
    cls = type(value)
    for name, key in tree_keys(cls).items():
        place = input_key(cls, name)
        item: Any = data
        for step in [place] if isinstance(place, str) else place.path:
            item = item[step]
        yield key, name, item
    for key in value.__pydantic_extra__ or ():
        yield key, None, data[key]


def _differences(left: Any, right: Any, path: Where) -> Iterator[tuple[Where, Any, Any]]:
    """Yield the fields in which two models differ, with the values on both sides."""
    if isinstance(left, BaseModel) and type(left) is type(right):
        for name, key in tree_keys(type(left)).items():
            yield from _differences(left.__dict__.get(name), right.__dict__.get(name), (*path, key))
    elif not _equal(left, right):
        yield path, left, right


def _equal(left: Any, right: Any) -> bool:
    """Whether two values are of one type and equal; NaN equals NaN, wherever in them it is."""
    if left is right:
        return True
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return bool(left == right) or (left != left and right != right)
    if isinstance(left, BaseModel):
        return _equal(left.__dict__, right.__dict__) and _equal(left.__pydantic_extra__, right.__pydantic_extra__)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(_equal(item, right[key]) for key, item in left.items())
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(_equal, left, right))
    try:
        return bool(left == right)
    except Exception:  # arrays compare element by element
        return False


def _tree(tree: Tree, data: Mapping[str, Any], path: Path, fixed: Mapping[str, Any] | None = None) -> Iterator[str]:
    """Yield the overrides that make a tree, as composed, hold the data."""
    for key, entry in tree.entries.items():
        place, value = (*path, key), data[key]
        if entry.site is not None:
            yield from _site(entry, entry.site, value, place)
        elif entry.shown is not None:
            yield from _tree(entry.shown, value, place)
        elif entry.shape.is_loose and isinstance(value, dict) and not _has_keys(entry.default, value):
            yield f"{_dotted(place)}={text_of(value)}"
        else:
            yield from _value((fixed or {}).get(key, entry.default), value, place)
    extra = {key: value for key, value in data.items() if key not in tree.entries}
    yield from _dict(dict(tree.extra), extra, path)


def _has_keys(default: Any, value: Mapping[str, Any]) -> bool:
    return isinstance(default, dict) and default.keys() == value.keys()


def _site(entry: Entry, site: Site, value: Any, path: Path) -> Iterator[str]:
    """Yield the choice of an option, and what differs from it."""
    option = site.options.get(site.default or "")
    if option is None or not _fits(entry, option, value):
        option = next(option for option in site.options.values() if _fits(entry, option, value))
        yield f"{site.group}={option.name}"
    if option.tree is not None:
        yield from _tree(option.tree, value, path, option.fixed)


def _fits(entry: Entry, option: Option, value: Any) -> bool:
    """Whether an option is of the class of a value."""
    if value is None or option.tree is None:
        return value is None and option.tree is None
    return entry.shape.kind != "union" or option.text == str(value.get(entry.shape.discriminator))


def _value(default: Any, value: Any, path: Path) -> Iterator[str]:
    if isinstance(default, dict) and isinstance(value, dict):
        yield from _dict(default, value, path)
    elif isinstance(default, list) and isinstance(value, dict):
        yield f"{_dotted(path)}={as_literal(value)}"  # Hydra cannot merge the two
    elif not same(default, value):
        yield f"{_dotted(path)}={text_of(value)}"


def _dict(default: Mapping[str, Any], value: Mapping[str, Any], path: Path) -> Iterator[str]:
    """Yield the overrides of a free dict: key by key, since Hydra merges dicts, or as a whole."""
    gone = [key for key in default if key not in value]
    if all(map(is_key, [*gone, *value])) and not any(_is_special(default[key]) for key in gone):
        yield from (f"~{_dotted((*path, key))}" for key in gone)
        for key, item in value.items():
            if key in default:
                yield from _value(default[key], item, (*path, key))
            else:
                yield f"{_dotted((*path, key))}={text_of(item)}"
    elif not same(dict(default), dict(value)):
        yield f"{_dotted(path)}={as_literal(value)}"


def _is_special(value: Any) -> bool:
    """Whether Hydra refuses to delete a key because of its value."""
    return value is None or (isinstance(value, str) and "${" in value)


def _dotted(path: Path) -> str:
    """Return a path as the key of an override."""
    if not path or not all(map(is_key, path)):
        problem = Problem(path, "no override can spell this key", hint="set it in Python, or in a YAML file")
        raise_problems("overrides", [problem])
    return ".".join(path)
