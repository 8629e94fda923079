"""The import paths by which modules, classes and functions are known in every process."""

from __future__ import annotations

import functools
import hashlib
import sys
import types
import typing
from collections.abc import Callable

from exca.errors import UnstableIdentity
from exca.main_module import main_name, set_main_name

from ._file_names import HASH_CHARS, MAX_BYTES, UNSAFE

# multiprocessing imports the script of its parent under the second name.
_MAIN_MODULES = frozenset({"__main__", "__mp_main__"})
_IMPORTABLE = (
    type,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.ModuleType,
)

# Grows when the name of a class may have changed: whatever was derived from names before is stale then.
generation = 0


def main_module_override(name: str) -> None:
    """Name the classes of ``__main__`` after the module ``name``, in the whole process.

    For a worker that received a class by value: its own ``__main__`` is another program than the one the
    class was written in, and both must give the class one name.

    Parameters
    ----------
    name: str
        what ``module_name`` gave in the submitting process.
    """
    global generation
    set_main_name(name)
    generation += 1


def module_name(obj: object) -> str:
    """Importable name of the module of a class or function (or of a module itself).

    Parameters
    ----------
    obj: class, function or module
        what to look for; an object of ``__main__`` is named by the script (see ``exca.main_module``).

    Raises
    ------
    UnstableIdentity
        the object does not say where it was defined.
    """
    attribute = "__name__" if isinstance(obj, types.ModuleType) else "__module__"
    name = getattr(obj, attribute, None)
    if not isinstance(name, str):
        raise UnstableIdentity(f"{type(obj).__name__} object does not say in which module it was defined")
    return main_name() if name in _MAIN_MODULES else name


def class_path(cls: type) -> str:
    """Dotted path of a class, as a tag for its instances: local classes are allowed.

    A parametrized pydantic generic is named by its origin and arguments: ``Box[int]`` of two modules, or
    with two classes of one name, differ.

    Example
    -------
    >>> import collections
    >>> class_path(collections.OrderedDict)
    'collections.OrderedDict'
    """
    generic = cls.__dict__.get("__pydantic_generic_metadata__")
    if generic and generic["origin"] is not None:
        arguments = ",".join(_type_text(argument, class_path) for argument in generic["args"])
        return f"{class_path(generic['origin'])}[{arguments}]"
    return f"{_public_module(cls, cls.__qualname__)}.{cls.__qualname__}"


def import_path(obj: object) -> str:
    """Dotted path from which a module, class or function can be imported again.

    Parameters
    ----------
    obj: module, class, function, builtin, class method, or a generic alias such as ``list[int]``
        what to name.

    Returns
    -------
    str
        ``"package.module.Qual.name"``; private modules are left out where their package exports the object
        (``pathlib._local.Path`` of Python 3.13 is ``pathlib.Path``).

    Raises
    ------
    UnstableIdentity
        lambdas, functions and classes defined inside functions, bound methods: nobody can import these.

    Example
    -------
    >>> import json
    >>> import_path(json.dumps)
    'json.dumps'
    """
    if isinstance(obj, types.ModuleType):
        return module_name(obj)
    if typing.get_origin(obj) is not None:
        return _type_text(obj, import_path)
    owner = getattr(obj, "__objclass__", None) or getattr(obj, "__self__", None)
    name = getattr(obj, "__qualname__", None)
    if not isinstance(name, str) or not isinstance(owner, type | types.ModuleType | types.NoneType):
        raise UnstableIdentity(f"a {type(obj).__name__} object is not something that can be imported")
    short = str(getattr(obj, "__name__", name))
    if isinstance(owner, type):
        return f"{import_path(owner)}.{short}"
    if _resolve(str(getattr(obj, "__module__", "")), short) is obj:
        name = short  # a function of a hidden class that its module exports, as torch.relu
    if "<" in name:
        kind = "a lambda" if name.endswith("<lambda>") else f"'{name}'"
        raise UnstableIdentity(f"{kind} is not defined at the top level of a module: it cannot be imported")
    _check_importable(obj, name)
    return f"{_public_module(obj, name)}.{name}"


