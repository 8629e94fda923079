"""What the hooks of a user's own format can ask for, and how such a format is registered."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, overload

from exca.cachedict._formats._own import FILES
from exca.cachedict._formats._place import Place
from exca.cachedict._formats._reading import delete_value, load_value
from exca.cachedict._formats._registry import register
from exca.cachedict._formats._writing import RESERVED, dump_value
from exca.store import make_folder

__all__ = ["DumpContext"]

Json = Any  # what the json module reads and writes
Hooks = TypeVar("Hooks", bound=type[Any])


class DumpContext(Place):
    """What the hooks of a format are given: where the value goes to, or comes from.

    Attributes
    ----------
    folder: the folder of the cache.
    key: the key of the item.
    permissions: mode bits that the files of the cache are to have, or None.

    Examples
    --------
    A class of your own brings its hooks along::

        @DumpContext.register
        class Recording:
            def __dump_info__(self, ctx):
                path = ctx.new_file(".wav")
                self.write_sound(path)
                return {"samples": ctx.dump(self.samples), "sound": ctx.relative(path)}

            @classmethod
            def __load_from_info__(cls, ctx, samples, sound):
                return cls(ctx.load(samples), ctx.folder / sound)
    """

    __slots__ = ()

    @overload
    @classmethod
    def register(cls, hooks: Hooks, /) -> Hooks: ...
    @overload
    @classmethod
    def register(cls, /, *, name: str | None = None, default_for: type | None = None) -> Callable[[Hooks], Hooks]: ...
    @classmethod
    def register(
        cls, hooks: Hooks | None = None, /, *, name: str | None = None, default_for: type | None = None
    ) -> Hooks | Callable[[Hooks], Hooks]:
        """Register a format; a decorator for classes, with arguments or without.

        The class has ``__dump_info__``, which returns a dict of JSON data and of what ``ctx.dump`` returned; the
        classmethod ``__load_from_info__(cls, ctx, **info)``, which returns the value; and, if deleting a value takes
        more than removing its files, the classmethod ``__delete_info__(cls, ctx, **info)``.

        If ``__dump_info__(self, ctx)`` is a method, the format is for the instances of the class. If it is a
        classmethod ``(cls, ctx, value)``, it is for values of ``default_for``, a class of somebody else, and of those
        that inherit from it; without ``default_for`` only where ``cache_type`` names it.

        Parameters
        ----------
        hooks: the class.
        name: what ``cache_type`` calls the format; by default the name of the class.
        default_for: the type whose values are stored in this format.

        Raises
        ------
        TypeError
            if the class lacks a hook.
        ValueError
            if the name belongs to a format of exca.
        """

        def add(hooks: Hooks) -> Hooks:
            register(hooks, name=name, default_for=default_for, reserved=RESERVED)
            return hooks

        return add if hooks is None else add(hooks)

    def dump(self, value: Any, *, cache_type: str | None = None) -> Json:
        """Store a value inside this one; return what `load` takes, to be put into the info.

        Raises
        ------
        TypeError
            if the value has no format, or does not fit the one asked for.
        """
        return dump_value(value, self, cache_type)

    def load(self, info: Json) -> Any:
        """Load what `dump` stored."""
        return load_value(info, self)

    def delete(self, info: Json) -> None:
        """Remove the files of what `dump` stored; they are removed with the item in any case."""
        delete_value(info, self)

    def append(self, payload: bytes | memoryview) -> int:
        """Store bytes beside the item; return what `read` takes."""
        return self.sink.append(payload)

    def read(self, index: int) -> bytes:
        """Return the bytes that `append` stored."""
        return self.source.read(index)

    def new_file(self, suffix: str = "") -> Path:
        """Return a path for a file (or folder) of the item's own, which is removed with it.

        Parameters
        ----------
        suffix: end of its name, for example ``".nii.gz"``.
        """
        return self.folder / self.key_path(suffix)

    def key_path(self, suffix: str = "") -> str:
        """Return the same as `new_file`, relative to the folder."""
        make_folder(str(self.folder / FILES), self.permissions)
        stem = re.sub(r"[^A-Za-z0-9_=,-]+", "_", self.key)[:80]
        name = f"{FILES}/{stem}-{secrets.token_hex(8)}{suffix}"
        self.files.append(name)
        self.all_files.append(name)
        return name

    def relative(self, path: Path) -> str:
        """Return the path relative to the folder, as it belongs into an info: a cache can be moved."""
        return path.relative_to(self.folder).as_posix()
