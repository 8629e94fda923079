"""SubmitInfra: arguments in, a value or a job out, wherever the infra says; nothing is stored."""

from __future__ import annotations

import asyncio
import copy
import inspect
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
import typing as tp
from pathlib import Path

import pydantic
import pytest

import exca
from exca import execution
from exca.errors import InfraNotBound, InvalidInfra, JobFailed, NotSubmitted

PATIENCE_S = 30.0


class OddError(ValueError):
    """Its constructor takes other arguments than ``args``."""

    def __init__(self, field: str, *, limit: int) -> None:
        super().__init__(f"{field} is over {limit}")
        self.limit = limit


class Scaling(pydantic.BaseModel):
    scale: float = 2.0
    infra: exca.SubmitInfra = exca.SubmitInfra()

    @infra.apply
    def predict(self, x: float, *more: float, offset: float = 0.0) -> float:
        """Scale and add."""
        return self.scale * x + sum(more) + offset


class Static(pydantic.BaseModel):
    secret: tp.Any = None
    infra: exca.SubmitInfra = exca.SubmitInfra()

    @infra.apply
    @staticmethod
    def add(x: int, y: int = 1) -> int:
        """Add."""
        return x + y


class Working(pydantic.BaseModel):
    depth: int = 0
    infra: exca.SubmitInfra = exca.SubmitInfra()

    @infra.apply
    def work(self, what: str, number: int = 0) -> tp.Any:
        if what == "process":
            return os.getpid(), threading.get_ident()
        if what == "fail":
            raise OddError("x", limit=number)
        if what == "kill":
            os.kill(os.getpid(), 9)
        if what == "speak":
            print(f"said {number}")
        if what == "recurse":
            return number if number < 2 else self.work("recurse", number - 1) + self.work("recurse", number - 2)
        if what == "mutate":
            self.depth += 1
            return self.depth
        if what == "folder":
            return os.getcwd(), str(self.infra.uid_folder())
        if what == "nap":
            time.sleep(number / 1000)
        return number


LOCAL = pytest.param("local", marks=pytest.mark.slow)  # costs most; some tests of it are fast ones all the same
CLUSTERS = [None, "threadpool", "processpool", LOCAL, "debug"]


@pytest.fixture(params=CLUSTERS)
def infra(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, tp.Any]:
    return {"cluster": request.param, "folder": tmp_path, "max_workers": 2}


# Calls


def test_a_call_gives_the_value(infra: dict[str, tp.Any]) -> None:
    model = Scaling(scale=3, infra=infra)
    assert model.predict(2) == 6
    assert model.predict(2, 1, 1, offset=0.5) == 8.5
    assert model.predict(x=1) == 3


def test_a_job_gives_the_value(infra: dict[str, tp.Any]) -> None:
    model = Scaling(infra=infra)
    jobs = [model.infra.submit(i, offset=1) for i in range(3)]
    assert [job.result() for job in jobs] == [1, 3, 5]
    assert all(isinstance(job, execution.Job) and job.done() and job.status() == "completed" for job in jobs)
    assert len({job.job_id for job in jobs}) == 3
    assert jobs[0].results() == [1]


def test_every_call_computes(tmp_path: Path) -> None:
    model = Working(infra={"folder": tmp_path})
    assert [model.work("mutate"), model.work("mutate")] == [1, 2]
    assert list(tmp_path.iterdir()) == []
    assert list(model.infra.iter_cached()) == []


def test_where_it_runs(infra: dict[str, tp.Any]) -> None:
    process, thread = Working(infra=infra).work("process")
    assert (process == os.getpid()) == (infra["cluster"] in (None, "debug", "threadpool"))
    assert (thread == threading.get_ident()) == (infra["cluster"] in (None, "debug"))


def test_a_static_method_leaves_the_config_at_home(infra: dict[str, tp.Any]) -> None:
    model = Static(secret=threading.Lock(), infra=infra)  # which no pickle takes
    assert model.add(1) == 2
    assert model.infra.submit(1, y=4).result() == 5
    with model.infra.batch():
        jobs = [model.infra.submit(i) for i in range(3)]
    assert [job.result() for job in jobs] == [1, 2, 3]


@pytest.mark.parametrize("cluster", ["threadpool", "processpool", LOCAL])
def test_submitting_does_not_wait(tmp_path: Path, cluster: str) -> None:
    model = Working(infra={"cluster": cluster, "folder": tmp_path})
    job = model.infra.submit("nap", 1000)
    assert not job.done()
    job.cancel()


@pytest.mark.parametrize("cluster", ["threadpool", "processpool", LOCAL])
def test_incident_17_single_submissions_keep_the_bound(tmp_path: Path, cluster: str) -> None:
    model = Working(infra={"cluster": cluster, "folder": tmp_path, "max_workers": 2})
    workers = {job.result() for job in [model.infra.submit("process") for _ in range(5)]}
    assert len(workers) <= 2 or cluster == "local"  # whose processes come and go, two at a time