def is_importable(obj: object) -> bool:
    """Whether an object is named by where it is defined: a type, function or module, or what stands for one."""
    if isinstance(obj, _IMPORTABLE) or typing.get_origin(obj) is not None:
        return True
    # Functions of compiled modules and decorated ones have types of their own, but lead back to themselves.
    module, name = getattr(obj, "__module__", None), getattr(obj, "__qualname__", None)
    return callable(obj) and isinstance(module, str) and isinstance(name, str) and _resolve(module, name) is obj


def _check_importable(obj: object, name: str) -> None:
    """Refuse a function whose name leads to another function: a wrapper that took over the name."""
    module = getattr(obj, "__module__", None)
    if module in _MAIN_MODULES and getattr(obj, "__globals__", None) is not vars(sys.modules["__main__"]):
        return  # came by value to a process that runs another program
    found = _resolve(str(module), name)
    # A class or function that came by value, or a reloaded module, are equal copies rather than the object.
    same = found is obj or isinstance(obj, type) or _code(found) == _code(obj)
    if found is None or not same:
        raise UnstableIdentity(f"{module}.{name} is not this object: the name leads to another one")


def _code(obj: object) -> object:
    return getattr(obj, "__code__", obj)


def _public_module(obj: object, name: str) -> str:
    """Drop the private end of a module name (``a._b``) while the public part offers the same object."""
    module = module_name(obj)
    while (package := module.rpartition("."))[0] and package[2].startswith("_"):
        if _resolve(package[0], name) is not obj:
            break
        module = package[0]
    return module


def _resolve(module: str, name: str) -> object:
    """The object that ``name`` means in a loaded module, or None."""
    found: object = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def _type_text(annotation: object, name_class: Callable[[type], str]) -> str:
    """A type expression as text: classes by path, the order of arguments kept."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _type_text(typing.get_args(annotation)[0], name_class)
    if origin is typing.Literal:
        return f"Literal[{','.join(map(repr, typing.get_args(annotation)))}]"
    if origin is not None:
        head = "Union" if origin in (typing.Union, types.UnionType) else _type_text(origin, name_class)
        return f"{head}[{','.join(_type_text(arg, name_class) for arg in typing.get_args(annotation))}]"
    if annotation is None or annotation is types.NoneType:
        return "None"
    if isinstance(annotation, type):
        return name_class(annotation)
    if isinstance(annotation, list | tuple):  # the parameters of a Callable
        return f"[{','.join(_type_text(item, name_class) for item in annotation)}]"
    return str(annotation)


def computation_name(cls: type, method: str, version: str) -> str:
    """Name of the folder of all the results of one method: ``module.Class.method,version``.

    Parameters
    ----------
    cls: type
        class of the config.
    method: str
        name of the decorated method; empty where the class stands for the computation itself.
    version: str
        version given to the infra, any text.

    Returns
    -------
    str
        one filename-safe component of at most 200 bytes. Where characters had to be replaced or left out, a
        hash of the original follows, so that two computations never share a name.

    Example
    -------
    >>> from decimal import Decimal
    >>> computation_name(Decimal, "sqrt", "1")
    'decimal.Decimal.sqrt,1'
    """
    return _computation_name(cls, method, version, generation)


@functools.lru_cache(maxsize=256)
def _computation_name(cls: type, method: str, version: str, _generation: int) -> str:
    path = f"{module_name(cls)}.{cls.__qualname__}.{method}".rstrip(".")
    parts = [path.replace("<locals>.", ""), version]
    name = ",".join(UNSAFE.sub("-", part) for part in parts).lstrip(".-")
    if name == ",".join(parts) and len(name) <= MAX_BYTES:
        return name
    exact = f"{module_name(cls)}\n{class_path(cls)}\n{method}\n{version}"
    digest = hashlib.sha256(exact.encode("utf-8", "surrogatepass")).hexdigest()[:HASH_CHARS]
    return f"{name[: MAX_BYTES - HASH_CHARS - 1]}-{digest}"
