"""The digests of a config: what is one computation, and what is another."""

from __future__ import annotations

import copy
import datetime as dt
import decimal
import math
import random
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

import numpy as np
import pydantic
import pytest
from pydantic import BaseModel, ConfigDict, Field, RootModel

from exca.errors import ConfigError
from exca.identity import Identity, dump_yaml, export, identify, load_yaml


class Optim(BaseModel):
    lr: float = 0.1
    momentum: float = 0.9


class Adam(Optim):
    beta: float = 0.99


class Mlp(BaseModel):
    name: Literal["mlp"] = "mlp"
    width: int = 8


class Conv(BaseModel):
    name: Literal["conv"] = "conv"
    width: int = 8


class Left(BaseModel):
    x: int = 1


class Right(BaseModel):
    x: int = 1


class Experiment(BaseModel):
    model: Annotated[Mlp | Conv, Field(discriminator="name")] = Mlp()
    optim: Optim = Optim()
    side: Left | Right = Left()
    sides: list[Left | Right] = []
    pair: tuple[Left | Right, ...] = ()
    named: dict[str, Left | Right] = {}
    seed: int = 0
    maybe: float | None = None
    anything: Any = None
    texts: set[str] = set()


def same(first: BaseModel, second: BaseModel) -> bool:
    """Whether two configs are one computation; the two digests must agree about it."""
    one, other = identify(first), identify(second)
    assert (one.digest == other.digest) == (one.full_digest == other.full_digest)
    assert (one.digest == other.digest) == (one.name == other.name)
    return one.digest == other.digest


def digests(*values: Any) -> set[str]:
    """Digests of configs that hold each value in a field that takes anything."""
    return {identify(Experiment(anything=value)).digest for value in values}


def test_all_default_is_default() -> None:
    identity = identify(Experiment())
    assert identity.name == "default"
    assert isinstance(identity, Identity)
    assert len(identity.digest) == len(identity.full_digest) == 64
    assert identity.digest != identity.full_digest


def test_every_field_matters() -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"model": {"name": "conv"}},
        {"model": {"name": "mlp", "width": 9}},
        {"optim": {"lr": 0.2}},
        {"optim": {"momentum": 0.2}},
        {"seed": 1},
        {"maybe": 0.0},
        {"maybe": -0.0},
        {"anything": 0},
        {"texts": {"a"}},
        {"sides": [{"x": 1}]},
    ]
    assert len({identify(Experiment(**change)).digest for change in changes}) == len(changes)


def test_incident_01_dotted_key_and_nested_dict_differ() -> None:
    assert len(digests({"a.b": 1}, {"a": {"b": 1}})) == 2


def test_incident_01_bytes_and_text_differ() -> None:
    assert len(digests(b"a", "a", bytearray(b"a"))) == 3


def test_incident_01_nan_none_and_text_differ() -> None:
    assert len(digests(math.nan, "nan", "None", None, "")) == 5


def test_incident_01_int_and_text_keys_differ() -> None:
    assert len(digests({1: 2}, {"1": 2}, {1.0: 2}, {True: 2})) == 4


def test_incident_01_lookalikes_of_different_types_differ() -> None:
    assert len(digests(1, 1.0, True, "1", [1], (1,), {1}, frozenset({1}), {1: None})) == 9
    assert len(digests(0.0, -0.0, 0, False, None, "", [], (), set(), {})) == 10


def test_incident_01_subclass_instance_differs_from_parent() -> None:
    parent, child = Experiment(optim=Optim()), Experiment(optim=Adam())
    assert not same(parent, child)
    assert "optim=Adam" in identify(child).name


@pytest.mark.parametrize(
    "wrap",
    [
        lambda value: {"side": value},
        lambda value: {"sides": [value]},
        lambda value: {"pair": (value,)},
        lambda value: {"named": {"k": value}},
        lambda value: {"anything": [{"deep": (value,)}]},
    ],
    ids=["field", "list", "tuple", "dict", "anywhere"],
)
def test_incident_01_members_of_an_undiscriminated_union_differ(wrap: Any) -> None:
    left, right = Experiment(**wrap(Left(x=2))), Experiment(**wrap(Right(x=2)))
    assert not same(left, right)
    assert not same(Experiment(**wrap(Left())), Experiment(**wrap(Right())))


def test_incident_01_discriminated_members_differ_and_show_their_discriminator() -> None:
    conv = Experiment(model={"name": "conv"})
    assert not same(conv, Experiment())
    assert identify(conv).name.startswith("model.name=conv-")


def test_incident_02_explicit_default_is_the_default() -> None:
    explicit = Experiment(
        model={"name": "mlp", "width": 8},
        optim={"lr": 0.1, "momentum": 0.9},
        side={"x": 1},
        sides=[],
        seed=0,
        maybe=None,
        texts=[],
    )
    assert same(explicit, Experiment())


