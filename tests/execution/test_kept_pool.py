"""The process pool that is kept from one array to the next: warm, and not to be told apart from a new one."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from execution_calls import (
    PATIENCE_S,
    count_at_work,
    double,
    kill_self,
    leave_without_goodbye,
    loaded_modules,
    mark_and_wait,
    nap,
    until,
    wait_for,
)
from executor_contract import results

from exca.errors import JobFailed
from exca.execution import Call, Executor, Job, Resources, make_executor, wait_all
from exca.execution import _kept as kept


def pool(max_workers: int = 2, **resources: object) -> Executor:
    return make_executor(Resources(cluster="processpool", max_workers=max_workers, **resources), None)  # type: ignore[arg-type]


def stamps(jobs: list[Job]) -> tuple[int, set[int]]:
    """Process ids of the supervisor and of the workers."""
    array = jobs[0].array.paths  # type: ignore[attr-defined]
    names = [name for name in os.listdir(array.workers) if name != "owner"]
    return array.stamp().pid, {array.stamp(name).pid for name in names}


@pytest.fixture(autouse=True)
def _own_pool() -> Iterator[None]:
    """Each test begins and ends without a pool."""
    end_pool()
    yield
    end_pool()


def end_pool() -> None:
    pool, kept._kept = kept._kept, None
    if pool is not None:
        pool.tether.send("")
        until(lambda: pool.stamp.liveness() == "dead")


# It is the same pool


def test_the_second_array_finds_the_workers_of_the_first() -> None:
    gate = Call(count_at_work, (os.environ["TMPDIR"], 2))
    first = pool().submit([gate, gate])
    results(first)
    second = pool().submit([gate, gate])
    results(second)
    assert stamps(first) == stamps(second)


def test_workers_remember_what_they_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = tmp_path / "count"
    (tmp_path / "exca_test_counted.py").write_text(f"open({str(count)!r}, 'a').write('x')")
    os.utime(tmp_path / "exca_test_counted.py", (1, 1))
    monkeypatch.syspath_prepend(str(tmp_path))
    for _ in range(3):
        results(pool(1).submit([Call(exec, ("import exca_test_counted",))]))
    assert count.read_text() == "x"


def test_more_workers_come_when_an_array_needs_them(tmp_path: Path) -> None:
    [job] = pool(1).submit([Call(double, (1,))])
    results([job])
    jobs = pool(3).submit([Call(count_at_work, (str(tmp_path), 3))] * 3)
    assert results(jobs) == [3, 3, 3]
    assert len(stamps(jobs)[1]) == 3
    assert results(pool(1).submit([Call(count_at_work, (str(tmp_path),))] * 6)) == [1] * 6


def test_incident_17_the_bound_holds_for_all_arrays_of_a_process(tmp_path: Path) -> None:
    call = Call(count_at_work, (str(tmp_path),))
    jobs = [job for _ in range(12) for job in pool(2).submit([call])]
    assert set(results(jobs)) <= {1, 2}
    assert len({stamps([job])[0] for job in jobs}) == 1


def test_arrays_work_at_the_same_time(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    first = pool(2).submit([Call(wait_for, (str(gate),))])
    second = pool(2).submit([Call(gate.touch)])
    results([*first, *second])
    assert stamps(first)[0] == stamps(second)[0]
    assert not stamps(first)[1] & stamps(second)[1]


def test_each_of_several_arrays_has_its_own_end(tmp_path: Path) -> None:
    """A time limit, a cancelled job, a killed worker and a deleted folder of one array are nothing to the others."""
    gate = tmp_path / "gate"
    steady = pool(6).submit([Call(wait_for, (str(gate),))] * 2)
    limited = pool(6, timeout_min=0.005).submit([Call(nap, (60.0,))])
    killed = pool(6).submit([Call(kill_self, (9,)), Call(double, (1,))])
    never = Call(mark_and_wait, (str(tmp_path / "mark"), str(tmp_path / "never")))
    deleted = make_executor(Resources(cluster="processpool", max_workers=6), f"{tmp_path}/logs/%j").submit([never])
    assert wait_all([*limited, *killed], PATIENCE_S)
    assert [job.status() for job in (*limited, *killed)] == ["failed", "failed", "completed"]
    until((tmp_path / "mark").exists)
    shutil.rmtree(tmp_path / "logs")
    assert wait_all(deleted, PATIENCE_S)
    assert [job.status() for job in (*deleted, *steady)] == ["failed", "running", "running"]
    gate.touch()
    assert results(steady) == [str(gate)] * 2
    assert results(pool(6).submit([Call(double, (4,))])) == [8]


def test_another_footing_while_calls_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old pool finishes what it has, and leaves."""
    gate = tmp_path / "gate"
    first = pool(1).submit([Call(wait_for, (str(gate),)), Call(double, (1,))])
    monkeypatch.setenv("EXCA_TEST_VARIABLE", "new")
    second = pool(1).submit([Call(double, (2,))])
    assert results(second) == [4]
    gate.touch()
    assert results(first) == [str(gate), 2]
    until(lambda: is_zombie(stamps(first)[0]))


