"""Which code, versions and machine made a result: the facts that ``job.json`` keeps."""

from __future__ import annotations

import functools
import getpass
import hashlib
import inspect
import socket
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from exca._version import __version__
from exca.main_module import main_name

__all__ = ["code_fingerprint", "comparable", "environment", "source_state"]

_GIT_TIMEOUT_S = 5.0


@functools.cache
def code_fingerprint(cls: type, function: Callable[..., Any]) -> str:
    """A digest of the code of a computation, such as ``"3.11:9f2c..."``.

    It covers the function, the functions of its class and bases, and, followed from there, the functions of the same
    modules that they call by name; compiled code is compared, so that comments, blank lines and moves in the file do
    not count. Other modules, data files and libraries are not followed. Compiled code differs between minor versions
    of Python, so only fingerprints with the same prefix can be compared.
    """
    digest = hashlib.sha256()
    for name, code in sorted(_reachable(cls, function).items()):
        digest.update(name.encode())
        for piece in _pieces(code):
            digest.update(piece)
    return f"{sys.version_info.major}.{sys.version_info.minor}:{digest.hexdigest()[:24]}"


def comparable(one: str, other: str) -> bool:
    """Whether two fingerprints were made by the same minor version of Python."""
    return one.partition(":")[0] == other.partition(":")[0]


@functools.cache
def environment() -> dict[str, Any]:
    """Host, user and versions of what this process runs on."""
    import platform  # these two are slow to import, and only needed once something is computed
    from importlib import metadata

    names = ("pydantic", "numpy", "torch")
    versions = {name: metadata.version(name) for name in names if name in sys.modules}
    return {
        "host": socket.gethostname(),
        "user": _user(),
        "versions": {"python": platform.python_version(), "exca": __version__, **versions},
    }


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
    for folder in Path(file).resolve().parents:
        if (folder / ".git").exists():
            return _git_state(str(folder))
    return None


@functools.cache
def _git_state(root: str) -> dict[str, Any] | None:
    commit = _git(root, "rev-parse", "HEAD")
    if commit is None:
        return None
    changes = _git(root, "status", "--porcelain", "--untracked-files=no")
    return {"root": root, "commit": commit, "dirty": None if changes is None else bool(changes)}


def _git(root: str, *arguments: str) -> str | None:
    import subprocess

    try:
        done = subprocess.run(
            ["git", "-C", root, *arguments], capture_output=True, text=True, timeout=_GIT_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user id has no name
        return "unknown"


def _reachable(cls: type, function: Callable[..., Any]) -> dict[str, types.CodeType]:
    """All code objects that make up the computation, by a name that does not depend on where they stand."""
    found: dict[str, types.CodeType] = {}
    modules = {function.__module__, *(base.__module__ for base in _own_bases(cls))}
    queue: list[Any] = [function, *(method for base in _own_bases(cls) for method in _functions(base))]
    while queue:
        current = queue.pop()
        module = main_name() if current.__module__ == "__main__" else current.__module__
        name = f"{module}.{current.__qualname__}"
        if name in found:
            continue
        found[name] = current.__code__
        for used in current.__code__.co_names:
            target = current.__globals__.get(used)
            if isinstance(target, types.FunctionType) and target.__module__ in modules:
                queue.append(inspect.unwrap(target))
    return found


def _own_bases(cls: type) -> list[type]:
    return [
        base for base in cls.__mro__ if base.__module__.partition(".")[0] not in ("builtins", "pydantic", "typing")
    ]


def _functions(cls: type) -> Iterator[types.FunctionType]:
    for value in vars(cls).values():
        inner = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
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
        elif isinstance(constant, frozenset):  # its order changes from process to process
            yield repr(sorted(map(repr, constant))).encode()
        else:
            yield repr(constant).encode()


def _has_docstring(code: types.CodeType) -> bool:
    if code.co_name in ("<genexpr>", "<listcomp>", "<setcomp>", "<dictcomp>", "<lambda>"):
        return False
    if not code.co_consts or not isinstance(code.co_consts[0], str):
        return False
    # Until Python 3.12 the first constant of a function is its docstring or None; since 3.13 a flag tells.
    return sys.version_info < (3, 13) or bool(code.co_flags & 0x4000000)