def test_incident_02_nan_is_one_value() -> None:
    assert same(Experiment(maybe=float("nan")), Experiment(maybe=float("inf") - float("inf")))
    assert len(digests(math.nan, -math.nan, float("nan"))) == 1


def test_incident_02_order_of_dicts_and_sets_does_not_matter() -> None:
    items = {"a": 1, "b": {"x": 1, "y": 2}, "c": {"s", "t", "u"}}
    turned = {"c": {"u", "t", "s"}, "b": {"y": 2, "x": 1}, "a": 1}
    assert same(Experiment(anything=items), Experiment(anything=turned))


def test_incident_03_arrays_are_compared_by_content() -> None:
    class Config(BaseModel):
        model_config = ConfigDict(arbitrary_types_allowed=True)
        weights: np.ndarray = np.zeros(3)
        nested: dict[str, Any] = {"x": np.ones(2)}

    assert identify(Config()).name == "default"
    assert same(Config(weights=np.zeros(3)), Config())
    assert not same(Config(weights=np.zeros(4)), Config())
    assert not same(Config(nested={"x": np.ones(3)}), Config())


def test_a_number_in_a_float_field_is_a_float() -> None:
    class Config(BaseModel):
        x: float = 1
        y: float | None = None
        z: list[float] = [1, 2]
        w: dict[str, tuple[float, int]] = {}

    assert same(Config(x=1), Config())
    assert same(Config(x=1.0), Config())
    assert same(Config(z=[1.0, 2.0]), Config())
    assert same(Config(y=2), Config(y=2.0))
    assert same(Config().model_copy(update={"y": 2, "z": [3]}), Config(y=2.0, z=[3.0]))
    unvalidated = Config().model_copy(update={"w": {"a": (1, 1)}})
    assert same(unvalidated, Config(w={"a": (1.0, 1)}))
    assert not same(Config(x=math.nextafter(1.0, 2.0)), Config())


def test_an_int_too_large_for_a_float_keeps_its_value() -> None:
    class Config(BaseModel):
        x: float = 0.0

    huge = [Config().model_copy(update={"x": 10**400 + offset}) for offset in (0, 1)]
    assert not same(*huge)


def test_a_default_that_needs_validation_equals_its_validated_form() -> None:
    class Config(BaseModel):
        folder: Path = "data"  # type: ignore[assignment]
        shape: tuple[int, ...] = [1, 2]  # type: ignore[assignment]
        optim: Optim = {"lr": 3}  # type: ignore[assignment]
        flag: bool = 1  # type: ignore[assignment]
        positive: Annotated[float, Field(gt=0)] = 2

    explicit = Config(folder="data", shape=(1, 2), optim={"lr": 3.0}, flag=True, positive=2)
    assert same(explicit, Config())
    assert identify(explicit).name == "default"
    assert not same(Config(folder="other"), Config())


def test_a_default_that_does_not_validate_is_only_itself() -> None:
    class Config(BaseModel):
        x: int = "auto"  # type: ignore[assignment]

    assert identify(Config()).name == "default"
    assert identify(Config(x=3)).name.startswith("x=3-")


ANNOTATED: list[tuple[Any, list[Any]]] = [
    (int, [1, "3", True]),
    (float, [1, 0.5, "1e3", -0.0]),
    (bool, [True, "yes", 0]),
    (str, ["a", ""]),
    (bytes, [b"a", "a"]),
    (Path, [Path("a"), "a/b"]),
    (dt.date, [dt.date(2024, 1, 1), "2024-01-01"]),
    (dt.datetime, [dt.datetime(2024, 1, 1), "2024-01-01T00:00:00Z", 3600]),
    (dt.timedelta, [dt.timedelta(1), "P1D", 3.5]),
    (decimal.Decimal, [decimal.Decimal("1.0"), 3, "2.50"]),
    (float | None, [None, 1, 2.5]),
    (int | str, [1, "1"]),
    (list[float], [[1, 2], [], (1.0,)]),
    (tuple[int, ...], [(1, 2), [1, 2], ()]),
    (tuple[int, float], [(1, 2), [1, 2.0]]),
    (set[int], [{1, 2}, [2, 1]]),
    (frozenset[str], [frozenset("ab"), ["a", "b"]]),
    (dict[str, float], [{"a": 1, "b.c": 2.0}, {}]),
    (dict[int, list[Optim]], [{1: [Optim()]}, {"1": [{"lr": 1}]}]),
    (Optim, [Optim(), Adam(), {"lr": 3}, Optim(lr=2)]),
    (Optim | None, [None, Optim(), {"lr": 3}]),
    (Left | Right, [Left(), Right(x=2)]),
    (Annotated[Mlp | Conv, Field(discriminator="name")], [Mlp(), {"name": "conv"}]),
    (list[Annotated[Mlp | Conv, Field(discriminator="name")]], [[Mlp(), {"name": "conv"}]]),
    (Literal["a", 1], ["a", 1]),
    (pydantic.ByteSize, [1, "1KiB"]),
    (pydantic.HttpUrl, ["http://a.b"]),
    (pydantic.SecretStr, ["hush", pydantic.SecretStr("hush")]),
    (type[Optim], [Optim, Adam]),
    (Any, [None, 1, {"a": [1.0, {2}]}]),
]


