"""What a model is to Hydra: the tree, its groups and options, what may be overridden."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import hydra
import pytest
from hydra.core.config_store import ConfigStore
from hydra.errors import ConfigCompositionException
from hydra_models import Conv, Everything, Experiment, Node, Open, Required, Transformer
from omegaconf import DictConfig, OmegaConf
from pydantic import BaseModel, Field

import exca.hydra
from exca.errors import InvalidConfig


@pytest.fixture(autouse=True)
def own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every test a ConfigStore without the models of the others."""
    monkeypatch.setattr(ConfigStore.instance(), "repo", dict(ConfigStore.instance().repo))


def composed(name: str, *overrides: str) -> DictConfig:
    """Compose as any Hydra app does, without this package's loader."""
    with hydra.initialize(None, version_base="1.3"):
        return hydra.compose(name, list(overrides))


def test_the_tree_holds_all_defaults_in_the_order_of_the_class() -> None:
    exca.hydra.register(Experiment)
    cfg = composed("experiment")
    assert list(cfg) == list(Experiment.model_fields)
    assert exca.hydra.to_model(cfg, Experiment) == Experiment()
    assert cfg.optim == {"lr": 0.3, "momentum": 0.9, "schedule": None}


def test_a_default_instance_is_an_option_of_its_own() -> None:
    exca.hydra.register(Experiment)
    assert composed("experiment").model == {"name": "conv", "channels": 48, "dropout": 0.1}
    assert composed("experiment", "model=conv").model == {"name": "conv", "channels": 32, "dropout": 0.1}


def test_incident_25_a_member_chosen_by_its_group_replaces_the_node() -> None:
    exca.hydra.register(Experiment)
    cfg = composed("experiment", "model=transformer", "model.dim=3", "model/attention=sparse")
    expected = {"name": "transformer", "dim": 3, "dropout": 0.5, "attention": {"kind": "sparse", "block": 8}}
    assert cfg.model == expected


def test_unknown_keys_are_errors_of_hydra_in_a_plain_app() -> None:
    exca.hydra.register(Experiment)
    for override in ("model.dim=3", "optim.lrr=1", "zzz=1"):
        with pytest.raises(ConfigCompositionException, match="Could not override"):
            composed("experiment", override)


def test_free_dicts_take_new_keys_and_keep_them_when_files_are_merged_over() -> None:
    exca.hydra.register(Experiment)
    ConfigStore.instance().store("over", {"defaults": ["experiment", "_self_"], "tags": {"a": 1}})
    assert composed("over", "tags.new=2").tags == {"team": "vision", "a": 1, "new": 2}


def test_a_model_that_allows_extra_keys_takes_them_and_its_children_do_not() -> None:
    class Outer(BaseModel):
        inner: Open = Open()

    assert exca.hydra.compose(Open, ["new=3"]) == Open(new=3)  # type: ignore[call-arg]
    exca.hydra.register(Outer)  # at the root, plain Hydra allows no new key whatever the schema says
    cfg = composed("outer", "inner.new=3")
    assert exca.hydra.to_model(cfg, Outer) == Outer(inner=Open(new=3))  # type: ignore[call-arg]
    with pytest.raises(ConfigCompositionException):
        composed("outer", "inner.optim.new=3")


def test_presets_of_an_infra_differ_in_their_cluster_alone() -> None:
    exca.hydra.register(Experiment)
    for name, cluster in {"inline": None, "local": "local", "slurm": "slurm", "debug": "debug"}.items():
        infra = exca.hydra.to_model(composed("experiment", f"infra={name}", "infra.mem_gb=2"), Experiment).infra
        assert (infra.cluster, infra.version, infra.mem_gb) == (cluster, "1", 2)
    assert "cluster" not in exca.hydra.to_model(composed("experiment"), Experiment).infra.model_fields_set


def test_a_required_union_must_be_chosen_and_hydra_says_how() -> None:
    exca.hydra.register(Required)
    with pytest.raises(ConfigCompositionException, match=r"You must specify 'model', e.g, model=<OPT"):
        composed("required")


def test_optional_nodes_have_an_option_for_none() -> None:
    exca.hydra.register(Experiment)
    assert composed("experiment", "stop=default").stop == {"patience": 5}
    assert composed("experiment", "optim/schedule=cosine").optim.schedule == {"kind": "cosine", "periods": 1}
    assert composed("experiment", "optim/schedule=none").optim.schedule is None


