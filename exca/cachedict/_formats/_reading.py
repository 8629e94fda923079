"""From an info to the value, and what a deleted value leaves to be removed."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

from exca.cachedict._formats._arrays import load_array
from exca.cachedict._formats._classes import decode_instance, find_class, is_instance_tag
from exca.cachedict._formats._own import discard, own_infos
from exca.cachedict._formats._place import Place
from exca.cachedict._formats._registry import registered_class
from exca.errors import CorruptResult
from exca.store import NoBlobs, decode, load_pickle, read_array, read_frame

__all__ = ["delete_value", "load_value"]

Json = Any  # what the json module reads and writes


def load_value(info: Json, place: Place) -> Any:
    """Load what `dump_value` stored."""
    return decode(info, Reader(place))


def delete_value(info: Json, place: Place) -> None:
    """Remove what a value has outside of its record: files, and what ``__delete_info__`` of its class knows of."""
    for content in own_infos(info):
        try:
            _call_delete(content, place)
        except FileNotFoundError:  # somebody else was deleting the same
            pass
        finally:
            discard(place.folder, content.get("files", []))


class Reader(NoBlobs):
    """Finds bulk data in payloads, and classes by name."""

    __slots__ = ("place",)

    def __init__(self, place: Place) -> None:
        self.place = place

    def read(self, kind: str, reference: Json) -> Any:
        # docstring inherited
        if kind == "array":
            return load_array(reference, self.place.source)
        return read_frame(io.BytesIO(self.place.source.read(reference)))

    def extension(self, tag: str, content: Json) -> Any:
        # docstring inherited
        if is_instance_tag(tag):
            path, parts = content
            return decode_instance(tag, self.find(path), parts, lambda part: decode(part, self))
        if tag in _READERS:
            return _READERS[tag](content, self)
        return NoBlobs.extension(self, tag, content)

    def find(self, path: str) -> type[Any]:
        """The class of that path; its module is only imported if others could not have written the path."""
        return find_class(path, lambda: self.place.require_trust("names a module to be imported"))


def _load_own(content: Json, reader: Reader) -> Any:
    hooks = registered_class(content["class"]) or reader.find(content["class"])
    if not hasattr(hooks, "__load_from_info__"):
        raise CorruptResult(
            f"a stored value is of the format {content['class']}, which has no __load_from_info__ here."
        )
    return hooks.__load_from_info__(reader.place.nested(), **content["info"])


def _load_pickle(content: int, reader: Reader) -> Any:
    source = reader.place.source
    reader.place.require_trust("holds a pickle")
    return load_pickle(source.read(content), source.path)


def _call_delete(content: Json, place: Place) -> None:
    hooks = registered_class(content["class"]) or Reader(place).find(content["class"])
    if hasattr(hooks, "__delete_info__"):
        hooks.__delete_info__(place.nested(), **content["info"])


_READERS: dict[str, Callable[[Any, Reader], Any]] = {
    "json": lambda index, reader: decode(json.loads(reader.place.source.read(index)), reader),
    "npy": lambda index, reader: read_array(io.BytesIO(reader.place.source.read(index))),
    "own": _load_own,
    "pickle": _load_pickle,
    "text": lambda index, reader: reader.place.source.read(index).decode(),
}
