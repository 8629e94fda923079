"""Classes: overrides, mixins, assignments past the guard, and processes that only ever unpickle a config."""

from __future__ import annotations

import dataclasses
import functools
import subprocess
import sys
import typing as tp
from pathlib import Path

import cloudpickle
import pydantic
import pytest

import exca
from exca.errors import ConfigSealed, InvalidInfra


class Base(pydantic.BaseModel):
    x: int = 1
    infra: exca.TaskInfra = exca.TaskInfra()

    @infra.apply
    def run(self) -> int:
        return self.x


class Hundredfold:
    def run(self) -> int:
        return int(super().run()) * 100  # type: ignore[misc]


class Careless:
    def __setattr__(self, name: str, value: tp.Any) -> None:
        object.__setattr__(self, name, value)


class TestOverrides:
    def test_a_mixin_is_left_as_it_is(self, tmp_path: Path) -> None:
        class Mixed(Hundredfold, Base):
            pass

        assert Mixed(x=2, infra={"folder": tmp_path}).run() == 200
        assert Mixed(x=2, infra={"folder": tmp_path, "mode": "read-only"}).run() == 200
        assert not hasattr(Hundredfold.run, "__exca_applied__")

        class Parent(pydantic.BaseModel):
            def run(self) -> int:
                return 1

        class Unrelated(Hundredfold, Parent):
            pass

        assert Unrelated().run() == 100

    @pytest.mark.parametrize("chained", [True, False])
    def test_an_override_is_cached_whatever_the_parent_does_with_subclasses(
        self, tmp_path: Path, chained: bool
    ) -> None:
        seen: list[str] = []

        class Hooked(Base):
            @classmethod
            def __pydantic_init_subclass__(cls, **kwargs: tp.Any) -> None:
                seen.append(cls.__name__)
                if chained:
                    super().__pydantic_init_subclass__(**kwargs)

        class Grandchild(Hooked):
            def run(self) -> int:
                return self.x * 7

        assert seen == ["Grandchild"]
        assert hasattr(Grandchild.run, "__exca_applied__"), "before any config was made"
        assert Grandchild(x=2, infra={"folder": tmp_path}).run() == 14

    def test_the_hook_of_the_class_that_declares_is_called(self) -> None:
        seen: list[str] = []

        class Declaring(pydantic.BaseModel):
            infra: exca.TaskInfra = exca.TaskInfra()

            @classmethod
            def __pydantic_init_subclass__(cls, **kwargs: tp.Any) -> None:
                seen.append(cls.__name__)

            @infra.apply
            def run(self) -> int:
                return 1

        class Sub(Declaring):
            def run(self) -> int:
                return 2

        assert seen == ["Sub"]
        assert hasattr(Sub.run, "__exca_applied__")

    def test_an_override_that_is_no_computation_is_refused(self) -> None:
        with pytest.raises(InvalidInfra, match=r"WithArgument\.run.*only argument is self"):

            class WithArgument(Base):
                def run(self, times: int = 1) -> int:
                    return times


def timed(function: tp.Callable[..., tp.Any]) -> tp.Callable[..., tp.Any]:
    @functools.wraps(function)
    def inner(*args: tp.Any, **kwargs: tp.Any) -> tp.Any:
        return function(*args, **kwargs)

    return inner


def declare_on_a_plain_class() -> None:
    class Bare:
        infra = exca.TaskInfra()


def declare_on_a_dataclass() -> None:
    @dataclasses.dataclass
    class Bare:
        x: int = 1
        infra: exca.TaskInfra = exca.TaskInfra()  # noqa: RUF009 - the mistake

        @infra.apply
        def run(self) -> int:
            return self.x


@pytest.mark.parametrize("declaring", [declare_on_a_plain_class, declare_on_a_dataclass])
def test_a_class_that_is_no_model_is_refused(declaring: tp.Callable[[], None]) -> None:
    with pytest.raises((InvalidInfra, RuntimeError)) as caught:
        declaring()
    error = caught.value.__cause__ or caught.value  # Python 3.11 wraps what __set_name__ raises
    assert isinstance(error, InvalidInfra)
    assert "Bare.infra is an infra, and" in str(error)
    assert "not a pydantic model" in str(error)


