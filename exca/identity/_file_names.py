"""What the names of folders are made of."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["HASH_CHARS", "MAX_BYTES", "UNSAFE"]

UNSAFE: Final = re.compile(r"[^A-Za-z0-9._+-]")  # what some shell or file system might stumble over
MAX_BYTES: Final = 200  # of the 255 that a name may have: what the file is called while it is written is longer
HASH_CHARS: Final = 20  # 80 bits: a collision is expected after 10^12 names of one kind
