"""Experiments as users write them, for the tests of composition."""

from __future__ import annotations

import datetime
import enum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, SecretStr, Tag

from exca import TaskInfra


class Full(BaseModel):
    kind: Literal["full"] = "full"
    heads: int = 4


class Sparse(BaseModel):
    kind: Literal["sparse"] = "sparse"
    block: int = 8


class Conv(BaseModel):
    name: Literal["conv"] = "conv"
    channels: int = Field(32, gt=0)
    dropout: float = 0.1


class Transformer(BaseModel):
    name: Literal["transformer"] = "transformer"
    dim: int = 64
    dropout: float = 0.5
    attention: Annotated[Full | Sparse, Field(discriminator="kind")] = Full()


class Cosine(BaseModel):
    kind: Literal["cosine"] = "cosine"
    periods: int = 1


class Linear(BaseModel):
    kind: Literal["linear"] = "linear"
    end: float = 0.0


class Optim(BaseModel):
    lr: float = Field(0.1, gt=0)
    momentum: float = 0.9
    schedule: Annotated[Cosine | Linear | None, Field(discriminator="kind")] = None


class Data(BaseModel):
    path: Path = Path("data")
    fraction: float = Field(0.2, gt=0, lt=1)


class Stop(BaseModel):
    patience: int = 5


class Colour(enum.Enum):
    red = "red"
    blue = "blue"


class Experiment(BaseModel):
    """What most tests compose."""

    model: Annotated[Conv | Transformer, Field(discriminator="name")] = Conv(channels=48)
    optim: Optim = Optim(lr=0.3)
    data: Data = Data()
    stop: Stop | None = None
    seed: int = 0
    note: str = ""
    tags: dict[str, Any] = {"team": "vision"}
    layers: list[int] = [8, 4]
    infra: TaskInfra = TaskInfra(version="1")

    @infra.apply
    def run(self) -> float:
        return self.optim.lr


class Required(BaseModel):
    """Nothing of it has a default."""

    model: Annotated[Conv | Transformer, Field(discriminator="name")]
    path: str
    steps: int
    data: Data


class Two(BaseModel):
    n: Literal[2] = 2
    size: int = 1


class Three(BaseModel):
    n: Literal[3] = 3


class Numbered(BaseModel):
    """A union whose discriminator is a number."""

    n: Annotated[Two | Three, Field(discriminator="n")] = Two()


class Kind(enum.Enum):
    """Its members are no texts: pydantic takes nothing else where a ``Literal`` lists them."""

    x = "x"
    y = "why"


class X(BaseModel):
    kind: Literal[Kind.x] = Kind.x
    a: int = 1


class Y(BaseModel):
    kind: Literal[Kind.y] = Kind.y
    b: int = 2


class OfEnum(BaseModel):
    """A union whose discriminator is an enum, and a field of its members."""

    u: Annotated[X | Y, Field(discriminator="kind")] = X()
    mode: Literal[Kind.x, Kind.y] = Kind.x


class P(BaseModel):
    model_config = ConfigDict(extra="forbid")

    p: int = 1


class Q(BaseModel):
    model_config = ConfigDict(extra="forbid")

    q: int = 2
    r: int = 3


class Loose(BaseModel):
    """Models that only their fields tell apart, or a function."""

    v: P | Q = P()
    w: Annotated[
        Annotated[P, Tag("p")] | Annotated[Q, Tag("q")],
        Discriminator(lambda data: "p" if isinstance(data, P) or "p" in data else "q"),
    ] = Q(q=5)


class Texts(BaseModel):
    """Texts that look like something else."""

    note: str = ""
    names: list[str] = []
    out: Literal["nan", "true", "raise"] = "raise"
    infra: TaskInfra = TaskInfra(version="1")

    @infra.apply
    def run(self) -> str:
        return self.note


class Everything(BaseModel):
    """One field of every kind of value."""

    model_config = ConfigDict(extra="forbid")

    text: str = "a ${b}"
    flag: bool = False
    count: int | None = 1
    ratio: float = 1.0
    colour: Colour = Colour.red
    day: datetime.date = datetime.date(2020, 1, 1)
    moment: datetime.datetime | None = None
    wait: datetime.timedelta = datetime.timedelta(seconds=90)
    where: Path = Path("a/b")
    pair: tuple[int, str] = (1, "one")
    names: frozenset[str] = frozenset({"x", "y"})
    numbers: set[int] = {3, 1}
    layers: list[list[float]] = [[1.0], []]
    options: dict[str, dict[str, int | str | None]] = {"a": {"x": 1, "y": None}}
    by_number: dict[int, str] = {1: "one"}
    anything: Any = None
    raw: bytes = b"\x00\xff"
    model: Annotated[Conv | Transformer | None, Field(discriminator="name")] = Transformer(attention=Sparse(block=2))
    models: list[Annotated[Conv | Transformer, Field(discriminator="name")]] = [Conv(), Transformer(dim=2)]
    either: Conv | Data | int = 3
    stop: Stop | None = Stop(patience=1)
    optim: Optim = Optim()
    function: Any = print


class Node(BaseModel):
    """Contains itself."""

    value: int = 0
    child: Node | None = None
    children: list[Node] = []


class Open(BaseModel):
    """Takes any key; what is below it does not."""

    model_config = ConfigDict(extra="allow")

    lr: float = 0.1
    optim: Optim = Optim()


class Guarded(BaseModel):
    """Holds a secret, and a field that no uid counts."""

    _exclude_from_cls_uid: ClassVar[tuple[str, ...]] = ("comment",)

    token: SecretStr = SecretStr("default")
    comment: str = ""
    name: str = ""
