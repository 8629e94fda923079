"""Exceptions on their way from one process to another."""

from __future__ import annotations

import pickle
import threading

import pytest
from execution_calls import OddError
from hypothesis import given
from hypothesis import strategies as st

from exca.execution._array._outcome import describe, dump, rebuild


class Attached(RuntimeError):
    """Carries something that no pickle takes."""

    def __init__(self) -> None:
        super().__init__("see the lock")
        self.lock = threading.Lock()


class Mute(RuntimeError):
    def __str__(self) -> str:
        raise ValueError("no words")


class Shifting(RuntimeError):
    """Would come back from a pickle as something else."""

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return ValueError, ("changed",)


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


@pytest.mark.parametrize(
    "error",
    [
        ValueError(),
        KeyError("k"),
        OSError(28, "No space left on device", "/full"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        ExceptionGroup("several", [ValueError("a"), TypeError("b")]),
        StopIteration(3),
        OddError("lr", limit=3),
        Shifting("x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_incident_11_comes_back_as_it_was(error: Exception) -> None:
    error.add_note("a note of the user")
    pickled = describe(raised(error)).pickled
    assert pickled is not None
    copy = rebuild(pickled)
    assert type(copy) is type(error)
    assert (str(copy), repr(copy.args), copy.__notes__) == (str(error), repr(error.args), ["a note of the user"])
    assert vars(copy).keys() == vars(error).keys()


@pytest.mark.parametrize("error", [Attached(), Mute(), SystemExit(3), KeyboardInterrupt()])
def test_what_cannot_come_back_is_told(error: BaseException) -> None:
    account = describe(raised(error))
    assert account.pickled is None
    assert type(error).__name__ in account.type
    assert type(error).__name__ in account.traceback
    assert account.one_line().startswith(account.type)


def test_a_pickle_that_is_no_exception() -> None:
    with pytest.raises(TypeError, match="a str came back"):
        rebuild(pickle.dumps("text"))


@given(st.recursive(st.none() | st.integers() | st.text() | st.floats(allow_nan=False), st.lists, max_leaves=5))
def test_incident_12_a_value_comes_back_as_it_was(value: object) -> None:
    assert pickle.loads(dump((value, {1: value}))) == (value, {1: value})


def test_a_function_without_a_name_goes_by_value() -> None:
    assert pickle.loads(dump(lambda x: x + 1))(1) == 2
