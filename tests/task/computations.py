"""Configs that worker processes import."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import typing as tp
from pathlib import Path

import pydantic

import exca


class Work(pydantic.BaseModel):
    x: int = 1
    then: tp.Literal["return", "raise", "kill", "exit", "unstorable", "sleep", "custom"] = "return"
    trace: Path | None = None
    seconds: float = 0.0
    infra: exca.TaskInfra = exca.TaskInfra(version="1")

    @infra.apply(exclude_from_cache_uid=["trace", "seconds"])
    def run(self) -> tp.Any:
        if self.trace is not None:  # counts the computations of all processes
            with open(self.trace, "a") as stream:
                stream.write(f"{self.x} {os.getpid()} {time.time()}\n")
        print(f"out {self.x}")
        print(f"err {self.x}", file=sys.stderr)
        time.sleep(self.seconds)
        match self.then:
            case "raise":
                raise ValueError(f"bad {self.x}")
            case "custom":
                raise Awkward("disk", 3)
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "exit":
                os._exit(3)
            case "unstorable":
                return threading.Lock()
        return {"x": self.x, "pid": os.getpid(), "threads": os.environ.get("OMP_NUM_THREADS")}


class Awkward(Exception):
    def __init__(self, where: str, code: int) -> None:
        super().__init__(f"{where}: {code}")


def traced(trace: Path) -> list[str]:
    return trace.read_text().splitlines() if trace.exists() else []
