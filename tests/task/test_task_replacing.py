"""What a recomputation may put in the place of what is stored: never a value for nothing."""

from __future__ import annotations

import functools
import json
import resource
import signal
import threading
import typing as tp
from pathlib import Path

import numpy as np
import pydantic
import pytest
from computations import Work

import exca
from exca.errors import (
    CodeChanged,
    ConfigChanged,
    DefaultsChanged,
    JobCancelled,
    NotSubmitted,
    ResultNotStored,
    SubmissionFailed,
)
from exca.task._computing import compute


class Fickle(pydantic.BaseModel):
    """Does what the test says at the moment."""

    answer: tp.ClassVar[tp.Any] = 1
    calls: tp.ClassVar[int] = 0
    infra: exca.TaskInfra = exca.TaskInfra()

    @infra.apply
    def run(self) -> tp.Any:
        type(self).calls += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer() if callable(self.answer) else self.answer


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tp.Callable[..., Fickle]:
    def configure(answer: tp.Any = None, **infra: tp.Any) -> Fickle:
        if answer is not None:
            monkeypatch.setattr(Fickle, "answer", answer)
        return Fickle(infra={"folder": tmp_path / "cache", **infra})

    monkeypatch.setattr(Fickle, "calls", 0)
    return configure


def test_a_force_that_fails_leaves_the_value_of_before(make: tp.Callable[..., Fickle]) -> None:
    assert make(1).run() == 1
    with pytest.raises(ValueError, match="new code") as caught:
        make(ValueError("new code"), mode="force").run()
    assert any("stays in" in note for note in caught.value.__notes__)
    assert make().run() == 1


def test_a_full_disk_during_force_loses_nothing(make: tp.Callable[..., Fickle]) -> None:
    make(np.zeros(10)).run()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, hard))
    try:
        with pytest.raises(ResultNotStored) as caught:
            make(np.ones(10_000), mode="force").run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert isinstance(caught.value.value, np.ndarray)
    assert make().run().tolist() == [0] * 10


def test_a_full_disk_is_no_result_of_the_computation(make: tp.Callable[..., Fickle]) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, hard))
    try:
        with pytest.raises(ResultNotStored):
            make(np.ones(10_000)).run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert make().run().shape == (10_000,), "when there is space again, the same call computes"


def test_a_retry_does_not_replace_what_another_retry_stored(make: tp.Callable[..., Fickle]) -> None:
    with pytest.raises(ValueError, match="first"):
        make(ValueError("first")).run()
    one, two = make(mode="retry"), make(mode="retry")
    task = two.infra.bound_task()
    planned = task.planned()
    assert make(2).infra.status() == "failed"
    assert one.run() == 2
    assert compute(task, planned.replace) == 2, "it was planned before the other one ended"
    assert Fickle.calls == 2


def test_read_only_never_computes_whatever_the_code(
    make: tp.Callable[..., Fickle], monkeypatch: pytest.MonkeyPatch
) -> None:
    make(1).run()
    monkeypatch.setattr("exca.provenance.code_fingerprint", lambda *_: "3.11:other" + "0" * 10)
    monkeypatch.setattr("exca.provenance.comparable", lambda *_: True)
    with pytest.raises(CodeChanged):
        make(2, mode="read-only", code_change="recompute").run()
    assert Fickle.calls == 1


def test_an_array_with_retry_helps_against_a_damaged_value(make: tp.Callable[..., Fickle]) -> None:
    config = make(np.arange(100), mode="retry")
    make().run()
    folder = config.infra.uid_folder()
    assert folder is not None
    (bulk,) = folder.glob("value-*.npy")
    bulk.write_bytes(b"\x93NUMPY")
    with config.infra.job_array() as tasks:
        tasks.append(config)
    assert config.run().shape == (100,)


def test_a_field_that_was_added_leaves_old_results_valid(tmp_path: Path) -> None:
    def variant(**fields: tp.Any) -> tp.Any:
        class Grown(pydantic.BaseModel):
            x: int = 1
            if "y" in fields:
                y: int = fields["y"]
            infra: exca.TaskInfra = exca.TaskInfra()

            @infra.apply
            def run(self) -> int:
                return 5

        return Grown

    variant()(infra={"folder": tmp_path}).run()
    assert variant(y=2)(infra={"folder": tmp_path, "mode": "read-only"}).run() == 5


