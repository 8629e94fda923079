"""CacheDict against a plain dict: any sequence of acts by several writers, reopenings, merges and torn logs."""

from __future__ import annotations

import pickle
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from exca.cachedict import CacheDict, DamagedCacheWarning
from exca.cachedict import _compaction as compaction
from exca.cachedict import _segment as segment
from exca.cachedict import _writer as writer

KEYS = st.sampled_from([f"key-{number}" for number in range(12)])
WHO = st.integers(0, 3)
VALUES = st.one_of(
    st.integers(0, 9),
    st.text(max_size=3),
    st.lists(st.floats(allow_nan=False), max_size=3),
    st.integers(1, 200).map(lambda size: np.full(size, size, dtype="f4")),
    st.tuples(st.just("parts"), st.integers(1, 5).map(lambda size: np.arange(size))),
)
JUNK = st.sampled_from(
    [b"\n", b"garbage\n", b'{"k":"key-1","n":9', b'{"k":"key-1","n":"9","v":1}\n', b"\x00\xff\n", b'],[\n{"\n']
)


class Writers(RuleBasedStateMachine):
    """Four objects on one folder, of which each knows the newest after `CacheDict.refresh`."""

    @initialize(keep=st.booleans(), day=st.sampled_from([0.0, 1e9]))
    def start(self, keep: bool, day: float) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.model: dict[str, Any] = {}
        self.keep = keep
        self.limits = {
            (writer, "_SEALED_RECORDS"): 4,
            (writer, "_WORTH_SEALING"): 2,
            (writer, "_FAN_OUT"): 2,
            (segment, "_WORTH_SKIPPING"): 100,
            (compaction, "_MANY"): 4,
            (compaction, "_FEW"): 2,
            (compaction, "_DAY_S"): day,
        }
        self.limits = {place: (getattr(*place), value) for place, value in self.limits.items()}
        for (module, name), (_, value) in self.limits.items():
            setattr(module, name, value)
        self.caches = [self.opened() for _ in range(4)]

    def opened(self) -> CacheDict[Any]:
        return CacheDict(self.folder / "cache", keep_in_ram=self.keep)

    def newest(self, who: int) -> CacheDict[Any]:
        self.caches[who].refresh()
        return self.caches[who]

    @rule(who=WHO, key=KEYS, value=VALUES)
    def store(self, who: int, key: str, value: Any) -> None:
        self.newest(who)[key] = value
        self.model[key] = value

    @rule(who=WHO, keys=st.lists(KEYS, max_size=8), value=VALUES)
    def store_many(self, who: int, keys: list[str], value: Any) -> None:
        with self.newest(who).write() as cache:
            for key in keys:
                cache[key] = value
                self.model[key] = value

    @rule(who=WHO, key=KEYS)
    def delete(self, who: int, key: str) -> None:
        found = self.newest(who).pop(key, None)
        assert same(found, self.model.pop(key, None))

    @rule(who=WHO)
    def clear(self, who: int) -> None:
        self.newest(who).clear()
        self.model.clear()

    @rule(who=WHO, key=KEYS)
    def read(self, who: int, key: str) -> None:
        cache = self.newest(who)
        assert (key in cache) == (key in self.model)
        assert same(cache.get(key), self.model.get(key))

    @rule(who=WHO, keys=st.lists(KEYS, max_size=20))
    def read_many(self, who: int, keys: list[str]) -> None:
        cache = self.newest(who)
        values = cache.get_many(keys, default="none")
        assert all(same(value, self.model.get(key, "none")) for key, value in zip(keys, values, strict=True))
        assert cache.missing(keys) == [key for key in dict.fromkeys(keys) if key not in self.model]

    @rule(who=WHO)
    def reopen(self, who: int) -> None:
        self.caches[who] = self.opened()

    @rule(who=WHO)
    def hand_over_a_view(self, who: int) -> None:
        self.caches[who] = pickle.loads(pickle.dumps(self.caches[who - 1]))

    @rule(who=WHO)
    def close(self, who: int) -> None:
        self.caches[who].close()

    @rule(who=WHO)
    def compact(self, who: int) -> None:
        self.newest(who).compact()

    @rule(who=WHO, junk=JUNK, index=st.booleans())
    def tear(self, who: int, junk: bytes, index: bool) -> None:
        """A writer is stopped in the middle of a line, or of its index; it never appends again."""
        for cache in self.caches:
            cache._items._appender.abandon()
        for log in sorted(self.folder.rglob("*.index" if index else "*.log"))[-1:]:
            with open(log, "ab") as stream:
                stream.write(junk)

    @invariant()
    def all_know_the_same(self) -> None:
        if not hasattr(self, "model"):
            return
        for cache in (self.caches[0], self.opened()):
            cache.refresh()
            found = dict(cache.items())
            assert found.keys() == self.model.keys()
            assert len(cache) == len(found)
            assert all(same(value, self.model[key]) for key, value in found.items())

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)
            for (module, name), (value, _) in self.limits.items():
                setattr(module, name, value)


def same(one: Any, other: Any) -> bool:
    """Equal, and of one type throughout."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def run(examples: int, steps: int, *, derandomize: bool) -> None:
    limits = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=derandomize,
        database=None,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedCacheWarning)  # logs are torn on purpose
        run_state_machine_as_test(Writers, settings=limits)


def test_against_a_dict() -> None:
    run(examples=40, steps=25, derandomize=True)


@pytest.mark.slow
def test_against_a_dict_for_long() -> None:
    run(examples=500, steps=50, derandomize=False)
