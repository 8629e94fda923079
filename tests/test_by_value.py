"""Pickles that take the classes of a script along."""

from __future__ import annotations

import pickle
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from exca.by_value import dump_by_value
from exca.execution import Call, Resources, make_executor

SCRIPT = """
from __future__ import annotations
import sys
from typing import Annotated, Literal
from pydantic import BaseModel, Field
from exca.by_value import dump_by_value


class Adam(BaseModel):
    name: Literal["adam"] = "adam"
    lr: float = 0.1


class Sgd(BaseModel):
    name: Literal["sgd"] = "sgd"


class Experiment(BaseModel):
    class Part(BaseModel):
        x: int = 1

    first: Annotated[Adam | Sgd, Field(discriminator="name")] = Adam()
    others: list[Annotated[Adam | Sgd, Field(discriminator="name")]] = []
    part: Part = Part()


sys.stdout.buffer.write(dump_by_value((Experiment, Experiment(others=[{"name": "sgd"}]))))
"""
LOADED = """
import pickle, sys
kind, config = pickle.loads(sys.stdin.buffer.read())
assert type(config) is kind
print(kind.model_validate({"others": [{"name": "adam", "lr": 2}]}).others, config.model_dump_json())
print(kind.__name__, type(config.part).__qualname__)
"""


def test_models_of_a_script_that_hold_a_model_in_several_places_arrive() -> None:
    written = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, check=True).stdout
    loaded = subprocess.run([sys.executable, "-c", LOADED], input=written, capture_output=True, check=False)
    assert loaded.stderr.decode() == ""
    assert loaded.stdout.decode().splitlines() == [
        '[Adam(name=\'adam\', lr=2.0)] {"first":{"name":"adam","lr":0.1},"others":[{"name":"sgd"}],"part":{"x":1}}',
        "Experiment Experiment.Part",
    ]


def test_what_has_a_name_goes_by_it() -> None:
    assert len(dump_by_value(Path)) < 60
    assert pickle.loads(dump_by_value([1, "a"])) == [1, "a"]


@pytest.mark.parametrize("cluster", ["local", "processpool"])
def test_only_the_user_reads_what_a_call_is_given(tmp_path: Path, cluster: str) -> None:
    (job,) = make_executor(Resources(cluster=cluster), f"{tmp_path}/%j").submit([Call(str, ("hush",))])
    assert job.result() == "hush"
    holders = [path for path in tmp_path.rglob("*") if path.is_file() and b"hush" in path.read_bytes()]
    given = [path for path in holders if path.name == "call.pkl"]
    assert [stat.S_IMODE(path.stat().st_mode) for path in given] == [0o600] * len(given)
    assert given or cluster == "processpool"
