"""Slots shared between arrays."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from execution_calls import PATIENCE_S, double, nap, until, wait_for
from executor_contract import results

from exca.execution import Call, Resources, make_executor
from exca.execution._array._slots import SlotPool
from exca.execution._queues import ENVIRONMENT, Bounds, QueueExecutor
from exca.execution._writing import Surroundings


def pool(folder: Path, need: int = 1, names: str = "abc") -> SlotPool:
    return SlotPool(str(folder / "slots"), list(names), need)


def test_no_more_than_there_are(tmp_path: Path) -> None:
    one, other = pool(tmp_path), pool(tmp_path)
    held = [one.acquire(starving=True), other.acquire(starving=True), one.acquire(starving=True)]
    assert [slot.name for slots in held if slots for slot in slots] == ["a", "b", "c"]
    assert other.acquire(starving=False) is None
    assert held[1] is not None
    held[1][0].close()
    found = other.acquire(starving=False)
    assert found is not None
    assert found[0].name == "b"
    for slots in (held[0], held[2], found):
        assert slots is not None
        slots[0].close()


def test_a_starving_array_gathers_and_nobody_overtakes_it(tmp_path: Path) -> None:
    small, large = pool(tmp_path), pool(tmp_path, need=3)
    held = [small.acquire(starving=True), small.acquire(starving=False)]
    assert not small.is_wanted()
    assert large.acquire(starving=True) is None  # it keeps the third
    assert small.is_wanted()
    assert small.acquire(starving=False) is None
    for slots in held:
        assert slots is not None
        slots[0].close()
    assert small.acquire(starving=True) is None  # it is not its turn
    gathered = large.acquire(starving=True)
    assert gathered is not None
    assert sorted(slot.name for slot in gathered) == ["a", "b", "c"]
    assert not small.is_wanted()
    for slot in gathered:
        slot.close()


def test_an_array_that_has_workers_keeps_nothing_while_it_waits(tmp_path: Path) -> None:
    small, large = pool(tmp_path), pool(tmp_path, need=3)
    held = small.acquire(starving=True)
    assert large.acquire(starving=False) is None
    assert not small.is_wanted()
    more = small.acquire(starving=False)
    assert held is not None
    assert more is not None
    for slot in (*held, *more):
        slot.close()


def test_a_temporary_directory_that_was_cleaned_up(tmp_path: Path) -> None:
    slots = pool(tmp_path)
    for _ in range(2):
        held = slots.acquire(starving=True)
        assert held is not None
        held[0].close()
        shutil.rmtree(tmp_path / "slots")
    assert not slots.is_wanted()


def test_incident_17_a_killed_holder_lets_go(tmp_path: Path) -> None:
    script = "import sys, time; from exca.execution._array._slots import SlotPool; "
    script += "SlotPool(sys.argv[1], ['a'], 1).acquire(starving=True); print(flush=True); time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", script, f"{tmp_path}/slots"], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()
    slots = pool(tmp_path, names="a")
    assert slots.acquire(starving=False) is None
    holder.send_signal(signal.SIGKILL)
    holder.wait(PATIENCE_S)
    holder.stdout.close()
    held = slots.acquire(starving=False)
    assert held is not None
    held[0].close()


def queue(folder: Path, share_after_s: float) -> QueueExecutor:
    bounds = Bounds(1, share_after_s=share_after_s)
    return QueueExecutor(bounds, f"{folder}/logs/%j", Surroundings(ENVIRONMENT), tied=False)


def test_what_a_worker_lends_is_taken_though_another_array_has_the_turn(tmp_path: Path) -> None:
    folder = str(tmp_path / "slots")
    parent, starving = pool(tmp_path, names="a"), pool(tmp_path, names="a")
    held = parent.acquire(starving=True)
    assert held is not None
    assert starving.acquire(starving=True) is None  # it has the turn from now on
    nested, sibling = (SlotPool(folder, ["a"], 1, ["a.lent"]) for _ in range(2))
    lent = nested.acquire(starving=True)
    assert lent is not None
    assert [(slot.name, slot.resource) for slot in lent] == [("a.lent", "a")]
    assert sibling.acquire(starving=True) is None  # it is lent once
    lent[0].close()
    again = sibling.acquire(starving=True)
    assert again is not None
    for slot in (*held, *again):
        slot.close()
    starving.release()


def nested_sum(folder: str, depth: int, gpus: int = 0) -> tuple[int, str]:
    """Submit to the queue in which this runs, and wait."""
    if not depth:
        return 1, os.environ.get("CUDA_VISIBLE_DEVICES", "")
    resources = Resources(cluster="local", max_workers=None if gpus else 1, gpus_per_node=gpus or None)
    calls = [Call(nested_sum, (folder, depth - 1, gpus)) for _ in range(2)]
    values = [job.result() for job in make_executor(resources, f"{folder}/logs/%j").submit(calls)]
    return sum(value for value, _ in values), values[0][1]  # type: ignore[misc]


@pytest.mark.slow
def test_calls_that_wait_for_what_they_submit_to_their_own_queue(tmp_path: Path) -> None:
    assert nested_sum(str(tmp_path), 3) == (8, "")


@pytest.mark.slow
def test_a_call_with_a_gpu_lends_it_to_what_it_waits_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"test-{os.getpid()}-lent"
    monkeypatch.setenv("EXCA_LOCAL_GPUS", name)
    assert nested_sum(str(tmp_path), 2, gpus=1) == (4, name)


def test_a_small_array_need_not_wait_for_the_end_of_a_large_one(tmp_path: Path) -> None:
    large = queue(tmp_path, share_after_s=0.3).submit([Call(nap, (0.05,)) for _ in range(40)])
    until(lambda: large[0].status() != "pending")
    small = queue(tmp_path, share_after_s=0.3).submit([Call(double, (4,))])
    assert results(small) == [8]
    assert not large[-1].done()
    for job in large:
        job.cancel()


def test_but_it_waits_while_the_other_has_not_had_its_time(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    [first] = queue(tmp_path, share_after_s=60).submit([Call(wait_for, (str(gate),))])
    until(lambda: first.status() == "running")
    [second] = queue(tmp_path, share_after_s=60).submit([Call(os.getpid)])
    time.sleep(0.3)
    assert second.status() == "pending"
    gate.touch()
    assert results([first, second])[0] == str(gate)
