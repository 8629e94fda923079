"""Starts scripts and modules as ``python`` does, without the half second that each new process takes to import them.

A process that has imported what the commands need forks for each command; the fork has its own arguments, folder,
environment, output and ``__main__``, ends as any interpreter does, and has run nothing before. What only a new
interpreter has, such as its hash seed, is not to be tested with it: tests that are marked slow start new ones.
"""

from __future__ import annotations

import json
import os
import runpy
import select
import subprocess
import sys
import tempfile
import typing as tp
from pathlib import Path

TIMEOUT_S = 120.0

Environment = tp.Mapping[str, str]
Completed = subprocess.CompletedProcess[str]


class FreshPython:
    """A new interpreter for each command."""

    def run(self, *arguments: str, cwd: Path, env: Environment | None = None) -> Completed:
        command = [sys.executable, *arguments]
        options: dict[str, tp.Any] = {"capture_output": True, "text": True, "check": False, "timeout": TIMEOUT_S}
        return subprocess.run(command, cwd=cwd, env=os.environ if env is None else env, **options)


class WarmPython(FreshPython):
    """A fork of one interpreter for each command; a new one for those with other ``PYTHON...`` variables.

    Parameters
    ----------
    modules: what is imported before the first command.
    """

    def __init__(self, *modules: str) -> None:
        command = [sys.executable, __file__, *modules]
        self._variables = _of_python(os.environ)
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def run(self, *arguments: str, cwd: Path, env: Environment | None = None) -> Completed:
        env = os.environ if env is None else env
        if _of_python(env) != self._variables:
            return super().run(*arguments, cwd=cwd, env=env)
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            out, err = Path(folder, "out"), Path(folder, "err")
            code = self._ask([arguments, str(cwd), dict(env), str(out), str(err)])
            return subprocess.CompletedProcess(arguments, code, out.read_text(), err.read_text())

    def _ask(self, request: list[tp.Any]) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        if not select.select([self._process.stdout], [], [], TIMEOUT_S)[0]:
            raise subprocess.TimeoutExpired(request[0], TIMEOUT_S)
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


def _of_python(env: Environment) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith("PYTHON")}


def _serve() -> list[tp.Any]:
    """Fork for each line of the standard input and say how it ended; return, in the fork, what it is to do."""
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            return tp.cast("list[tp.Any]", json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
    sys.exit()


def _become(cwd: str, env: Environment, out: str, err: str) -> None:
    """Take the folder, the environment and the streams of a command."""
    for number, path, flags in ((0, os.devnull, os.O_RDONLY), (1, out, os.O_WRONLY), (2, err, os.O_WRONLY)):
        opened = os.open(path, flags | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    tempfile.tempdir = None


def _main() -> None:
    for module in sys.argv[1:]:
        __import__(module)
    arguments, *surroundings = _serve()
    _become(*surroundings)
    if arguments[0] == "-m":
        sys.argv[:] = arguments[1:]
        sys.path[0] = os.getcwd()
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv[:] = arguments
        sys.path[0] = str(Path(arguments[0]).parent)
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    _main()
