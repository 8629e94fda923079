"""Which interpreter measures whom: the peers have an environment of their own, since one has our import name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PEERS = ROOT / ".venv-peers"
REQUIREMENTS = (
    "exca==0.6.0",
    "joblib==1.6.0",
    "diskcache==5.6.3",
    "hydra-core==1.3.*",
    "hydra-submitit-launcher==1.2.0",
    "hydra-joblib-launcher==1.2.0",
    "numpy",
)


@dataclass(frozen=True)
class Environment:
    """An interpreter and the folders in front of its path."""

    python: Path
    path: tuple[Path, ...] = ()

    def run(self, arguments: Sequence[str], cwd: Path, more: Mapping[str, str] | None = None) -> str:
        """Run Python with these arguments and return what it printed; its errors end the benchmark."""
        variables = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, self.path)), "PYTHONUNBUFFERED": "1"}
        variables.pop("PYTHONDONTWRITEBYTECODE", None)  # pip has written that of the peers
        variables.update(more or {})
        done = subprocess.run(
            [str(self.python), *arguments],
            cwd=cwd,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            sys.exit(f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def wall(self, arguments: Sequence[str], cwd: Path) -> float:
        """Return the seconds from start to exit of Python with these arguments."""
        started = time.perf_counter()
        self.run(arguments, cwd)
        return time.perf_counter() - started

    def measure(self, subject: str, workload: str, size: int, folder: Path) -> float | None:
        """Run one workload of one subject in a new process and return the seconds it says."""
        child = [str(HERE / "child.py"), subject, workload, str(size), str(folder)]
        printed = self.run(child, folder)
        seconds: float | None = json.loads(printed.splitlines()[-1])
        return seconds


def ours() -> Environment:
    """Return this interpreter, with the sources of this checkout."""
    return Environment(Path(sys.executable), (HERE, ROOT, ROOT / "hydra_plugin"))


def peers(python: Path | None = None) -> Environment:
    """Return the environment of the peers, made on first use, or the given interpreter that has them."""
    if python is None:
        python = PEERS / "bin" / "python"
        stamp = PEERS / "requirements"
        if not stamp.is_file() or stamp.read_text() != "\n".join(REQUIREMENTS):
            print(f"setting up {PEERS} ...", flush=True)
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(PEERS)], check=True)
            pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, *REQUIREMENTS], check=True)
            stamp.write_text("\n".join(REQUIREMENTS))
    return Environment(python, (HERE,))


def scratch() -> tempfile.TemporaryDirectory[str]:
    """Return a temporary folder; its files lie where TMPDIR says, which should be a local disk."""
    return tempfile.TemporaryDirectory(prefix="exca-benchmark-", ignore_cleanup_errors=True)
