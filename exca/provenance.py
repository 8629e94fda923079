"""Which code, versions and machine made a result: the facts that ``job.json`` keeps."""

from __future__ import annotations

import functools
import getpass
import hashlib
import inspect
import os
import sys
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from exca._version import __version__
from exca.main_module import main_name

__all__ = ["code_fingerprint", "comparable", "environment", "source_state"]

_GIT_TIMEOUT_S = 5.0
_GIT_FRESH_S = 60.0  # how long an answer of git is believed: whoever works in a notebook commits now and then
_GIT_RESTS = 30  # and at least this many times as long as git took for it, on a slow disk
_GIT_STATES: dict[str, tuple[float, dict[str, Any] | None]] = {}  # of checkouts: until when, and what
_MAIN = ("__main__", "__mp_main__")


def code_fingerprint(cls: type, function: Callable[..., Any]) -> str:
    """A digest of the code of a computation, such as ``"3.11:9f2c..."``.

    It covers the function, the functions of its class and bases, and, followed from there, what they name in their own
    modules and closures: functions with their defaults, and constants (numbers, text, tuples and frozen sets of them).
    Compiled code is compared, so that comments, blank lines and moves in the file do not count. Other modules, class
    attributes, data files and libraries are not followed. Compiled code differs between minor versions of Python, so
    only fingerprints with the same prefix can be compared.
    """
    if main_name() == "__main__" and function.__module__ in _MAIN:
        return _fingerprint(cls, function)  # a notebook, where a function can be defined again at any time
    return _known_fingerprint(cls, function)


@functools.cache
def _known_fingerprint(cls: type, function: Callable[..., Any]) -> str:
    return _fingerprint(cls, function)


def _fingerprint(cls: type, function: Callable[..., Any]) -> str:
    digest = hashlib.sha256()
    for name, pieces in sorted(_reachable(cls, function).items()):
        digest.update(f"{name}\n".encode())
        for piece in pieces:
            digest.update(piece)
    return f"{sys.version_info.major}.{sys.version_info.minor}:{digest.hexdigest()[:24]}"


def comparable(one: str, other: str) -> bool:
    """Whether two fingerprints were made by the same minor version of Python."""
    return one.partition(":")[0] == other.partition(":")[0]


def environment() -> dict[str, Any]:
    """Host, user and versions of what this process runs on, with those of the libraries that are loaded by now."""
    versions = {}
    for name in ("pydantic", "numpy", "torch"):
        version = getattr(sys.modules.get(name), "__version__", None)  # none in a module of the user's own, perhaps
        if version is not None:
            versions[name] = str(version)
    host, user, python = _process()
    return {"host": host, "user": user, "versions": {"python": python, "exca": __version__, **versions}}


@functools.cache
def _process() -> tuple[str, str, str]:
    import platform  # slow to import, and only needed once something is computed

    return os.uname().nodename, _user(), platform.python_version()


def source_state(cls: type) -> dict[str, Any] | None:
    """Git commit of the checkout that holds the source of a class, and whether tracked files were changed.

    Returns
    -------
    dict or None: ``{"root": ..., "commit": ..., "dirty": ...}``, None outside of a git checkout.
    """
    try:
        file = inspect.getfile(cls)
    except (TypeError, OSError):  # a notebook, an interactive session
        return None
    root = _checkout(file)
    return None if root is None else _git_state(root)


@functools.cache
def _checkout(file: str) -> str | None:
    """The checkout that a file is in, looked for once: for a thousand tasks of one file that would take a second."""
    folders = Path(file).resolve().parents
    return next((str(folder) for folder in folders if (folder / ".git").exists()), None)


def _git_state(root: str) -> dict[str, Any] | None:
    """The state of a checkout, asked for once a minute: for a thousand tasks in a row, git would take a minute."""
    known = _GIT_STATES.get(root)
    now = time.monotonic()
    if known is not None and now < known[0]:
        return known[1]
    state = _ask_git(root)
    asked = time.monotonic()
    _GIT_STATES[root] = asked + max(_GIT_FRESH_S, _GIT_RESTS * (asked - now)), state
    return state


def _ask_git(root: str) -> dict[str, Any] | None:
    commit = _git(root, "rev-parse", "HEAD")
    if commit is None:
        return None
    changes = _git(root, "status", "--porcelain", "--untracked-files=no")
    return {"root": root, "commit": commit, "dirty": None if changes is None else bool(changes)}


