"""The three verbs that the segments use; the quick ways for what most items are."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

from exca.cachedict._formats._arrays import array_info, load_array
from exca.cachedict._formats._classes import full_name
from exca.cachedict._formats._context import DumpContext
from exca.cachedict._formats._own import discard
from exca.cachedict._formats._payloads import PayloadSink, PayloadSource
from exca.cachedict._formats._registry import format_of
from exca.cachedict._formats._writing import INLINE_SIZE
from exca.errors import CorruptResult, ResultNotStored, StoreError
from exca.store import NotSafelyStorable, Permissions

__all__ = ["delete", "dump", "load"]

Json = Any  # what the json module reads and writes


def dump(
    value: object,
    sink: PayloadSink,
    *,
    folder: Path,
    cache_type: str | None = None,
    permissions: Permissions = None,
    key: str = "",
) -> Json:
    """Store a value.

    Parameters
    ----------
    value: anything that has a format, or pickles.
    sink: takes its payloads.
    folder: that of the cache, for the files of users' formats.
    cache_type: name of the one format to be used; None: what fits the type.
    permissions: mode bits for files.
    key: the item's, for messages and names of files.

    Returns
    -------
    dict, list, str, number or None: to be written as JSON, with everything beyond ASCII escaped (the default of
        `json.dumps`).

    Raises
    ------
    ResultNotStored
        if the value has no format, or does not fit the one asked for.
    """
    if cache_type is None:
        kind = value.__class__
        if kind is str and len(value) <= INLINE_SIZE and value.isascii():  # type: ignore[arg-type,attr-defined]
            return value
        numpy: Any = sys.modules.get("numpy")
        if numpy is not None and kind is numpy.ndarray and format_of(kind) is None and not value.dtype.hasobject:  # type: ignore[attr-defined]
            try:
                return {"$": "array", "v": array_info(value, sink)}  # type: ignore[arg-type]
            except NotSafelyStorable:  # a rare dtype, then: it takes the long way
                pass
    context = DumpContext(folder, key, permissions, sink=sink)
    try:
        return context.dump(value, cache_type=cache_type)
    except BaseException as error:
        discard(folder, context.all_files)
        if isinstance(error, NotSafelyStorable):
            raise ResultNotStored(
                f"the value of item {key!r}, of type {full_name(type(value))}, was not stored in {folder}: {error}.",
                value,
            ) from error
        raise


def load(info: Json, source: PayloadSource, *, folder: Path, permissions: Permissions = None, key: str = "") -> Any:
    """Load the value that `dump` stored, in memory of its own.

    Parameters
    ----------
    info: what `dump` returned.
    source: gives the payloads.
    folder: that of the cache.
    permissions: those of the cache, see `exca.store.check_trust`.
    key: the item's, for messages.

    Raises
    ------
    CorruptResult
        if info and payloads are not what was written, or a class is not found.
    UntrustedResult
        if loading would run code that others could have put there.
    OSError
        as the disk gives it.
    """
    kind = info.__class__
    if kind is str:
        return info
    try:
        if kind is dict and info.get("$") == "array":
            return load_array(info["v"], source)
        return DumpContext(folder, key, permissions, source=source).load(info)
    except _NOT_OF_THE_BYTES:
        raise
    except Exception as error:  # readers of damaged bytes raise anything: struct, tokenize, pyarrow
        if isinstance(error, OSError) and error.errno is not None:  # the disk's answer; pyarrow sets no errno
            raise
        raise CorruptResult(
            f"the value of item {key!r} in {folder} cannot be read: {type(error).__name__}: {error}. Delete the item, "
            "or recompute it with mode='force'."
        ) from error


def delete(info: Json, *, folder: Path, permissions: Permissions = None, key: str = "") -> None:
    """Remove what a value has outside of its record and payloads: only users' own formats have such things."""
    if info.__class__ is dict or info.__class__ is list:
        DumpContext(folder, key, permissions).delete(info)


_NOT_OF_THE_BYTES: Final = (StoreError, MemoryError, ImportError, RecursionError)
