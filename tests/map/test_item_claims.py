"""Several processes and threads at the same items: each is computed once, and nobody waits for the dead."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import typing as tp
from collections import deque
from pathlib import Path

import pytest
from mapped import Batched, Counted, Fibonacci, Listed, Loading, counts, first, workers

from exca.cachedict import CacheDict
from exca.liveness import Stamp
from exca.map._claims import FolderClaims
from exca.map._marks import Marks
from exca.map._taking import Taker
from exca.map._work import Work

PROGRAM = """
import json, pathlib, sys
sys.path.insert(0, sys.argv[1])
import mapped
given = json.loads(sys.argv[2])
config = getattr(mapped, given["cls"])(**given["fields"])
print("ready", flush=True)
sys.stdin.readline()
results = config.process(eval(given["items"]))
print(json.dumps([float(value.sum()) if hasattr(value, "sum") else value for value in results]), flush=True)
"""


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return tmp_path / "trace.txt"


class Caller:
    """A process that calls a map when told to."""

    def __init__(self, cls: type, items: str, **fields: tp.Any) -> None:
        given = json.dumps({"cls": cls.__name__, "items": items, "fields": fields}, default=str)
        command = [sys.executable, "-c", PROGRAM, str(Path(__file__).parent), given]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def start(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def results(self, timeout: float = 60) -> list[float]:
        out, _ = self.process.communicate(timeout=timeout)
        assert self.process.returncode == 0
        return tp.cast("list[float]", json.loads(out))


def wait_until(condition: tp.Callable[[], bool], timeout: float = 20) -> None:
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


@pytest.mark.slow
@pytest.mark.parametrize("cls", [Counted, Batched, Listed])
def test_incident_07_eight_processes_compute_each_of_2000_items_once(
    cls: type[Counted], tmp_path: Path, trace: Path
) -> None:
    """Incident 7: two processes computed one task; the loser returned a value that is not the cached one."""
    fields = {"trace": trace, "seconds": 0.001, "infra": {"folder": tmp_path / "cache"}}
    callers = [Caller(cls, "range(2000)", **fields) for _ in range(8)]
    for caller in callers:
        caller.start()
    expected = [3.0 * item for item in range(2000)]
    assert all(caller.results() == expected for caller in callers)
    assert counts(trace) == dict.fromkeys(range(2000), 1)
    if cls is not Listed:
        assert len(workers(trace)) == 8, "the work is shared"
    config = cls(infra={"folder": tmp_path / "cache"})
    assert len(config.infra.cache_dict) == 2000
    assert sum(line.count(b'"k"') for line in lines_of(tmp_path)) == 2000, "the folder holds each item once"


def lines_of(folder: Path) -> list[bytes]:
    """All records of all segments."""
    return [line for log in folder.rglob("*.log") for line in log.read_bytes().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("cls", [Counted, Listed])
def test_what_a_killed_process_was_at_is_taken_over_at_once(cls: type[Counted], tmp_path: Path, trace: Path) -> None:
    fields = {"trace": trace, "slow": {2: 60.0}, "infra": {"folder": tmp_path / "cache"}}
    victim = Caller(cls, "range(8)", **fields)
    victim.start()
    wait_until(lambda: counts(trace)[2] == 1)
    heir = Caller(cls, "range(8)", trace=trace, infra={"folder": tmp_path / "cache"})
    heir.start()
    if cls is Counted:
        wait_until(lambda: counts(trace).total() == 8)  # what nobody is at is not waited for
        time.sleep(0.1)
    victim.kill()
    before = time.monotonic()
    assert heir.results() == [3.0 * item for item in range(8)]
    assert time.monotonic() - before < 2
    again = counts(trace)
    assert again[2] == 2
    assert set(again) == set(range(8))
    if cls is Counted:
        assert again.total() == 9, "what the dead one had stored is not lost"


@pytest.mark.slow
def test_a_method_that_is_slow_to_begin_ends_well_when_others_take_its_items(tmp_path: Path, trace: Path) -> None:
    fields = {"trace": trace, "infra": {"folder": tmp_path / "cache"}}
    callers = [Caller(Loading, "range(10)", **fields) for _ in range(2)]
    for caller in callers:
        caller.start()
        time.sleep(1.0)
    assert [caller.results() for caller in callers] == [[3.0 * item for item in range(10)]] * 2
    assert counts(trace) == dict.fromkeys(range(10), 1)


@pytest.mark.slow
def test_an_item_is_there_as_soon_as_it_is_stored(tmp_path: Path, trace: Path) -> None:
    infra = {"folder": tmp_path / "cache"}
    slow = Caller(Counted, "range(3)", trace=trace, slow={0: 0.5, 1: 60.0}, infra=infra)
    slow.start()
    wait_until(lambda: counts(trace)[0] == 1)
    before = time.monotonic()
    assert first(Counted(trace=trace, infra=infra).process([0])) == [0]
    assert time.monotonic() - before < 5
    assert counts(trace)[0] == 1, "waited for, not computed again"
    slow.kill()


@pytest.mark.parametrize("place", ["folder", "ram"])
def test_threads_share_the_items_of_one_config(place: str, tmp_path: Path, trace: Path) -> None:
    config = Counted(trace=trace, seconds=0.005, infra={"folder": tmp_path / "cache" if place == "folder" else None})
    found: list[list[int]] = []
    threads = [threading.Thread(target=lambda: found.append(first(config.process(range(40))))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [list(range(40))] * 4
    assert counts(trace) == dict.fromkeys(range(40), 1)


def test_incident_22_the_claim_of_a_dead_self_is_not_waited_for(tmp_path: Path, trace: Path) -> None:
    """Incident 22: after a restart in a container (same host name, same pid) a process waited for its dead self."""
    config = Counted(trace=trace, infra={"folder": tmp_path})
    folder = config.infra.uid_folder(create=True)
    assert folder is not None
    claims = folder / "claims"
    claims.mkdir()
    me = Stamp.current()
    for number, boot in enumerate((me.boot, "another-boot/pid:[1]")):
        stamp = Stamp(me.host, boot, me.pid, me.start - 1 - number).to_dict()
        (claims / f"{number}.json").write_text(json.dumps({"process": stamp}))
        os.utime(claims / f"{number}.json", (0, 0))  # of another boot, it is the silence that tells
        (claims / f"{number}.keys").write_text(json.dumps("1") + "\n")
    before = time.monotonic()
    assert first(config.process([1])) == [1]
    assert time.monotonic() - before < 1
    assert not list(claims.iterdir()), "what the dead left behind is cleared away"


def test_half_a_line_of_a_claim_is_no_claim(tmp_path: Path) -> None:
    one, other = FolderClaims(str(tmp_path)), FolderClaims(str(tmp_path))
    with one.turn():
        one.take(["a", "b\n"])
    keys = next(tmp_path.glob("*.keys"))
    keys.write_text(keys.read_text() + '"c')
    assert [key in other.others() for key in ("a", "b\n", "c")] == [True, True, False]
    assert other.others().count == 1
    one.release()
    assert other.others().count == 0
    assert not list(tmp_path.iterdir())


def test_a_recursive_map_computes_each_item_once(tmp_path: Path, trace: Path) -> None:
    config = Fibonacci(trace=trace, infra={"folder": tmp_path})
    assert list(config.process([25, 24, 3])) == [75025, 46368, 2]
    assert counts(trace) == dict.fromkeys(range(26), 1)
    trace.unlink()
    config = Fibonacci(trace=trace)  # in RAM alone
    assert next(iter(config.process(range(25, 0, -1)))) == 75025
    assert counts(trace) == dict.fromkeys(range(26), 1)


def test_an_item_that_needs_itself_is_named(tmp_path: Path) -> None:
    class Circle(Fibonacci):
        def process(self, items: tp.Iterable[int]) -> tp.Iterator[int]:
            for item in items:
                yield next(iter(self.process([(item + 1) % 3])))

    with pytest.raises(RecursionError, match="asks for item '0' while it computes"):
        Circle(infra={"folder": tmp_path}).process([0])


@pytest.mark.slow
def test_processes_that_need_each_others_items_all_end(tmp_path: Path, trace: Path) -> None:
    infra = {"folder": tmp_path / "cache"}
    callers = [Caller(Fibonacci, items, trace=trace, infra=infra) for items in ("[20]", "[19, 20]", "range(21)")]
    for caller in callers:
        caller.start()
    assert [caller.results()[-1] for caller in callers] == [6765] * 3
    assert len(Fibonacci(infra=infra).infra.cache_dict) == 21


@pytest.mark.slow
def test_kill_at_any_moment_leaves_a_cache_that_the_next_call_completes(tmp_path: Path, trace: Path) -> None:
    infra = {"folder": tmp_path / "cache"}
    for delay in (0.0, 0.003, 0.01, 0.03, 0.1):
        victim = Caller(Counted, "range(300)", trace=trace, seconds=0.001, infra=infra)
        victim.start()
        time.sleep(delay)
        victim.kill()
    config = Counted(trace=trace, infra=infra)
    assert first(config.process(range(300))) == list(range(300))
    assert max(counts(trace).values()) <= 2
    assert not list((config.infra.uid_folder() / "claims").iterdir())


def test_what_is_tried_by_itself_is_not_given_back_while_it_is_set_out(tmp_path: Path) -> None:
    items = {str(number): number for number in range(4)}
    work = Work("place", str(tmp_path), None, Counted.process, items, CacheDict(tmp_path), force=False)
    claims = FolderClaims(str(tmp_path))
    taker = Taker(work, claims, Marks(), workers=1, nested=False, streams=True)
    assert taker.begin(0)
    assert [taker.next_key(0, 0) for _ in range(4)] == list(items)
    taker.isolate(list(items))

    class Watched(deque[str]):
        def extend(self, keys: tp.Iterable[str]) -> None:
            super().extend(keys)
            taker._moved = 0.0
            patrol = threading.Thread(target=taker.let_go)
            patrol.start()
            patrol.join(0.1)  # it waits until the items are set out

    taker._buffer = Watched()
    assert taker.begin(0)
    assert [taker.next_key(0, 0), taker.next_key(0, 0)] == ["0", "1"]
    claims.release()
