"""An app for sweeps: computes nothing, and fails where it is told to."""

from __future__ import annotations

import os
import signal
import time
import typing as tp
from pathlib import Path

import pydantic

import exca.hydra


class Small(pydantic.BaseModel):
    name: tp.Literal["small"] = "small"
    width: int = 1


class Large(pydantic.BaseModel):
    name: tp.Literal["large"] = "large"
    depth: int = 10


class Study(pydantic.BaseModel):
    x: pydantic.PositiveInt = 1
    lr: float = 0.1
    model: tp.Annotated[Small | Large, pydantic.Field(discriminator="name")] = Small()
    fail: list[int] = []
    kill: list[int] = []
    kill_call: int | None = None
    """Which computation of all is killed, counted by the lines of ``trace``."""
    fail_call: int | None = None
    sleep: float = 0.0
    note: str = ""
    trace: Path | None = None
    infra: exca.TaskInfra = exca.TaskInfra()

    @infra.apply(exclude_from_cache_uid=["fail", "kill", "trace", "sleep", "kill_call", "fail_call"])
    def run(self) -> float:
        if self.trace is not None:
            with open(self.trace, "a") as stream:
                stream.write(line := f"{self.x}\n")
                stream.flush()
                count = os.lseek(stream.fileno(), 0, os.SEEK_CUR) // len(line)  # the end of what this process wrote
            if count == self.kill_call:
                os.kill(os.getpid(), signal.SIGKILL)
            if count == self.fail_call:
                raise ValueError(f"call {count} was told to fail")
        time.sleep(self.sleep)
        if self.x in self.fail:
            raise ValueError(f"x={self.x} was told to fail")
        if self.x in self.kill:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.x * self.lr


@exca.hydra.main(Study)
def main(study: Study) -> float:
    return study.run()


if __name__ == "__main__":
    main()
