"""Which changes of the code are noticed, and which are none."""

from __future__ import annotations

import typing as tp

import pydantic
import pytest

from exca.provenance import code_fingerprint

BASE = '''
import functools

SCALE = 2

def twice(x, by=2):
    return x * by

@functools.lru_cache
def remembered(x):
    return x + 1

def other_model():
    return 7

class Config(pydantic.BaseModel):
    x: int = 1

    @property
    def size(self):
        return self.x

    @functools.cached_property
    def large(self):
        return self.x * 10

    def run(self):
        """Text."""
        return twice(self.x) * SCALE + remembered(self.x) + sum(k for k in range(3))
'''


def fingerprint(source: str) -> str:
    namespace: dict[str, tp.Any] = {"pydantic": pydantic, "__name__": "provenance_subject"}
    exec(compile(source, "subject.py", "exec", dont_inherit=True), namespace)
    config = namespace["Config"]
    return code_fingerprint(config, config.run)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return twice(self.x) * SCALE", "return twice(self.x) / SCALE"),
        ("return x * by", "return x + by"),
        ("by=2", "by=3"),
        ("SCALE = 2", "SCALE = 3"),
        ("return x + 1", "return x + 2"),
        ("return self.x\n", "return self.x + 1\n"),
        ("self.x * 10", "self.x * 11"),
        ("range(3)", "range(4)"),
    ],
)
def test_a_change_of_what_is_computed_is_seen(old: str, new: str) -> None:
    assert old in BASE
    assert fingerprint(BASE) != fingerprint(BASE.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""Text."""', '"""Other text."""'),
        ("    x: int = 1", "    # a comment\n\n    x: int = 1"),
        ("return 7", "return 8"),
        ("SCALE = 2", "\n\n\nSCALE = 2"),
    ],
)
def test_what_changes_nothing_is_not(old: str, new: str) -> None:
    assert old in BASE
    assert fingerprint(BASE) == fingerprint(BASE.replace(old, new))


def test_closures_of_a_factory_differ() -> None:
    def make(factor: int) -> tp.Any:
        class Config(pydantic.BaseModel):
            x: int = 1

            def run(self) -> int:
                return self.x * factor

        return Config

    two, three, again = make(2), make(3), make(2)
    assert code_fingerprint(two, two.run) != code_fingerprint(three, three.run)
    assert code_fingerprint(two, two.run) == code_fingerprint(again, again.run)