@pytest.mark.parametrize(("annotation", "defaults"), ANNOTATED, ids=[str(annotation) for annotation, _ in ANNOTATED])
def test_incident_02_a_default_given_explicitly_is_the_default(annotation: Any, defaults: list[Any]) -> None:
    """However the default is written in the class, and however it comes in: as it is, or through YAML."""
    for default in defaults:
        Config = pydantic.create_model("Config", field=(annotation, default))
        validated = pydantic.create_model("Other", field=(annotation, ...))(field=default)
        explicit = [Config(field=default), Config(field=validated.field)]  # type: ignore[attr-defined]
        # Plain data does not say which of two lookalike classes it was, and secrets are masked in it.
        if annotation not in (Any, pydantic.SecretStr, Left | Right) and not isinstance(default, Adam | type):
            explicit.append(Config(**load_yaml(dump_yaml(export(Config())))))
        for config in explicit:
            assert identify(config).name == "default", default
            assert same(config, Config())


def test_default_factories() -> None:
    class Config(BaseModel):
        items: list[int] = Field(default_factory=lambda: [1, 2])
        optim: Optim = Field(default_factory=Optim)
        noise: float = Field(default_factory=random.random)

    assert identify(Config(noise=0.5)).name.startswith("noise=0.5-")
    assert same(Config(noise=0.5, items=[1, 2], optim=Optim()), Config(noise=0.5))
    assert not same(Config(noise=0.5, items=[1]), Config(noise=0.5))


def test_a_factory_that_needs_other_fields_is_no_default() -> None:
    class Config(BaseModel):
        x: int = 1
        double: int = Field(default_factory=lambda data: 2 * data["x"])

    assert identify(Config()).name.startswith("double=2-")
    assert not same(Config(x=2), Config(x=2, double=2))


def test_incident_23_random_factories_leave_the_random_state_alone() -> None:
    class Config(BaseModel):
        a: float = Field(default_factory=random.random)
        b: float = Field(default_factory=lambda: float(np.random.rand()))

    config = Config()
    random.seed(3)
    np.random.seed(3)
    expected = random.random(), np.random.rand()
    random.seed(3)
    np.random.seed(3)
    identify(config)
    assert (random.random(), np.random.rand()) == expected


def test_required_nested_models() -> None:
    class Inner(BaseModel):
        optim: Optim

    class Outer(BaseModel):
        inner: Inner
        optim: Optim | None = None

    plain = Outer(inner={"optim": {}})
    assert identify(plain).name == "default"
    assert not same(Outer(inner={"optim": {"lr": 1}}), plain)
    assert not same(Outer(inner=Inner(optim=Adam())), plain)
    # Present is more than absent, even with nothing to say.
    assert not same(Outer(inner={"optim": {}}, optim={}), plain)


def test_a_field_default_differs_from_the_class_default() -> None:
    class Config(BaseModel):
        optim: Optim = Optim(lr=0.5)

    assert identify(Config()).name == "default"
    assert same(Config(optim={"lr": 0.5}), Config())
    assert not same(Config(optim={}), Config())
    assert not same(Config(optim={}), Config(optim={"momentum": 0.5}))


def test_a_new_field_with_a_default_keeps_the_digest() -> None:
    class Before(BaseModel):
        x: int = 1

    class After(BaseModel):
        y: int = 2
        x: int = 1

    before, after = identify(Before(x=5)), identify(After(x=5))
    assert before.digest == after.digest
    assert before.name == after.name
    assert before.full_digest != after.full_digest


def test_order_of_the_fields_in_the_class_does_not_matter() -> None:
    class One(BaseModel):
        a: int = 1
        b: int = 2

    class Two(BaseModel):
        b: int = 2
        a: int = 1

    assert identify(One(a=3, b=4)) == identify(Two(a=3, b=4))


def test_incident_05_copies_have_the_identity_of_their_values() -> None:
    original = Experiment(seed=1)
    identify(original)
    changed = original.model_copy(update={"seed": 50})
    assert not same(original, changed)
    assert same(changed, Experiment(seed=50))
    for duplicate in (copy.copy(original), copy.deepcopy(original), original.model_copy(deep=True)):
        assert same(duplicate, original)
        duplicate.seed = 2
        assert same(duplicate, Experiment(seed=2))


