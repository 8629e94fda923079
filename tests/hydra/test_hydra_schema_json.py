"""The JSON Schema that editors check YAML files with: what composes is valid, what is mistyped is not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydantic
import pytest
import yaml
from hydra_models import Everything, Experiment, Loose, Node, Numbered, OfEnum, Open, Required
from omegaconf import OmegaConf
from pydantic import AliasChoices, BaseModel, Field
from snippets import ROOT
from test_hydra_members import FILES
from test_hydra_schema_types import documented, names, of  # noqa: F401

import exca.hydra
from exca.errors import ConfigError
from exca.helpers import DiscriminatedModel

Validator = pytest.importorskip("jsonschema").Draft202012Validator


def errors(data: Any, model: type[BaseModel], group: str | None = None) -> list[str]:
    schema = exca.hydra.json_schema(model, group)
    Validator.check_schema(schema)
    return [error.json_path for error in Validator(schema).iter_errors(data)]


def parsed(text: str) -> Any:
    """Read YAML as Hydra does: a date is text."""
    return OmegaConf.to_container(OmegaConf.create(text), resolve=False)


def corpus() -> Iterator[Any]:
    for name, text in FILES.items():
        group = name.rpartition("/")[0]
        model = {"why": OfEnum, "loose": Loose}.get(name, Experiment)
        yield pytest.param(text, model, None if group == "exp" else group or None, name == "exp/wrong", id=name)


@pytest.mark.parametrize(("text", "model", "group", "wrong"), [*corpus()])
def test_files_that_compose_are_valid(text: str, model: type[BaseModel], group: str | None, wrong: bool) -> None:
    # That the member of exp/wrong was chosen elsewhere is for the composition to find, not for an editor.
    assert errors(yaml.safe_load(text), model, group) == []


@pytest.mark.parametrize("row", [*documented()])
def test_each_row_of_the_documentation_is_valid(row: dict[str, str], names: dict[str, Any]) -> None:  # noqa: F811
    assert errors(parsed(row["yaml"]), of(eval(row["type"], names))) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "group"), [("config.yaml", None), ("experiment/regularised.yaml", None), ("model/deep.yaml", "model")]
)
def test_the_files_of_the_example_are_valid(monkeypatch: pytest.MonkeyPatch, file: str, group: str | None) -> None:
    pytest.importorskip("sklearn")
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "examples" / "digits"))
    import digits

    assert errors(parsed((ROOT / "conf" / file).read_text()), digits.Experiment, group) == []


@pytest.mark.parametrize("model", [Experiment, Everything, Node, OfEnum, Loose, Numbered, Open])
def test_whole_configs_are_valid(model: type[BaseModel]) -> None:
    assert errors({}, model) == []
    assert errors(OmegaConf.to_container(exca.hydra.to_config(model()), resolve=False), model) == []


REFERENCES = """
defaults: [_self_, db/sqlite, {model: conv}, {override /optim/schedule: linear}, {optional model: wide}, {exp: [a, b]}]
hydra: {sweep: {dir: x}}
seed: ${oc.env:SEED}
note: ???
layers: ["${seed}", 3]
optim: ${other}
data: {fraction: "${optim.lr}"}
infra: {gpus_per_node: "${seed}", folder: out}
"""


def test_references_and_defaults_are_allowed_everywhere() -> None:
    assert errors(parsed(REFERENCES), Experiment) == []
    assert errors({"model": "${other}", "path": "x"}, Required) == []


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("seed: x", "$.seed"),
        ("optim: {lrr: 3}", "$.optim"),
        ("optim: {lr: -1}", "$.optim"),
        ("model: {name: conv, dim: 3}", "$.model"),
        ("model: {name: convo}", "$.model"),
        ("infra: {cluster: slurm, gpus: 3}", "$.infra"),
        ("unknown: 1", "$"),
        ("defaults: [{a: 1, b: 2}]", "$.defaults[0]"),
    ],
)
def test_mistakes_are_found(text: str, place: str) -> None:
    assert errors(parsed(text), Experiment) == [place]


def test_groups_and_options_are_offered() -> None:
    schema = exca.hydra.json_schema(Experiment)
    entry = schema["$defs"]["Defaults"]["items"]["anyOf"][1]["properties"]
    assert entry["override /model"]["anyOf"][0] == {"enum": ["conv", "transformer", "default"]}
    assert {"infra", "optim/schedule", "model/attention", "stop"} <= entry.keys()
    assert errors({"defaults": ["transformer", "_self_"], "dim": 3}, Experiment, "model") == []
    assert errors({"dimm": 3}, Experiment, "model") == ["$"]
    with pytest.raises(ConfigError, match="has no config group 'modl': did you mean model"):
        exca.hydra.json_schema(Experiment, "modl")


def test_fields_go_by_each_of_their_keys() -> None:
    class Aliased(BaseModel):
        rate: float = Field(0.1, validation_alias=AliasChoices("lr", "rate"))

    assert errors({"lr": 1}, Aliased) == errors({"rate": 1}, Aliased) == []
    assert errors({"lr": "x"}, Aliased) == ["$.lr"]


class Piece(DiscriminatedModel):
    size: int = 1


class Group(Piece):
    parts: list[Piece] = Field(default_factory=list)


class Holder(BaseModel):
    piece: Piece = Piece()
    function: Any = print
    call: pydantic.ImportString = print  # type: ignore[type-arg]


def test_families_list_their_classes() -> None:
    class Late(Piece):
        extra: int = 1

    assert errors({"piece": {"type": "Group", "parts": [{"type": "Late", "extra": 3}]}}, Holder) == []
    assert errors({"piece": {"type": "Late", "parts": []}}, Holder) == ["$.piece"]
    assert errors({"type": "Late", "extra": 2}, Holder, "piece") == []


@pytest.mark.slow
def test_the_command_prints_it(tmp_path: Path) -> None:
    (tmp_path / "study.py").write_text("import pydantic\nclass Study(pydantic.BaseModel):\n    x: int = 1\n")
    command = [sys.executable, "-m", "exca.cli", "schema", "study:Study"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    assert list(json.loads(done.stdout)["properties"]) == ["x", "defaults", "hydra"]
    done = subprocess.run([*command, "--group", "x"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, "has no config group 'x'" in done.stderr) == (2, True)
