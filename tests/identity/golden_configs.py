"""Configs whose digests must never change: not with the process, nor with the version of Python or pydantic.

The name of this module is part of them. Run as a script, it prints the digests as JSON.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import functools
import ipaddress
import json
import math
import pathlib
import re
import sys
import uuid
from typing import Annotated, Any, ClassVar, Generic, Literal, NamedTuple, TypeVar

from pydantic import AnyUrl, BaseModel, ByteSize, ConfigDict, Field, RootModel, SecretStr

from exca.identity import computation_name, identify

T = TypeVar("T")


class Color(enum.Enum):
    RED = 1


class Mode(enum.Flag):
    R = 1
    W = 2


class Word(enum.StrEnum):
    A = "a"


class Size(int):
    pass


@dataclasses.dataclass
class Point:
    x: float = 0
    label: str = "p"


class Pair(NamedTuple):
    x: int
    y: int


class Mlp(BaseModel):
    name: Literal["mlp"] = "mlp"
    width: int = 8


class Conv(BaseModel):
    name: Literal["conv"] = "conv"
    channels: int = 8


class Optim(BaseModel):
    lr: float = 1
    decay: float | None = None


class Adam(Optim):
    betas: tuple[float, float] = (0.9, 0.999)


class Box(BaseModel, Generic[T]):
    item: T


class Numbers(RootModel[list[float]]):
    pass


class Infra(BaseModel):
    version: str = "0"
    folder: str | None = None
    _exclude_from_cls_uid: ClassVar[tuple[str, ...]] = ("folder",)


class Experiment(BaseModel):
    model_config = ConfigDict(extra="allow")
    model: Annotated[Mlp | Conv, Field(discriminator="name")] = Mlp()
    optim: Optim = Optim(lr=0.1)
    either: Mlp | Optim = Mlp()
    required: Optim | None = None
    box: Box[float] = Box[float](item=1)
    numbers: Numbers = Numbers([])
    names: set[str] = set()
    folder: pathlib.Path = "data"  # type: ignore[assignment]
    items: list[int] = Field(default_factory=lambda: [1, 2])
    infra: Infra = Infra(version="1")
    anything: Any = None


CONFIGS: dict[str, dict[str, Any]] = {
    "default": {},
    "scalars": {"optim": {"lr": 2, "decay": 0.5}, "model": Mlp(width=3), "folder": "elsewhere"},
    "union": {"model": {"name": "conv", "channels": 3}, "either": Optim()},
    "subclass": {"optim": Adam(lr=0.1, betas=(0, 1))},
    "generic": {"box": {"item": 2}, "anything": Box[int](item=1), "numbers": [1, 2]},
    "sets": {"names": {"a", "b", "c", "d", "é"}, "anything": frozenset({1, "1", 1.5, None, (1, 2)})},
    "infra": {"infra": {"version": "2", "folder": "x"}},
    "extra": {"zeta": 1, "alpha": {"b": [1], "a": 2}},
    "models": {"anything": [Mlp(), {"k": (Conv(channels=1),)}]},
}

VALUES: dict[str, Any] = {
    "none": [None, True, False, ...],
    "int": [0, -1, 10**30],
    "float": [0.0, -0.0, 0.1, 1e-300, math.inf, math.nan],
    "complex": complex(1, math.nan),
    "text": ["", "é", "\udce9", "a.b=c"],
    "bytes": [b"", b"\x00\xff", bytearray(b"a")],
    "containers": [[], (), {}, [1, [2, (3,)]], {1: "a", "1": "b", None: {}, (1, 2): [3]}],
    "dicts": [collections.OrderedDict(b=1, a=2), collections.defaultdict(int, a=1), collections.deque([1], 3)],
    "enums": [Color.RED, Mode.R | Mode.W, Mode(0), Word.A, Size(3)],
    "paths": [pathlib.Path("a/b"), pathlib.PureWindowsPath("c:\\d")],
    "dates": [
        dt.date(2024, 2, 29),
        dt.datetime(2024, 2, 29, 12, 30, 1, 5),
        dt.datetime(2024, 2, 29, tzinfo=dt.UTC),
        dt.time(1, 2, tzinfo=dt.timezone(dt.timedelta(hours=-3))),
        dt.timedelta(days=-1, microseconds=3),
        dt.UTC,
    ],
    "numbers": [decimal.Decimal("1.50"), fractions.Fraction(-1, 3), uuid.UUID(int=7), range(1, 9, 2), slice(None, 3)],
    "patterns": [re.compile("a", re.IGNORECASE), re.compile(b"a")],
    "addresses": [ipaddress.ip_address("1.2.3.4"), ipaddress.ip_network("::/64"), AnyUrl("http://a.b/c")],
    "secrets": [SecretStr("hush"), ByteSize(3)],
    "classes": [int, list[int], int | None, Optim, Box[int], json.dumps, len, math.sqrt, json, pathlib.Path],
    "objects": [Point(), Point(x=math.nan), Pair(1, 2), functools.partial(int, "1", base=2)],
}


def numpy_values() -> dict[str, Any]:
    """Values of numpy; their bytes do not depend on its version."""
    import numpy as np

    return {
        "scalars": [np.float32(1), np.int64(1), np.bool_(True), np.str_("a"), np.datetime64("2024-01-01", "ns")],
        "arrays": [np.arange(6.0).reshape(2, 3), np.zeros((0, 3), ">i2"), np.array(1j), np.array([math.nan, -0.0])],
        "texts": [np.array(["a", "bc"]), np.array([b"a"]), np.array(["a", None, 1], object)],
        "fields": np.array([(1, 2.0)], [("a", "i1"), ("b", "f8")]),
        "masked": np.ma.array([1, 2], mask=[0, 1]),
        "large": [np.arange(1000), np.full(1000, math.nan, ">c8")[::2], np.array(["x" * 300])],
        "types": [np.dtype("f4"), np.float32, np.sin],
    }


def digests(numpy: bool) -> dict[str, list[str]]:
    """Name, digest and full digest of every config."""
    configs = {name: Experiment(**values) for name, values in CONFIGS.items()}
    values = {f"value {name}": value for name, value in VALUES.items()}
    if numpy:
        values |= {f"numpy {name}": value for name, value in numpy_values().items()}
    configs |= {name: Experiment(anything=value) for name, value in values.items()}
    found = {name: identify(config) for name, config in configs.items()}
    out = {name: [one.name, one.digest, one.full_digest] for name, one in found.items()}
    return {**out, "computation": [computation_name(Box[int], "run", "1/2"), computation_name(Optim, "run", "0")]}


if __name__ == "__main__":
    json.dump(digests(numpy="--numpy" in sys.argv), sys.stdout, indent=1)
