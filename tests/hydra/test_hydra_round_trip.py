"""An experiment as config and as overrides: composing them gives an equal experiment, whatever it holds."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import version
from hydra._internal.utils import create_config_search_path
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import setup_globals
from hydra.types import RunMode
from hydra_models import (
    Colour,
    Conv,
    Cosine,
    Data,
    Everything,
    Experiment,
    Full,
    Guarded,
    Linear,
    Open,
    Optim,
    Required,
    Sparse,
    Stop,
    Transformer,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from pydantic import BaseModel, SecretStr

import exca.hydra
from exca.errors import InvalidConfig
from exca.hydra._grammar import text_of
from exca.hydra._loader import ModelLoader
from exca.hydra._text import from_literal, held, literal, same, unheld
from exca.identity import identify

LOADERS: dict[type[BaseModel], ModelLoader] = {}


@pytest.fixture(autouse=True, scope="module")
def rules() -> Iterator[None]:
    """Compose by the rules of Hydra 1.3, and with one loader for each model: a hundred examples take seconds."""
    before = version.getbase()
    version.setbase("1.3")
    setup_globals()
    yield
    version.VersionBase.instance().version_base = before


def composed(model: type[BaseModel], overrides: list[str]) -> BaseModel:
    loader = LOADERS.get(model)
    if loader is None:
        loader = LOADERS[model] = ModelLoader(create_config_search_path(None), model)
    return exca.hydra.to_model(loader.load_configuration(loader.schema_name, overrides, RunMode.RUN), model)


AWKWARD = (
    "???", "${a}", "\\${a}", "null", "true", "1", "1e3", "nan", "", " ", "a,b", "[x]", "{k: v}", "'\"", "\\", "a\\'",
    "é\n", "a=b", "#", "<default>", "${exca.literal:%22}", "~x", "a b ", "\t", "=x=", "${oc.env:HOME}", "1_0",
)  # fmt: skip
TEXTS = st.text() | st.sampled_from(AWKWARD)
NUMBERS = st.floats() | st.integers()
PLAIN: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
CONVS = st.builds(Conv, channels=st.integers(1, 99), dropout=st.floats(allow_nan=False))
ATTENTIONS = st.builds(Full, heads=st.integers()) | st.builds(Sparse, block=st.integers())
TRANSFORMERS = st.builds(Transformer, dim=st.integers(), attention=ATTENTIONS)
SCHEDULES = st.none() | st.builds(Cosine, periods=st.integers()) | st.builds(Linear, end=st.floats(allow_nan=False))
OPTIMS = st.builds(Optim, lr=st.floats(min_value=1e-9, allow_nan=False), schedule=SCHEDULES)
EVERYTHING = st.fixed_dictionaries(
    {},
    optional={
        "text": TEXTS,
        "flag": st.booleans(),
        "count": st.none() | st.integers(),
        "ratio": st.floats(allow_nan=False),
        "colour": st.sampled_from(Colour),
        "day": st.dates(),
        "moment": st.none() | st.datetimes(timezones=st.none() | st.just(datetime.UTC)),
        "wait": st.timedeltas(datetime.timedelta(-9), datetime.timedelta(9)),
        "where": TEXTS.filter(lambda text: "\0" not in text).map(Path),
        "pair": st.tuples(st.integers(), TEXTS),
        "names": st.frozensets(TEXTS, max_size=3),
        "numbers": st.sets(st.integers(), max_size=3),
        "layers": st.lists(st.lists(st.floats(allow_nan=False), max_size=2), max_size=2),
        "options": st.dictionaries(TEXTS, st.dictionaries(TEXTS, st.integers() | TEXTS | st.none(), max_size=2)),
        "by_number": st.dictionaries(st.integers(), TEXTS, max_size=2),
        "anything": PLAIN,
        "raw": st.binary(),
        "model": st.none() | CONVS | TRANSFORMERS,
        "models": st.lists(CONVS | TRANSFORMERS, max_size=2),
        "either": CONVS | st.builds(Data) | st.integers(),
        "stop": st.none() | st.builds(Stop, patience=st.integers()),
        "optim": OPTIMS,
    },
)


def form(experiment: BaseModel) -> str:
    """Return what two experiments share when all values, and their types, are equal (NaN equals NaN)."""
    return identify(experiment).full_digest


def check_overrides(values: dict[str, Any]) -> None:
    experiment = Everything(**values)
    assert form(composed(Everything, exca.hydra.to_overrides(experiment))) == form(experiment)


def check_config(values: dict[str, Any]) -> None:
    experiment = Everything(**values)
    assert form(exca.hydra.to_model(exca.hydra.to_config(experiment), Everything)) == form(experiment)


@pytest.mark.slow
@settings(max_examples=25)
@given(EVERYTHING)
def test_composing_the_overrides_of_an_experiment_gives_it_back(values: dict[str, Any]) -> None:
    check_overrides(values)


@settings(max_examples=25)
@given(EVERYTHING)
def test_the_config_of_an_experiment_reads_back(values: dict[str, Any]) -> None:
    check_config(values)


@pytest.mark.slow
@settings(max_examples=200)
@given(EVERYTHING)
def test_the_same_for_many_more_experiments(values: dict[str, Any]) -> None:
    check_overrides(values)
    check_config(values)


@given(PLAIN)
def test_every_plain_value_has_a_text_that_hydra_parses_into_it(value: Any) -> None:
    override = OverridesParser.create().parse_override(f"key={text_of(held(value))}")
    assert same(unheld(override.value()), value)


@given(PLAIN)
def test_literals_hold_any_plain_value(value: Any) -> None:
    decoded = from_literal(literal(value))
    assert decoded is not None
    assert same(decoded[0], value)


def test_literals_are_resolved_by_any_config() -> None:
    cfg = OmegaConf.create({"text": literal("${x}"), "copy": "${text}", "table": literal({"é": [1, "?"]})})
    assert OmegaConf.to_container(cfg, resolve=True) == {"text": "${x}", "copy": "${x}", "table": {"é": [1, "?"]}}


def test_a_config_written_as_yaml_reads_back() -> None:
    experiment = Everything(text="${x} é '", raw=b"\xff", options={"a b": {"é": "???"}}, anything=[1.5, {"k": None}])
    text = OmegaConf.to_yaml(exca.hydra.to_config(experiment))
    assert exca.hydra.to_model(OmegaConf.create(text), Everything) == experiment


def test_overrides_are_short_and_readable() -> None:
    experiment = Experiment(
        model=Transformer(attention=Sparse(block=2)),
        optim=Optim(lr=0.5, schedule=Linear(end=1)),
        stop=Stop(),
        tags={"team": "vision", "run": "first try"},
        infra={"folder": "results", "cluster": "slurm", "gpus_per_node": 2},  # type: ignore[arg-type]
    )
    assert exca.hydra.to_overrides(experiment) == [
        "model=transformer",
        "model/attention=sparse",
        "model.attention.block=2",
        "optim.lr=0.5",
        "optim/schedule=linear",
        "optim.schedule.end=1.0",
        "stop=default",
        "tags.run='first try'",
        "infra.cluster=slurm",
        "infra.gpus_per_node=2",
        "infra.folder=results",
    ]
    assert exca.hydra.to_overrides(Experiment()) == []


def test_required_fields_and_unions_are_spelled_out() -> None:
    experiment = Required(model=Conv(), path="a b", steps=3, data=Data(fraction=0.5))
    overrides = exca.hydra.to_overrides(experiment)
    assert overrides == ["model=conv", "path='a b'", "steps=3", "data.fraction=0.5"]
    assert composed(Required, overrides) == experiment


def test_keys_that_are_gone_are_deleted() -> None:
    for tags in ({}, {"é": 1}, {"team": None}, {"team": {"a.b": 2}}):
        experiment = Experiment(tags=tags)
        assert composed(Experiment, exca.hydra.to_overrides(experiment)) == experiment


def test_extra_keys_are_overrides_too() -> None:
    experiment = Open(more={"a": [1]}, lr=0.5)  # type: ignore[call-arg]
    assert composed(Open, exca.hydra.to_overrides(experiment)) == experiment
    with pytest.raises(InvalidConfig, match="no override can spell this key"):
        exca.hydra.to_overrides(Open(é=1))


def test_secrets_are_left_to_be_set() -> None:
    assert exca.hydra.to_overrides(Guarded()) == []
    overrides = exca.hydra.to_overrides(Guarded(token=SecretStr("swordfish"), name="x"))
    assert overrides == ["token='???'", "name=x"]
    with pytest.raises(InvalidConfig, match="token: missing"):
        composed(Guarded, overrides)


def test_an_object_without_plain_form_is_refused_by_name() -> None:
    with pytest.raises(InvalidConfig, match="function: has no plain form"):
        exca.hydra.to_overrides(Everything(function=len))
    assert exca.hydra.to_overrides(Everything(function=print)) == []


def test_numbers_that_are_none_stay_what_they_are() -> None:
    assert math.isnan(composed(Everything, exca.hydra.to_overrides(Everything(anything=math.nan))).anything)  # type: ignore[attr-defined]
    for value in (math.inf, -math.inf, -0.0, 1e300, 10**30):
        assert repr(composed(Everything, exca.hydra.to_overrides(Everything(anything=value))).anything) == repr(value)  # type: ignore[attr-defined]


def test_the_sign_of_zero_is_kept() -> None:
    check_config({"optim": Optim(schedule=Linear(end=-0.0))})
    check_overrides({"optim": Optim(schedule=Linear(end=-0.0))})
