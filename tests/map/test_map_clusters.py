"""Maps computed by workers: threads, a pool of processes, the local queue. The same suite for all."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
import typing as tp
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pydantic
import pytest
from mapped import Batched, Counted, Fibonacci, Listed, counts, first, workers

import exca
from exca.errors import JobFailed


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return tmp_path / "trace.txt"


class MapOnClusterContract:
    """What holds wherever the items are computed."""

    cluster: str
    processes = True

    def infra(self, tmp_path: Path, **fields: tp.Any) -> dict[str, tp.Any]:
        return {"cluster": self.cluster, "folder": tmp_path / "cache", "max_workers": 2, **fields}

    @pytest.mark.parametrize("cls", [Counted, Listed, Batched])
    def test_each_item_is_computed_once(self, cls: type[Counted], tmp_path: Path, trace: Path) -> None:
        config = cls(trace=trace, infra=self.infra(tmp_path))
        assert first(config.process([5, *range(40), 5])) == [5, *range(40), 5]
        assert counts(trace) == dict.fromkeys(range(40), 1)
        assert (os.getpid() in workers(trace)) is not self.processes
        assert first(cls(trace=trace, infra={"folder": tmp_path / "cache"}).process([7, 3])) == [7, 3]
        assert counts(trace).total() == 40

    def test_nothing_stays_behind(self, tmp_path: Path) -> None:
        config = Counted(fail=(3,), infra=self.infra(tmp_path))
        with pytest.raises(ValueError, match="bad 3"):
            config.process(range(5))
        folder = config.infra.uid_folder()
        assert folder is not None
        assert not list((folder / "claims").iterdir())
        assert not list(folder.glob("runs/*"))

    def test_a_failing_item_costs_none_of_the_others(self, tmp_path: Path, trace: Path) -> None:
        config = Counted(trace=trace, fail=(3,), infra=self.infra(tmp_path))
        with pytest.raises(ValueError, match="bad 3") as caught:
            config.process(range(20))
        notes = "\n".join(caught.value.__notes__)
        assert "1 item failed ('3'); 19 of 20 are stored" in notes
        assert len(config.infra.cache_dict) == 19
        assert counts(trace) == dict.fromkeys(range(20), 1), "nobody tries again what another worker failed with"

    @pytest.mark.parametrize("cls", [Listed, Batched])
    def test_the_failing_item_of_a_list_is_found(self, cls: type[Counted], tmp_path: Path) -> None:
        config = cls(fail=(3,), infra=self.infra(tmp_path))
        with pytest.raises(ValueError, match="bad 3"):
            config.process(range(20))
        assert len(config.infra.cache_dict) == 19

    def test_workers_give_up_when_everything_fails(self, tmp_path: Path, trace: Path) -> None:
        config = Counted(trace=trace, fail=tuple(range(100)), infra=self.infra(tmp_path))
        with pytest.raises(ValueError, match="bad"):
            config.process(range(100))
        assert counts(trace).total() <= 10

    def test_force_computes_each_item_again_once(self, tmp_path: Path, trace: Path) -> None:
        Counted(trace=trace, infra=self.infra(tmp_path)).process(range(6))
        config = Counted(trace=trace, infra=self.infra(tmp_path, mode="force"))
        for _ in range(2):
            assert first(config.process(range(6))) == list(range(6))
        assert counts(trace) == dict.fromkeys(range(6), 2)

    def test_force_without_a_folder(self, tmp_path: Path, trace: Path) -> None:
        if self.cluster == "local":
            pytest.skip("needs a folder for its logs")
        config = Counted(trace=trace, infra=self.infra(tmp_path, folder=None, mode="force"))
        for _ in range(2):
            assert first(config.process(range(4))) == list(range(4))
        assert counts(trace) == dict.fromkeys(range(4), 1)

    @pytest.mark.parametrize("keep_in_ram", [True, False])
    def test_without_a_folder(self, keep_in_ram: bool, tmp_path: Path, trace: Path) -> None:
        if self.cluster == "local":
            pytest.skip("needs a folder for its logs")
        config = Counted(trace=trace, infra=self.infra(tmp_path, folder=None, keep_in_ram=keep_in_ram))
        assert first(config.process([2, 1, 2])) == [2, 1, 2]
        assert first(config.process([2])) == [2]
        assert counts(trace) == {1: 1, 2: 1 if keep_in_ram else 2}

    def test_a_recursive_map_ends(self, tmp_path: Path, trace: Path) -> None:
        config = Fibonacci(trace=trace, infra=self.infra(tmp_path))
        assert list(config.process(range(15, -1, -1)))[:3] == [610, 377, 233]
        assert set(counts(trace)) == set(range(16))

    def test_incident_17_bounded_workers_and_a_fair_minimum_for_each(self, tmp_path: Path, trace: Path) -> None:
        """Incident 17: max_workers ignored; a map with defaults started a process per item."""
        if not self.processes:
            pytest.skip("threads share a pid")
        config = Counted(trace=trace, seconds=0.02, infra=self.infra(tmp_path, max_workers=None, max_jobs=3))
        config.process(range(12))
        assert len(workers(trace)) <= min(3, len(os.sched_getaffinity(0)))
        trace.unlink()
        config.infra.clone_obj(size=5).infra.clone_obj({"infra.min_samples_per_job": 12}).process(range(12))
        assert len(workers(trace)) == 1


class TestThreads(MapOnClusterContract):
    cluster = "threadpool"
    processes = False


@pytest.mark.slow
class TestProcesses(MapOnClusterContract):
    cluster = "processpool"

    def test_items_that_kill_their_worker(self, tmp_path: Path, trace: Path) -> None:
        config = Counted(trace=trace, kill=(3,), infra=self.infra(tmp_path))
        assert first(config.process(range(20))) == list(range(20))
        assert counts(trace) - counts(trace).__class__(range(20)) == {3: 1}

    @pytest.mark.parametrize("max_workers", [1, 2])
    def test_an_item_that_always_kills_its_worker(self, max_workers: int, tmp_path: Path, trace: Path) -> None:
        config = Fatal(trace=trace, infra=self.infra(tmp_path, max_workers=max_workers))
        with pytest.raises(JobFailed, match=r"signal 9|SIGKILL|killed"):
            config.process(range(10))
        assert len(config.infra.cache_dict) == 9, "everything else was computed"

    def test_workers_run_in_a_copy_of_the_code(self, tmp_path: Path) -> None:
        code = tmp_path / "project"
        code.mkdir()
        (code / "data.txt").write_text("x")
        config = Place(infra=self.infra(tmp_path, workdir=code))
        (folder,) = config.process([1])
        assert Path(folder) == (config.infra.uid_folder() / "code").resolve()
        assert (Path(folder) / "data.txt").exists()

    def test_the_remote_traceback_is_a_note(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="bad") as caught:
            Counted(fail=(1,), infra=self.infra(tmp_path)).process([1])
        notes = "\n".join(caught.value.__notes__)
        assert 'raise ValueError(f"bad {item}")' in notes
        assert "Logs of job" in notes


@pytest.mark.slow
class TestLocal(TestProcesses):
    cluster = "local"


class Place(pydantic.BaseModel):
    infra: exca.MapInfra = exca.MapInfra()

    @infra.apply(item_uid=str)
    def process(self, items: tp.Iterable[int]) -> tp.Iterator[str]:
        for _ in items:
            yield os.getcwd()


class Fatal(Counted):
    def compute(self, item: int) -> np.ndarray:
        if item == 3:
            os.kill(os.getpid(), 9)
        return super().compute(item)


SCRIPT = """
import dataclasses, os, sys, typing as tp
import pydantic, exca

