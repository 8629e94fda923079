"""The tables that the benchmarks print: Markdown, so that they can stand in the documentation as they are."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence

from tests.benchmarks.workloads import EXCA, FLOOR, OURS, Aim, Seconds, Workload


def duration(seconds: float | None) -> str:
    """Return seconds with three digits and a readable unit."""
    if seconds is None:
        return ""
    for unit, factor in (("s", 1), ("ms", 1e3), ("us", 1e6)):
        if abs(seconds) * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def quantity(value: float | None, unit: str) -> str:
    """Return a value in the unit of its workload: seconds, or as many megabytes."""
    return duration(value) if unit == "s" or value is None else f"{value:.3g} {unit}"


def ratio(above: float | None, below: float | None) -> str:
    """Return how many times one is of the other."""
    return f"{above / below:.3g}x" if above is not None and below else ""


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return an aligned Markdown table."""
    lines = [list(header), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    texts = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    texts.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(texts)


def verdict(seconds: Seconds, subject: str, aim: Aim) -> str:
    """Say what the aim of a subject is, and whether it is met."""
    us = seconds.get(subject)
    parts = []
    if us is None:
        return ""
    if aim.seconds is not None:
        parts.append(f"{duration(aim.seconds)} {'met' if us <= aim.seconds else 'missed'}")
    if aim.times is not None and aim.subject in seconds:
        met = us <= aim.times * seconds[aim.subject]
        parts.append(f"{aim.times:g}x {aim.subject} {'met' if met else 'missed'}")
    return ", ".join(parts)


def comparison(workload: Workload, seconds: Seconds, subjects: Sequence[str]) -> list[str]:
    """Return one row: every subject, us against the floor and the peer, the aim and whether it is met."""
    us = seconds.get(workload.judged)
    peer = seconds.get(workload.judged.replace(OURS, EXCA))
    return [
        workload.title.format(size=f"{workload.size:,}"),
        *(quantity(seconds.get(subject), workload.unit) for subject in subjects),
        ratio(us, seconds.get(FLOOR)),
        ratio(peer, us),
        verdict(seconds, workload.judged, workload.aim),
    ]


def machine() -> str:
    """Return what the numbers depend on: processor, cores, load, Python."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"{_processor()}, {cores} cores, load {load}, {system}"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.machine()
