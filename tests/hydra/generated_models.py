"""Models of random shape, each with a random instance, for tests that hold for every model."""

from __future__ import annotations

import datetime
import decimal
import enum
import random
import string
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import BaseModel, ConfigDict, Field

__all__ = ["generated"]

Made = tuple[Any, Callable[[], Any]]
"""An annotation, and what makes a value of it."""

TEXTS = ("", "word", "two words", "a,b", "[x]", "{k: v}", "null", "1e3", "${seed}", "???", "é'\"", "a=b", "~x", "\\")


class Colour(enum.Enum):
    RED = "r"
    BLUE = "b"


class Size(enum.Enum):
    SMALL = (1, 2)
    LARGE = (3, 4)


def generated(seed: int) -> BaseModel:
    """Return an instance of a model; both are random, the same for the same seed."""
    make = _Maker(random.Random(seed))
    return make.instance(make.model(depth=2))


class _Maker:
    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        self._count = 0
        self._makers: dict[type[BaseModel], dict[str, Callable[[], Any]]] = {}

    def model(self, depth: int, **fixed: Any) -> type[BaseModel]:
        """Make a class; some of its fields have defaults, some are required, some have aliases."""
        self._count += 1
        fields: dict[str, Any] = dict(fixed)
        makers: dict[str, Callable[[], Any]] = {}
        for number in range(self._draw.randint(1, 5)):
            name = f"{self._draw.choice('abcxyz')}{number}"
            annotation, maker = self._field(depth)
            default = ... if self._draw.random() < 0.2 else maker()
            alias = f"{name}_alias" if self._draw.random() < 0.1 else None
            fields[name] = (annotation, Field(default, alias=alias))
            makers[name] = maker
        extra: Any = self._draw.choice(["forbid", "ignore"])
        config = ConfigDict(extra=extra, populate_by_name=True)
        made: type[BaseModel] = pydantic.create_model(
            f"Model{self._count}", __config__=config, __module__=__name__, **fields
        )
        self._makers[made] = makers
        return made

    def instance(self, model: type[BaseModel]) -> BaseModel:
        """Make an instance: about half of the fields are set."""
        given = {}
        for name, maker in self._makers[model].items():
            if model.model_fields[name].is_required() or self._draw.random() < 0.5:
                given[name] = maker()
        return model(**given)

    def _field(self, depth: int) -> Made:
        kinds = [self._scalar, self._scalar, self._collection]
        if depth > 0:
            kinds += [self._nested, self._optional, self._union, self._models]
        return self._draw.choice(kinds)(depth)

    def _scalar(self, _: int) -> Made:
        draw = self._draw
        pool: list[Made] = [
            (int, lambda: draw.randint(-5, 5)),
            (Annotated[float, Field(ge=0)], lambda: draw.choice([0.0, 1e-9, 2.5, 1e300])),
            (bool, lambda: draw.random() < 0.5),
            (str, lambda: draw.choice(TEXTS)),
            (str | None, lambda: draw.choice([None, *TEXTS])),
            (int | str, lambda: draw.choice([1, "1", "x"])),
            (Literal["a", "b", 3], lambda: draw.choice(["a", "b", 3])),
            (Colour, lambda: draw.choice(list(Colour))),
            (Size, lambda: draw.choice(list(Size))),
            (Literal[Colour.RED, Colour.BLUE], lambda: draw.choice(list(Colour))),
            (Path, lambda: Path(draw.choice(["a/b", "~/x", "/c d"]))),
            (datetime.date, lambda: datetime.date(2020, 1, draw.randint(1, 28))),
            (datetime.datetime, lambda: datetime.datetime(2020, 1, 2, 3, draw.randint(0, 59))),
            (datetime.timedelta, lambda: datetime.timedelta(seconds=draw.randint(0, 10**6))),
            (decimal.Decimal, lambda: decimal.Decimal(draw.choice(["1.10", "1", "-3.5"]))),
            (uuid.UUID, lambda: uuid.UUID(int=draw.randint(0, 9))),
            (bytes, lambda: draw.choice([b"", b"text", b"\xff\x00"])),
            (Any, lambda: draw.choice([None, 1.5, "x", [1, {"a": "b"}], {"k": None}])),
        ]
        return draw.choice(pool)

    def _collection(self, depth: int) -> Made:
        item, make = self._scalar(depth)
        draw = self._draw
        several = lambda: [make() for _ in range(draw.randint(0, 3))]  # noqa: E731
        word = lambda: "".join(draw.choices(string.ascii_letters + " .é", k=3))  # noqa: E731
        pool: list[Made] = [
            (list[item], several),
            (tuple[item, int], lambda: (make(), draw.randint(0, 3))),
            (tuple[item, ...], lambda: tuple(several())),
            (dict[str, item], lambda: {word(): value for value in several()}),
            (dict[int, item], lambda: dict(enumerate(several()))),
            (dict[Colour, int], lambda: {draw.choice(list(Colour)): 1}),
            (set[int], lambda: {draw.randint(0, 9) for _ in range(3)}),
            (frozenset[str], lambda: frozenset(draw.choices(TEXTS, k=2))),
            (list[list[item]], lambda: [several(), several()]),
        ]
        return draw.choice(pool)

    def _nested(self, depth: int) -> Made:
        model = self.model(depth - 1)
        return model, lambda: self.instance(model)

    def _optional(self, depth: int) -> Made:
        model = self.model(depth - 1)
        return model | None, lambda: self.instance(model) if self._draw.random() < 0.7 else None

    def _union(self, depth: int) -> Made:
        members = [self.model(depth - 1, kind=(Literal[tag], tag)) for tag in ("one", "two")]
        annotation: Any = Annotated[members[0] | members[1], Field(discriminator="kind")]
        nullable = self._draw.random() < 0.3
        choose = lambda: self.instance(self._draw.choice(members))  # noqa: E731
        if nullable:
            return annotation | None, lambda: None if self._draw.random() < 0.3 else choose()
        return annotation, choose

    def _models(self, depth: int) -> Made:
        item, make = self._draw.choice([self._nested, self._union])(depth)
        several = lambda: [make() for _ in range(self._draw.randint(0, 2))]  # noqa: E731
        if self._draw.random() < 0.5:
            return list[item], several
        return dict[str, item], lambda: {f"key{number}": value for number, value in enumerate(several())}