def test_a_note_that_cannot_be_written_costs_no_result(
    make: tp.Callable[..., Fickle], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> tp.NoReturn:
        raise RuntimeError("no metadata")

    monkeypatch.setattr("exca.provenance.environment", broken)
    assert make(3).run() == 3
    assert make().infra.status() == "completed"


def test_an_array_without_folder_is_computed_once_if_kept_in_ram() -> None:
    Fickle.calls = 0
    config = Fickle(infra={"keep_in_ram": True})
    with config.infra.job_array() as tasks:
        tasks.append(config)
    config.run()
    assert Fickle.calls == 1


def test_a_value_that_cannot_be_copied_is_given_but_not_kept(make: tp.Callable[..., Fickle]) -> None:
    config = Fickle(infra={"keep_in_ram": True})
    make(threading.Lock)
    assert config.run() is not config.run()


def test_a_retry_does_not_replace_what_was_stored_while_it_computed(make: tp.Callable[..., Fickle]) -> None:
    with pytest.raises(ValueError, match="first"):
        make(ValueError("first")).run()

    def another_is_faster() -> str:
        task = make().infra.bound_task()
        assert task.entry.write_value("another's", task.facts(), replace=False)
        return "mine"

    assert make(functools.partial(another_is_faster), mode="retry").run() == "another's"
    assert make().run() == "another's"


@pytest.mark.parametrize("mode", ["force", "retry"])
def test_a_damaged_record_is_replaced(make: tp.Callable[..., Fickle], mode: str) -> None:
    config = make(1)
    config.run()
    folder = config.infra.uid_folder()
    assert folder is not None
    (folder / "result.json").write_text("{")
    assert make(2, mode=mode).run() == 2
    assert make().run() == 2


def configure(default: int, answer: tp.Callable[[int], tp.Any], folder: Path, **infra: tp.Any) -> tp.Any:
    class Trained(pydantic.BaseModel):
        epochs: int = default
        infra: exca.TaskInfra = exca.TaskInfra(code_change="ignore")

        @infra.apply
        def run(self) -> tp.Any:
            return answer(self.epochs)

    return Trained(infra={"folder": folder, **infra})


def out_of_memory(epochs: int) -> None:
    raise MemoryError(f"of {epochs} epochs")


def test_a_default_that_changed_is_noticed_after_a_recomputation_that_failed(tmp_path: Path) -> None:
    configure(10, str, tmp_path).run()
    for infra in ({}, {"mode": "force"}, {}):
        with pytest.raises(MemoryError if infra else DefaultsChanged):
            configure(20, out_of_memory, tmp_path, **infra).run()
    assert configure(10, str, tmp_path).run() == "10"
    assert configure(20, str, tmp_path, mode="force").run() == "20"
    assert configure(20, str, tmp_path).run() == "20"
    with pytest.raises(DefaultsChanged):
        configure(10, str, tmp_path).run()


def test_manifests_speak_of_the_failure_that_was_stored_last(tmp_path: Path) -> None:
    for default, infra in ((10, {}), (20, {"mode": "retry"})):
        with pytest.raises(MemoryError, match=str(default)):
            configure(default, out_of_memory, tmp_path, **infra).run()
    with pytest.raises(DefaultsChanged):
        configure(10, out_of_memory, tmp_path).run()


def test_a_refused_submission_has_not_used_up_the_mode(make: tp.Callable[..., Fickle], tmp_path: Path) -> None:
    make(1).run()
    forced = make(2, cluster="local", mode="force")
    (tmp_path / "cache" / "logs").touch()  # stands for whatever refuses it
    with pytest.raises(SubmissionFailed):
        forced.run()
    (tmp_path / "cache" / "logs").unlink()
    forced.run()
    assert forced.infra.job().paths is not None


class Mutable(pydantic.BaseModel):
    """Changes itself while it is computed."""

    rows: list[int] = [1]
    fails: bool = True
    infra: exca.TaskInfra = exca.TaskInfra()

    @infra.apply
    def run(self) -> int:
        self.rows.append(2)
        if self.fails:
            raise ValueError("the user's own error")
        return len(self.rows)


@pytest.mark.parametrize("fails", [True, False])
def test_a_method_that_changes_its_config(tmp_path: Path, fails: bool) -> None:
    expected = (ValueError, "the user's own error") if fails else (ConfigChanged, "changed in place")
    for _ in range(2):
        with pytest.raises(expected[0], match=expected[1]):
            Mutable(fails=fails, infra={"folder": tmp_path}).run()
    folder = Mutable(fails=fails, infra={"folder": tmp_path}).infra.uid_folder()
    assert folder is not None
    assert json.loads((folder / "job.json").read_text())["state"] == "failed"


def test_a_job_is_found_once_another_process_has_submitted_it(tmp_path: Path) -> None:
    mine, other = (Work(seconds=60, infra={"folder": tmp_path, "cluster": "local"}) for _ in range(2))
    entry = other.infra.bound_task().entry
    entry.prepare({})
    claim = entry.claim()  # it is about to submit
    job = mine.infra.job()
    assert (job.paths, job.job_id) == (None, "")
    with pytest.raises(NotSubmitted, match="no job, but computed by"):
        job.cancel()
    claim.release()
    assert other.infra.job().job_id == job.job_id
    assert job.paths is not None
    job.cancel()
    with pytest.raises(JobCancelled):
        mine.run()
