"""Which changes of the code are noticed, and which are none."""

from __future__ import annotations

import os
import subprocess
import sys
import types
import typing as tp
from pathlib import Path

import pydantic
import pytest

from exca import provenance
from exca.provenance import code_fingerprint, environment, source_state

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


_SETS = """
import collections, pydantic
from exca.provenance import code_fingerprint

NAMES = frozenset({"alpha", "beta", "gamma", "delta"})
Point = collections.namedtuple("Point", "names")
NESTED = (1, (NAMES, frozenset({NAMES, frozenset()})), Point(NAMES))

def named(x, names=NAMES, *, more=frozenset({"a", "b", "c", "d"})):
    return x in names or x in more or x in NESTED

def make(words):
    class Config(pydantic.BaseModel):
        def run(self):
            return named("a") or "b" in words or "c" in {"u", "v", "w", "x", "y", "z"}
    return Config

config = make(NAMES)
print(code_fingerprint(config, config.run))
"""


def test_incident_02_sets_in_the_code_are_the_same_for_every_hash_seed() -> None:
    printed = {
        subprocess.run(
            [sys.executable, "-c", _SETS],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(printed) == 1
    assert printed.pop().count(":") == 1


@pytest.mark.parametrize("new", ['{"a", "c"}', '{"a"}', '{("a", "b")}'])
def test_a_change_of_a_set_is_seen(new: str) -> None:
    with_set = BASE.replace("SCALE = 2", 'SCALE = frozenset({"a", "b"})')
    assert fingerprint(with_set) != fingerprint(with_set.replace('{"a", "b"}', new))


def test_versions_are_those_of_what_is_loaded_by_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert "torch" not in environment()["versions"]
    late = types.ModuleType("torch")
    late.__dict__["__version__"] = "9.8"
    monkeypatch.setitem(sys.modules, "torch", late)
    assert environment()["versions"]["torch"] == "9.8"


def _checked_out(folder: Path) -> type:
    """A class of a file in a checkout with one commit."""
    file = folder / "committed_subject.py"
    file.write_text("class Config: pass\n")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    commit(folder)
    namespace: dict[str, tp.Any] = {"__name__": "committed_subject"}
    exec(compile(file.read_text(), str(file), "exec"), namespace)
    module = types.ModuleType("committed_subject")
    module.__file__ = str(file)
    sys.modules["committed_subject"] = module
    return tp.cast("type", namespace["Config"])


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=exca", "-c", "user.email=exca@localhost"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


def commit(folder: Path) -> None:
    git(folder, "commit", "--quiet", "--all", "--allow-empty", "--message", "subject")


def test_the_state_of_a_checkout_is_asked_for_once_a_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        sys.modules, "committed_subject", types.ModuleType("committed_subject")
    )  # taken away at the end
    config = _checked_out(tmp_path)
    clock = [0.0]
    monkeypatch.setattr(provenance.time, "monotonic", lambda: clock[0])
    first = source_state(config)
    assert first is not None
    assert (first["root"], first["dirty"]) == (str(tmp_path.resolve()), False)
    (tmp_path / "committed_subject.py").write_text("class Config: x = 1\n")
    clock[0] = 59.0
    assert source_state(config) is first, "for a thousand tasks, git is asked once"
    clock[0] = 61.0
    second = source_state(config)
    assert second == {**first, "dirty": True}
    commit(tmp_path)
    clock[0] = 122.0
    third = source_state(config)
    assert third is not None
    assert third["commit"] != first["commit"]
    assert third["dirty"] is False