def test_a_group_of_models_keeps_its_relative_groups() -> None:
    exca.hydra.register(Experiment, name="big", group="task")
    ConfigStore.instance().store("app", {"defaults": [{"task": "big"}, "_self_"]})
    cfg = composed("app", "task/model=transformer", "task/optim/schedule=none", "task/stop=none")
    assert exca.hydra.to_model(cfg.task, Experiment) == Experiment(model=Transformer())


def test_members_of_two_unions_with_one_name_are_told_apart() -> None:
    class Gelu(BaseModel):
        kind: Literal["gelu"] = "gelu"

    class FastGelu(BaseModel):
        kind: Literal["gelu"] = "gelu"
        tolerance: float = 1e-3

    class Relu(BaseModel):
        kind: Literal["relu"] = "relu"

    class One(BaseModel):
        name: Literal["one"] = "one"
        act: Annotated[Gelu | Relu, Field(discriminator="kind")] = Gelu()

    class Two(BaseModel):
        name: Literal["two"] = "two"
        act: Annotated[FastGelu | Relu, Field(discriminator="kind")] = FastGelu()

    class Net(BaseModel):
        layer: Annotated[One | Two, Field(discriminator="name")] = One()

    exca.hydra.register(Net)
    assert composed("net").layer.act == {"kind": "gelu"}
    assert composed("net", "layer=two").layer.act == {"kind": "gelu", "tolerance": 1e-3}
    assert exca.hydra.to_model(composed("net", "layer=two", "layer/act=relu"), Net) == Net(layer=Two(act=Relu()))


def test_defaults_without_a_plain_form_are_left_to_the_class() -> None:
    cfg = OmegaConf.create({"function": "<default>"})
    assert exca.hydra.to_model(cfg, Everything).function is print
    exca.hydra.register(Everything)
    assert exca.hydra.to_model(composed("everything"), Everything) == Everything()


def test_an_object_inside_a_default_instance_survives_a_change_beside_it() -> None:
    class Part(BaseModel):
        call: Any
        size: int = 1

    class Whole(BaseModel):
        part: Part = Part(call=len)

    assert exca.hydra.compose(Whole, ["part.size=2"]) == Whole(part=Part(call=len, size=2))


def test_fresh_defaults_stay_fresh() -> None:
    count = iter(range(1000))

    class Fresh(BaseModel):
        number: int = Field(default_factory=lambda: next(count))

    first, second = exca.hydra.compose(Fresh), exca.hydra.compose(Fresh)
    assert first.number < second.number
    assert exca.hydra.compose(Fresh, ["number=7"]).number == 7


def test_a_model_that_contains_itself_has_a_tree() -> None:
    assert exca.hydra.compose(Node, ["value=1"]) == Node(value=1)
    nested = exca.hydra.compose(Node, ["child={value: 2, child: {value: 3}}", "children=[{value: 4}]"])
    assert nested == Node(child=Node(value=2, child=Node(value=3)), children=[Node(value=4)])


def test_only_what_was_changed_counts_as_set() -> None:
    experiment = exca.hydra.compose(Experiment, ["optim.momentum=0.5", "seed=0"])
    assert experiment.model_fields_set == {"optim"}
    assert experiment.optim.lr == 0.3
    assert experiment.optim.model_fields_set == {"lr", "momentum"}


def test_aliases_are_keys_where_the_model_asks_for_them() -> None:
    class Aliased(BaseModel):
        rate: float = Field(0.1, alias="lr")

    assert exca.hydra.compose(Aliased, ["lr=0.5"]).rate == 0.5


@pytest.mark.parametrize("name", ["defaults", "hydra"])
def test_names_that_hydra_keeps_for_itself_are_refused(name: str) -> None:
    import pydantic

    model = pydantic.create_model("Taken", **{name: (int, 1)})  # type: ignore[call-overload]
    with pytest.raises(InvalidConfig, match=f"Taken.{name}"):
        exca.hydra.register(model)


def test_names_are_in_snake_case() -> None:
    class MyHTTPExperiment2(BaseModel):
        x: int = 1

    exca.hydra.register(MyHTTPExperiment2)
    assert composed("my_http_experiment2").x == 1


def test_compose_leaves_hydra_as_it_was(tmp_path: Path) -> None:
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.hydra_config import HydraConfig

    before = HydraConfig.instance().cfg
    assert exca.hydra.compose(Experiment, ["model=conv"]).model == Conv()
    assert not GlobalHydra.instance().is_initialized()
    assert HydraConfig.instance().cfg is before
    with hydra.initialize(None, version_base="1.3"):
        exca.hydra.compose(Experiment, config_dir=tmp_path)
        assert GlobalHydra.instance().is_initialized()
