"""One measurement in a process of its own: ``python child.py <subject> <workload> <size> <folder>``.

The subject is a module with a function for each workload, or with a class ``Subject`` that has a method for each.
Prints a JSON number of seconds, or ``null`` if the subject cannot do the workload.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path


def main(subject: str, workload: str, size: str, folder: str) -> None:
    """Run one workload of one subject and print what it returns."""
    module = importlib.import_module(f"subjects.{subject}")
    holder = module.Subject() if hasattr(module, "Subject") else module
    function = getattr(holder, workload, None)
    print(json.dumps(function(Path(folder), int(size)) if function else None))


if __name__ == "__main__":
    main(*sys.argv[1:])
