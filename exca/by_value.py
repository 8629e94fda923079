"""Pickles that take the classes of a script along, so that another process can load them."""

from __future__ import annotations

import functools
import io
import pickle
from typing import Any

__all__ = ["dump_by_value"]


def dump_by_value(content: object) -> bytes:
    """Pickle anything; what another process cannot import goes by value.

    cloudpickle alone loses ``__qualname__`` of nested classes, and fails to load some pydantic models.

    Raises
    ------
    Exception: whatever the content's own pickling raises.

    Examples
    --------
    >>> pickle.loads(dump_by_value(lambda x: x + 1))(1)
    2
    """
    buffer = io.BytesIO()
    _pickler_class()(buffer).dump(content)
    return buffer.getvalue()


@functools.cache
def _pickler_class() -> type[pickle.Pickler]:
    import cloudpickle  # 25 ms, and only jobs of other processes need it
    from pydantic_core import SchemaSerializer, SchemaValidator

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def reducer_override(self, obj: object) -> object:
            if isinstance(obj, SchemaValidator | SchemaSerializer):
                # It is rebuilt from its schema while the schema of a model around it, which holds the same dicts, is
                # being loaded: a dict is filled last, so that the rebuilding would meet empty ones.
                parts: Any = obj.__reduce__()
                return parts[0], _own(parts[1])
            reduced = super().reducer_override(obj)
            if isinstance(obj, type) and isinstance(reduced, tuple) and len(reduced) > 2:  # by value: keep its name
                reduced[2][0]["__qualname__"] = obj.__qualname__
            return reduced

    return Pickler


def _own(schema: Any) -> Any:
    """A schema with dicts and lists of its own; what stands in them is shared."""
    if type(schema) is dict:
        return {key: _own(item) for key, item in schema.items()}
    if type(schema) in (list, tuple):
        return type(schema)(map(_own, schema))
    return schema
