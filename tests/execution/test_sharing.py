"""Arguments that the calls of an array have in common."""

from __future__ import annotations

from pathlib import Path

import pytest
from execution_calls import Unreadable, Unwritable, double, identify, take
from executor_contract import results

from exca.errors import JobFailed, SubmissionFailed
from exca.execution import Call, Resources, Shared, make_executor


class CountingPickles:
    """Counts how often it was pickled."""

    count = 0

    def __reduce__(self) -> tuple[type[list[int]], tuple[()]]:
        CountingPickles.count += 1
        return list, ()


@pytest.mark.parametrize("cluster", ["local", "processpool"])
def test_written_once_for_all_calls_and_loaded_once_in_each_worker(tmp_path: Path, cluster: str) -> None:
    shared = Shared(CountingPickles())
    CountingPickles.count = 0
    executor = make_executor(Resources(cluster=cluster, max_workers=2), f"{tmp_path}/%j")
    jobs = executor.submit([Call(identify, (shared,)) for _ in range(30)])
    found = set(results(jobs))
    assert CountingPickles.count == 1
    assert len(found) == len({process for process, _ in found})  # type: ignore[misc]


def test_a_large_argument_takes_its_room_once(tmp_path: Path) -> None:
    shared = Shared(b"x" * 10**6)
    results(make_executor(Resources(cluster="local"), f"{tmp_path}/%j").submit([Call(take, (1,))]))
    jobs = make_executor(Resources(cluster="local"), f"{tmp_path}/%j").submit([Call(hash, (shared,))] * 10)
    results(jobs)
    assert sum(path.stat().st_size for path in tmp_path.rglob("call.pkl")) < 10**5
    assert len({job.result() for job in jobs}) <= 8


def test_what_cannot_be_sent_or_loaded(tmp_path: Path) -> None:
    executor = make_executor(Resources(cluster="local"), f"{tmp_path}/%j")
    with pytest.raises(SubmissionFailed, match=r"what the calls my map share cannot be sent.*stays at home"):
        executor.submit([Call(take, (Shared(Unwritable()),), name="my map")] * 2)
    assert list(tmp_path.iterdir()) == []
    jobs = executor.submit([Call(take, (Shared(Unreadable()),)), Call(double, (1,))])
    with pytest.raises(JobFailed, match=r"could not be loaded .*only_at_home"):
        jobs[0].result()
    assert jobs[1].result() == 2