# Failures


def test_incident_11_the_exception_of_the_method(infra: dict[str, tp.Any]) -> None:
    model = Working(infra=infra)
    with pytest.raises(OddError, match="x is over 7") as caught:
        model.work("fail", 7)
    assert caught.value.limit == 7
    if infra["cluster"] in ("processpool", "local"):
        notes = "\n".join(caught.value.__notes__)
        assert 'raise OddError("x", limit=number)' in notes
        assert "stderr.log" in notes
    if infra["cluster"] == "debug":
        with pytest.raises(OddError):
            model.infra.submit("fail", 7)
        return
    job = model.infra.submit("fail", 8)
    assert isinstance(job.exception(), OddError)
    assert job.status() == "failed"
    with pytest.raises(OddError, match="x is over 8"):
        job.result()


@pytest.mark.slow
@pytest.mark.parametrize("cluster", ["processpool", "local"])
def test_a_killed_call_is_a_failed_job(tmp_path: Path, cluster: str) -> None:
    model = Working(infra={"cluster": cluster, "folder": tmp_path})
    with pytest.raises(JobFailed, match="SIGKILL"):
        model.work("kill")
    assert model.work("number", 3) == 3


def test_arguments_that_do_not_fit_are_refused_before_anything_is_submitted(infra: dict[str, tp.Any]) -> None:
    model = Scaling(infra=infra)
    for attempt in (model.predict, model.infra.submit):
        with pytest.raises(
            TypeError, match=r"Scaling.predict\(\).*missing (a required argument: 'x'|1 required positional)"
        ):
            attempt()
        with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
            attempt(1, z=2)
    with model.infra.batch(), pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
        model.infra.submit(1, z=2)
    assert not list(Path(infra["folder"]).rglob("call.pkl"))


@pytest.mark.slow
def test_an_interrupt_says_how_to_come_back(tmp_path: Path) -> None:
    model = Working(infra={"cluster": "local", "folder": tmp_path})

    def interrupt_once_it_runs() -> None:
        end = time.monotonic() + PATIENCE_S
        while not list(tmp_path.rglob("state.json")) and time.monotonic() < end:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt_once_it_runs).start()
    with pytest.raises(KeyboardInterrupt) as caught:
        model.work("nap", 900)
    [note] = caught.value.__notes__
    assert note.startswith("Working.work goes on as job ")
    folder = note.partition("job_from_folder('")[2].partition("'")[0]
    assert execution.job_from_folder(folder).result() == 900


# Batches


def test_a_batch_is_one_array(infra: dict[str, tp.Any]) -> None:
    model = Scaling(infra=infra)
    with model.infra.batch() as jobs:
        made = [model.infra.submit(i) for i in range(5)]
        assert jobs == []
    assert jobs == made
    assert [job.result() for job in jobs] == [0, 2, 4, 6, 8]
    assert all(isinstance(job, execution.Job) for job in jobs)
    arrays = {job.job_id.rpartition("_")[0] for job in jobs}
    assert len(arrays) == 1 or infra["cluster"] in (None, "debug")
    assert model.infra.submit(1).result() == 2  # on its own again


def test_a_job_in_a_batch_cannot_be_asked_yet(tmp_path: Path) -> None:
    model = Scaling(infra={"cluster": "processpool", "folder": tmp_path})
    with model.infra.batch():
        job = model.infra.submit(1)
        assert repr(job) == "BatchedJob(not submitted)"
        for ask in (job.result, job.done, job.wait, job.status, job.cancel, job.exception, job.stdout):
            with pytest.raises(NotSubmitted, match=r"Scaling\.predict is submitted when its batch ends"):
                ask()
        with pytest.raises(NotSubmitted):
            pickle.dumps(job)
    assert job.result() == 2
    assert pickle.loads(pickle.dumps(job)).result() == 2


def test_an_error_in_a_batch_submits_nothing(tmp_path: Path) -> None:
    model = Scaling(infra={"cluster": "local", "folder": tmp_path})
    with pytest.raises(ZeroDivisionError), model.infra.batch():
        job = model.infra.submit(1)
        1 / 0  # noqa: B018
    with pytest.raises(NotSubmitted, match="was not submitted: ZeroDivisionError"):
        job.result()
    assert list(tmp_path.iterdir()) == []
    assert model.predict(1) == 2


