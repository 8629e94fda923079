"""Code blocks of the documentation, found where the reader finds them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

_FENCE = re.compile(r"^```(?P<language>[\w-]*)[^\n]*\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^##? +(.+)$", re.MULTILINE)
_FILE = re.compile(r"^# (?P<name>[\w/.-]+\.(?:py|yaml))\n")


@dataclass(frozen=True)
class Block:
    """One fenced block of a page.

    Attributes
    ----------
    section
        The heading above it.
    language
        What stands after the fence.
    text
        Its lines.
    line
        The line of the page its text starts at, from 1.
    """

    section: str
    language: str
    text: str
    line: int

    @property
    def file(self) -> str | None:
        """The file it shows, if its first line is a comment with nothing but a path."""
        named = _FILE.match(self.text)
        return named["name"] if named else None


def blocks(page: Path) -> Iterator[Block]:
    """Yield the code blocks of a page, in order."""
    text = page.read_text()
    code = [(fence.start(), fence.end()) for fence in _FENCE.finditer(text)]
    headings = [
        (heading.start(), heading[1])
        for heading in _HEADING.finditer(text)
        if not any(start < heading.start() < end for start, end in code)
    ]
    for fence in _FENCE.finditer(text):
        above = [title for start, title in headings if start < fence.start()]
        line = text.count("\n", 0, fence.start("text")) + 1
        yield Block(above[-1] if above else "", fence["language"], fence["text"], line)