class TestSignatures:
    def test_a_decorated_method_has_the_signature_of_the_method(self, tmp_path: Path) -> None:
        class Timed(pydantic.BaseModel):
            x: int = 1
            infra: exca.TaskInfra = exca.TaskInfra()

            @infra.apply
            @timed
            def run(self) -> int:
                return self.x

        class Override(Timed):
            @timed
            def run(self) -> int:
                return self.x + 1

        assert Timed(x=3, infra={"folder": tmp_path}).run() == 3
        assert Override(x=3, infra={"folder": tmp_path}).run() == 4
        assert Override(x=3, infra={"folder": tmp_path, "mode": "read-only"}).run() == 4

    @pytest.mark.parametrize(
        "function",
        [
            lambda self, *args: 1,
            lambda self, **kwargs: 1,
            lambda *args: 1,
            lambda self, *, x=1: 1,
            timed(lambda self, x: 1),
            lambda: 1,
            len,
        ],
    )
    def test_what_takes_more_than_self_is_refused(self, function: tp.Callable[..., tp.Any]) -> None:
        with pytest.raises(InvalidInfra, match="only argument is self"):
            exca.TaskInfra().apply(function)


class TestGuard:
    def test_incident_06_a_subclass_cannot_assign_past_the_seal(self) -> None:
        class Direct(Base):
            def __setattr__(self, name: str, value: tp.Any) -> None:
                object.__setattr__(self, name, value)

        class Mixed(Careless, Base):
            pass

        for cls in (Direct, Mixed):
            config = cls(x=2, infra={"keep_in_ram": True})
            config.x = 3
            assert config.run() == 3
            with pytest.raises(ConfigSealed, match=r"\.x cannot be assigned"):
                config.x = 50
        free = Careless()
        free.x = 1
        assert free.__dict__ == {"x": 1}


class TestWhatCannotBeStored:
    def test_async_methods_and_generators_are_refused(self) -> None:
        async def coroutine(self: tp.Any) -> int:
            return 1

        def generator(self: tp.Any) -> tp.Iterator[int]:
            yield 1

        async def both(self: tp.Any) -> tp.AsyncIterator[int]:
            yield 1

        for method, word in ((coroutine, "async"), (generator, "generator"), (both, "async")):
            with pytest.raises(InvalidInfra, match=f"{method.__name__} is .*{word}"):
                exca.TaskInfra().apply(method)


def _unpickled(source: str, folder: Path) -> str:
    """What a fresh process prints that knows ``configs``, and their classes, from a pickle alone."""
    code = f"import pickle; configs = pickle.loads(open('pickled', 'rb').read())\n{source}"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


_SCRIPT = """
import pydantic, exca, parent
class Mine(pydantic.BaseModel):
    x: int = 1
    infra: exca.TaskInfra = exca.TaskInfra()
    @infra.apply
    def run(self) -> int:
        return self.x
class Sub(parent.Parent):
    def run(self) -> int:
        return super().run() * 100
configs = [Mine(x=2, infra={"folder": "cache"}), Sub(x=2, infra={"folder": "cache"})]
"""


@pytest.mark.slow
def test_configs_of_a_script_compute_and_cache_where_they_are_only_unpickled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = _SCRIPT.partition("class Sub")[0].replace("Mine", "Parent").replace(", parent", "")
    (tmp_path / "parent.py").write_text(script)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(exca.__file__).parents[1]}")
    namespace: dict[str, tp.Any] = {"__name__": "__main__"}
    exec(_SCRIPT, namespace)  # classes of a script travel by value, as to a worker
    (tmp_path / "pickled").write_bytes(cloudpickle.dumps(namespace["configs"]))
    lines = _unpickled(
        "for c in configs: print(c.run(), c.run(), c.infra.status(), len(list(c.infra.iter_cached())))", tmp_path
    )
    assert lines == "2 2 completed 1\n200 200 completed 1\n"
    calls = (
        "print([type(c)(x=3).run() for c in configs for _ in range(2)], configs[1].model_copy(update={'x': 4}).run())"
    )
    assert _unpickled(calls, tmp_path) == "[3, 3, 300, 300] 400\n"
