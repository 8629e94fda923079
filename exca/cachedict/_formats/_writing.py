"""From a value to its info: the format that its type, a registered class or ``cache_type`` asks for."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from typing import Any, Final

from exca.cachedict._callers import level_of_caller
from exca.cachedict._formats._arrays import array_info, check_dtype
from exca.cachedict._formats._classes import class_path, encode_instance, full_name
from exca.cachedict._formats._own import check_info, grant, inside
from exca.cachedict._formats._place import Place
from exca.cachedict._formats._registry import OwnFormat, format_called, format_of, registered_names
from exca.errors import InvalidInfra
from exca.store import NoBlobs, NotSafelyStorable, array_bytes, dump_pickle, encode, frame_bytes

__all__ = ["INLINE_SIZE", "RESERVED", "check_cache_type", "dump_value"]

Json = Any  # what the json module reads and writes
INLINE_SIZE: Final = 16_384  # characters, about; a longer JSON text is a payload, so that records stay short to read


def dump_value(value: Any, place: Place, cache_type: str | None) -> Json:
    """Store a value.

    Raises
    ------
    NotSafelyStorable
        if it has no format, or does not fit the one that was asked for.
    """
    writer = Writer(place)
    if cache_type is not None:
        return _dump_named(value, writer, cache_type)
    try:
        info = encode(value, writer)
    except RecursionError:  # something that contains itself
        info = writer.fallback(value, NotSafelyStorable("it is nested too deeply, or contains itself"))
    return _outlined(info, place)


def check_cache_type(cache_type: str | None) -> None:
    """Refuse a name that is not one of a format.

    Raises
    ------
    InvalidInfra
        with all the names there are.
    """
    if cache_type is None or cache_type in _NAMED or format_called(cache_type) is not None:
        return
    raise InvalidInfra(
        f"cache_type={cache_type!r} is not the name of a format. There are {', '.join(sorted(_NAMED))}"
        f"; and registered here: {', '.join(registered_names()) or 'none'} (exca.cachedict.DumpContext.register)."
    )


class Writer(NoBlobs):
    """Puts bulk data into payloads, and falls back on classes by name and on pickles."""

    __slots__ = ("place", "silent")

    def __init__(self, place: Place, *, silent: bool = False) -> None:
        self.place = place
        self.silent = silent

    def write(self, kind: str, value: Any) -> Json:
        # docstring inherited
        return array_info(value, self.place.sink) if kind == "array" else self.place.sink.append(frame_bytes(value))

    def override(self, value: Any) -> Json | None:
        # docstring inherited
        found = format_of(type(value))
        if found is not None:
            return _dump_own(value, found, self.place)
        return encode_instance(value, lambda part: encode(part, self))

    def fallback(self, value: Any, reason: NotSafelyStorable) -> Json:
        # docstring inherited
        if not self.silent:
            _refuse_objects(value)
        info = _pickled(value, self.place)
        if not self.silent:
            _warn_of_pickle(type(value), reason)
        return info


class _StrictWriter(Writer):
    """Bulk data as usual, and nothing else than the format asked for."""

    __slots__ = ()

    def override(self, value: Any) -> Json | None:
        # docstring inherited
        return NoBlobs.override(self, value)

    def fallback(self, value: Any, reason: NotSafelyStorable) -> Json:
        # docstring inherited
        return NoBlobs.fallback(self, value, reason)


class _InlineWriter(_StrictWriter):
    """JSON text only."""

    __slots__ = ()

    def write(self, kind: str, value: Any) -> Json:
        # docstring inherited
        return NoBlobs.write(self, kind, value)

    def override(self, value: Any) -> Json | None:
        # docstring inherited
        return encode_instance(value, lambda part: encode(part, self))


def _outlined(info: Json, place: Place) -> Json:
    """Move an info that is long to read out of the record, unless a deletion has to find something in it."""
    if info.__class__ is str:
        return {"$": "text", "v": place.sink.append(info.encode())} if len(info) > INLINE_SIZE else info
    if _remaining(info, INLINE_SIZE) >= 0 or place.all_files or _holds_own(info):
        return info
    return {"$": "json", "v": place.sink.append(json.dumps(info, allow_nan=False, separators=(",", ":")).encode())}


def _remaining(info: Json, size: int) -> int:
    """What is left of a size after the info is written as JSON, roughly; negative as soon as that is sure."""
    kind = info.__class__
    if kind is str:
        return size - len(info)
    if kind is dict or kind is list:
        size -= 8 * len(info)
        for part in info.values() if kind is dict else info:
            if size < 0:
                break
            if part.__class__ in _SIZED:
                size = _remaining(part, size)
    return size


def _holds_own(info: Json) -> bool:
    if type(info) is dict:
        return info.get("$") == "own" or any(map(_holds_own, info.values()))
    return type(info) is list and any(map(_holds_own, info))


def _refuse_objects(value: Any) -> None:
    """Refuse an array of objects: most are a mistake, and its pickle hides that until somebody else needs the data."""
    numpy = sys.modules.get("numpy")
    if numpy is None or type(value) is not numpy.ndarray:
        return
    if value.dtype.kind == "O" or (value.dtype.names and value.dtype.hasobject):
        check_dtype(value.dtype)


def _dump_own(value: Any, found: OwnFormat, place: Place) -> Json:
    inner = place.nested()
    hooks = found.hooks if found.external else type(value)
    info = hooks.__dump_info__(inner, value) if found.external else value.__dump_info__(inner)
    check_info(info, f"{full_name(hooks)}.__dump_info__")
    content = {"class": class_path(hooks), "info": info}
    if inner.files:
        content["files"] = inner.files
        for name in inner.files:
            grant(inside(place.folder, name), place.permissions)
    return {"$": "own", "v": content}


def _pickled(value: Any, place: Place) -> Json:
    try:
        content = dump_pickle(value)
    except Exception as error:  # the user's own __reduce__ can raise anything
        raise NotSafelyStorable(
            f"{full_name(type(value))} has no format, and does not pickle ({type(error).__name__}: {error}); register "
            "a format for it (exca.cachedict.DumpContext.register), or return something simpler"
        ) from error
    return {"$": "pickle", "v": place.sink.append(content)}


def _warn_of_pickle(kind: type, reason: NotSafelyStorable) -> None:
    if kind in _WARNED:
        return
    _WARNED.add(kind)
    warnings.warn(
        f"values of type {full_name(kind)} are stored as pickles ({reason}): slower, tied to the code of today, and "
        "not read where others can write. Register a format (exca.cachedict.DumpContext.register), or ask for pickles "
        "with cache_type='Pickle', or 'AutoPickle' for those parts of a value that need it.",
        UserWarning,
        stacklevel=level_of_caller(),
    )


def _dump_named(value: Any, writer: Writer, cache_type: str) -> Json:
    check_cache_type(cache_type)
    own = format_called(cache_type)
    if own is not None:
        if not own.external and not isinstance(value, own.hooks):
            raise NotSafelyStorable(f"it is not a {full_name(own.hooks)}, as cache_type={cache_type!r} asks")
        return _dump_own(value, own, writer.place)
    try:
        return _NAMED[cache_type](value, writer)
    except NotSafelyStorable as reason:
        raise NotSafelyStorable(f"it does not fit cache_type={cache_type!r}: {reason}") from reason


def _is(value: Any, module: str, name: str) -> bool:
    """Whether that is the class, without importing its library."""
    library = sys.modules.get(module)
    return library is not None and type(value) is getattr(library, name)


def _require(fits: bool, wanted: str) -> None:
    if not fits:
        raise NotSafelyStorable(f"it is not {wanted}")


def _as_array(value: Any, writer: Writer) -> Json:
    _require(_is(value, "numpy", "ndarray"), "a numpy.ndarray, subclasses left out")
    return {"$": "array", "v": array_info(value, writer.place.sink)}


def _as_npy(value: Any, writer: Writer) -> Json:
    _require(_is(value, "numpy", "ndarray"), "a numpy.ndarray, subclasses left out")
    check_dtype(value.dtype)
    return {"$": "npy", "v": writer.place.sink.append(array_bytes(value))}


def _as_frame(value: Any, writer: Writer) -> Json:
    _require(_is(value, "pandas", "DataFrame"), "a pandas.DataFrame, subclasses left out")
    return {"$": "frame", "v": writer.write("frame", value)}


def _as_tensor(value: Any, writer: Writer) -> Json:
    _require(_is(value, "torch", "Tensor"), "a torch.Tensor, subclasses left out")
    return encode(value, _StrictWriter(writer.place))


def _as_string(value: Any, writer: Writer) -> Json:
    _require(type(value) is str, "a str")
    return _outlined(encode(value, writer), writer.place)


def _as_dict(value: Any, writer: Writer) -> Json:
    _require(type(value) is dict, "a dict")
    return dump_value(value, writer.place, None)


_SIZED: Final = frozenset({str, list, dict})
_WARNED: set[type] = set()
_NAMED: dict[str, Callable[[Any, Writer], Json]] = {
    "Auto": lambda value, writer: dump_value(value, writer.place, None),
    "AutoPickle": lambda value, writer: _outlined(encode(value, Writer(writer.place, silent=True)), writer.place),
    "DataDict": _as_dict,
    "Json": lambda value, writer: _outlined(encode(value, _InlineWriter(writer.place)), writer.place),
    "MemmapArray": _as_array,
    "MemmapArrayFile": _as_array,
    "NumpyArray": _as_npy,
    "PandasDataFrame": _as_frame,
    "ParquetPandasDataFrame": _as_frame,
    "Pickle": lambda value, writer: _pickled(value, writer.place),
    "String": _as_string,
    "TorchTensor": _as_tensor,
}
RESERVED: Final = frozenset(_NAMED)