def is_zombie(pid: int) -> bool:
    return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_threads_share_the_pool_without_losing_calls() -> None:
    found: dict[int, list[object]] = {}

    def work(number: int) -> None:
        for i in range(10):
            found.setdefault(number, []).extend(results(pool().submit([Call(double, (100 * number + i,))])))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert found == {number: [2 * (100 * number + i) for i in range(10)] for number in range(3)}


# It ends


def test_a_pool_without_work_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exca.execution._queues.KEEP_S", 0.3)
    jobs = pool().submit([Call(double, (1,))])
    assert results(jobs) == [2]
    supervisor, [worker] = stamps(jobs)
    until(lambda: is_zombie(supervisor))
    assert not psutil.pid_exists(worker)
    again = pool().submit([Call(double, (2,))])
    assert results(again) == [4]
    assert stamps(again)[0] != supervisor


@pytest.mark.slow
def test_an_array_sent_while_the_pool_leaves_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever comes first, the order or the end, nothing is lost between the two."""
    monkeypatch.setattr("exca.execution._queues.KEEP_S", 0.02)
    supervisors = set()
    for i in range(20):
        jobs = pool(1).submit([Call(double, (i,))])
        assert results(jobs) == [2 * i]
        supervisors.add(stamps(jobs)[0])
        time.sleep(0.0015 * (i % 20))
    assert len(supervisors) > 1


SCRIPT = """
import os, sys, time
import psutil
from exca.execution import Call, Resources, make_executor
jobs = make_executor(Resources(cluster="processpool", max_workers=2), None).submit([Call(os.getpid)] * 2)
[job.result() for job in jobs]
print(*[process.pid for process in psutil.Process().children(recursive=True)], flush=True)
if sys.argv[1] == "killed":
    os.kill(os.getpid(), 9)
if sys.argv[1] == "forked" and os.fork() == 0:  # the child holds all that the parent held, and lives on
    os.close(1); os.close(2)
    time.sleep(3)
    os._exit(0)
