"""Every test of this folder runs on a real Slurm: one that is up, or one that is started here and stopped after."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster, ClusterUnavailable


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.slurm)


@pytest.fixture(scope="session")
def slurm() -> Iterator[Cluster]:
    """The cluster, its commands first on PATH; the last test process to leave stops what a test process started."""
    cluster = Cluster()
    with (
        Path(f"{cluster.state}.starting").open("w") as starting,
        Path(f"{cluster.state}.users").open("w") as lock,
        pytest.MonkeyPatch.context() as patch,
    ):
        fcntl.flock(starting, fcntl.LOCK_EX)
        try:
            if not cluster.is_up():
                cluster.start()
                (cluster.state / "started-by-tests").touch()
        except ClusterUnavailable as error:
            pytest.skip(f"no Slurm here: {error}")
        fcntl.flock(lock, fcntl.LOCK_SH)
        fcntl.flock(starting, fcntl.LOCK_UN)
        patch.setenv("PATH", f"{cluster.clients}{os.pathsep}{os.environ['PATH']}")
        yield cluster
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # others are at it
        if (cluster.state / "started-by-tests").exists():
            cluster.stop()


@pytest.fixture(autouse=True)
def _on_slurm(slurm: Cluster) -> None:
    """No test of this folder runs without the cluster."""