@dataclasses.dataclass(frozen=True)
class Point:
    x: int
    def __str__(self): return f"point-{self.x}"

@dataclasses.dataclass
class Result:
    point: Point
    pid: int

class Model(pydantic.BaseModel):
    infra: exca.MapInfra = exca.MapInfra()
    @infra.apply(item_uid=str)
    def process(self, points: tp.Iterable[Point]) -> tp.Iterator[Result]:
        for point in points:
            assert isinstance(point, Point)
            yield Result(point, os.getpid())

results = list(Model(infra={"cluster": sys.argv[1], "folder": sys.argv[2]}).process([Point(1), Point(2)]))
assert all(type(result) is Result and type(result.point) is Point for result in results), results
assert [result.point.x for result in results] == [1, 2]
assert os.getpid() not in {result.pid for result in results}
print("once")
"""


@pytest.mark.slow
@pytest.mark.parametrize("cluster", ["processpool", "local"])
def test_incident_18_classes_of_a_script_without_a_guard(cluster: str, tmp_path: Path) -> None:
    """Incident 18: process pools failed for classes of the running script."""
    script = tmp_path / "points.py"
    script.write_text(textwrap.dedent(SCRIPT))
    command = [sys.executable, "-W", "error", str(script), cluster, str(tmp_path / "cache")]
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert done.stdout == "once\n"
        assert not done.stderr


@pytest.mark.slow
def test_ctrl_c_says_what_is_stored_and_how_to_come_back(tmp_path: Path, trace: Path) -> None:
    program = f"""
