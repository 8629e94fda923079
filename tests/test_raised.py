"""Exceptions described, and built again from their parts."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest

from exca.raised import describe, rebuild


class Awkward(Exception):
    """Its constructor does not take its message."""

    def __init__(self, where: str, code: int) -> None:
        super().__init__(f"{where}: {code}")
        self.code = code


class NoRoom(OSError):
    """Fills the places of its builtin class by a constructor of its own."""

    def __init__(self, path: str) -> None:
        super().__init__(28, "No space left on device", path)


class Missing(Awkward, ImportError):
    pass


class Demanding(Exception):
    """Cannot be made but by its constructor."""

    def __new__(cls, *, where: str) -> Demanding:
        return super().__new__(cls, where)

    def __init__(self, *, where: str) -> None:
        super().__init__(where)


class Nested(Exception):
    """Carries another one."""

    def __init__(self, inner: Exception, /, *_: object) -> None:
        super().__init__(inner)


@pytest.mark.parametrize(
    "error",
    [ValueError("x"), Awkward("disk", 3), NoRoom("/full"), Missing("module", 3), Nested(KeyError("x"))],
    ids=lambda error: type(error).__name__,
)
def test_incident_11_an_exception_comes_back_whatever_its_constructor_takes(error: Exception) -> None:
    error.add_note("of the user")
    pickled = describe(error, pickle.dumps).pickled
    assert pickled is not None
    copy = rebuild(pickle.loads(pickled))
    assert type(copy) is type(error)
    assert (str(copy), vars(copy)) == (str(error), vars(error))
    for name in ("errno", "strerror", "filename"):
        assert getattr(copy, name, None) == getattr(error, name, None)


@pytest.mark.parametrize("error", [Demanding(where="x"), Nested(Awkward("disk", 3))])
def test_what_would_not_come_back_has_no_pickle(error: Exception) -> None:
    account = describe(error, pickle.dumps)
    assert account.pickled is None
    assert account.message == str(error)


def test_an_exception_that_nobody_wants_back_is_not_pickled() -> None:
    assert describe(ValueError("x")).pickled is None


_WORKER = """
import sys, types
from exca.raised import describe
script = types.ModuleType("gone_script")
exec("class Odd(Exception):\\n def __init__(self, a, b): super().__init__(a + b)", vars(script))
print(describe(script.Odd("x", "y"), lambda content: repr(content).encode()).pickled.decode())
"""


def test_a_class_that_has_no_name_where_it_was_raised_comes_back_all_the_same() -> None:
    """What the classes of a script are to a worker: `dump` knows how they are called, and nobody there can look."""
    done = subprocess.run([sys.executable, "-c", _WORKER], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(<class 'gone_script.Odd'>, ('xy',))"
