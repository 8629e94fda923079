"""TaskInfra as a user meets it: one class for each promise."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
import threading
import time
import typing as tp
from pathlib import Path

import cloudpickle
import numpy as np
import pydantic
import pytest

import exca
from exca.errors import (
    ConfigChanged,
    ConfigSealed,
    DefaultsChanged,
    InfraNotBound,
    InvalidInfra,
    RepeatedTasks,
    ResultNotFound,
    ResultNotStored,
    UidCollision,
)

CALLS: list[tp.Any] = []


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    CALLS.clear()


class Square(pydantic.BaseModel):
    x: float = 3
    label: str = ""
    infra: exca.TaskInfra = exca.TaskInfra(version="1")

    @infra.apply(exclude_from_cache_uid=["label"])
    def run(self) -> float:
        """The square of x."""
        CALLS.append(self.x)
        if self.x < 0:
            raise ValueError(f"negative: {self.x}")
        return self.x**2


class Plain(pydantic.BaseModel):
    x: float = 0.0


class Mapped(pydantic.BaseModel):
    infra: exca.MapInfra = exca.MapInfra()

    @infra.apply(item_uid=str)
    def run(self, items: list[int]) -> list[int]:
        return items


class Inner(pydantic.BaseModel):
    n: int = 1
    names: list[str] = ["a"]


class Outer(pydantic.BaseModel):
    inner: Inner = Inner()
    free: dict[str, int] = {}
    infra: exca.TaskInfra = exca.TaskInfra()

    @infra.apply
    def run(self) -> dict[str, tp.Any]:
        CALLS.append(self.inner.n)
        return {"n": self.inner.n, "rows": [1, 2]}


class TestCaching:
    def test_computed_once_for_all_objects(self, tmp_path: Path) -> None:
        assert [Square(x=2, infra={"folder": tmp_path}).run() for _ in range(3)] == [4.0] * 3
        assert CALLS == [2.0]

    def test_without_folder_nothing_is_cached(self) -> None:
        config = Square(x=2)
        assert [config.run(), config.run()] == [4.0, 4.0]
        assert CALLS == [2.0, 2.0]
        assert config.infra.uid_folder() is None
        assert config.infra.status() == "not submitted"

    def test_keep_in_ram_without_folder(self) -> None:
        config = Square(x=2, infra={"keep_in_ram": True})
        assert [config.run(), config.run()] == [4.0, 4.0]
        assert CALLS == [2.0]
        assert Square(x=2, infra={"keep_in_ram": True}).run() == 4.0, "each object has its own"
        assert CALLS == [2.0, 2.0]

    def test_incident_12_a_caller_who_mutates_his_value_changes_nobodys(self, tmp_path: Path) -> None:
        for infra in ({"folder": tmp_path}, {"keep_in_ram": True}, {"folder": tmp_path, "keep_in_ram": True}):
            config = Outer(infra=infra)
            for _ in range(3):
                value = config.run()
                assert value == {"n": 1, "rows": [1, 2]}
                value["rows"].append(3)

    def test_incident_12_and_13_a_warm_call_reads_the_value_once(self, tmp_path: Path) -> None:
        Once.reads = 0
        config = Pickled(infra={"folder": tmp_path})
        config.run()
        assert Once.reads == 0, "what was computed is not read back"
        Pickled(infra={"folder": tmp_path}).run()
        assert Once.reads == 1
        assert Pickled(infra={"folder": tmp_path}).infra.status() == "completed"
        assert Once.reads == 1

    def test_incident_23_a_cached_call_consumes_no_random_state(self, tmp_path: Path) -> None:
        Random(infra={"folder": tmp_path}).run()
        before = np.random.get_state()[1]
        Random(infra={"folder": tmp_path}).run()
        assert (np.random.get_state()[1] == before).all()

    def test_folder_content(self, tmp_path: Path) -> None:
        config = Square(x=2, label="l", infra={"folder": tmp_path})
        config.run()
        folder = config.infra.uid_folder()
        assert folder is not None
        assert config.infra.uid() == f"{__name__}.Square.run,1/{folder.name}"
        assert folder.name.startswith("x=2.0-")
        assert (folder / "uid.yaml").read_text() == "x: 2.0\n"
        assert (folder / "full-uid.yaml").read_text() == "x: 2.0\n"
        full = exca.ConfDict.from_yaml(folder / "config.yaml")
        assert full["label"] == "l"
        assert full["infra.version"] == "1"
        assert Square(**full) == config

    def test_all_defaults_are_called_default(self, tmp_path: Path) -> None:
        assert Square(infra={"folder": tmp_path}).infra.uid().endswith(",1/default")

    def test_uid_folder_can_be_created_for_checkpoints(self, tmp_path: Path) -> None:
        config = Square(x=2, infra={"folder": tmp_path})
        folder = config.infra.uid_folder()
        assert folder is not None
        assert not folder.exists()
        assert config.infra.uid_folder(create=True) == folder
        assert (folder / "uid.yaml").exists()
        assert config.infra.status() == "not submitted"

    def test_config_export(self, tmp_path: Path) -> None:
        config = Square(x=2, label="l", infra={"folder": tmp_path})
        assert config.infra.config(uid=True, exclude_defaults=True) == {"x": 2.0}
        assert config.infra.config(uid=False, exclude_defaults=True)["label"] == "l"

    def test_job_json_says_how_the_result_came_about(self, tmp_path: Path) -> None:
        config = Square(x=2, infra={"folder": tmp_path})
        config.run()
        folder = config.infra.uid_folder()
        assert folder is not None
        note = exca.ConfDict.from_yaml(folder / "job.json")
        assert note["state"] == "completed"
        assert {"started", "duration_s", "host", "user", "versions", "process", "git", "code"} <= set(note)

    def test_the_method_stays_the_users_own(self) -> None:
        assert Square.run.__name__ == "run"
        assert Square.run.__doc__ == "The square of x."
        assert list(inspect.signature(Square().run).parameters) == []

    def test_results_of_threads_are_one(self, tmp_path: Path) -> None:
        configs = [Slow(infra={"folder": tmp_path}) for _ in range(6)]
        values: list[float] = []
        threads = [threading.Thread(target=lambda c=config: values.append(c.run())) for config in configs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(values)) == 1
        assert len(values) == 6
        assert CALLS == ["slow"]


class TestModes:
    def test_cached_raises_the_stored_error(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="negative"):
            Square(x=-1, infra={"folder": tmp_path}).run()
        with pytest.raises(ValueError, match="negative") as caught:
            Square(x=-1, infra={"folder": tmp_path}).run()
        assert CALLS == [-1.0]
        notes = "\n".join(caught.value.__notes__)
        assert 'raise ValueError(f"negative: {self.x}")' in notes, "incident 11: the traceback where it was raised"
        assert "mode='retry'" in notes

    def test_retry_computes_failures_once_more_and_loads_values(self, tmp_path: Path) -> None:
        failing = {"folder": tmp_path, "mode": "retry"}
        with pytest.raises(ValueError, match="negative"):
            Square(x=-1, infra={"folder": tmp_path}).run()
        config = Square(x=-1, infra=failing)
        for _ in range(2):
            with pytest.raises(ValueError, match="negative"):
                config.run()
        assert CALLS == [-1.0, -1.0], "retry acts once per object"
        Square(x=2, infra={"folder": tmp_path}).run()
        Square(x=2, infra=failing).run()
        assert CALLS == [-1.0, -1.0, 2.0]

    def test_force_recomputes_once_per_object(self, tmp_path: Path) -> None:
        first = Random(infra={"folder": tmp_path}).run()
        config = Random(infra={"folder": tmp_path, "mode": "force"})
        second = config.run()
        assert second != first
        assert config.run() == second
        assert Random(infra={"folder": tmp_path}).run() == second

    def test_mode_can_be_assigned_and_acts_again(self, tmp_path: Path) -> None:
        config = Random(infra={"folder": tmp_path, "keep_in_ram": True})
        first = config.run()
        config.infra.mode = "force"
        second = config.run()
        assert first != second
        with pytest.raises(pydantic.ValidationError):
            config.infra.mode = "often"  # type: ignore[assignment]

    def test_read_only_never_computes(self, tmp_path: Path) -> None:
        with pytest.raises(ResultNotFound, match="read-only"):
            Square(x=2, infra={"folder": tmp_path, "mode": "read-only"}).run()
        with pytest.raises(ResultNotFound, match="folder"):
            Square(x=2, infra={"mode": "read-only"}).run()
        Square(x=2, infra={"folder": tmp_path}).run()
        assert Square(x=2, infra={"folder": tmp_path, "mode": "read-only"}).run() == 4.0
        assert CALLS == [2.0]

    def test_status_and_clear_job(self, tmp_path: Path) -> None:
        config = Square(x=2, infra={"folder": tmp_path, "keep_in_ram": True})
        assert config.infra.status() == "not submitted"
        config.run()
        assert config.infra.status() == "completed"
        folder = config.infra.uid_folder()
        assert folder is not None
        (folder / "checkpoint.pt").write_text("mine")
        config.infra.clear_job()
        assert config.infra.status() == "not submitted"
        assert (folder / "checkpoint.pt").exists()
        config.run()
        assert CALLS == [2.0, 2.0]

    def test_incident_08_retry_helps_against_a_damaged_result(self, tmp_path: Path) -> None:
        config = Square(x=2, infra={"folder": tmp_path})
        config.run()
        folder = config.infra.uid_folder()
        assert folder is not None
        (folder / "result.json").write_text("{")
        with pytest.raises(exca.errors.CorruptResult):
            Square(x=2, infra={"folder": tmp_path}).run()
        assert Square(x=2, infra={"folder": tmp_path, "mode": "retry"}).run() == 4.0
        assert Square(x=2, infra={"folder": tmp_path}).run() == 4.0

    def test_incident_10_a_failed_force_keeps_files_of_the_user(self, tmp_path: Path) -> None:
        config = Unstorable(bad=False, infra={"folder": tmp_path})
        config.run()
        Unstorable.secretly_bad = True
        try:
            with pytest.raises(ResultNotStored, match="computed but not stored"):
                Unstorable(bad=False, infra={"folder": tmp_path, "mode": "force"}).run()
        finally:
            Unstorable.secretly_bad = False

    def test_a_method_that_asks_for_itself_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(RecursionError, match="asks for its own result"):
            Recursive(infra={"folder": tmp_path}).run()


class TestCopies:
    """Incident 5: a copy with another x never gives the result for the old x."""

    @pytest.mark.parametrize("ram", [False, True])
    @pytest.mark.parametrize(
        "changed",
        [
            lambda c: c.model_copy(update={"x": 50.0}),
            lambda c: c.model_copy(update={"x": 50.0}, deep=True),
            lambda c: c.infra.clone_obj(x=50),
            lambda c: c.infra.clone_obj({"x": 50}),
            lambda c: copy.copy(c).model_copy(update={"x": 50.0}),
            lambda c: copy.deepcopy(c).model_copy(update={"x": 50.0}),
            lambda c: pickle.loads(pickle.dumps(c)).model_copy(update={"x": 50.0}),
            lambda c: cloudpickle.loads(cloudpickle.dumps(c)).model_copy(update={"x": 50.0}),
        ],
    )
    def test_incident_05_changed_copies_compute_their_own(
        self, tmp_path: Path, ram: bool, changed: tp.Callable[[Square], Square]
    ) -> None:
        config = Square(x=2, infra={"folder": tmp_path, "keep_in_ram": ram})
        assert config.run() == 4.0
        other = changed(config)
        assert other.infra.uid() != config.infra.uid()
        assert other.run() == 2500.0
        assert config.run() == 4.0
        assert config.infra.config(uid=True)["x"] == 2.0

    @pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))])
    def test_plain_copies_are_equal_and_find_the_result(
        self, tmp_path: Path, duplicate: tp.Callable[[Square], Square]
    ) -> None:
        config = Square(x=2, infra={"folder": tmp_path})
        config.run()
        twin = duplicate(config)
        assert twin == config
        assert twin.infra is not config.infra
        assert twin.run() == 4.0
        assert CALLS == [2.0]

    def test_copies_are_not_sealed(self, tmp_path: Path) -> None:
        config = Square(x=2, infra={"folder": tmp_path})
        config.run()
        for twin in (copy.copy(config), copy.deepcopy(config), config.model_copy()):
            twin.x = 5
            assert twin.run() == 25.0

    def test_reassigned_infra_is_the_configs_own(self, tmp_path: Path) -> None:
        config = Square(x=2, infra={"folder": tmp_path / "a"})
        config.run()
        config.infra = exca.TaskInfra(folder=tmp_path / "b", version="1")
        config.run()
        assert CALLS == [2.0, 2.0]
        other = Square(x=3, infra={"folder": tmp_path / "a"})
        other.infra = config.infra
        assert other.run() == 9.0
        assert config.run() == 4.0
        assert other.infra is not config.infra

    def test_a_dict_can_be_assigned(self, tmp_path: Path) -> None:
        config = Square(x=2)
        config.infra = {"folder": tmp_path}  # type: ignore[assignment]
        assert config.run() == 4.0
        assert config.infra.version == "1", "what the class set stays set"

    def test_one_infra_object_given_to_two_configs(self, tmp_path: Path) -> None:
        infra = exca.TaskInfra(folder=tmp_path)
        one, two = Square(x=2, infra=infra), Square(x=3, infra=infra)
        assert (one.run(), two.run(), one.run()) == (4.0, 9.0, 4.0)
        assert infra.version == "0", "the caller's object is left alone"

    def test_clone_shares_nothing(self, tmp_path: Path) -> None:
        config = Outer(inner={"n": 2}, infra={"folder": tmp_path})
        clone = config.infra.clone_obj({"inner.names": ["b"]}, free={"k": 1})
        assert (clone.inner.n, clone.inner.names, clone.free) == (2, ["b"], {"k": 1})
        clone.inner.names.append("c")
        clone.free["l"] = 2
        assert (config.inner.names, config.free) == (["a"], {})
        with pytest.raises(pydantic.ValidationError):
            config.infra.clone_obj({"inner.unknown": 1, "inner.n": "x"})

    def test_a_dict_the_caller_passed_is_not_mutated(self, tmp_path: Path) -> None:
        given: dict[str, tp.Any] = {"folder": tmp_path}
        Square(x=2, infra=given).run()
        assert given == {"folder": tmp_path}


class TestSealing:
    def test_incident_06_a_config_with_a_uid_cannot_be_assigned(self, tmp_path: Path) -> None:
        config = Square(x=2, infra={"folder": tmp_path})
        config.x = 3
        config.infra.uid()
        with pytest.raises(ConfigSealed, match=r"model_copy\(update="):
            config.x = 4
        assert config.run() == 9.0

    def test_incident_06_a_change_inside_is_noticed_before_an_old_result_is_given(self, tmp_path: Path) -> None:
        for ram in (False, True):
            config = Outer(infra={"folder": tmp_path, "keep_in_ram": ram})
            config.run()
            config.inner.n = 7
            with pytest.raises(ConfigChanged, match="changed in place"):
                config.run()
            config.inner.n = 1
            assert config.run()["n"] == 1

    def test_incident_06_a_method_that_changes_its_config_poisons_nothing(self, tmp_path: Path) -> None:
        config = SelfChanging(infra={"folder": tmp_path})
        with pytest.raises(ConfigChanged):
            config.run()
        assert SelfChanging(infra={"folder": tmp_path}).infra.status() == "not submitted"


class TestDeclaring:
    def test_unknown_fields_are_refused_unless_the_class_says_otherwise(self) -> None:
        with pytest.raises(pydantic.ValidationError, match="Extra inputs"):
            Square(y=2)  # type: ignore[call-arg]
        assert Open(y=2).run() == 2  # type: ignore[call-arg]

    def test_the_class_default_seeds_each_infra(self, tmp_path: Path) -> None:
        assert Square(infra={"folder": tmp_path}).infra.version == "1"
        assert Square(infra={"version": "2"}).infra.version == "2"
        assert Square(infra=exca.TaskInfra(folder=tmp_path)).infra.version == "1"

    def test_private_infra(self, tmp_path: Path) -> None:
        config = Private(folder=tmp_path)
        assert config.run() == 2
        assert config._infra.status() == "completed"
        assert "_infra" not in config.model_dump()
        assert config.model_copy(update={"x": 3}).run() == 3
        assert Private(folder=tmp_path).run() == 2
        assert CALLS == [2, 3]

    def test_two_infras_on_one_model(self, tmp_path: Path) -> None:
        config = Two(infra={"folder": tmp_path / "a"}, other={"folder": tmp_path / "b"})
        assert (config.run(), config.count()) == (1, 2)
        assert (config.infra.uid().split(",")[0], config.other.uid().split(",")[0]) == (
            f"{__name__}.Two.run",
            f"{__name__}.Two.count",
        )
        assert set(config.infra.obj_infras()) == {"infra", "other"}
        assert Two(infra={"folder": tmp_path / "a"}).infra.status() == "completed"
        assert Two(other={"folder": tmp_path / "a"}).other.status() == "not submitted"

    def test_nested_models_keep_their_own_infra(self, tmp_path: Path) -> None:
        config = Nested(data={"n": 3, "infra": {"folder": tmp_path / "d"}}, infra={"folder": tmp_path / "n"})
        assert config.run() == [3, 3]
        other = Nested(
            data={"n": 3, "infra": {"folder": tmp_path / "z", "mode": "force"}}, infra={"folder": tmp_path / "n"}
        )
        assert other.infra.uid() == config.infra.uid(), "where the data is cached is not what is computed"
        newer = Nested(data={"n": 3, "infra": {"version": "9"}})
        assert newer.infra.uid() != config.infra.uid(), "the version of a part is"

    def test_a_subclass_that_overrides_the_method_is_its_own_computation(self, tmp_path: Path) -> None:
        child = Child(x=2, infra={"folder": tmp_path})
        assert child.run() == 5.0
        assert child.run() == 5.0
        assert CALLS == [2.0], "super().run() is a part of the override, not a second computation"
        assert child.infra.uid().startswith(f"{__name__}.Child.run,1/")
        assert Square(x=2, infra={"folder": tmp_path}).run() == 4.0

    def test_a_subclass_with_another_default_infra(self, tmp_path: Path) -> None:
        config = Renewed(x=2, infra={"folder": tmp_path})
        assert config.infra.version == "7"
        assert config.run() == 4.0
        assert ",7/" in config.infra.uid()

    def test_model_construct_works_too(self, tmp_path: Path) -> None:
        config = Fresh.model_construct(x=2)
        assert config.infra.uid()
        assert config.run() == 2

    def test_equality_and_dump_know_nothing_of_the_binding(self, tmp_path: Path) -> None:
        one, two = Square(x=2, infra={"folder": tmp_path}), Square(x=2, infra={"folder": tmp_path})
        one.run()
        assert one == two
        assert one.model_dump() == two.model_dump()
        assert Square.model_validate_json(one.model_dump_json()) == one

    def test_misuse_is_explained(self) -> None:
        with pytest.raises(InfraNotBound, match="belongs to no config"):
            exca.TaskInfra().uid()
        with pytest.raises(InvalidInfra, match="only argument is self"):

            class TakesArguments(pydantic.BaseModel):
                infra: exca.TaskInfra = exca.TaskInfra()

                @infra.apply
                def run(self, x: int) -> int:
                    return x

        with pytest.raises(InvalidInfra, match="an infra field of its own"):

            class Twice(pydantic.BaseModel):
                infra: exca.TaskInfra = exca.TaskInfra()

                @infra.apply
                def run(self) -> int:
                    return 1

                @infra.apply
                def walk(self) -> int:
                    return 1

    def test_exclusion_by_callable_and_by_method(self) -> None:
        assert ByMethod(a=2).infra.uid() == ByMethod(a=3).infra.uid()
        assert ByMethod(b=2).infra.uid() != ByMethod(b=3).infra.uid()
        assert ByCallable(a=2).infra.uid() == ByCallable(a=3).infra.uid()

    def test_permissions_are_given_as_in_a_shell(self, tmp_path: Path) -> None:
        for given in (0o770, "770", "0o770"):
            assert Square(infra={"permissions": given}).infra.permissions == 0o770
        config = Square(x=2, infra={"folder": tmp_path / "shared", "permissions": "777"})
        config.run()
        folder = config.infra.uid_folder()
        assert folder is not None
        assert folder.stat().st_mode & 0o777 == 0o777
        assert (folder / "result.json").stat().st_mode & 0o777 == 0o666

    @pytest.mark.parametrize(
        ("given", "instead"),
        [
            (770, '"0o770" (or 504'),  # as YAML and a command line give it: 0o1402, open to everybody but the owner
            (700, '"0o700" (or 448'),
            (755, '"0o755" (or 493'),
            (777, '"0o777" (or 511'),
            (2770, '"0o2770" (or 1528'),
            (0, '"0o770"'),
            (-1, '"0o770"'),
            (99999, '"0o770"'),
            (0o10600, '"0o770"'),
            ("-600", '"0o770"'),
            ("0o440", '"0o770"'),
        ],
    )
    def test_permissions_that_lock_the_owner_out_are_refused(self, given: int | str, instead: str) -> None:
        with pytest.raises(pydantic.ValidationError, match=re.escape(f"write {instead}")):
            Square(infra={"permissions": given})
        infra = Square().infra
        with pytest.raises(pydantic.ValidationError, match="lets its owner read and write"):
            infra.permissions = given  # type: ignore[assignment]


class TestJobs:
    def test_an_inline_job_is_computed_and_keeps_its_failure(self, tmp_path: Path) -> None:
        job = Square(x=2, infra={"folder": tmp_path}).infra.job()
        assert job.done()
        assert (job.result(), job.results(), job.exception(), job.status()) == (4.0, [4.0], None, "completed")
        job = Square(x=-2, infra={"folder": tmp_path}).infra.job()
        assert job.done()
        assert isinstance(job.exception(), ValueError)
        with pytest.raises(ValueError, match="negative"):
            job.result()

    def test_a_job_without_folder(self) -> None:
        job = Square(x=2).infra.job()
        assert job.result() == 4.0

    def test_job_array(self, tmp_path: Path) -> None:
        base = Square(infra={"folder": tmp_path})
        base.infra.clone_obj(x=1).run()
        with base.infra.job_array() as tasks:
            tasks.extend(base.infra.clone_obj(x=x) for x in (0, 1, -1, 2))
        assert CALLS == [1.0, 0.0, -1.0, 2.0], "what was computed is skipped, and a failure does not stop the rest"
        assert [task.infra.status() for task in tasks] == ["completed", "completed", "failed", "completed"]
        assert [task.run() for task in tasks if task.x >= 0] == [0.0, 1.0, 4.0]
        assert len(CALLS) == 4

    def test_job_array_refuses_repetition_and_shows_both(self, tmp_path: Path) -> None:
        base = Square(infra={"folder": tmp_path})
        with (
            pytest.raises(RepeatedTasks, match=r"(?s)index 0:\nx: 2.0\n.*index 1:\n.*x: 2.0") as caught,
            base.infra.job_array() as tasks,
        ):
            tasks.extend([base.infra.clone_obj(x=2), base.infra.clone_obj(x=2, label="other")])
        assert "allow_repeated_tasks" in str(caught.value)
        assert CALLS == []
        with base.infra.job_array(allow_repeated_tasks=True) as tasks:
            tasks.extend([base.infra.clone_obj(x=2), base.infra.clone_obj(x=2)])
        assert CALLS == [2.0]
        assert [task.run() for task in tasks] == [4.0, 4.0]

    @pytest.mark.parametrize("stranger", [Plain(), Mapped(), 3, None, Square])
    def test_job_array_says_which_item_is_no_config_of_it(self, tmp_path: Path, stranger: tp.Any) -> None:
        base = Square(infra={"folder": tmp_path})
        message = rf"item 1 .* type {type(stranger).__qualname__}, .* TaskInfra field 'infra'.* configs of Square"
        with pytest.raises(InvalidInfra, match=message), base.infra.job_array() as tasks:
            tasks.extend([base.infra.clone_obj(x=2), stranger])
        assert CALLS == []

    def test_job_array_empty_or_left_by_an_error(self, tmp_path: Path) -> None:
        base = Square(infra={"folder": tmp_path})
        with pytest.raises(ValueError, match="allow_empty"), base.infra.job_array():
            pass
        with base.infra.job_array(allow_empty=True):
            pass
        with pytest.raises(KeyError), base.infra.job_array() as tasks:
            tasks.append(base.infra.clone_obj(x=2))
            raise KeyError
        assert CALLS == []

    def test_iter_cached(self, tmp_path: Path) -> None:
        base = Square(infra={"folder": tmp_path})
        for x in (1, 2):
            base.infra.clone_obj(x=x, label="l").run()
        with pytest.raises(ValueError, match="negative"):
            base.infra.clone_obj(x=-1).run()
        found = list(base.infra.iter_cached())
        assert sorted(config.x for config in found) == [1.0, 2.0]
        assert [config.run() for config in sorted(found, key=lambda c: c.x)] == [1.0, 4.0]
        assert len(CALLS) == 3


class TestChanges:
    """What is on disk and the code no longer say the same."""

    def test_a_changed_default_is_noticed(self, tmp_path: Path) -> None:
        versions = [_class_with_default(default) for default in (1, 2)]
        versions[0](infra={"folder": tmp_path}).run()
        with pytest.raises(DefaultsChanged, match=r"(?s)Then:.*a: 1.*now:.*a: 2.*infra\.version"):
            versions[1](infra={"folder": tmp_path}).run()
        assert versions[1](infra={"folder": tmp_path, "mode": "force"}).run() == 2
        assert versions[1](infra={"folder": tmp_path}).run() == 2
        assert versions[1](a=1, infra={"folder": tmp_path}).run() == 1

    def test_a_folder_with_another_config_is_noticed(self, tmp_path: Path) -> None:
        one, two = (Square(x=x, infra={"folder": tmp_path}) for x in (1, 2))
        one.run()
        source, target = one.infra.uid_folder(), two.infra.uid_folder()
        assert source is not None
        assert target is not None
        source.rename(target)
        with pytest.raises(UidCollision, match=r"x: 1.0"):
            two.run()

    def test_changed_code_warns_once(self, tmp_path: Path) -> None:
        old, new = _class_with_code("return 1"), _class_with_code("return 2")
        old(infra={"folder": tmp_path}).run()
        with pytest.warns(UserWarning, match="code of Changing.run changed"):
            assert new(infra={"folder": tmp_path}).run() == 1
        assert new(infra={"folder": tmp_path}).run() == 1
        assert new(infra={"folder": tmp_path, "code_change": "ignore"}).run() == 1
        with pytest.raises(exca.errors.CodeChanged):
            new(infra={"folder": tmp_path, "code_change": "error"}).run()
        assert new(infra={"folder": tmp_path, "code_change": "recompute"}).run() == 2
        assert new(infra={"folder": tmp_path}).run() == 2

    def test_comments_and_docstrings_are_not_code(self, tmp_path: Path) -> None:
        _class_with_code('"""Text."""\n        return 1')(infra={"folder": tmp_path}).run()
        same = _class_with_code('"""Doc."""\n        # a comment\n\n        return 1')
        assert same(infra={"folder": tmp_path, "code_change": "error"}).run() == 1


class TestHelpers:
    def test_with_infra(self, tmp_path: Path) -> None:
        @exca.helpers.with_infra(folder=tmp_path)
        def area(width: int, height: float = 1) -> float:
            CALLS.append(width)
            return width * height

        assert [area(2), area(width=2), area(2, height=1.0)] == [2.0] * 3
        assert area(2, 3) == 6.0
        assert CALLS == [2, 2]
        assert area.__name__ == "area"
        with pytest.raises(TypeError):
            area(1, 2, 3)  # type: ignore[call-arg]
        with pytest.raises(pydantic.ValidationError):
            area("wide")  # type: ignore[arg-type]

    def test_to_config(self) -> None:
        config = exca.helpers.to_config(Inner, n=3)
        assert config.build() == Inner(n=3)  # type: ignore[attr-defined]
        with pytest.raises(TypeError, match=r"\*\*kwargs"):
            exca.helpers.to_config_model(lambda **kwargs: None)

    def test_validate_kwargs(self) -> None:
        def train(lr: float, steps: int = 1) -> None: ...

        exca.helpers.validate_kwargs(train, {"lr": 1})
        for wrong in ({}, {"lr": "x"}, {"lr": 1, "step": 2}):
            with pytest.raises(pydantic.ValidationError):
                exca.helpers.validate_kwargs(train, wrong)


# ---------------------------------------------------------------------- configs


class Once:
    """Counts how often it is unpickled."""

    reads = 0

    def __setstate__(self, state: tp.Any) -> None:
        Once.reads += 1

    def __getstate__(self) -> tp.Any:
        return {"x": 1}


class Pickled(pydantic.BaseModel):
    infra: exca.TaskInfra = exca.TaskInfra()

    @infra.apply
    def run(self) -> Once:
        return Once()


class Random(pydantic.BaseModel):
    infra: exca.TaskInfra = exca.TaskInfra()

    @infra.apply
    def run(self) -> float:
        return float(np.random.rand())


class Slow(pydantic.BaseModel):
    infra: exca.TaskInfra = exca.TaskInfra()

    @infra.apply
    def run(self) -> float:
        CALLS.append("slow")
        time.sleep(0.1)
        return float(np.random.rand())


class Unstorable(pydantic.BaseModel):
    bad: bool = True
    secretly_bad: tp.ClassVar[bool] = False
    infra: exca.TaskInfra = exca.TaskInfra()

    @infra.apply
    def run(self) -> tp.Any:
        return threading.Lock() if self.bad or self.secretly_bad else 1


class Recursive(pydantic.BaseModel):
    infra: exca.TaskInfra = exca.TaskInfra()

    @infra.apply
    def run(self) -> int:
        return self.run() + 1


class SelfChanging(pydantic.BaseModel):
    inner: Inner = Inner()
    infra: exca.TaskInfra = exca.TaskInfra()

    @infra.apply
    def run(self) -> int:
        self.inner.names.append("b")
        return 1


class Open(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    infra: exca.TaskInfra = exca.TaskInfra()

    @infra.apply
    def run(self) -> int:
        return int(self.y)  # type: ignore[attr-defined]


class Private(pydantic.BaseModel):
    x: int = 2
    folder: Path
    _infra: exca.TaskInfra = exca.TaskInfra(version="1")

    def model_post_init(self, context: tp.Any, /) -> None:
        self._infra.folder = self.folder

    @_infra.apply(exclude_from_cache_uid=["folder"])
    def run(self) -> int:
        CALLS.append(self.x)
        return self.x


class Two(pydantic.BaseModel):
    infra: exca.TaskInfra = exca.TaskInfra()
    other: exca.TaskInfra = exca.TaskInfra()

    @infra.apply
    def run(self) -> int:
        return 1

    @other.apply
    def count(self) -> int:
        return 2


class Data(pydantic.BaseModel):
    n: int = 1
    infra: exca.TaskInfra = exca.TaskInfra(version="1")

    @infra.apply
    def load(self) -> list[int]:
        return [self.n]


class Nested(pydantic.BaseModel):
    data: Data = Data()
    infra: exca.TaskInfra = exca.TaskInfra()

    @infra.apply
    def run(self) -> list[int]:
        return self.data.load() * 2


class Child(Square):
    def run(self) -> float:
        return super().run() + 1


class Renewed(Square):
    infra: exca.TaskInfra = exca.TaskInfra(version="7")


class Fresh(pydantic.BaseModel):
    x: int = 1
    infra: exca.TaskInfra = exca.TaskInfra()

    @infra.apply
    def run(self) -> int:
        return self.x


class ByMethod(pydantic.BaseModel):
    a: int = 1
    b: int = 1
    infra: exca.TaskInfra = exca.TaskInfra()

    def unimportant(self) -> list[str]:
        return ["a"]

    @infra.apply(exclude_from_cache_uid="method:unimportant")
    def run(self) -> int:
        return 1


class ByCallable(pydantic.BaseModel):
    a: int = 1
    infra: exca.TaskInfra = exca.TaskInfra()

    @infra.apply(exclude_from_cache_uid=lambda self: ["a"])
    def run(self) -> int:
        return 1


def _class_with_default(default: int) -> tp.Any:
    class Defaulted(pydantic.BaseModel):
        a: int = default
        infra: exca.TaskInfra = exca.TaskInfra()

        @infra.apply
        def run(self) -> int:
            return self.a

    return Defaulted


def _class_with_code(body: str) -> tp.Any:
    source = (
        "class Changing(pydantic.BaseModel):\n"
        "    infra: exca.TaskInfra = exca.TaskInfra()\n"
        "    @infra.apply\n"
        "    def run(self) -> int:\n"
        f"        {body}\n"
    )
    namespace: dict[str, tp.Any] = {"pydantic": pydantic, "exca": exca, "__name__": "changing"}
    exec(compile(source, "changing.py", "exec", dont_inherit=True), namespace)
    return namespace["Changing"]
