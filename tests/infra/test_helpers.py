"""Plain functions as computations: every kind of parameter, and what is refused."""

from __future__ import annotations

import functools
import math
import typing as tp
from pathlib import Path

import pytest

from exca.errors import InvalidInfra
from exca.helpers import to_config, with_infra

if tp.TYPE_CHECKING:
    from nowhere import Unknown  # type: ignore[import-not-found]

CALLS: list[tp.Any] = []


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    CALLS.clear()


def test_parameters_of_every_kind(tmp_path: Path) -> None:
    @with_infra(folder=tmp_path)
    def mixed(a: int, /, b: int, *, c: int = 3) -> tuple[int, int, int]:
        CALLS.append(a)
        return a, b, c

    assert [mixed(1, 2), mixed(1, b=2, c=3)] == [(1, 2, 3)] * 2
    assert CALLS == [1]
    with pytest.raises(TypeError):
        mixed(a=1, b=2)  # type: ignore[call-arg]

    def build(a: int, /, b: int = 2) -> int:
        return a * b

    assert to_config(build, a=3).build() == 6  # type: ignore[attr-defined]


def test_what_is_returned_need_not_be_known_at_run_time(tmp_path: Path) -> None:
    @with_infra(folder=tmp_path)
    def make(x: int) -> Unknown:
        return x + 1

    assert make("2") == 3, "the parameters are validated all the same"  # type: ignore[arg-type]


def test_a_function_may_change_its_arguments(tmp_path: Path) -> None:
    @with_infra(folder=tmp_path)
    def drain(items: list[int]) -> int:
        CALLS.append(len(items))
        total = 0
        while items:
            total += items.pop()
        return total

    mine = [1, 2]
    assert [drain(mine), drain(mine), drain([1, 2])] == [3, 3, 3]
    assert mine == [1, 2]
    assert CALLS == [2]


def test_incident_01_functions_of_one_name_are_refused() -> None:
    def made(k: int) -> tp.Any:
        other = k + 1

        @with_infra()
        def scaled(x: int) -> int:
            return k * x + other

        return scaled

    with pytest.raises(TypeError, match=r"scaled uses k, other of the function around it.*pass them as arguments"):
        made(2)
    with pytest.raises(TypeError, match="no name to store its results under: define it with def"):
        with_infra()(lambda x: x)


def test_a_function_may_use_modules_decorators_and_itself(tmp_path: Path) -> None:
    import operator

    def twice(function: tp.Callable[..., int]) -> tp.Callable[..., int]:
        @functools.wraps(function)
        def called(*args: tp.Any, **kwargs: tp.Any) -> int:
            return 2 * function(*args, **kwargs)

        return called

    @with_infra(folder=tmp_path)
    def factorial(n: int) -> int:
        CALLS.append(n)
        return operator.mul(n, factorial(n - 1)) if n else 1

    @with_infra(folder=tmp_path)
    @twice
    def root(n: int) -> int:
        return math.isqrt(n)

    assert factorial(4) == 24
    assert factorial(5) == 120
    assert CALLS == [4, 3, 2, 1, 0, 5]
    assert root(16) == 8


def test_async_functions_and_generators_are_refused() -> None:
    async def coroutine(x: int) -> int:
        return x

    def generator(x: int) -> tp.Iterator[int]:
        yield x

    for function, word in ((coroutine, "async"), (generator, "generator")):
        with pytest.raises(InvalidInfra, match=word):
            with_infra()(function)
