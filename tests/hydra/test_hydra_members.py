"""A node belongs to one member of its union, whoever chose it: command line, file, or both (incident 25)."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest
from hydra_models import (
    Conv,
    Experiment,
    Full,
    Kind,
    Linear,
    Loose,
    Numbered,
    OfEnum,
    P,
    Q,
    Required,
    Sparse,
    Stop,
    Three,
    Transformer,
    X,
    Y,
)

import exca.hydra
from exca.errors import InvalidConfig

FILES = {
    # A file that does not list the schema gets it beneath.
    "config": """
        model: {name: transformer, dim: 99}
        infra: {cluster: slurm, folder: results}
        """,
    # One that lists it, and speaks of the default member without naming it.
    "listed": """
        defaults: [experiment, _self_]
        model: {channels: 7}
        """,
    # One whose default is an option of the user's own.
    "wide_by_default": """
        defaults:
          - model: wide
          - optim/schedule: linear
          - _self_
        optim: {schedule: {end: 0.5}}
        """,
    "with_experiment": """
        defaults: [experiment, _self_, {exp: big}]
        model: {name: transformer, dim: 99}
        """,
    "model/wide": "{name: transformer, dim: 512}\n",
    "model/deep": """
        defaults: [transformer, _self_, {override attention: sparse}]
        dim: 8
        """,
    "model/unnamed": "channels: 3\n",
    "exp/big": """
        # @package _global_
        defaults:
          - override /model: conv
        model: {channels: 11}
        """,
    "exp/wrong": """
        # @package _global_
        defaults:
          - override /model: conv
        model: {dim: 11}
        """,
    "stopping": "stop: {patience: 9}\n",
    "nothing": "{stop: null, optim: {schedule: null}}\n",
    "why": "u: {kind: why, b: 5}\n",
    "loose": "v: {q: 9}\n",
    "infra/cards": "{cluster: slurm, gpus_per_node: 8}\n",
    "experiment": "seed: 5\n",
}


@pytest.fixture(scope="module")
def conf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("conf")
    for name, text in FILES.items():
        file = root / f"{name}.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(textwrap.dedent(text).lstrip())
    return root


def composed(conf: Path, name: str | None, *overrides: str) -> Experiment:
    return exca.hydra.compose(Experiment, overrides, config_dir=conf, config_name=name)


WIDE = Transformer(dim=512)


@pytest.mark.parametrize(
    ("name", "overrides", "model"),
    [
        (None, [], Conv(channels=48)),
        (None, ["model.name=transformer"], Transformer()),
        (None, ["model=transformer", "model.name=conv"], Conv()),
        (None, ["model.name=conv"], Conv(channels=48)),
        (None, ["model=wide"], WIDE),
        (None, ["model=wide", "model.dropout=0"], Transformer(dim=512, dropout=0)),
        (None, ["model=wide", "model.name=conv"], Conv()),
        (None, ["model=deep"], Transformer(dim=8, attention=Sparse())),
        (None, ["model=deep", "model/attention=full"], Transformer(dim=8, attention=Full())),
        (None, ["model=unnamed", "model.dropout=0"], Conv(channels=3, dropout=0)),
        (None, ["model=transformer", "model.attention.kind=sparse"], Transformer(attention=Sparse())),
        ("config", [], Transformer(dim=99)),
        ("config", ["model.dim=1"], Transformer(dim=1)),
        ("config", ["model/attention=sparse"], Transformer(dim=99, attention=Sparse())),
        ("config", ["model=conv"], Conv()),
        ("config", ["model.name=conv"], Conv()),
        ("config", ["+exp=big"], Conv(channels=11)),
        ("config", ["+exp=big", "model=transformer"], Transformer(dim=99)),
        ("listed", [], Conv(channels=7)),
        ("listed", ["model=conv"], Conv(channels=7)),
        ("listed", ["model=transformer"], Transformer()),
        ("listed", ["model.name=transformer"], Transformer()),
        ("wide_by_default", [], WIDE),
        ("wide_by_default", ["model.name=transformer"], WIDE),
        ("wide_by_default", ["model=conv"], Conv()),
        ("wide_by_default", ["model=transformer"], Transformer()),
        ("with_experiment", [], Conv(channels=11)),
    ],
)
def test_incident_25_no_member_keeps_the_keys_of_another(
    conf: Path, name: str | None, overrides: list[str], model: Any
) -> None:
    assert composed(conf, name, *overrides).model == model


def test_a_file_that_chose_a_member_answers_for_the_keys_of_another(conf: Path) -> None:
    with pytest.raises(InvalidConfig) as caught:
        composed(conf, "config", "+exp=wrong")
    (problem,) = caught.value.problems  # type: ignore[attr-defined]
    assert problem.field == "model.dim"
    assert problem.hint == "model.dim belongs to model=transformer; model=conv was chosen"
    assert problem.origin == f"{conf}/exp/wrong.yaml:4"


def test_a_nullable_union_is_chosen_by_file_and_by_hand(conf: Path) -> None:
    assert composed(conf, "wide_by_default").optim.schedule == Linear(end=0.5)
    assert composed(conf, None, "optim.schedule.kind=linear", "optim.schedule.end=1").optim.schedule == Linear(end=1)
    assert composed(conf, None, "optim.schedule=linear").optim.schedule == Linear()
    assert composed(conf, "wide_by_default", "optim/schedule=null").optim.schedule is None
    assert composed(conf, "wide_by_default", "optim.schedule=null").optim.schedule is None


def test_an_optional_model_appears_when_its_fields_are_set(conf: Path) -> None:
    assert composed(conf, None, "stop.patience=2").stop == Stop(patience=2)
    assert composed(conf, "stopping").stop == Stop(patience=9)
    assert composed(conf, "stopping", "stop=null").stop is None
    assert composed(conf, None, "stop=default").stop == Stop()


def test_a_preset_asked_for_holds_against_the_cluster_of_a_file(conf: Path) -> None:
    infra = composed(conf, "config", "infra=local").infra
    assert (infra.cluster, infra.folder, infra.version) == ("local", Path("results"), "1")
    assert composed(conf, "config").infra.cluster == "slurm"
    cards = composed(conf, None, "infra=cards", "infra.mem_gb=3").infra
    assert (cards.cluster, cards.gpus_per_node, cards.mem_gb) == ("slurm", 8, 3)


def test_a_required_union_may_be_chosen_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "app.yaml").write_text("model: {name: conv}\npath: x\nsteps: 3\n")
    made = exca.hydra.compose(Required, ["model.channels=2"], config_dir=tmp_path, config_name="app")
    assert made.model == Conv(channels=2)


def test_a_file_may_have_the_name_of_the_schema(conf: Path) -> None:
    assert composed(conf, "experiment", "model.channels=3").seed == 5


@pytest.mark.parametrize(
    ("override", "model"),
    [
        ("model={name: transformer, dim: 3}", Transformer(dim=3)),
        ("model={name: conv}", Conv()),
        ("model={channels: 3}", Conv(channels=3)),
        (
            "model={name: transformer, attention: {kind: sparse, block: 2}}",
            Transformer(attention=Sparse(block=2)),
        ),
    ],
)
def test_a_dict_that_names_members_chooses_them(conf: Path, override: str, model: Any) -> None:
    assert composed(conf, None, override).model == model
    assert composed(conf, None, "optim={lr: 2, schedule: {kind: linear}}").optim.schedule == Linear()


def test_free_keys_need_no_plus_sign(conf: Path) -> None:
    made = composed(conf, None, "tags.new.deep=1", "infra.slurm_additional_parameters.nice=2")
    assert made.tags == {"team": "vision", "new": {"deep": 1}}
    assert made.infra.slurm_additional_parameters == {"nice": 2}


def test_a_choice_on_the_command_line_holds_against_null_in_a_file(conf: Path) -> None:
    assert composed(conf, "nothing").stop is None
    assert composed(conf, "nothing", "stop=default").stop == Stop()
    assert composed(conf, "nothing", "stop.patience=7").stop == Stop(patience=7)
    assert composed(conf, "nothing", "optim.schedule=linear", "optim.schedule.end=0.5").optim.schedule == Linear(
        end=0.5
    )
    assert composed(conf, "nothing", "optim.schedule=null").optim.schedule is None


def test_a_number_chooses_the_member_of_its_discriminator() -> None:
    assert exca.hydra.compose(Numbered, ["n=3"]).n == Three()
    assert exca.hydra.compose(Numbered, ["n.n=3"]).n == Three()
    assert exca.hydra.to_overrides(Numbered(n=Three())) == ["n=3"]


@pytest.mark.parametrize(
    ("config", "overrides"),
    [
        (OfEnum(u=Y()), ["u=why"]),
        (OfEnum(u=Y(b=3)), ["u=why", "u.b=3"]),
        (OfEnum(u=X(a=3), mode=Kind.y), ["u.a=3", "mode=why"]),
    ],
)
def test_an_enum_chooses_the_member_of_its_discriminator(config: OfEnum, overrides: list[str]) -> None:
    assert exca.hydra.to_overrides(config) == overrides
    assert exca.hydra.compose(OfEnum, overrides) == config
    assert exca.hydra.to_model(exca.hydra.to_config(config), OfEnum) == config


def test_the_text_of_an_enum_in_a_file_chooses_a_member(conf: Path) -> None:
    assert exca.hydra.compose(OfEnum, config_dir=conf, config_name="why") == OfEnum(u=Y(b=5))
    assert exca.hydra.compose(OfEnum, ["u.kind=why"]).u == Y()


@pytest.mark.parametrize(
    ("config", "overrides"),
    [
        (Loose(v=Q()), ["v={q:2,r:3}"]),
        (Loose(v=P(p=3), w=Q(r=1)), ["v.p=3", "w.q=2", "w.r=1"]),
        (Loose(v=Q(q=7), w=P()), ["v={q:7,r:3}", "w={p:1}"]),
    ],
)
def test_models_that_only_fields_tell_apart_are_composed(config: Loose, overrides: list[str]) -> None:
    assert exca.hydra.to_overrides(config) == overrides
    assert exca.hydra.compose(Loose, overrides) == config


def test_models_that_only_fields_tell_apart_are_replaced_not_merged(conf: Path) -> None:
    assert exca.hydra.compose(Loose, ["v={q:3}"]).v == Q(q=3)
    assert exca.hydra.compose(Loose, ["v={q:3}", "v.r=4"]).v == Q(q=3, r=4)
    where = {"config_dir": conf, "config_name": "loose"}
    assert exca.hydra.compose(Loose, **where).v == Q(q=9)
    assert exca.hydra.compose(Loose, ["v.r=4"], **where).v == Q(q=9, r=4)
    assert exca.hydra.compose(Loose, ["v={p:4}"], **where).v == P(p=4)


def test_a_key_that_none_of_the_models_has_is_refused() -> None:
    with pytest.raises(InvalidConfig, match=r"v\.typo: no such key") as caught:
        exca.hydra.compose(Loose, ["v.typo=3"])
    assert "the fields of P are p; the fields of Q are q, r" in str(caught.value)