import pathlib, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from mapped import Counted
infra = dict(cluster=sys.argv[1], folder={str(tmp_path / "cache")!r} + sys.argv[1], max_workers=2)
Counted(trace=pathlib.Path({str(trace)!r}), seconds=0.3, infra=infra).process(range(16))
"""
    stopped = "the workers were stopped"
    for cluster, said in [("threadpool", stopped), ("processpool", stopped), ("local", "the workers go on")]:
        trace.unlink(missing_ok=True)
        process = subprocess.Popen([sys.executable, "-c", program, cluster], stderr=subprocess.PIPE, text=True)
        while not trace.exists() or counts(trace).total() < 3:
            time.sleep(0.05)
        process.send_signal(2)
        printed = process.communicate(timeout=30)[1]
        if cluster == "threadpool":
            assert counts(trace).total() <= 6, "a thread ends the item it is at"
        assert f"of 16 items are stored; {said}" in printed
        if cluster == "local":
            config = Counted(trace=trace, infra={"folder": f"{tmp_path / 'cache'}{cluster}"})
            assert first(config.process(range(16))) == list(range(16)), "shares the work with those who go on"
            assert counts(trace) == dict.fromkeys(range(16), 1)


def test_a_refused_submission_leaves_no_folder_of_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Counted(infra={"folder": tmp_path, "cluster": "local"})

    def refuse(*args: tp.Any, **kwargs: tp.Any) -> tp.Any:
        raise OSError("the scheduler takes nothing")

    monkeypatch.setattr("exca.map._workers.execution.make_executor", lambda *_, **__: SimpleNamespace(submit=refuse))
    with pytest.raises(OSError, match="takes nothing"):
        config.process(range(3))
    assert list(tmp_path.rglob("runs/*")) == []
    assert list(tmp_path.rglob("runs")), "it was made, and is gone"


@pytest.mark.slow
def test_workers_are_named_when_ctrl_c_comes_right_after_their_submission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Counted(infra={"folder": tmp_path, "cluster": "local", "max_workers": 2})

    def interrupt(*args: tp.Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("exca.map._workers._Round._link_code", interrupt)
    with pytest.raises(KeyboardInterrupt) as caught:
        config.process(range(3))
    assert "the workers go on (" in caught.value.__notes__[-1]
    monkeypatch.undo()
    assert first(config.process(range(3))) == [0, 1, 2]
