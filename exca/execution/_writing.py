"""Writes an array to disk, ready for workers, whoever starts them."""

from __future__ import annotations

import os
import pickle
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from exca.by_value import dump_by_value
from exca.errors import SubmissionFailed
from exca.execution._array._layout import Queue, Spec, write_file
from exca.execution._call import Call, Shared
from exca.execution._code import CodeCopy, Part, find_parts, relocate
from exca.execution._listing import Selection
from exca.execution._places import Place
from exca.execution._resources import Resources
from exca.execution._snapshot import take_snapshot

__all__ = ["Code", "Surroundings", "code_of", "remove_array", "write_array"]


class Code(NamedTuple):
    """The code that calls run a copy of."""

    parts: tuple[Part, ...]
    selection: Selection
    folder: str | None  # of the copies; None: beside the logs


def code_of(resources: Resources) -> Code | None:
    """The code that is to be copied; None: calls run in the current folder.

    Raises
    ------
    InvalidInfra: it is not there.
    """
    workdir = resources.workdir
    if workdir is None:
        return None
    copy = workdir if isinstance(workdir, CodeCopy) else CodeCopy(())
    caches = () if resources.cache is None else (Path(os.path.abspath(resources.cache)),)
    return Code(find_parts(workdir), Selection(copy.includes, copy.excludes, caches), copy.folder)


class Surroundings:
    """What the calls of an array find around them: folder, import path, variables.

    Parameters
    ----------
    environment: variables of each call; ``%j`` stands for the job's id, ``%f`` for its folder.
    code: calls run in a copy of it made at submission; None: calls run in the current folder.
    interpreter: the Python that runs the workers.
    initializer: called in each worker before it loads its first call.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        code: Code | None = None,
        interpreter: str = sys.executable,
        initializer: Callable[[], None] | None = None,
    ) -> None:
        self.environment = dict(environment)
        self.code = code
        self.interpreter = interpreter
        self.initializer = initializer

    def import_path(self) -> list[str]:
        """The import path of this process, as far as it fits the interpreter."""
        paths = [os.path.abspath(entry) for entry in sys.path]  # "" and "." are the current folder
        if self.interpreter != sys.executable:  # another Python has its own standard library and packages
            paths = [path for path in paths if not path.startswith((sys.prefix, sys.base_prefix))]
        return paths


def write_array(place: Place, calls: Sequence[Call], around: Surroundings, queue: Queue | None) -> Spec:
    """Write an array to disk.

    Raises
    ------
    SubmissionFailed: something cannot be pickled or written; what was written is removed.
    InvalidInfra: the code cannot be copied.
    """
    spec = _describe(place, len(calls), around)
    try:
        place.create()
        if around.code:
            spec = _copy_code(place, spec, around.code)
        if around.initializer:
            write_file(place.paths.setup, _pickle(around.initializer, "the initializer of the workers"), secret=True)
        numbers = _write_shared(place, calls)
        for index, call in enumerate(calls):
            _write_call(place, spec, index, call, numbers)
        place.paths.write_spec(spec, queue)
    except BaseException as error:
        remove_array(place, spec)
        if isinstance(error, OSError) and not isinstance(error, SubmissionFailed):
            raise SubmissionFailed(f"the jobs could not be written to {place.paths.folder}: {error}") from error
        raise
    return spec


def remove_array(place: Place, spec: Spec) -> None:
    """Remove an array that was not started."""
    for index in range(spec.size):
        shutil.rmtree(place.paths.job(spec, index).folder, ignore_errors=True)
    shutil.rmtree(place.paths.folder, ignore_errors=True)


def _describe(place: Place, size: int, around: Surroundings) -> Spec:
    try:
        cwd, sys_path = os.getcwd(), around.import_path()
    except FileNotFoundError as error:
        raise SubmissionFailed("the current folder has been deleted; jobs would not know where to run") from error
    return Spec(
        array=place.array,
        size=size,
        template=os.path.relpath(place.template, place.paths.folder),
        cwd=cwd,
        sys_path=sys_path,
        environment=around.environment,
        durable=not place.private,
    )


def _copy_code(place: Place, spec: Spec, code: Code) -> Spec:
    """Have the calls run in a copy of the code."""
    folder = place.snapshots if code.folder is None else Path(os.path.abspath(os.path.expanduser(code.folder)))
    selection = replace(code.selection, leave_out=(*code.selection.leave_out, place.root, folder))
    tree = take_snapshot(code.parts, selection, folder)
    os.symlink(os.path.relpath(tree, place.paths.folder), place.paths.code)
    return spec._replace(cwd=str(tree), sys_path=relocate(spec.sys_path, code.parts, tree))


def _write_shared(place: Place, calls: Sequence[Call]) -> dict[int, int]:
    """Write each argument that calls have in common once; returns the number of each by its ``id``."""
    numbers: dict[int, int] = {}
    for call in calls:
        for argument in call.args:
            if isinstance(argument, Shared) and id(argument) not in numbers:
                number = numbers[id(argument)] = len(numbers)
                pickled = _pickle(argument.value, f"what the calls {call.name} share")
                write_file(place.paths.shared(number), pickled, secret=True)
    return numbers


def _write_call(place: Place, spec: Spec, index: int, call: Call, numbers: Mapping[int, int]) -> None:
    paths = place.paths.job(spec, index)
    paths.folder.mkdir(mode=0o775, parents=True)  # nobody else may swap the pickles in it, whatever the umask
    own = tuple(argument for argument in call.args if not isinstance(argument, Shared))
    payload = {"name": call.name.encode(), "call": _pickle((call.function, own), call.name)}
    if len(own) < len(call.args):
        shared = [(i, numbers[id(argument)]) for i, argument in enumerate(call.args) if isinstance(argument, Shared)]
        payload["shared"] = pickle.dumps(shared)
    if call.on_lost:
        payload["on_lost"] = _pickle(call.on_lost, f"on_lost of {call.name}")
    write_file(paths.call, pickle.dumps(payload), secret=True)
    os.symlink(os.path.relpath(f"{place.paths.tickets}/{index}", paths.folder), paths.ticket)
    if os.path.lexists(place.paths.code):
        os.symlink(os.path.relpath(place.paths.code, paths.folder), paths.code)


def _pickle(content: object, what: str) -> bytes:
    try:
        return dump_by_value(content)
    except Exception as error:  # pickling runs the user's code, which raises what it likes
        raise SubmissionFailed(f"{what} cannot be sent to another process: {error!r}") from error
