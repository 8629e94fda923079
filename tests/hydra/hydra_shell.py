"""Starts the app of these tests as a user does, and reads what it left behind."""

from __future__ import annotations

import csv
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from warm_python import FreshPython

APP = Path(__file__).parent / "launch_app" / "sweep_app.py"


@dataclass
class Sweep:
    """What a sweep left behind."""

    code: int
    out: str
    err: str
    rows: list[dict[str, str]]
    folder: Path
    shared: list[str]
    """Overrides that every point has."""

    def column(self, name: str) -> list[str]:
        return [row[name] for row in self.rows]


class Shell:
    """Starts the app in a folder of its own."""

    def __init__(self, python: FreshPython, folder: Path, app: Path = APP) -> None:
        self.python = python
        self.folder = folder
        self.app = app
        self.count = 0

    def command(self, *overrides: str) -> list[str]:
        self.count += 1
        sweep_dir = f"hydra.sweep.dir=sweep{self.count}"
        return [sys.executable, str(self.app), "-m", *overrides, f"trace={self.folder / 'trace'}", sweep_dir]

    def sweep(self, *overrides: str, **env: str) -> Sweep:
        done = self.python.run(*self.command(*overrides)[1:], cwd=self.folder, env=os.environ | env)
        folder = self.folder / f"sweep{self.count}"
        table = folder / "results.csv"
        rows = list(csv.DictReader(table.read_text().splitlines())) if table.exists() else []
        shared = [f"trace={self.folder / 'trace'}"]
        return Sweep(done.returncode, done.stdout, done.stderr, rows, folder, shared)

    def computed(self) -> list[int]:
        trace = self.folder / "trace"
        return sorted(int(line) for line in trace.read_text().split()) if trace.exists() else []
