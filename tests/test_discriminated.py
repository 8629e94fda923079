"""A field of a family takes any of its classes, keeps it through dumps, copies and pickles, and in the uid."""

from __future__ import annotations

import abc
import copy
import pickle
from typing import Any

import pydantic
import pytest

from exca.helpers import DiscriminatedModel
from exca.identity import export, identify


class Layer(DiscriminatedModel, discriminator_key="name"):
    depth: int = 1


class Conv(Layer):
    width: int = 2


class Net(pydantic.BaseModel):
    layer: Layer = Conv()
    layers: list[Layer] = []
    last: Layer | None = None


class Plain(DiscriminatedModel):
    """The key is ``type`` unless a family says otherwise."""


class Abstract(DiscriminatedModel, abc.ABC):
    @abc.abstractmethod
    def area(self) -> int: ...


class Square(Abstract):
    side: int = 2

    def area(self) -> int:
        return self.side**2


class Shape(pydantic.BaseModel):
    shape: Abstract


def test_the_name_chooses_the_class_wherever_the_family_is_a_field() -> None:
    net = Net(layer={"name": "Conv", "width": 3}, layers=[{"name": "Layer"}, {}], last={"name": "Conv"})  # type: ignore[arg-type,list-item]
    assert net == Net(layer=Conv(width=3), layers=[Layer(), Layer()], last=Conv())
    assert [type(layer) for layer in net.layers] == [Layer, Layer]
    assert Plain().model_dump() == {"type": "Plain"}


def test_a_class_called_with_the_name_of_another_makes_that() -> None:
    made = Layer(name="Conv", width=3)  # type: ignore[call-arg]
    assert type(made) is Conv
    assert made == Conv(width=3)


def test_classes_defined_after_the_field_belong_to_it() -> None:
    class Late(Conv):
        extra: int = 1

    assert Net(layer={"name": "Late", "extra": 5}).layer == Late(extra=5)  # type: ignore[arg-type]
    assert Layer.family() == {"Layer": Layer, "Conv": Conv, "Late": Late}


def test_dumps_copies_and_pickles_keep_the_class() -> None:
    net = Net(layer=Conv(width=7), layers=[Layer(depth=2), Conv()])
    assert net.model_dump() == {
        "layer": {"name": "Conv", "depth": 1, "width": 7},
        "layers": [{"name": "Layer", "depth": 2}, {"name": "Conv", "depth": 1, "width": 2}],
        "last": None,
    }
    assert net.model_dump(exclude_defaults=True)["layer"] == {"name": "Conv", "width": 7}
    assert Net.model_validate(net.model_dump(exclude_unset=True)) == net
    assert Net.model_validate_json(net.model_dump_json()) == net
    assert net.model_dump(exclude={"layer": {"width"}})["layer"] == {"name": "Conv", "depth": 1}
    for twin in (copy.deepcopy(net), net.model_copy(deep=True), pickle.loads(pickle.dumps(net))):
        assert twin == net
        assert type(twin.layer) is Conv


def test_the_uid_carries_the_class() -> None:
    digests = {identify(Net(layer=layer)).digest for layer in (Layer(), Conv(), Conv(width=3))}
    assert len(digests) == 3
    assert export(Net(last=Conv()), uid=True, exclude_defaults=True)["last"]["name"] == "Conv"
    assert identify(Net(layer={"name": "Conv"})).digest == identify(Net()).digest  # type: ignore[arg-type]


def test_an_abstract_class_is_not_one_of_the_choices() -> None:
    assert Abstract.family() == {"Square": Square}
    assert Shape(shape={"type": "Square", "side": 3}).shape.area() == 9  # type: ignore[arg-type]
    with pytest.raises(pydantic.ValidationError, match="Unable to extract tag using discriminator 'type'"):
        Shape(shape={})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("layer", "place", "message"),
    [
        ({"name": "Cnv"}, ("layer",), "Input tag 'Cnv' found using 'name' does not match any of the expected tags"),
        ({"name": "Conv", "width": "x"}, ("layer", "width"), "Input should be a valid integer"),
        ({"name": "Layer", "width": 3}, ("layer", "width"), "Extra inputs are not permitted"),
        (3, ("layer",), "Input should be a valid dictionary or instance of Layer"),
    ],
)
def test_what_is_wrong_is_said_where_it_is(layer: Any, place: tuple[str, ...], message: str) -> None:
    with pytest.raises(pydantic.ValidationError) as caught:
        Net(layer=layer)
    (error,) = caught.value.errors()
    assert error["loc"] == place
    assert error["msg"].startswith(message)


def test_two_classes_of_one_name_cannot_be_told_apart() -> None:
    with pytest.raises(TypeError, match="are of one family and of one name"):

        class Conv(Layer):
            other: int = 1
