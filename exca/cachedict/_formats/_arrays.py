"""Arrays as raw bytes in a payload; what the bytes mean stands in the info: ``[payload, dtype, shape]``.

The dtype is the array protocol's type string (numpy, ``__array_interface__``), or for a structured dtype an object
``{"names", "formats", "offsets", "itemsize", "aligned"}`` as `numpy.dtype` takes it. A fourth entry ``"F"`` says that
the bytes are in Fortran order. An array without a byte has no payload: its index is null.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from exca.cachedict._formats._payloads import PayloadSink, PayloadSource
from exca.store import NotSafelyStorable

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, numpy.dtype[Any]]
    DType = numpy.dtype[Any]

__all__ = ["array_info", "check_dtype", "load_array"]

Json = Any  # what the json module reads and writes
_COPIED_BYTES: Final = 4096  # below, copying is cheaper than asking numpy for a view of the bytes


def array_info(array: Array, sink: PayloadSink) -> list[Json]:
    """Store the bytes of an array.

    Parameters
    ----------
    array: exactly a `numpy.ndarray`, of any shape, strides and byte order.
    sink: takes the bytes.

    Returns
    -------
    list: ``[payload or None, dtype, shape]``, and ``"F"`` for an array in Fortran order.

    Raises
    ------
    NotSafelyStorable
        if the dtype cannot be written down: objects, metadata, types of other libraries.
    """
    dtype = array.dtype
    name: Json = _NAMES.get(dtype)
    if name is None or dtype.metadata is not None:  # a dtype is equal to the same one with metadata
        name = _dtype_info(dtype)
        if type(name) is str:
            _NAMES[dtype] = name
            _DTYPES[name] = dtype
    size = array.nbytes
    if not size:
        return [None, name, list(array.shape)]
    if size <= _COPIED_BYTES:
        index = sink.append(array.tobytes("A"))
    else:
        index = sink.append(_flat_bytes(array))
    return [index, name, list(array.shape), "F"] if array.flags.fnc else [index, name, list(array.shape)]


def load_array(info: list[Json], source: PayloadSource) -> Array:
    """Read back what `array_info` stored, in memory of its own that can be written to.

    Raises
    ------
    ValueError
        if the info or the number of bytes is not what was written.
    """
    numpy: Any = sys.modules.get("numpy") or __import__("numpy")
    index, name, shape = info[0], info[1], info[2]
    dtype = _DTYPES.get(name) if type(name) is str else None
    if dtype is None:
        dtype = _parsed_dtype(name)
        if type(name) is str:
            _DTYPES[name] = dtype
    buffer = b"" if index is None else source.array_buffer(index)
    if len(info) == 3:
        array: Array = numpy.ndarray(shape, dtype, buffer or bytearray(0))
    else:
        array = numpy.ndarray(shape, dtype, buffer or bytearray(0), 0, None, "F")
    if array.nbytes != len(buffer):
        raise ValueError(f"{len(buffer)} bytes for an array of {array.nbytes}")
    return array


def check_dtype(dtype: DType) -> None:
    """Refuse what raw bytes and a type string cannot hold.

    Raises
    ------
    NotSafelyStorable
        with the reason.
    """
    _dtype_info(dtype)


def _flat_bytes(array: Array) -> memoryview:
    import numpy

    if not array.flags.forc:
        array = numpy.ascontiguousarray(array)
    return array.reshape(-1, order="A").view(numpy.uint8).data


def _dtype_info(dtype: DType) -> Json:
    info = _described(dtype)
    if _parsed_dtype(info) != dtype:  # a type that another library registered with numpy
        raise NotSafelyStorable(f"the dtype {dtype} is not one of numpy's own")
    return info


def _described(dtype: DType) -> Json:
    if dtype.kind == "O" or (dtype.hasobject and dtype.names):
        raise NotSafelyStorable(
            f"an array of dtype {dtype} holds Python objects, not bytes. Make it an array of numbers or text, or ask "
            "for a pickle with cache_type='Pickle'"
        )
    if dtype.hasobject or dtype.metadata is not None:
        raise NotSafelyStorable(f"the dtype {dtype} is more than its bytes: variable length, or with metadata")
    if dtype.subdtype is not None:
        return [_described(dtype.subdtype[0]), list(dtype.subdtype[1])]
    if dtype.names is None or dtype.fields is None:
        return dtype.str
    fields = [dtype.fields[name] for name in dtype.names]
    titles: list[Json] = [field[2] if len(field) > 2 else None for field in fields]
    if not all(title is None or isinstance(title, str) for title in titles):
        raise NotSafelyStorable("a structured dtype whose fields have titles that are not text")
    info = {
        "names": list(dtype.names),
        "formats": [_described(field[0]) for field in fields],
        "offsets": [field[1] for field in fields],
        "itemsize": dtype.itemsize,
        "aligned": dtype.isalignedstruct,
    }
    return info if set(titles) <= {None} else {**info, "titles": titles}


def _parsed_dtype(info: Json) -> DType:
    import numpy

    if isinstance(info, str):
        dtype: DType = numpy.dtype(info)
        if dtype.hasobject:  # its bytes would be taken for addresses
            raise ValueError(f"the dtype {info!r} is not one of those written")
    elif isinstance(info, list):
        dtype = numpy.dtype((_parsed_dtype(info[0]), tuple(info[1])))
    else:
        fields: Any = {**info, "formats": [_parsed_dtype(part) for part in info["formats"]]}
        dtype = numpy.dtype(fields)
    return dtype


_NAMES: dict[DType, str] = {}
_DTYPES: dict[str, DType] = {}
