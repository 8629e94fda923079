"""The canonical bytes of numpy arrays and torch tensors, without importing either."""

from __future__ import annotations

import hashlib
import sys
from typing import TYPE_CHECKING, Any

from ._encoding import Encoder, Unnameable, pack, text
from ._names import class_path

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_NAN_KINDS = "fc"
# x87 and quad floats: their size differs between machines, and their bytes contain padding.
_LONG = "gG"
_MAX_INLINE = 1024  # bytes


def encode_array(walk: Encoder, value: object) -> bytes | None:
    """Encoding of an array, numpy scalar, dtype, ufunc or tensor by type, shape and content; None for others.

    Raises
    ------
    Unnameable
        an element of an object array has no stable identity.
    """
    numpy: Any = sys.modules.get("numpy")
    torch: Any = sys.modules.get("torch")
    if numpy is not None:
        if isinstance(value, numpy.ndarray):
            walk.mutable = True
            return _ndarray(walk, value, numpy)
        if isinstance(value, numpy.generic):
            walk.mutable = walk.mutable or isinstance(value, numpy.void)
            return pack(b"scalar", _elements(walk, numpy.asarray(value)))
        if isinstance(value, numpy.dtype):
            return pack(b"dtype", _dtype(value))
        if isinstance(value, numpy.ufunc):
            return _ufunc(value, numpy)
    if torch is not None:
        if isinstance(value, torch.Tensor):
            walk.mutable = True
            return _tensor(walk, value, torch)
        if isinstance(value, torch.dtype | torch.device | torch.Size):
            return pack(b"torch", text(type(value).__name__) + text(str(value)))
    return None


def is_dtype(value: object) -> bool:
    """Whether it is a type of elements, of numpy or torch: its text says all."""
    module = type(value).__module__
    return module == "numpy.dtypes" or (module == "torch" and type(value).__name__ == "dtype")


def _ufunc(value: Any, numpy: Any) -> bytes:
    name = str(value.__name__)
    if getattr(numpy, name, None) is not value:
        raise Unnameable(value, f"it is not the function that numpy calls '{name}'")
    return pack(b"import", text(f"numpy.{name}"))


def _ndarray(walk: Encoder, array: Any, numpy: Any) -> bytes:
    cls = type(array)
    tag = b"" if cls in (numpy.ndarray, numpy.memmap, numpy.ma.MaskedArray) else text(class_path(cls))
    if not isinstance(array, numpy.ma.MaskedArray):
        return pack(b"array", tag + _elements(walk, numpy.asarray(array)))
    # What hides under a mask is not part of the value.
    shown = numpy.ma.filled(array, numpy.zeros((), array.dtype))
    parts = (shown, numpy.ma.getmaskarray(array), numpy.asarray(array.fill_value))
    return pack(b"masked", tag + b"".join(_elements(walk, part) for part in parts))


def _dtype(dtype: np.dtype[Any]) -> bytes:
    """Type of the elements, little endian; names and types of the fields of a structured one."""
    if dtype.fields is not None and dtype.names is not None:
        parts = [text(name) + _dtype(dtype.fields[name][0]) for name in dtype.names]
        return pack(b"fields", b"".join(parts))
    if dtype.subdtype is not None:
        return pack(b"block", _dtype(dtype.subdtype[0]) + text(str(dtype.subdtype[1])))
    if dtype.char in _LONG:
        return text("longdouble" if dtype.char == "g" else "clongdouble")
    if dtype.kind == "T":  # text of variable width: the size is that of a pointer
        return text(class_path(type(dtype)))
    if dtype.isbuiltin == 2:  # of another package
        return text(f"{class_path(type(dtype))} {dtype.name}")
    return text(dtype.newbyteorder("<").str)


def _elements(walk: Encoder, array: npt.NDArray[Any]) -> bytes:
    """Type, shape and content in C order; for structured arrays field by field, as padding is arbitrary."""
    head = _dtype(array.dtype) + text("x".join(map(str, array.shape)))
    if array.dtype.names is not None:
        return head + b"".join(_elements(walk, array[name]) for name in array.dtype.names)
    if array.dtype.char in _LONG:
        return head + text(" ".join(_long(item) for item in array.ravel()))
    if array.dtype.hasobject or array.dtype.kind == "T":
        return head + walk.encode(array.ravel().tolist())[1]
    return head + _buffer(_normal(array).view("u1") if array.nbytes else array)


def _normal(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The elements in one row, in C order and little endian, with one kind of NaN."""
    flat = array.astype(array.dtype.newbyteorder("<"), copy=False).reshape(-1)
    if array.dtype.kind not in _NAN_KINDS:
        return flat if flat.flags.c_contiguous else flat.copy()
    # A complex number has two parts, each of which may be one of the many NaNs.
    floats = (flat if flat.flags.c_contiguous else flat.copy()).view(flat.real.dtype)
    missing = floats != floats
    if missing.any():
        floats = floats.copy()
        floats[missing] = float("nan")
    return floats


def _buffer(raw: npt.NDArray[Any]) -> bytes:
    """Bytes of contiguous data; of much data only the hash, so that no copy of it is made."""
    if raw.nbytes <= _MAX_INLINE:
        return pack(b"b", raw.tobytes())
    return pack(b"sha", hashlib.sha256(raw.data).digest())


def _long(item: Any) -> str:
    """Shortest text that gives the number back (numpy's Dragon4)."""
    from numpy import format_float_scientific, iscomplexobj

    if iscomplexobj(item):
        return f"{_long(item.real)}_{_long(item.imag)}"
    return format_float_scientific(item)


def _tensor(walk: Encoder, tensor: Any, torch: Any) -> bytes:
    """Type, layout, shape and bytes; gradients and device do not matter."""
    cls = b"N" if type(tensor) is torch.Tensor else text(class_path(type(tensor)))
    values = tensor.detach().cpu()
    if values.layout is not torch.strided or values.is_quantized:
        parts = values.dequantize() if values.is_quantized else values.to_dense()
        return pack(b"tensor", cls + text(str(values.layout)) + text(str(values.dtype)) + _tensor(walk, parts, torch))
    values = values.resolve_conj().resolve_neg().contiguous()
    head = cls + text(str(values.dtype)) + text("x".join(map(str, values.shape)))
    if values.is_floating_point() or values.is_complex():
        floats = torch.view_as_real(values) if values.is_complex() else values
        values = torch.where(torch.isnan(floats), torch.full_like(floats, float("nan")), floats)
    return pack(b"tensor", head + _buffer(values.reshape(-1).view(torch.uint8).numpy()))
