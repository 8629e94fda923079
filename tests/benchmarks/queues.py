"""Light jobs in a queue, on this machine and on a real Slurm, and what is asked of the scheduler meanwhile."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.environments import HERE, Environment, scratch
from tests.benchmarks.processes import BOUND, PLAIN
from tests.benchmarks.rounds import medians
from tests.benchmarks.workloads import EXCA, OURS, Seconds
from tests.slurm.cluster import CLIENTS, Cluster, ClusterError

ARRAY = str(HERE / "apps" / "exca_array.py")
ONE_EACH, PACKED, OUR_ARRAY = "exca-hydra", "exca-hydra, max_workers=8", "exca-hydra, job_array without Hydra"


@dataclass
class Queues:
    """What was measured: seconds, and the calls of the scheduler's commands in one run."""

    seconds: dict[str, Seconds] = field(default_factory=dict)
    calls: dict[str, Counter[str]] = field(default_factory=dict)
    waiting: dict[str, Counter[str]] = field(default_factory=dict)
    problem: str = ""  # why there is nothing about Slurm


def measure(ours: Environment, peers: Environment, points: int, rounds: int, nap_s: float) -> Queues:
    """Measure every subject on this machine, and on the test cluster if there can be one here.

    Parameters
    ----------
    nap_s: how long the jobs sleep while it is counted what the scheduler is asked.
    """
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
            os.environ["PATH"] = path
            found.waiting = _wait(ours, peers, cluster, nap_s)
    finally:
        os.environ["PATH"] = path
        if not was_up:
            cluster.stop()
    return found


def _wait(ours: Environment, peers: Environment, cluster: Cluster, nap_s: float) -> dict[str, Counter[str]]:
    """What is asked of the scheduler while four jobs sleep; all subjects at the same time, as they only wait."""
    launcher = ["hydra/launcher=submitit_slurm", "hydra.launcher.timeout_min=10"]
    with scratch() as root, ThreadPoolExecutor() as threads:

        def count(number: int, environment: Environment, arguments: list[str]) -> Counter[str]:
            folder = Path(root, str(number))
            folder.mkdir()
            log = folder / "calls"
            clients = _counting(cluster, folder, log)
            more = {"PATH": f"{clients}{os.pathsep}{os.environ['PATH']}", "NAP_S": str(nap_s)}
            environment.run(arguments, folder, more)
            return Counter(log.read_text().split())

        asked = {
            OURS: threads.submit(count, 0, ours, [ARRAY, "slurm", "4", "cache"]),
            "Hydra submitit": threads.submit(count, 1, peers, [PLAIN, "-m", "+x=range(4)", *launcher]),
            EXCA: threads.submit(count, 2, peers, [ARRAY, "slurm", "4", "cache"]),
        }
        return {name: counted.result() for name, counted in asked.items()}


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
