"""Maps and the disk: damage, a full disk, many small calls, big values, what a warm call reads."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import typing as tp
from pathlib import Path

import numpy as np
import pydantic
import pytest
from mapped import Counted, counts, first

import exca

HERE = str(Path(__file__).parent)


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return tmp_path / "trace.txt"


def run(program: str) -> str:
    """Run a program that may import the maps of these tests; returns what it printed."""
    command = [sys.executable, "-W", "error", "-c", f"import sys; sys.path.insert(0, {HERE!r})\n{program}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_incident_08_one_bad_line_costs_no_other_item(tmp_path: Path, trace: Path) -> None:
    """Incident 8: one bad index line made a whole map cache unreadable."""
    Counted(trace=trace, infra={"folder": tmp_path}).process(range(20))
    for log in tmp_path.rglob("*.log"):
        with log.open("ab") as stream:
            stream.write(b'{"k":"77","n":12,\n\x00\xff half a line')
    with pytest.warns(exca.cachedict.DamagedCacheWarning):
        assert first(Counted(trace=trace, infra={"folder": tmp_path}).process(range(22))) == list(range(22))
    assert counts(trace) == dict.fromkeys(range(22), 1)


def test_incidents_08_and_21a_a_full_disk_loses_nothing_and_leaves_nothing(tmp_path: Path, trace: Path) -> None:
    """Incidents 8, 21a: after a full disk, half a line glued itself to the next, and claims stayed behind."""
    program = f"""
import pathlib, resource
import exca
from mapped import Counted
config = Counted(size=1000, trace=pathlib.Path({str(trace)!r}), infra=dict(folder={str(tmp_path)!r}))
config.infra.uid_folder(create=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
try:
    config.process(range(10))
except OSError as error:
    print(type(error).__name__)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print([int(value[0]) for value in config.process(range(10))])
"""
    printed = run(program).splitlines()
    assert printed == ["ResultNotStored", str(list(range(10)))]
    assert first(Counted(size=1000, infra={"folder": tmp_path, "mode": "read-only"}).process(range(10))) == [
        *range(10)
    ]
    assert not list(tmp_path.rglob("claims/*"))
    assert max(counts(trace).values()) == 2, "the item that did not fit"
    assert counts(trace).total() == 11


@pytest.mark.slow
def test_workers_stop_at_a_full_disk(tmp_path: Path, trace: Path) -> None:
    """Incident 8: what does not fit is told as such, and nothing more is computed in vain."""
    program = f"""
import pathlib, resource
from mapped import Counted
infra = dict(folder={str(tmp_path / "cache")!r}, cluster="processpool", max_workers=2)
config = Counted(size=20_000, trace=pathlib.Path({str(trace)!r}), infra=infra)
config.infra.uid_folder(create=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
try:
    config.process(range(100))
except OSError as error:
    print(type(error).__name__, "No space" in str(error) or "too large" in str(error), "was not stored" in str(error))
"""
    assert run(program) == "ResultNotStored True True\n"
    stored = len(Counted(size=20_000, infra={"folder": tmp_path / "cache"}).infra.cache_dict)
    assert 3 <= stored < counts(trace).total() <= stored + 2, "each of two workers met the end of the disk once"


def test_incident_14_many_calls_for_one_item_each_leave_few_files(tmp_path: Path) -> None:
    """Incident 14: one index file per writer, never merged."""
    for item in range(60):
        Counted(infra={"folder": tmp_path}).process([item])
    assert len(list(tmp_path.rglob("*.log"))) < 30
    assert first(Counted(infra={"folder": tmp_path}).process(range(60))) == list(range(60))


class Loud:
    """Counts how often it is read."""

    loads: tp.ClassVar[list[int]] = []

    def __init__(self, item: int) -> None:
        self.item = item

    def __reduce__(self) -> tuple[tp.Any, ...]:
        return loud, (self.item,)


def loud(item: int) -> Loud:
    Loud.loads.append(item)
    return Loud(item)


def test_incident_13_a_warm_call_reads_each_item_once_and_others_read_none(tmp_path: Path) -> None:
    """Incident 13: every warm call unpickled the result twice; status loaded everything."""

    class Louds(pydantic.BaseModel):
        infra: exca.MapInfra = exca.MapInfra(keep_in_ram=False)

        @infra.apply(item_uid=str, cache_type="Pickle")
        def process(self, items: tp.Iterable[int]) -> tp.Iterator[Loud]:
            for item in items:
                yield Loud(item)

    Louds(infra={"folder": tmp_path}).process(range(5))
    config = Louds(infra={"folder": tmp_path})
    Loud.loads.clear()
    results = config.process(range(5))
    assert list(config.infra.iter_cached())
    assert len(config.infra.cache_dict) == 5
    assert not Loud.loads
    next(results)
    assert Loud.loads == [0], "one by one, as they are asked for"
    list(results)
    assert Loud.loads == list(range(5))


@pytest.mark.slow
def test_memory_stays_flat_over_big_results(tmp_path: Path) -> None:
    program = f"""
import resource, sys
from mapped import Counted
config = Counted(size=4_000_000, infra=dict(folder={str(tmp_path)!r}, keep_in_ram=False))
config.process([0]); before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
total = sum(float(value.sum()) for value in config.process(range(40)))
assert total == 4_000_000 * sum(range(40))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    grown_kb = int(run(program))
    assert grown_kb < 100_000, "computed and read: 640 MB, in steps of 16"


@pytest.mark.slow
def test_long_work_shows_a_bar_on_a_terminal_and_nothing_elsewhere(tmp_path: Path) -> None:
    program = "from mapped import Counted; Counted(seconds=0.02).process([0, *range(100)])"
    assert run(program) == ""
    master, slave = pty.openpty()
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {HERE!r})\n{program}"]
    process = subprocess.Popen(command, stderr=slave, env={**os.environ, "TERM": "xterm", "COLUMNS": "100"})
    os.close(slave)
    shown = b""
    while True:
        try:
            part = os.read(master, 4096)
        except OSError:  # the other end was closed
            break
        if not part:
            break
        shown += part
    os.close(master)
    assert process.wait() == 0
    assert b"Counted.process" in shown
    assert b"/100" in shown
    assert b"/s" in shown


def test_a_full_config_tree_composes_with_a_map(tmp_path: Path) -> None:
    config = exca.hydra.compose(Counted, overrides=[f"infra.folder={tmp_path}", "infra.max_jobs=3", "size=2"])
    assert config.infra.max_jobs == 3
    assert next(config.process([1])).tolist() == np.ones(2).tolist()