def test_batches_do_not_nest_and_may_be_empty(tmp_path: Path) -> None:
    model = Scaling(infra={"cluster": "local", "folder": tmp_path})
    with model.infra.batch(), pytest.raises(NotSubmitted, match="in a batch already"), model.infra.batch():
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_batch_may_have_a_smaller_bound(tmp_path: Path) -> None:
    model = Working(infra={"cluster": "local", "folder": tmp_path, "max_workers": 2})
    with model.infra.batch(max_workers=1) as jobs:
        for _ in range(6):
            model.infra.submit("process")
    assert len({job.result() for job in jobs}) == 1


def test_a_call_inside_a_batch_is_not_a_part_of_it(tmp_path: Path) -> None:
    model = Scaling(infra={"cluster": "processpool", "folder": tmp_path})
    with model.infra.batch():
        assert model.predict(1) == 2


# Calls inside of calls


def test_a_recursive_method_does_not_wait_for_its_own_queue(infra: dict[str, tp.Any]) -> None:
    model = Working(infra=infra | {"max_workers": 1})
    assert model.work("recurse", 7) == 13


class Parent(pydantic.BaseModel):
    infra: exca.SubmitInfra = exca.SubmitInfra(cluster="processpool", max_workers=1)

    @infra.apply
    def work(self, x: int) -> list[tp.Any]:
        return [("parent", x, os.getpid())]


class Child(Parent):
    def work(self, x: int) -> list[tp.Any]:
        return [*super().work(x), ("child", x, os.getpid())]


def test_an_override_is_the_same_computation_with_other_code() -> None:
    (who, x, first), (other, y, second) = Child().work(3)
    assert (who, other, x, y) == ("parent", "child", 3, 3)
    assert first == second != os.getpid()


class StaticChild(Static):
    @staticmethod
    def add(x: int, y: int = 1) -> int:
        return 10 * (x + y)


def test_an_override_of_a_static_method(tmp_path: Path) -> None:
    assert StaticChild(infra={"cluster": "processpool", "folder": tmp_path}).add(1) == 20


# Declaring


def test_the_method_is_shown_as_it_was_written() -> None:
    assert Scaling.predict.__doc__ == "Scale and add."
    assert (
        str(inspect.signature(Scaling().predict)) == "(x: 'float', *more: 'float', offset: 'float' = 0.0) -> 'float'"
    )
    assert (Static.add.__name__, Static.add.__doc__) == ("add", "Add.")
    assert str(inspect.signature(Static().add)) == "(x: 'int', y: 'int' = 1) -> 'int'"


def declare(function: tp.Any) -> None:
    class Model(pydantic.BaseModel):
        infra: exca.SubmitInfra = exca.SubmitInfra()
        work = infra.apply(function)


async def _async(self: tp.Any) -> None:
    await asyncio.sleep(0)


def _generator(self: tp.Any) -> tp.Iterator[int]:
    yield 1


def _none() -> None:
    pass


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (_async, r"_async is async: use asyncio\.run"),
        (_generator, "_generator is a generator"),
        (_none, "_none does not take self"),
        (classmethod(_generator), "not a classmethod"),
        (property(_generator), "not a property"),
        (staticmethod(_generator), "_generator is a generator"),
    ],
)
def test_what_cannot_be_submitted(function: tp.Any, message: str) -> None:
    with pytest.raises(InvalidInfra, match=message):
        declare(function)


def test_one_infra_serves_one_method() -> None:
    with pytest.raises(InvalidInfra, match=r"applied to .*predict already"):

        class Model(pydantic.BaseModel):
            infra: exca.SubmitInfra = exca.SubmitInfra()

            @infra.apply
            def predict(self) -> None: ...

            @infra.apply
            def train(self) -> None: ...


@pytest.mark.parametrize("fields", [{"mode": "force"}, {"keep_in_ram": True}, {"code_change": "error"}])
def test_fields_about_stored_results_are_refused(fields: dict[str, tp.Any]) -> None:
    with pytest.raises(pydantic.ValidationError, match="stores none: leave it out, or use TaskInfra"):
        Scaling(infra=fields)
    model = Scaling()
    [(name, value)] = fields.items()
    with pytest.raises(pydantic.ValidationError, match="stores none"):
        setattr(model.infra, name, value)
    assert getattr(model.infra, name) != value


def test_calls_without_a_config() -> None:
    with pytest.raises(TypeError, match="call it on a config"):
        Scaling.predict(3)
    with pytest.raises(InfraNotBound):
        exca.SubmitInfra().submit(3)

    class Wrong(pydantic.BaseModel):
        infra: exca.SubmitInfra = exca.SubmitInfra()

        @staticmethod
        @infra.apply
        def add(x: int) -> int:
            return x

    with pytest.raises(TypeError, match=r"write @staticmethod below @infra\.apply"):
        Wrong().add(1)


