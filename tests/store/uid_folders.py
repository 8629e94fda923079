"""Looks at a uid folder, from this process and as another user."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from exca.store import FolderEntry


def load(entry: FolderEntry) -> Any:
    outcome = entry.outcome()
    assert outcome is not None
    return entry.load(outcome)


def as_nobody(entry: FolderEntry, expression: str) -> str:
    """What another user gets for an expression about that entry."""
    for path in entry.path.parents:
        if path.owner() == "root" and str(path) not in ("/", "/tmp"):
            path.chmod(0o755)
    code = (
        "import os, sys; from exca.store import FolderStore; from exca.errors import *; os.setuid(65534)\n"
        "entry = FolderStore(sys.argv[1]).entry('m/a')\n"
        f"try: print({expression})\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    command = [sys.executable, "-c", code, str(entry.path.parent.parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.strip()