"""


@pytest.mark.slow
@pytest.mark.parametrize("end", ["ended", "killed", "forked"])
def test_an_idle_pool_ends_with_its_owner_whatever_its_end(tmp_path: Path, end: str) -> None:
    started = time.monotonic()
    command = [sys.executable, "-X", "dev", "-c", SCRIPT, end]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, env=environment)
    assert done.stderr == ""
    assert time.monotonic() - started < 10
    children = [int(pid) for pid in done.stdout.split()]
    assert len(children) >= 2
    until(lambda: not any(psutil.pid_exists(pid) for pid in children))
    until(lambda: os.listdir(tmp_path / f"exca-{os.getuid()}" / "pools") == [])


def test_a_fork_of_the_owner_has_a_pool_of_its_own() -> None:
    first = pool().submit([Call(double, (1,))])
    results(first)
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            jobs = pool().submit([Call(double, (2,))])
            code = 0 if results(jobs) == [4] and stamps(jobs)[0] != stamps(first)[0] else 2
        finally:
            os._exit(code)
    os.close(read)
    os.close(write)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    again = pool().submit([Call(double, (3,))])
    assert results(again) == [6]
    assert stamps(again)[0] == stamps(first)[0]


# Something is killed


@pytest.mark.parametrize("call", [Call(kill_self, (signal.SIGKILL,)), Call(leave_without_goodbye, (0,))])
def test_incident_20_a_killed_worker_costs_its_call_and_is_replaced(call: Call) -> None:
    results(pool().submit([Call(double, (1,))] * 4))
    jobs = pool().submit([Call(double, (1,)), call, Call(double, (2,)), Call(nap, (0.05,))])
    assert wait_all(jobs, PATIENCE_S)
    assert [job.status() for job in jobs] == ["completed", "failed", "completed", "completed"]
    with pytest.raises(JobFailed, match=r"killed by signal 9|exit code 0"):
        jobs[1].result()
    assert results(pool().submit([Call(double, (i,)) for i in range(4)])) == [0, 2, 4, 6]


def test_workers_killed_while_they_have_nothing_to_do_are_replaced(tmp_path: Path) -> None:
    call = Call(count_at_work, (str(tmp_path), 2))
    first = pool().submit([call, call])
    results(first)
    supervisor, workers = stamps(first)
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    second = pool().submit([call, call])
    assert results(second) == [2, 2]
    assert stamps(second)[0] == supervisor
    assert not workers & stamps(second)[1]


@pytest.mark.slow
def test_a_supervisor_killed_while_it_has_nothing_to_do_is_replaced() -> None:
    first = pool().submit([Call(double, (1,))])
    results(first)
    supervisor, workers = stamps(first)
    os.kill(supervisor, signal.SIGKILL)
    until(lambda: is_zombie(supervisor))
    second = pool().submit([Call(double, (2,))])
    assert results(second) == [4]
    until(lambda: not any(psutil.pid_exists(worker) for worker in workers))


def test_cancelling_in_a_kept_pool_leaves_it_usable(tmp_path: Path) -> None:
    results(pool().submit([Call(double, (1,))]))
    mark = tmp_path / "mark"
    jobs = pool(1).submit([Call(mark_and_wait, (str(mark), str(tmp_path / "never"))), Call(double, (5,))])
    until(lambda: mark.exists() and mark.read_text())
    jobs[0].cancel()
    assert wait_all(jobs, PATIENCE_S)
    assert (jobs[0].status(), jobs[1].result()) == ("failed", 10)
    assert results(pool().submit([Call(double, (6,))])) == [12]


@pytest.mark.slow
def test_a_time_limit_is_that_of_each_array() -> None:
    results(pool(timeout_min=0.005).submit([Call(nap, (0.01,))]))
    assert results(pool().submit([Call(nap, (0.6,))])) == [0.6]
    [job] = pool(timeout_min=0.005).submit([Call(nap, (60.0,))])
    with pytest.raises(JobFailed, match=r"timed out after 0\.005 min"):
        job.result()


# What has changed since


def test_the_environment_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    call = Call(os.getenv, ("EXCA_TEST_VARIABLE",))
    assert results(pool().submit([call])) == [None]
    monkeypatch.setenv("EXCA_TEST_VARIABLE", "new")
    assert results(pool().submit([call])) == ["new"]
    monkeypatch.delenv("EXCA_TEST_VARIABLE")
    assert results(pool().submit([call])) == [None]


def test_the_folder_of_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = pool().submit([Call(os.getcwd)])
    assert results(first) == [os.getcwd()]
    monkeypatch.chdir(tmp_path)
    second = pool().submit([Call(os.getcwd)])
    assert results(second) == [str(tmp_path)]
    assert stamps(second)[0] == stamps(first)[0] or "" in sys.path


def test_the_import_path_of_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "exca_test_module.py").write_text(f"VALUE = {name!r}")
        with monkeypatch.context() as patch:
            patch.syspath_prepend(str(tmp_path / name))
            [value] = results(pool().submit([Call(eval, ("__import__('exca_test_module').VALUE",))]))
            assert value == name


def test_the_umask_of_now(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        results(pool().submit([Call((tmp_path / "one").touch)]))
        os.umask(0o077)
        results(pool().submit([Call((tmp_path / "two").touch)]))
    finally:
        os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("one", "two")] == [0o644, 0o600]


def test_thread_limits_of_now() -> None:
    call = Call(os.getenv, ("OMP_NUM_THREADS",))
    assert results(pool(cpus_per_task=1).submit([call])) == ["1"]
    assert results(pool(cpus_per_task=2).submit([call])) == ["2"]


def test_a_module_that_was_edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "exca_test_edited.py"
    monkeypatch.syspath_prepend(str(tmp_path))
    call = Call(eval, ("__import__('exca_test_edited').VALUE",))
    for number, age_s in ((1, 50), (2, 40)):  # long ago, both times
        module.write_text(f"VALUE = {number}")
        os.utime(module, (time.time() - age_s,) * 2)
        for _ in range(2):
            assert results(pool(1).submit([call])) == [number]


def test_a_module_that_was_edited_while_a_call_ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, gate, mark = tmp_path / "exca_test_meanwhile.py", tmp_path / "gate", tmp_path / "mark"
    monkeypatch.syspath_prepend(str(tmp_path))
    module.write_text("VALUE = 1")
    os.utime(module, (1, 1))
    text = f"""
    import exca_test_meanwhile, pathlib, time
    pathlib.Path({str(mark)!r}).touch()
    while not pathlib.Path({str(gate)!r}).exists():
        time.sleep(0.01)
    """
    jobs = pool(1).submit([Call(exec, (textwrap.dedent(text),))])
    until(mark.exists)
    module.write_text("VALUE = 22")
    gate.touch()
    results(jobs)
    assert results(pool(1).submit([Call(eval, ("__import__('exca_test_meanwhile').VALUE",))])) == [22]


LAZY = """
import importlib.util, sys, types
made_up = sys.modules["exca_test_made_up"] = types.ModuleType("exca_test_made_up")
made_up.__file__ = "_ops.py"
sys.modules["exca_test_no_module"] = 3
spec = importlib.util.find_spec("exca_test_lazy")
spec.loader = importlib.util.LazyLoader(spec.loader)
lazy = sys.modules["exca_test_lazy"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(lazy)
"""


def test_modules_that_are_lazy_or_made_up_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = tmp_path / "imported"
    (tmp_path / "exca_test_lazy.py").write_text(f"open({str(mark)!r}, 'w').close()")
    os.utime(tmp_path / "exca_test_lazy.py", (1, 1))
    monkeypatch.syspath_prepend(str(tmp_path))
    first = pool(1).submit([Call(exec, (LAZY,))])
    results(first)
    second = pool(1).submit([Call(double, (1,))])
    results(second)
    assert stamps(first)[1] == stamps(second)[1]
    assert not mark.exists()


NOTEBOOK = """
import sys
from exca.execution import Call, Resources, make_executor

def compute(function, *args):
    [job] = make_executor(Resources(cluster="processpool", max_workers=1), None).submit([Call(function, args)])
    return job.result()

def helper():
    return "old"

class Thing:
    def __init__(self, x): self.x = x
    def method(self): return helper(), self.x
    def twin(self): return Thing(self.x + 1)

def of_main(name):
    return name in vars(sys.modules["__main__"])

def leave_in_main(name):
    vars(sys.modules["__main__"])[name] = 1

print(compute(Thing(1).method))
assert type(compute(Thing(1).twin)) is Thing

def helper():  # the class is the same, and what it calls is not
    return "new"

print(compute(Thing(2).method))

class Thing:
    def __init__(self, x): self.x = -x
    def method(self): return "another class", self.x

print(compute(Thing(3).method))
compute(leave_in_main, "left_behind")
print(compute(of_main, "left_behind"))
"""


def test_definitions_of_a_notebook_are_those_of_now(tmp_path: Path) -> None:
    script = tmp_path / "notebook.py"
    script.write_text(NOTEBOOK)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["('old', 1)", "('new', 2)", "('another class', -3)", "False"]


def test_the_initializer_runs_for_each_array(tmp_path: Path) -> None:
    for name in ("one", "two"):
        executor = make_executor(
            Resources(cluster="processpool", max_workers=1), None, initializer=(tmp_path / name).touch
        )
        assert results(executor.submit([Call(double, (1,))] * 2)) == [2, 2]
        assert (tmp_path / name).exists()


def test_a_copy_of_the_code_is_imported_from_for_each_array(tmp_path: Path) -> None:
    """The module of the same name is another one in each copy."""
    module = tmp_path / "exca_test_copied.py"
    call = Call(eval, ("__import__('exca_test_copied').VALUE",))
    for number in (1, 2):
        module.write_text(f"VALUE = {number}")
        os.utime(module, (1, 1))
        assert results(pool(workdir=tmp_path).submit([call])) == [number]


# What it leaves


@pytest.mark.slow
def test_folders_of_arrays_go_with_their_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for i in range(10):
        jobs = pool(1).submit([Call(double, (i,))])
        assert results(jobs) == [2 * i]
        del jobs
        gc.collect()
    assert len(os.listdir(tmp_path / f"exca-{os.getuid()}" / "pools")) <= 2  # the next submission removes the last


def test_what_is_printed_between_calls_goes_to_the_log_of_its_array(tmp_path: Path) -> None:
    logs = f"{tmp_path}/%j"
    executor = make_executor(Resources(cluster="processpool", max_workers=1), logs)
    late = "import threading, os; threading.Timer(0.1, os.write, (1, b'late')).start()"
    results(executor.submit([Call(double, (1,))]))
    jobs = executor.submit([Call(exec, (late,))])
    results(jobs)
    log = jobs[0].array.paths.log  # type: ignore[attr-defined]
    until(lambda: log.read_text() == "late")


def test_a_worker_without_work_is_shown_as_such() -> None:
    jobs = pool(1).submit([Call(double, (1,), name="doubling")])
    results(jobs)
    [worker] = stamps(jobs)[1]
    until(lambda: Path(f"/proc/{worker}/comm").read_text() == "exca: idle\n")


def test_kept_workers_are_as_light_as_new_ones() -> None:
    for _ in range(2):
        [modules] = results(pool(1).submit([Call(loaded_modules)]))
        assert isinstance(modules, list)
        assert {"exca", "pydantic", "numpy", "submitit", "multiprocessing"}.isdisjoint(modules)


@pytest.mark.slow
def test_many_arrays_that_wait_cost_little(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    jobs = [job for _ in range(150) for job in pool(1).submit([Call(wait_for, (str(gate),))])]
    until(lambda: jobs[0].status() == "running")
    supervisor = psutil.Process(stamps(jobs)[0])
    before = sum(supervisor.cpu_times()[:2])
    time.sleep(0.5)
    assert sum(supervisor.cpu_times()[:2]) - before < 0.1
    jobs[-1].cancel()
    assert jobs[-1].wait(PATIENCE_S)
    gate.touch()
    assert results(jobs[:-1]) == [str(gate)] * 149


@pytest.mark.slow
def test_a_storm_over_many_arrays(tmp_path: Path) -> None:
    """Workers of a kept pool are killed at any time: all calls end, and the pool goes on."""
    import random

    dice = random.Random(1)
    for _ in range(30):
        jobs = pool(3).submit([Call(nap, (dice.random() / 50,)) for _ in range(12)])
        array = jobs[0].array.paths  # type: ignore[attr-defined]
        while not all(job.done() for job in jobs):
            time.sleep(dice.random() / 20)
            names = [name for name in os.listdir(array.workers) if name != "owner"]
            if names and dice.random() < 0.5:
                worker = array.stamp(dice.choice(names))
                if worker.liveness() == "alive":
                    os.kill(worker.pid, dice.choice([signal.SIGKILL, signal.SIGTERM]))
        for job in jobs:
            error = job.exception()
            assert error is None or "killed by signal" in str(error)
    assert results(pool().submit([Call(double, (1,))])) == [2]
