"""The canonical bytes of pandas objects, without importing pandas."""

from __future__ import annotations

import sys
from typing import Any

from ._encoding import Encoder, Forms, pack, text
from ._names import class_path

# Labels of text have the one type in pandas 2 and the other in pandas 3.
_TEXT = ("object", "str")


def encode_frame(walk: Encoder, value: object) -> bytes | None:
    """Encoding of a DataFrame, Series, Index or pandas scalar by labels, types and content; None for others.

    Raises
    ------
    Unnameable
        an element has no stable identity.
    """
    pandas = sys.modules.get("pandas")
    if pandas is None:
        return None
    if isinstance(value, pandas.DataFrame | pandas.Series | pandas.Index):
        walk.mutable = True
        return pack(b"pandas", text(_class(value, pandas)) + _Frames(walk, pandas).table(value))
    if value is pandas.NA or value is pandas.NaT:
        return pack(b"pandas", text(str(value)))
    if isinstance(value, pandas.Timestamp | pandas.Timedelta):
        return pack(b"pandas", text(type(value).__name__) + text(value.isoformat()))
    if isinstance(value, pandas.Period | pandas.Interval):
        return pack(b"pandas", text(type(value).__name__) + text(str(value)))
    return None


def _class(value: object, pandas: Any) -> str:
    """Name of a class; pandas moved its own from module to module."""
    name = type(value).__name__
    return name if getattr(pandas, name, None) is type(value) else class_path(type(value))


class _Frames:
    """Encodes labelled tables part by part."""

    def __init__(self, walk: Encoder, pandas: Any) -> None:
        self._walk = walk
        self._pandas = pandas

    def _part(self, value: object) -> bytes:
        forms: Forms = self._walk.encode(value)
        return forms[1]

    def table(self, value: Any) -> bytes:
        """A frame is its labels and columns, a series its labels, name and values."""
        if isinstance(value, self._pandas.Index):
            return self._labels(value)
        attributes = self._part(value.attrs)
        if isinstance(value, self._pandas.Series):
            return self._labels(value.index) + self._part(value.name) + self._values(value) + attributes
        columns = b"".join(self._values(value.iloc[:, number]) for number in range(value.shape[1]))
        return self._labels(value.index) + self._labels(value.columns) + columns + attributes

    def _labels(self, index: Any) -> bytes:
        """Names and values of an index; levels of a multi-index as tuples."""
        names = self._part(list(index.names))
        if isinstance(index, self._pandas.MultiIndex):
            return pack(b"labels", names + self._part(index.tolist()))
        if isinstance(index, self._pandas.RangeIndex):
            return pack(b"labels", names + self._part(range(index.start, index.stop, index.step)))
        if str(index.dtype) in _TEXT:
            return pack(b"labels", names + self._part(index.astype(object).tolist()))
        return pack(b"labels", names + self._values(index.to_series()))

    def _values(self, series: Any) -> bytes:
        """Type and content; numpy columns as arrays, extension types element by element."""
        kind = text(str(series.dtype))
        if isinstance(series.dtype, self._pandas.CategoricalDtype):
            categories = self._labels(series.cat.categories)
            codes = self._part(series.cat.codes.to_numpy())
            return pack(b"column", kind + self._part(bool(series.cat.ordered)) + categories + codes)
        if isinstance(series.dtype, sys.modules["numpy"].dtype):
            return pack(b"column", kind + self._part(series.to_numpy()))
        return pack(b"column", kind + self._part(series.astype(object).tolist()))