def test_extra_values_count() -> None:
    class Config(BaseModel):
        model_config = ConfigDict(extra="allow")
        x: int = 1

    assert identify(Config()).name == "default"
    assert identify(Config(y=1)).name.startswith("y=1-")
    assert not same(Config(y=1), Config(y="1"))
    assert not same(Config(y=1), Config(z=1))
    assert same(Config(y=1, z=2), Config(z=2, y=1))


def test_an_extra_with_the_name_of_a_field_is_not_that_field() -> None:
    class Config(BaseModel):
        model_config = ConfigDict(extra="allow")
        x: int = Field(1, alias="other")

    assert not same(Config(x=5), Config(other=5))


def test_root_models_and_generics() -> None:
    T = TypeVar("T")

    class Numbers(RootModel[list[float]]):
        pass

    class Box(BaseModel, Generic[T]):
        item: T

    class Config(BaseModel):
        numbers: Numbers = Numbers([])
        box: Box[float] | None = None
        anything: Any = None

    assert same(Config(numbers=[1, 2]), Config(numbers=[1.0, 2.0]))
    assert not same(Config(numbers=[1]), Config(numbers=[2]))
    assert same(Config(box={"item": 1}), Config(box=Box[float](item=1.0)))
    assert not same(Config(anything=Box[float](item=1)), Config(anything=Box[int](item=1)))
    assert not same(Config(anything=Box[Left](item=Left())), Config(anything=Box[Right](item=Right())))


def test_forward_references_and_rebuilt_classes() -> None:
    class Node(BaseModel):
        value: int = 0
        child: Node | None = None

    Node.model_rebuild()
    assert identify(Node()).name == "default"
    deep = Node(child=Node(child=Node(value=3)))
    assert identify(deep).name.startswith("child.child.value=3-")
    assert not same(deep, Node(child=Node(value=3)))

    assert identify(Node(value=7)).name.startswith("value=7-")
    Node.model_fields["value"].default = 7
    Node.model_rebuild(force=True)
    assert identify(Node(value=7)).name == "default"


def test_a_recursive_alias() -> None:
    from typing_extensions import TypeAliasType

    Tree = TypeAliasType("Tree", "dict[str, Tree] | int")  # type: ignore[misc]

    class Config(BaseModel):
        tree: Tree = 0  # type: ignore[valid-type]

    assert not same(Config(tree={"a": {"b": 1}}), Config(tree={"a": {"b": 2}}))


def test_a_field_left_out_of_model_construct_is_an_error() -> None:
    class Config(BaseModel):
        x: int

    with pytest.raises(ConfigError, match=r"Config\.x has no value"):
        identify(Config.model_construct())


def test_private_attributes_and_cached_values_do_not_count() -> None:
    import functools

    class Config(BaseModel):
        x: int = 1
        _state: int = 0

        @functools.cached_property
        def double(self) -> int:
            return 2 * self.x

    config = Config()
    before = identify(config)
    config._state = config.double
    assert identify(config) == before


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)
    x: int = 1
    items: Any = ()


class VersionOnly(BaseModel):
    version: str = Field("0", frozen=True)
    folder: str | None = None

    @classmethod
    def _exclude_from_cls_uid(cls) -> list[str]:
        return ["folder"]


@pytest.mark.parametrize(
    ("value", "mutable"),
    [
        (1, False),
        ("a", False),
        ((1, ("a", frozenset({2}))), False),
        (Path("a"), False),
        (np.float32(1), False),
        (len, False),
        (Frozen(), False),
        (VersionOnly(), False),
        ([], True),
        ({}, True),
        (set(), True),
        (((), [1]), True),
        (bytearray(), True),
        (np.zeros(1), True),
        (Optim(), True),
        (Frozen(items=[]), True),
        (pydantic.SecretStr("a"), False),
    ],
    ids=repr,
)
def test_mutable_says_whether_a_part_can_change(value: Any, mutable: bool) -> None:
    class Config(BaseModel):
        anything: Any = None
        number: int = 1

    assert identify(Config(anything=value)).mutable is mutable


def test_mutable_defaults_and_extras() -> None:
    class Listed(BaseModel):
        items: list[int] = []

    class Open(BaseModel):
        model_config = ConfigDict(extra="allow")

    class Closed(BaseModel):
        x: int = 1

    assert identify(Listed()).mutable
    assert identify(Open()).mutable
    assert not identify(Closed()).mutable
    listed = Listed()
    before = identify(listed)
    listed.items.append(1)
    assert identify(listed).digest != before.digest
