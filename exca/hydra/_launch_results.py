"""The table of a sweep: on the screen, and as ``results.csv`` in the sweep's folder."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ._secrets import without_secrets

__all__ = ["Row", "any_text", "as_text", "points_of", "print_table", "varying", "write_csv"]

_SHOWN_ROWS = 200
_SHOWN_WIDTH = 60


@dataclass(frozen=True, slots=True)
class Row:
    """One point of a sweep, when it has ended.

    Attributes
    ----------
    number: Hydra's job number.
    overrides: key to value, as written; stars stand for secrets where the row is shown.
    value: what the task function returned, or the error of a failed point.
    status: ``"completed"`` or ``"failed"``.
    source: ``"computed"`` by this sweep, ``"cached"`` from before, ``"shared"`` with an equal point or another
        process, ``"refused"`` where the mode or a stored result forbids to compute, or it could not be submitted.
    duration_s: seconds the computation took, whenever that was; None if unknown.
    uid: name of the computation.
    log: folder of the point's own output and log.
    """

    number: int
    overrides: dict[str, str]
    value: Any
    status: str
    source: str
    duration_s: float | None
    uid: str
    log: str


def varying(rows: Sequence[Row]) -> list[str]:
    """Keys of the overrides that differ between points, in the order in which they were written."""
    keys = list(dict.fromkeys(key for row in rows for key in row.overrides))
    return [key for key in keys if len({row.overrides.get(key) for row in rows}) > 1]


def write_csv(path: Path, rows: Sequence[Row], *, append: bool) -> None:
    """Write the table for machines: every override, and numbers in full.

    A sweep in several batches appends; the columns are those of its first batch.
    """
    keys = list(dict.fromkeys(key for row in rows for key in row.overrides))
    # What a value or an error says is not ours: text that no encoding holds is escaped rather than lost.
    mode = "a" if append else "w"
    with open(path, mode, newline="", encoding="utf-8", errors="backslashreplace") as stream:
        writer = csv.writer(stream)
        if not append:
            writer.writerow(["job", *keys, "value", "status", "source", "duration_s", "uid", "output_dir"])
        for row in rows:
            values = [without_secrets(row.overrides.get(key, "")) for key in keys]
            writer.writerow(
                [row.number, *values, as_text(row.value), row.status, row.source, row.duration_s, row.uid, row.log]
            )


def print_table(rows: Sequence[Row], csv_path: Path) -> None:
    """Print the table for people, the failed points last, and one line that counts."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    keys = varying(rows)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("job", *keys):
        table.add_column(escape(name), overflow="fold")
    for name in ("value", "status", "source", "time"):
        table.add_column(name, justify="right" if name == "time" else "left", overflow="fold")
    shown = sorted(rows, key=lambda row: row.status == "failed")[-_SHOWN_ROWS:]
    for row in shown:
        colour = "red" if row.status == "failed" else ("dim" if row.source == "cached" else "")
        cells = [str(row.number), *(without_secrets(row.overrides.get(key, "")) for key in keys), _short(row.value)]
        cells += [row.status, row.source, _seconds(row.duration_s)]
        table.add_row(*map(escape, cells), style=colour)
    console = Console(soft_wrap=True)
    if not console.is_terminal:
        console.width = 200  # a log file does not wrap
    with any_text():
        console.print(table)
        if len(shown) < len(rows):
            console.print(f"... and {len(rows) - len(shown)} more", style="dim")
        console.print(escape(f"{_counts(rows)}; all in {csv_path}"), highlight=False)


@contextmanager
def any_text() -> Iterator[None]:
    """Let characters that the terminal or file cannot show be escaped; a table is not lost for one of them."""
    stream = sys.stdout
    if not isinstance(stream, io.TextIOWrapper):  # a notebook's, a test's
        yield
        return
    errors = stream.errors
    stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        stream.reconfigure(errors=errors)


def points_of(count: int) -> str:
    """``1 point``, ``2 points``."""
    return f"{count} point{'' if count == 1 else 's'}"


def _counts(rows: Sequence[Row]) -> str:
    sources = [row.source for row in rows]
    parts = [f"{points_of(len(rows))}: {sources.count('computed')} computed", f"{sources.count('cached')} cached"]
    if "shared" in sources:
        parts.append(f"{sources.count('shared')} shared")
    parts.append(f"{sum(row.status == 'failed' for row in rows)} failed")
    return ", ".join(parts)


def as_text(value: Any) -> str:
    """A value, or an exception with its type, in full; never fails."""
    try:
        return f"{type(value).__name__}: {value}" if isinstance(value, BaseException) else str(value)
    except Exception:  # the user's own __str__
        return f"<{type(value).__name__} that cannot be shown>"


def _short(value: Any) -> str:
    if isinstance(value, float):
        text = f"{value:.6g}"
    elif isinstance(value, dict):
        text = " ".join(f"{as_text(key)}={_short(item)}" for key, item in value.items())
    else:
        text = as_text(value)
    text = next(iter(text.splitlines()), "").encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= _SHOWN_WIDTH else text[: _SHOWN_WIDTH - 1] + "…"


def _seconds(duration: float | None) -> str:
    if duration is None:
        return ""
    return f"{duration:.2f} s" if duration < 60 else f"{int(duration) // 60}:{int(duration) % 60:02d} min"
