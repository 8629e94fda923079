"""Light jobs in a queue, on this machine and on a real Slurm, and what is asked of the scheduler meanwhile."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.environments import HERE, Environment, scratch
from tests.benchmarks.processes import BOUND, PLAIN
from tests.benchmarks.rounds import medians
from tests.benchmarks.workloads import EXCA, Seconds
from tests.slurm.cluster import CLIENTS, Cluster, ClusterError

ARRAY = str(HERE / "apps" / "exca_array.py")
ONE_EACH, PACKED, OUR_ARRAY = "exca-hydra", "exca-hydra, max_workers=8", "exca-hydra, job_array without Hydra"


@dataclass
class Queues:
    """What was measured: seconds, and the calls of the scheduler's commands in one run."""

    seconds: dict[str, Seconds] = field(default_factory=dict)
    calls: dict[str, Counter[str]] = field(default_factory=dict)
    problem: str = ""  # why there is nothing about Slurm


def measure(ours: Environment, peers: Environment, points: int, rounds: int) -> Queues:
    """Measure every subject on this machine, and on the test cluster if there can be one here."""
    found = Queues()
    found.seconds["local"] = _measure(ours, peers, "local", points, rounds)
    cluster = Cluster()
    was_up = cluster.is_up()
    try:
        cluster.start()
    except ClusterError as error:
        found.problem = str(error)
        return found
    path = os.environ["PATH"]
    try:
        with scratch() as folder:
            log = Path(folder, "calls")
            os.environ["PATH"] = f"{_counting(cluster, Path(folder), log)}{os.pathsep}{path}"
            found.seconds["slurm"] = _measure(ours, peers, "slurm", points, rounds, log, found.calls)
    finally:
        os.environ["PATH"] = path
        if not was_up:
            cluster.stop()
    return found


def _counting(cluster: Cluster, folder: Path, log: Path) -> Path:
    """Commands that take a note of each call before they do it."""
    for client in CLIENTS:
        script = folder / client
        script.write_text(f'#!/bin/sh\necho {client} >> {log}\nexec {cluster.clients / client} "$@"\n')
        script.chmod(0o755)
    return folder


def _measure(
    ours: Environment,
    peers: Environment,
    cluster: str,
    points: int,
    rounds: int,
    log: Path | None = None,
    calls: dict[str, Counter[str]] | None = None,
) -> Seconds:
    with scratch() as root:
        count = itertools.count()

        def run(name: str, environment: Environment, *arguments: str) -> Callable[[], float]:
            def wall() -> float:
                folder = Path(root, str(next(count)))
                folder.mkdir()
                if log is not None:
                    log.write_text("")
                seconds = environment.wall([argument.replace("@", str(folder)) for argument in arguments], folder)
                if log is not None and calls is not None:
                    calls[name] = Counter(log.read_text().split())
                return seconds

            return wall

        grid = f"x=range({points})"
        queue = [f"infra={cluster}", "infra.folder=cache"]
        launcher = [f"hydra/launcher=submitit_{cluster}", "hydra.launcher.timeout_min=10"]
        commands = {
            ONE_EACH: run(ONE_EACH, ours, BOUND, "-m", grid, *queue),
            PACKED: run(PACKED, ours, BOUND, "-m", grid, *queue, "infra.max_workers=8"),
            "Hydra submitit": run("Hydra submitit", peers, PLAIN, "-m", f"+{grid}", *launcher),
            OUR_ARRAY: run(OUR_ARRAY, ours, ARRAY, cluster, str(points), "@"),
            EXCA: run(EXCA, peers, ARRAY, cluster, str(points), "@"),
        }
        return medians(rounds, commands)
