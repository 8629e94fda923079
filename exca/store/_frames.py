"""Data frames as Apache Parquet, but only those that parquet gives back exactly as they were."""

from __future__ import annotations

import datetime as dt
import decimal
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from exca.store._values import NotSafelyStorable

if TYPE_CHECKING:
    import pandas

__all__ = ["frame_bytes", "read_frame"]

# Cells of object columns for which equality and type tell all; containers hold more than equality sees.
_CELLS: Final = frozenset({str, bytes, bool, int, type(None), dt.date, dt.timedelta})
# Columns of numbers that parquet has a type for.
_EXACT: Final = frozenset({"|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f4", "<f8"})


def frame_bytes(frame: pandas.DataFrame) -> bytes:
    """Parquet, if it gives back the very same frame.

    Raises
    ------
    NotSafelyStorable
        if parquet would change something: a type of a cell or of an index, a frequency, the attrs.
    """
    import pandas

    buffer = io.BytesIO()
    try:
        if frame.attrs and json.loads(json.dumps(frame.attrs)) != frame.attrs:
            raise ValueError("its attrs are not plain JSON")
        frame.to_parquet(buffer)
        if _is_simple(frame):
            return buffer.getvalue()
        copy = pandas.read_parquet(io.BytesIO(buffer.getvalue()))
        pandas.testing.assert_frame_equal(
            frame, copy, check_exact=True, check_freq=True, check_index_type="exact", check_column_type="exact"
        )
        _assert_same_details(frame, copy)
    except ImportError as error:
        raise NotSafelyStorable("parquet needs pyarrow: pip install 'exca-hydra[pandas]'") from error
    except (AssertionError, ArithmeticError, ValueError, TypeError, NotImplementedError) as error:
        raise NotSafelyStorable(f"parquet would change this data frame: {error}") from error
    return buffer.getvalue()


def read_frame(source: Path | BinaryIO) -> pandas.DataFrame:
    """The frame that `frame_bytes` turned into the content of that file."""
    import pandas

    return pandas.read_parquet(source)


def _is_simple(frame: pandas.DataFrame) -> bool:
    """Whether parquet is known to keep the frame: comparing takes ten times as long as writing a small one."""
    import numpy
    import pandas

    columns, rows = frame.columns, frame.index
    if frame.attrs or type(rows) is not pandas.RangeIndex or rows.name is not None:
        return False
    if type(columns) is not pandas.Index or columns.name is not None or not len(columns) or not columns.is_unique:
        return False
    if columns.dtype != pandas.Index(["a"]).dtype or not all(type(name) is str for name in columns):
        return False
    dtypes: list[Any] = list(frame.dtypes)
    return all(isinstance(dtype, numpy.dtype) and dtype.str in _EXACT for dtype in dtypes)


def _assert_same_details(frame: pandas.DataFrame, copy: pandas.DataFrame) -> None:
    """Compare what pandas takes for equal although it is not."""
    for one, other in zip(_axes(frame), _axes(copy), strict=True):
        if getattr(one, "freq", None) != getattr(other, "freq", None):
            raise AssertionError("the frequency of an index differs")
    for one, other in zip(_objects(frame), _objects(copy), strict=True):
        if not all(map(_same_cell, one, other)):
            raise AssertionError("the type of a cell differs")


def _axes(frame: pandas.DataFrame) -> Iterator[Any]:
    """The index of rows and that of columns, level by level."""
    for axis in (frame.index, frame.columns):
        yield from getattr(axis, "levels", [axis])


def _objects(frame: pandas.DataFrame) -> Iterator[Any]:
    """Every part of the frame whose cells can be of any type."""
    columns = (frame.iloc[:, position] for position in range(frame.shape[1]))
    for part in (*_axes(frame), *columns):
        cells = part.dtype.categories if hasattr(part.dtype, "categories") else part
        if cells.dtype == object:
            yield cells


def _same_cell(one: object, other: object) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, decimal.Decimal) and isinstance(other, decimal.Decimal):
        return one.as_tuple() == other.as_tuple()  # 1.0 and 1.00 are equal, and not the same
    return type(one) in _CELLS
