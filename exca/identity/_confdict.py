"""A dict whose keys with dots lead into nested dicts."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self, cast

from pydantic import BaseModel

from exca.errors import InvalidConfig

from ._arguments import parse_arguments
from ._export import export, plain_data
from ._identify import name_of
from ._yaml import dump_yaml, read_mapping

REPLACE = "=replace="
_UID_FORMAT = 1
_MISSING: Any = object()


class ConfDict(dict[Any, Any]):
    """Dict that splits on dots: ``{"a.b": 1}`` is ``{"a": {"b": 1}}``.

    Dots are split where data enters as plain dicts or single keys; a ``ConfDict`` that enters is taken as it
    is. Dicts inside lists become ``ConfDict`` too.

    Parameters
    ----------
    data: mapping or iterable of pairs
        nested, dotted, or both; sub-dicts given in several parts are merged.
    **kwargs
        further items.

    Raises
    ------
    InvalidConfig
        a dotted key leads through something that is no dict, or has an empty part.

    Example
    -------
    >>> config = ConfDict({"training.optim.lr": 0.01})
    >>> config
    ConfDict({'training': {'optim': {'lr': 0.01}}})
    >>> config["training.optim.lr"]
    0.01
    >>> config.update({"training": {"=replace=": True, "epochs": 3}})
    >>> config.flat()
    {'training.epochs': 3}
    """

    def __init__(self, data: Mapping[Any, Any] | Iterable[tuple[Any, Any]] = (), /, **kwargs: Any) -> None:
        super().__init__()
        self._merge(data, building=True)
        if kwargs:
            self._merge(kwargs)

    def __getitem__(self, key: Any) -> Any:
        parent, last = self._find(key)
        if parent is None:
            raise KeyError(key)
        return dict.__getitem__(parent, last)

    def __contains__(self, key: object) -> bool:
        return self._find(key)[0] is not None

    def get(self, key: Any, default: Any = None) -> Any:
        """The value under a key, dotted or not; ``default`` where there is none."""
        parent, last = self._find(key)
        return default if parent is None else dict.__getitem__(parent, last)

    def flat(self) -> dict[str, Any]:
        """One level of dotted keys; empty sub-dicts and lists are values.

        Example
        -------
        >>> ConfDict({"a": {"b": 1, "c": {}}}).flat()
        {'a.b': 1, 'a.c': ConfDict({})}
        """
        out: dict[str, Any] = {}
        for key, value in self.items():
            if isinstance(value, ConfDict) and value:
                out.update({f"{key}.{inner}": item for inner, item in value.flat().items()})
            else:
                out[key] = value
        return out

    def __repr__(self) -> str:
        return f"{type(self).__name__}({plain_dict(self)!r})"

    def __setitem__(self, key: Any, value: Any) -> None:
        parent, last = self._make(key)
        dict.__setitem__(parent, last, _entering(value))

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """The value under a key, which is set to ``default`` where there is none."""
        if key not in self:
            self[key] = default
        return self[key]

    def __delitem__(self, key: Any) -> None:
        self.pop(key)

    def pop(self, key: Any, default: Any = _MISSING) -> Any:
        """Remove a key and give its value; dicts that are empty then go too.

        Raises
        ------
        KeyError
            there is no such key, and no default was given.
        """
        if key not in self:
            if default is _MISSING:
                raise KeyError(key)
            return default
        if dict.__contains__(self, key):
            return dict.pop(self, key)
        head, _, rest = key.partition(".")
        child = dict.__getitem__(self, head)
        value = child.pop(rest)
        if not child:
            dict.__delitem__(self, head)
        return value

    def update(  # type: ignore[override]
        self, data: Mapping[Any, Any] | Iterable[tuple[Any, Any]] = (), /, **kwargs: Any
    ) -> None:
        """Merge other items into this dict, sub-dicts recursively.

        A sub-dict that holds ``"=replace=": True`` replaces what is here instead of being merged into it.

        Example
        -------
        >>> config = ConfDict({"model": {"name": "mlp", "width": 3}})
        >>> config.update({"model.width": 4})
        >>> config.update({"data": {"path": "x"}}, seed=1)
        >>> config
        ConfDict({'model': {'name': 'mlp', 'width': 4}, 'data': {'path': 'x'}, 'seed': 1})
        """
        self._merge(data)
        if kwargs:
            self._merge(kwargs)

    def __ior__(self, other: Any) -> Self:
        self.update(other)
        return self

    def __or__(self, other: Any) -> Self:
        if not isinstance(other, Mapping):
            return NotImplemented
        merged = self.copy()
        merged.update(other)
        return merged

    def __ror__(self, other: Any) -> Self:
        return NotImplemented if not isinstance(other, Mapping) else type(self)(other) | self

    def copy(self) -> Self:
        """A copy with its own sub-dicts and lists; other values are shared."""
        return cast("Self", _entering(self))

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return cast("Self", _restore(type(self), copy.deepcopy(dict(self), memo)))

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), dict(self))

    @classmethod
    def from_model(
        cls, model: BaseModel, uid: bool = False, exclude_defaults: bool = False, exclude: Collection[str] = ()
    ) -> Self:
        """The fields of a config: the result validates back into an equal one.

        Keys of the config's own dicts are kept verbatim, dots included.

        Parameters
        ----------
        model: pydantic.BaseModel
            a validated config.
        uid, exclude_defaults: bool
            see ``export``.
        exclude: collection of str
            field names or dotted paths to leave out.
        """
        return cls.verbatim(export(model, uid=uid, exclude_defaults=exclude_defaults, exclude=exclude))

    @classmethod
    def verbatim(cls, data: Mapping[Any, Any]) -> Self:
        """A ``ConfDict`` of data whose keys mean what they say: dots in them are not split.

        Example
        -------
        >>> ConfDict.verbatim({"a.b": 1, "c": {"d.e": 2}})
        ConfDict({'a.b': 1, 'c': {'d.e': 2}})
        """
        return cast("Self", _verbatim(data, cls))

    @classmethod
    def from_yaml(cls, source: str | bytes | Path | IO[str] | IO[bytes]) -> Self:
        """Read YAML from a path, a text or an open file; dots in its keys are split (``load_yaml`` keeps them).

        Parameters
        ----------
        source: Path, str, bytes or file
            a str of one line that ends in ``.yaml`` or ``.yml`` is a path, any other str is YAML itself.

        Raises
        ------
        InvalidConfig
            not YAML, or not a mapping.
        """
        return cls(read_mapping(source))

    @classmethod
    def from_args(cls, args: Sequence[str]) -> Self:
        """Read command line arguments ``--a.b=1`` or ``--a.b 1``; values stay text, for pydantic to convert.

        Raises
        ------
        InvalidConfig
            an argument without ``--`` before it, or without a value after it.

        Example
        -------
        >>> ConfDict.from_args(["--optim.lr=0.1", "--name", "x"])
        ConfDict({'optim': {'lr': '0.1'}, 'name': 'x'})
        """
        return cls(parse_arguments(args))

    def to_yaml(self, path: str | Path | None = None) -> str:
        """YAML text of this dict, also written to ``path`` if one is given."""
        text = dump_yaml(plain_data(self))
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    def to_uid(self, version: int | None = None) -> str:
        """Filename-safe name of the content: a readable part and a hash, ``default`` where it is empty.

        Parameters
        ----------
        version: int, optional
            format of the name; there is one so far, 1.

        Raises
        ------
        InvalidConfig
            unknown format.
        UnstableIdentity
            a value has no stable identity.

        Example
        -------
        >>> ConfDict({"optim.lr": 0.1}).to_uid()
        'optim.lr=0.1-39b2604de193e2361de6'
        """
        if version not in (None, _UID_FORMAT):
            raise InvalidConfig(f"Unknown uid format {version!r}: this release knows {_UID_FORMAT}.")
        return name_of(plain_dict(self))

    def _find(self, key: object) -> tuple[ConfDict | None, object]:
        """The dict that holds a key, and its last part; a key that is there verbatim comes first."""
        if dict.__contains__(self, key):
            return self, key
        if isinstance(key, str) and "." in key:
            head, _, rest = key.partition(".")
            child = dict.get(self, head)
            if isinstance(child, ConfDict):
                return child._find(rest)
        return None, key

    def _make(self, key: Any, above: str = "") -> tuple[ConfDict, Any]:
        """The dict that shall hold a key, made if need be, and the last part of the key."""
        if not isinstance(key, str) or "." not in key or dict.__contains__(self, key):
            return self, key
        head, _, rest = key.partition(".")
        if not all(key.split(".")):
            raise InvalidConfig(f"Key '{above}{key}' has an empty part between its dots.")
        child = dict.get(self, head, _MISSING)
        if child is _MISSING:
            child = type(self)()
            dict.__setitem__(self, head, child)
        elif not isinstance(child, ConfDict):
            raise InvalidConfig(
                f"Cannot set '{above}{key}': '{above}{head}' is {child!r:.80}, not a dict. "
                f"Remove it first, or set '{above}{head}' as a whole."
            )
        return child._make(rest, f"{above}{head}.")

    def _merge(self, data: Mapping[Any, Any] | Iterable[tuple[Any, Any]], *, building: bool = False) -> None:
        """Put items in. While building, replace markers are kept, and two values for one key are refused."""
        verbatim = isinstance(data, ConfDict)
        items = dict(data.items() if isinstance(data, Mapping) else data)
        for key, value in sorted(items.items(), key=_marker_first):
            parent, last = (self, key) if verbatim else self._make(key)
            present = dict.get(parent, last, _MISSING)
            if last == REPLACE and not building:
                if value:
                    parent.clear()
            elif isinstance(value, Mapping) and (isinstance(present, ConfDict) or present is _MISSING):
                child = type(self)() if present is _MISSING else present
                dict.__setitem__(parent, last, child)
                child._merge(value, building=building)
            elif building and present is not _MISSING:
                raise InvalidConfig(f"'{key}' is given twice: as {present!r:.80} and as {value!r:.80}.")
            else:
                dict.__setitem__(parent, last, _entering(value))


def _marker_first(item: tuple[Any, Any]) -> bool:
    return not (isinstance(item[0], str) and item[0].endswith(REPLACE))


def _entering(value: Any) -> Any:
    """A value as it is kept: dicts as ConfDict, those in lists and tuples too."""
    if isinstance(value, ConfDict):
        return _verbatim(value, type(value))
    if isinstance(value, Mapping):
        return ConfDict(value)
    if type(value) in (list, tuple):
        return type(value)(map(_entering, value))
    return value


def _verbatim(value: Any, cls: type[ConfDict]) -> Any:
    """Nested dicts as ConfDicts whose keys keep their dots."""
    if isinstance(value, Mapping):
        return _restore(cls, {key: _verbatim(item, cls) for key, item in value.items()})
    if type(value) in (list, tuple):
        return type(value)(_verbatim(item, cls) for item in value)
    return value


def _restore(cls: type[ConfDict], items: dict[Any, Any]) -> ConfDict:
    """A ConfDict of items that are as they shall be."""
    out = cls()
    dict.update(out, items)
    return out


def plain_dict(value: Any) -> Any:
    """The same data in plain dicts."""
    if isinstance(value, ConfDict):
        return {key: plain_dict(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(plain_dict, value))
    return value