class Both(pydantic.BaseModel):
    x: int = 1
    task: exca.TaskInfra = exca.TaskInfra(version="3")
    calls: exca.SubmitInfra = exca.SubmitInfra(version="4")
    _private: exca.SubmitInfra = exca.SubmitInfra()

    @task.apply
    def run(self) -> int:
        return self.x

    @calls.apply
    def times(self, y: int) -> int:
        return self.run() * y

    @_private.apply
    def plus(self, y: int) -> int:
        return self.run() + y


def test_beside_a_task_and_as_a_private_attribute(tmp_path: Path) -> None:
    both = Both(x=3, task={"folder": tmp_path}, calls={"cluster": "processpool"})
    assert (both.run(), both.times(2), both.plus(2)) == (3, 6, 5)
    assert both.task.uid() == Both(x=3).task.uid()  # where calls go says nothing about what they give
    assert both.calls.uid().partition(",")[2].startswith("4/")


# Copies


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.model_copy(update={"scale": 5}),
        lambda m: m.model_copy(update={"scale": 5}, deep=True),
        lambda m: m.infra.clone_obj(scale=5),
        lambda m: pickle.loads(pickle.dumps(m.model_copy(update={"scale": 5}))),
        lambda m: copy.deepcopy(m).model_copy(update={"scale": 5}),
    ],
)
@pytest.mark.parametrize("cluster", [None, "threadpool", "processpool"])
def test_incident_05_a_copy_calls_with_its_own_fields(
    cluster: str | None, change: tp.Callable[[Scaling], Scaling]
) -> None:
    model = Scaling(infra={"cluster": cluster})
    assert model.predict(1) == 2
    changed = change(model)
    assert changed.predict(1) == 5
    assert changed.infra.submit(2).result() == 10
    assert model.predict(1) == 2


def test_fields_may_change_between_calls() -> None:
    """Nothing is stored under them, so nothing seals them."""
    model = Scaling(infra={"cluster": "processpool"})
    assert model.predict(1) == 2
    model.scale = 7
    assert model.predict(1) == 7
    model.infra = {"cluster": None}  # type: ignore[assignment]
    assert model.infra.cluster is None
    assert model.predict(1) == 7
    model.infra.cluster = "threadpool"
    assert model.predict(1) == 7


def test_what_the_method_does_to_its_config_stays_where_it_ran(tmp_path: Path) -> None:
    model = Working(infra={"cluster": "processpool"})
    assert model.work("mutate") == 1
    assert model.depth == 0


# Surroundings


@pytest.mark.slow
@pytest.mark.parametrize("cluster", ["processpool", "local"])
def test_output_goes_to_the_logs_of_the_job(tmp_path: Path, cluster: str) -> None:
    job = Working(infra={"cluster": cluster, "folder": tmp_path}).infra.submit("speak", 4)
    assert job.result() == 4
    assert job.stdout() == "said 4\n"
    assert job.paths is not None
    assert job.paths.folder.is_relative_to(tmp_path / "logs")


def test_local_needs_a_folder() -> None:
    with pytest.raises(InvalidInfra, match="needs a folder"):
        Working(infra={"cluster": "local"}).work("number")


def test_relative_folders_mean_the_same_on_the_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = Working(infra={"cluster": "processpool", "folder": "cache", "workdir": "."})
    where, folder = model.work("folder")
    assert where != str(tmp_path)
    assert folder == str(model.infra.uid_folder())


SCRIPT = """
import sys
import typing as tp
import pydantic
import exca

print("the script runs")

class Answer(pydantic.BaseModel):
    value: int

def helper(x):
    return Answer(value=x)

class Refused(Exception):
    pass

class Model(pydantic.BaseModel):
    scale: int = 2
    infra: exca.SubmitInfra = exca.SubmitInfra()
    other: exca.SubmitInfra = exca.SubmitInfra()

    @infra.apply
    def work(self, answer: Answer) -> Answer:
        if answer.value < 0:
            raise Refused(answer.value)
        return helper(self.scale * answer.value)

    @other.apply
    @staticmethod
    def static(answer: Answer) -> Answer:
        return helper(-answer.value)

where = {"cluster": sys.argv[1], "folder": sys.argv[2]}
model = Model(infra=where, other=where)
found = model.work(Answer(value=3))
assert type(found) is Answer and found.value == 6, found
assert type(model.infra.submit(Answer(value=-1)).exception()) is Refused
assert model.static(Answer(value=3)) == Answer(value=-3)

def helper(x):  # as one does in a notebook
    return Answer(value=100 + x)

assert model.work(Answer(value=3)).value == 106
"""


@pytest.mark.parametrize("cluster", [LOCAL, "processpool"])
def test_incident_18_classes_of_a_script_without_a_main_guard(tmp_path: Path, cluster: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    command = [sys.executable, str(script), cluster, str(tmp_path / "cache")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "the script runs\n"