def _git(root: str, *arguments: str) -> str | None:
    import subprocess

    command = ["git", "--no-optional-locks", "-C", root, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user id has no name
        return "unknown"


def _reachable(cls: type, function: Callable[..., Any]) -> dict[str, list[bytes]]:
    """Everything that makes up the computation, by a name that does not depend on where it stands."""
    found: dict[str, list[bytes]] = {}
    modules = {function.__module__, *(base.__module__ for base in _own_bases(cls))}
    queue: list[Any] = [function, *(method for base in _own_bases(cls) for method in _functions(base))]
    while queue:
        current = queue.pop()
        name = _name(current)
        while name in found and found[name] != _content(current):
            name += "'"  # two functions made by one factory
        if name in found:
            continue
        found[name] = _content(current)
        for used, value in _used(current):
            target = _plain_function(value)
            if target is not None and (target.__module__ in modules or used is None):
                queue.append(target)
            elif target is None and used is not None and _is_constant(value):
                found[f"{name}:{used}"] = [_constant_text(value).encode()]
    return found


def _name(function: types.FunctionType) -> str:
    module = main_name() if function.__module__ in _MAIN else function.__module__
    return f"{module}.{function.__qualname__}"


def _content(function: types.FunctionType) -> list[bytes]:
    defaults = [*(function.__defaults__ or ()), *sorted((function.__kwdefaults__ or {}).items())]
    cells = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
    known = [_constant_text(value) for value in (*defaults, *cells) if _is_constant(value)]
    return [*_pieces(function.__code__), "\n".join(known).encode()]


def _used(function: types.FunctionType) -> Iterator[tuple[str | None, Any]]:
    """What a function names: globals with their names, the content of its closure without."""
    for name in _names(function.__code__):
        if name in function.__globals__:
            yield name, function.__globals__[name]
    for cell in function.__closure__ or ():
        if _is_filled(cell):
            yield None, cell.cell_contents


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _plain_function(value: Any) -> types.FunctionType | None:
    """The user's function inside whatever decorators made of it."""
    if not callable(value) or isinstance(value, type):
        return None
    try:
        plain = inspect.unwrap(value)
    except (ValueError, AttributeError):
        return None
    return plain if isinstance(plain, types.FunctionType) else None


def _is_constant(value: Any) -> bool:
    if isinstance(value, (tuple, frozenset)):
        return all(map(_is_constant, value))
    return value is None or type(value) in (bool, int, float, complex, str, bytes)


def _constant_text(value: Any) -> str:
    """Text for a constant, the same in every process; the order of a set, and so its own text, is not."""
    if isinstance(value, frozenset):
        return repr(sorted(map(_constant_text, value)))
    if isinstance(value, tuple):
        name = "" if type(value) is tuple else type(value).__qualname__
        return f"{name}({', '.join(map(_constant_text, value))}{',' if len(value) == 1 else ''})"
    return repr(value)


def _is_filled(cell: types.CellType) -> bool:
    return cell != types.CellType()  # a name that is assigned later


def _own_bases(cls: type) -> list[type]:
    return [
        base for base in cls.__mro__ if base.__module__.partition(".")[0] not in ("builtins", "pydantic", "typing")
    ]


def _functions(cls: type) -> Iterator[types.FunctionType]:
    for value in vars(cls).values():
        inner = value.func if isinstance(value, functools.cached_property) else getattr(value, "__func__", value)
        inner = inner.fget if isinstance(inner, property) else inner
        if isinstance(inner, types.FunctionType):
            plain = inspect.unwrap(inner)
            if isinstance(plain, types.FunctionType) and plain.__module__ == cls.__module__:
                yield plain


def _pieces(code: types.CodeType) -> Iterator[bytes]:
    yield code.co_code
    yield repr((code.co_names, code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])).encode()
    for constant in code.co_consts[_has_docstring(code) :]:
        if isinstance(constant, types.CodeType):
            yield from _pieces(constant)
        elif constant is None:
            continue  # stands where a docstring would; where it is used, the instructions say so
        else:
            yield _constant_text(constant).encode()


def _has_docstring(code: types.CodeType) -> bool:
    if code.co_name in ("<genexpr>", "<listcomp>", "<setcomp>", "<dictcomp>", "<lambda>"):
        return False
    if not code.co_consts or not isinstance(code.co_consts[0], str):
        return False
    # Until Python 3.12 the first constant of a function is its docstring or None; since 3.13 a flag tells.
    return sys.version_info < (3, 13) or bool(code.co_flags & 0x4000000)
