"""What a recomputation may put in the place of what is stored: never a value for nothing."""

from __future__ import annotations

import resource
import signal
import threading
import typing as tp
from pathlib import Path

import numpy as np
import pydantic
import pytest

import exca
from exca.errors import CodeChanged, ResultNotStored
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
