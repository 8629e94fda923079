"""Maps that worker processes import; each counts its computations, over all processes, by lines of a file."""

from __future__ import annotations

import os
import signal
import time
import typing as tp
from collections import Counter
from pathlib import Path

import numpy as np
import pydantic

import exca


class Counted(pydantic.BaseModel):
    """Counts each computation, and does to some items what a test asks for."""

    size: int = 3
    trace: Path | None = None
    seconds: float = 0.0
    slow: dict[int, float] = {}
    fail: tuple[int, ...] = ()
    kill: tuple[int, ...] = ()
    infra: exca.MapInfra = exca.MapInfra(version="1")

    def note(self, item: int) -> None:
        if self.trace is not None:  # one write: lines of processes do not mix
            file = os.open(self.trace, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(file, f"{item} {os.getpid()}\n".encode())
            os.close(file)

    def compute(self, item: int) -> np.ndarray:
        self.note(item)
        time.sleep(self.slow.get(item, self.seconds))
        if item in self.fail:
            raise ValueError(f"bad {item}")
        if item in self.kill and not self.trace.with_suffix(f".{item}").exists():
            self.trace.with_suffix(f".{item}").touch()  # the second time it goes well
            os.kill(os.getpid(), signal.SIGKILL)
        return np.full(self.size, item, np.float32)

    @infra.apply(item_uid=str, exclude_from_cache_uid=["trace", "seconds", "slow", "fail", "kill"])
    def process(self, items: tp.Iterable[int]) -> tp.Iterator[np.ndarray]:
        """Compute items one by one."""
        for item in items:
            yield self.compute(item)


class Listed(Counted):
    """The same, from lists."""

    def process(self, items: list[int]) -> list[np.ndarray]:
        assert isinstance(items, list)
        return [self.compute(item) for item in items]


class Batched(Counted):
    """The same, in batches of four that are read ahead."""

    def process(self, items: tp.Iterable[int]) -> tp.Iterator[np.ndarray]:
        batch: list[int] = []
        for item in items:
            batch.append(item)
            if len(batch) == 4:
                yield from [self.compute(item) for item in batch]
                batch.clear()
        yield from [self.compute(item) for item in batch]


class Loading(Counted):
    """The same, after something that takes long."""

    def process(self, items: tp.Iterable[int]) -> tp.Iterator[np.ndarray]:
        time.sleep(2.0)
        for item in items:
            yield self.compute(item)


class Fibonacci(pydantic.BaseModel):
    """An item needs two other items of the same map."""

    trace: Path | None = None
    infra: exca.MapInfra = exca.MapInfra()

    @infra.apply(item_uid=str, exclude_from_cache_uid=["trace"])
    def process(self, items: tp.Iterable[int]) -> tp.Iterator[int]:
        for item in items:
            if self.trace is not None:
                with open(self.trace, "a") as stream:
                    stream.write(f"{item} {os.getpid()}\n")
            yield item if item < 2 else sum(self.process([item - 1, item - 2]))


def counts(trace: Path) -> Counter[int]:
    """How often each item was computed, by whomever."""
    lines = trace.read_text().splitlines() if trace.exists() else []
    return Counter(int(line.split()[0]) for line in lines)


def workers(trace: Path) -> set[int]:
    """Pids of who computed."""
    return {int(line.split()[1]) for line in trace.read_text().splitlines()}


def first(values: tp.Iterable[np.ndarray]) -> list[int]:
    """The item that each result was computed from."""
    return [int(value[0]) for value in values]
