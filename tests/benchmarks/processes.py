"""Costs of whole processes: imports, Hydra sweeps, and what the plugin adds to an app that does not use it."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.benchmarks.environments import HERE, ROOT, Environment, scratch
from tests.benchmarks.rounds import alternate, medians
from tests.benchmarks.workloads import EXCA, FLOOR, OURS, Seconds

IMPORT = "import time; t = time.perf_counter(); {0}; print(time.perf_counter() - t)"
BOUND = str(HERE / "apps" / "bound.py")
PLAIN = str(HERE / "apps" / "plain.py")
SCAN = str(HERE / "apps" / "scan.py")


def imports(ours: Environment, peers: Environment, rounds: int) -> Seconds:
    """Seconds of the import statement alone, in a new interpreter whose files the system has read before.

    Ours and the peer's are asked for what a cached task needs, since our front door imports what it is asked for.
    """

    def importing(environment: Environment, statement: str) -> Callable[[], float]:
        return lambda: float(environment.run(["-c", IMPORT.format(statement)], HERE))

    commands = {
        OURS: importing(ours, "from exca import TaskInfra"),
        EXCA: importing(peers, "from exca import TaskInfra"),
        "joblib": importing(peers, "import joblib"),
        "diskcache": importing(peers, "import diskcache"),
        FLOOR: importing(ours, "from pydantic import BaseModel"),
    }
    for command in commands.values():
        command()
    return medians(rounds, commands)


def sweeps(ours: Environment, peers: Environment, points: int, rounds: int) -> Seconds:
    """Seconds from start to exit of a Hydra sweep of an empty task; the floor is one job of a plain app."""
    with scratch() as root:
        count = itertools.count()

        def swept(environment: Environment, app: str, *overrides: str) -> Callable[[], float]:
            def run() -> float:
                folder = Path(root, str(next(count)))
                folder.mkdir()
                return environment.wall([app, *overrides], folder)

            return run

        grid = f"x=range({points})"
        cache = f"infra.folder={root}/cache"
        swept(ours, BOUND, "-m", grid, cache)()
        return medians(
            rounds,
            {
                "exca-hydra, in process": swept(ours, BOUND, "-m", grid, "infra.folder=cache"),
                "exca-hydra, local": swept(ours, BOUND, "-m", grid, "infra=local", "infra.folder=cache"),
                "exca-hydra, cached": swept(ours, BOUND, "-m", grid, cache),
                "Hydra Basic": swept(peers, PLAIN, "-m", f"+{grid}"),
                "Hydra joblib": swept(peers, PLAIN, "-m", f"+{grid}", "hydra/launcher=joblib"),
                "Hydra submitit_local": swept(peers, PLAIN, "-m", f"+{grid}", "hydra/launcher=submitit_local"),
                FLOOR: swept(peers, PLAIN),
            },
        )


def plugin_cost(peers: Environment, pairs: int) -> dict[str, tuple[float, float, float]]:
    """Seconds that the plugin adds to a Hydra app that does not use it: median and quartiles of paired differences.

    The environment has Hydra and the launchers of others. Half of the runs find our two folders on the path, the
    other half two empty folders in their place. Measured twice: Hydra's search for plugins alone, where all of the
    cost arises, and the whole app from start to exit, which on most machines varies by more than what is looked for.
    """
    with scratch() as root:
        folder = Path(root)
        empty = (folder / "a", folder / "b")
        for path in empty:
            path.mkdir()
        without = replace(peers, path=empty)
        installed = replace(peers, path=(ROOT / "hydra_plugin", ROOT))

        def difference(measure: Callable[[Environment], float]) -> tuple[float, float, float]:
            commands = {"without": lambda: measure(without), "with": lambda: measure(installed)}
            alternate(1, commands)  # files read, bytecode compiled
            found = alternate(pairs, commands)
            added = [after - before for before, after in zip(found["without"], found["with"], strict=True)]
            low, middle, high = statistics.quantiles(added, n=4)
            return middle, low, high

        return {
            "search for plugins": difference(lambda environment: float(environment.run([SCAN], folder))),
            "whole app": difference(lambda environment: environment.wall([PLAIN], folder)),
        }
