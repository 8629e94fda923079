"""What a sweep says when it has ended: a table, a file, and where to look for what failed."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from hydra.core.utils import JobStatus, filter_overrides

from ._launch_points import Launcher, Point
from ._launch_results import Row, as_text, points_of, print_table, write_csv

__all__ = ["keys_of", "report", "say_how_to_retry"]

_LOG = logging.getLogger(__name__)
_SAID: Final = 500  # characters of an error
_NAMED: Final = 20  # failed points that get a line on the screen


def report(launcher: Launcher, points: Sequence[Point]) -> None:
    """Print the table of a launch, write ``results.csv``, and name the failed points with their logs."""
    rows = [_row(point) for point in points]
    path = Path(launcher.config.hydra.sweep.dir) / "results.csv"
    try:
        write_csv(path, rows, append=bool(points) and points[0].number > 0)
    except OSError as error:
        _LOG.error("the table is not in %s, which cannot be written: %s", path, error)
    print_table(rows, path)
    failed = [(point, row) for point, row in zip(points, rows, strict=True) if row.status == "failed"]
    for point, row in failed[:_NAMED]:
        _LOG.error("point #%d failed: %s; %s", point.number, _in_one_line(row.value), _where(point, row))
    if len(failed) > _NAMED:
        _LOG.error("%d more points failed; %s says of each why, and where its log is", len(failed) - _NAMED, path)


def say_how_to_retry(points: Sequence[Point], retry: str) -> None:
    """For sweepers that know nothing of it: a stored failure is raised again.

    Parameters
    ----------
    retry: the override that computes failures again.
    """
    failed = sum(point.has_stored_failure() for point in points)
    if failed:
        _LOG.error("%s failed; the same command with %s computes again what failed", points_of(failed), retry)


def keys_of(overrides: Sequence[str]) -> dict[str, str]:
    """The overrides of a point that are not Hydra's own, key to value as written."""
    keys = {}
    for override in filter_overrides(overrides):
        key, _, value = override.partition("=")
        keys[key.lstrip("+~")] = value
    return keys


def _row(point: Point) -> Row:
    result = point.result
    assert result is not None
    note = {} if point.task is None else point.task.note()
    return Row(
        number=point.number,
        overrides=keys_of(point.overrides),
        value=result._return_value,
        status="completed" if result.status is JobStatus.COMPLETED else "failed",
        source=point.source,
        duration_s=note.get("duration_s"),
        uid="" if point.task is None else point.task.uid,
        log=result.output_dir,
    )


def _in_one_line(error: BaseException) -> str:
    text = " ".join(as_text(error).split())
    return text if len(text) <= _SAID else f"{text[: _SAID - 4]} ..."


def _where(point: Point, row: Row) -> str:
    text = f"traceback in {_log_file(row.log)}"
    job = None if point.task is None else point.task.log_folder()
    return text if job is None else f"{text}, output in {job}"


def _log_file(folder: str) -> str:
    with suppress(OSError):
        for name in sorted(os.listdir(folder)):
            if name.endswith(".log"):
                return os.path.join(folder, name)
    return folder
