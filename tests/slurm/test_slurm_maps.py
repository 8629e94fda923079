"""Maps whose items are computed by jobs of Slurm, and what becomes of them when jobs are killed."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster
from mapped import Counted, Listed, counts, first, workers
from slurm_experiments import until
from slurm_maps import Stuck
from test_map_clusters import MapOnClusterContract


@pytest.mark.slow
class TestMapsOnSlurm(MapOnClusterContract):
    cluster = "slurm"

    def test_force_without_a_folder(self) -> None:
        pytest.skip("needs a folder for its logs")

    def test_without_a_folder(self) -> None:
        pytest.skip("needs a folder for its logs")


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return tmp_path / "trace.txt"


@pytest.fixture
def infra(tmp_path: Path) -> dict[str, Any]:
    return {"cluster": "slurm", "folder": tmp_path / "cache", "max_workers": 2}


@pytest.mark.parametrize("cls", [Counted, Listed])
def test_each_item_is_computed_once(cls: type[Counted], tmp_path: Path, trace: Path, infra: dict[str, Any]) -> None:
    config = cls(trace=trace, infra=infra)
    assert first(config.process([5, *range(40), 5])) == [5, *range(40), 5]
    assert counts(trace) == dict.fromkeys(range(40), 1)
    assert os.getpid() not in workers(trace)
    assert first(cls(trace=trace, infra={"folder": tmp_path / "cache"}).process([7, 3])) == [7, 3]
    assert counts(trace).total() == 40


def test_a_failing_item_costs_none_of_the_others(trace: Path, infra: dict[str, Any]) -> None:
    config = Counted(trace=trace, fail=(3,), infra=infra)
    with pytest.raises(ValueError, match="bad 3") as caught:
        list(config.process(range(20)))
    notes = "\n".join(caught.value.__notes__)
    assert "failed ('3'); 19 of 20 are stored" in notes
    assert 'raise ValueError(f"bad {item}")' in notes, "the traceback of the node"
    assert len(config.infra.cache_dict) == 19
    again = Counted(trace=trace, infra=infra | {"mode": "retry"})
    assert first(again.process(range(20))) == list(range(20))
    assert counts(trace) == dict.fromkeys(range(20), 1) | {3: 2}


def test_an_item_that_kills_its_process_is_computed_by_another(trace: Path, infra: dict[str, Any]) -> None:
    config = Counted(trace=trace, kill=(3,), infra=infra)
    assert first(config.process(range(20))) == list(range(20))
    assert counts(trace)[3] == 2
    assert counts(trace).total() <= 21


@pytest.mark.parametrize("how", ["SIGKILL of all its processes", "scancel of its element"])
def test_a_worker_that_is_killed_leaves_its_items_to_the_other(
    how: str, trace: Path, infra: dict[str, Any], slurm: Cluster
) -> None:
    config = Stuck(trace=trace, infra=infra)
    done: list[int] = []
    caller = threading.Thread(target=lambda: done.extend(first(config.process(range(60)))))
    caller.start()
    until(lambda: counts(trace)[0])
    [pid] = [int(line.split()[1]) for line in trace.read_text().splitlines() if line.split()[0] == "0"]
    until(lambda: counts(trace).total() >= 40)  # by the other worker
    trace.with_suffix(".free").touch()
    if how.startswith("SIGKILL"):
        os.kill(_parent(pid), signal.SIGKILL)
    else:
        slurm.run("scancel", _job_of(pid))
    caller.join(90)
    assert done == list(range(60))
    assert counts(trace)[0] == 2
    assert sum(count - 1 for count in counts(trace).values()) <= 10, "only what the dead one had taken"


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _job_of(pid: int) -> str:
    entries = Path(f"/proc/{pid}/environ").read_text().split("\0")
    variables = dict(entry.partition("=")[::2] for entry in entries)
    return f"{variables['SLURM_ARRAY_JOB_ID']}_{variables['SLURM_ARRAY_TASK_ID']}"
