"""The example app is a folder of scripts, not a package: its modules are found as when a script of it is run."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "examples" / "digits"))
