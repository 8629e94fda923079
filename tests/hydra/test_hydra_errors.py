"""Errors come before anything runs, all at once, each with its value, its origin and what was meant."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path
from typing import Any

import pytest
from hydra.errors import CompactHydraException, MissingConfigException, OverrideParseException
from hydra_models import Conv, Everything, Experiment, Guarded, Required, Stop, Texts, Transformer
from omegaconf import OmegaConf

import exca.hydra
from exca.errors import InvalidConfig
from exca.hydra import Problem, VolatileValueWarning


def problems(model: Any, *overrides: str, **where: Any) -> dict[str, Problem]:
    """Return what is wrong with a composition, by field."""
    with pytest.raises(InvalidConfig) as caught:
        exca.hydra.compose(model, overrides, **where)
    assert isinstance(caught.value, CompactHydraException)
    found: tuple[Problem, ...] = caught.value.problems  # type: ignore[attr-defined]
    assert len({problem.field for problem in found}) == len(found)
    assert all(problem.field in str(caught.value) for problem in found)
    return {problem.field: problem for problem in found}


def test_incident_24_values_to_be_set_are_missing_and_never_text() -> None:
    found = problems(Required, "model=conv")
    assert {name: problem.message for name, problem in found.items()} == {"path": "missing", "steps": "missing"}
    assert found["path"].hint == "set it with path=<value>"
    assert problems(Required, "model=conv", "path=${steps}", "steps=???").keys() == {"path", "steps"}
    assert problems(Experiment, "layers=[1,???]").keys() == {"layers.1"}
    assert problems(Experiment, "note=???").keys() == {"note"}


def test_every_problem_is_listed_with_its_override() -> None:
    found = problems(Experiment, "optim.lr=-1", "seed=a", "+optim.speed=3", "model.name=convo", "data.fraction=1.5")
    assert found.keys() == {"optim.lr", "seed", "optim.speed", "model.name", "data.fraction"}
    assert found["optim.lr"].message == "Input should be greater than 0"
    assert found["optim.lr"].value == "-1"
    assert found["optim.lr"].origin == "override optim.lr=-1"
    assert found["optim.speed"].origin == "override +optim.speed=3"
    assert found["model.name"].hint == "did you mean conv?"


def test_what_does_not_compose_hides_nothing_else(tmp_path: Path) -> None:
    found = problems(Experiment, "sed=1", "note=${nope}", "optim.lr=q")
    assert found.keys() == {"sed", "note", "optim.lr"}
    found = problems(Experiment, "sed=1", "seed=x", "optim.schedule=null", "model=convv")
    assert found.keys() == {"sed", "seed", "model"}
    assert found["model"].message == "Could not find 'model/convv'; there are conv, default, transformer"
    assert found["model"].hint == "did you mean model=conv?"
    write(tmp_path, "app", "seed: x")
    assert problems(Experiment, "infra=null", config_dir=tmp_path, config_name="app").keys() == {"infra", "seed"}


def test_unknown_keys_are_listed_with_what_was_meant() -> None:
    found = problems(Experiment, "model=transformer", "model.channels=4", "optim.lrr=3", "momentum=4", "xyz.a=1")
    assert found["model.channels"].hint == "model.channels belongs to model=conv; model=transformer was chosen"
    assert found["optim.lrr"].hint == "did you mean optim.lr?"
    assert found["momentum"].hint == "did you mean optim.momentum?"
    assert str(found["xyz.a"].hint).startswith("the fields of Experiment are model, optim")


def test_a_field_below_none_says_to_choose_its_node() -> None:
    found = problems(Experiment, "stop=null", "stop.patience=3")
    assert found["stop.patience"].hint == "stop has no node here; choose one first: stop=default"


@pytest.mark.parametrize("text", ["model=null", "infra=null"])
def test_null_for_a_node_that_cannot_be_none_lists_what_there_is(text: str) -> None:
    name = text.partition("=")[0]
    problem = problems(Experiment, text)[name]
    assert problem.message.startswith(
        "no such member; there are conv, tra" if name == "model" else "no such member; there are inline"
    )
    assert problem.origin == f"override {text}"


def test_a_number_that_is_no_option_is_looked_for_as_a_file(tmp_path: Path) -> None:
    write(tmp_path, "model/3", "name: conv\nchannels: 3")
    assert exca.hydra.compose(Experiment, ["model=3"], config_dir=tmp_path).model.channels == 3  # type: ignore[union-attr]
    with pytest.raises(MissingConfigException, match="Could not find 'model/true'"):
        exca.hydra.compose(Experiment, ["model=true"])


@pytest.mark.parametrize(
    ("override", "field", "hint"),
    [
        ("infra.version=2", "infra.version", """quote it: infra.version="'2'\""""),
        ("note=1e3", "note", """quote it: note="'1e3'\""""),
        ("note=true", "note", """quote it: note="'true'\""""),
        ("out=nan", "out", """quote it: out="'nan'\""""),
        ("out=true", "out", """quote it: out="'true'\""""),
        ("out=nam", "out", "did you mean nan?"),
        ("names=[a,2]", "names.1", """quote it inside the quotes of the shell: names="...'2'...\""""),
    ],
)
def test_a_number_where_text_belongs_is_to_be_quoted(override: str, field: str, hint: str) -> None:
    assert problems(Texts, override)[field].hint == hint


def test_a_number_where_text_belongs_is_to_be_quoted_in_its_file(tmp_path: Path) -> None:
    write(tmp_path, "app", "note: 123\nout: nan")
    found = problems(Texts, config_dir=tmp_path, config_name="app")
    assert {name: problem.hint for name, problem in found.items()} == dict.fromkeys(("note",), "put it in quotes")


def test_values_of_files_come_with_file_and_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "app", "defaults: [{model: wide}, _self_]\nseed: x\noptim:\n  lr: -3\n  lrr: 3\nlayers:\n- 1\n- y")
    write(tmp_path, "model/wide", "name: transformer\n\ndim: abc")
    where = {"config_dir": tmp_path, "config_name": "app"}
    monkeypatch.chdir(tmp_path)
    found = problems(Experiment, "seed=x", **where)
    assert found["seed"].origin == "override seed=x"
    found = problems(Experiment, **where)
    origins = {name: problem.origin for name, problem in found.items()}
    assert origins == {
        "seed": "app.yaml:2",
        "optim.lr": "app.yaml:4",
        "optim.lrr": "app.yaml:5",
        "layers.1": "app.yaml:8",
        "model.dim": "model/wide.yaml:3",
    }


UNSET = {
    "app": "defaults: [_self_, {exp: null}]\nseed: ???\nmodel: ???\nstop: ???\noptim:\n  lr: ???\ntags: ???",
    "exp/full": "# @package _global_\nseed: 1\nmodel: {channels: 2}\nstop: {patience: 2}\n"
    "optim: {lr: 0.5}\ntags: {a: 1}",
    "exp/unset": "# @package _global_\nseed: ???\nmodel: ???",
}


@pytest.fixture
def unset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    for name, text in UNSET.items():
        write(tmp_path, name, text)
    monkeypatch.chdir(tmp_path)
    return {"config_dir": tmp_path, "config_name": "app"}


def test_incident_24_what_a_file_says_must_be_set_is_missing_although_there_is_a_default(
    unset: dict[str, Any],
) -> None:
    found = problems(Experiment, **unset)
    assert {problem.message for problem in found.values()} == {"missing"}
    origins = {name: problem.origin for name, problem in found.items()}
    lines = {"seed": 2, "model": 3, "stop": 4, "optim.lr": 6, "tags": 7}
    assert origins == {name: f"app.yaml:{line}" for name, line in lines.items()}
    assert problems(Experiment, "note=n${seed}", "seed=???", "exp=full", **unset).keys() == {"seed", "note"}


def test_what_must_be_set_may_be_set_by_an_override_or_a_later_file(unset: dict[str, Any]) -> None:
    full = exca.hydra.compose(Experiment, ["exp=full"], **unset)
    assert (full.seed, full.model, full.optim.lr, full.tags) == (1, Conv(channels=2), 0.5, {"a": 1})
    assert full.stop == Stop(patience=2)
    set_ = ["seed=2", "optim.lr=0.3", "tags={b:1}"]
    assert exca.hydra.compose(Experiment, [*set_, "model=transformer", "stop=null"], **unset).model == Transformer()
    by_hand = exca.hydra.compose(
        Experiment, [*set_, "model.name=transformer", "model.dim=3", "stop.patience=1"], **unset
    )
    assert (by_hand.model, by_hand.stop) == (Transformer(dim=3), Stop(patience=1))
    assert problems(Experiment, "exp=unset", *set_, **unset).keys() == {"model", "stop"}


def test_a_field_of_a_node_that_must_be_chosen_says_what_to_choose(unset: dict[str, Any]) -> None:
    found = problems(Experiment, "model.dim=3", **unset)
    options = "model=conv, model=transformer, model=default"
    assert found["model.dim"].hint == f"model has no node here; choose one first: {options}"
    assert found["model"].hint == f"choose one: {options}"


def test_values_of_packages_come_with_file_and_line(tmp_path: Path) -> None:
    write(tmp_path, "app", "defaults: [_self_, extras/fast]\nseed: 1")
    write(tmp_path, "extras/fast", "# @package optim\nmomentum: much")
    found = problems(Experiment, config_dir=tmp_path, config_name="app")
    assert found["optim.momentum"].origin == f"{tmp_path}/extras/fast.yaml:2"


@pytest.mark.parametrize(
    ("name", "text", "line", "message"),
    [
        ("app", "seed: 3\n  optim: [", 2, "mapping values are not allowed here"),
        ("app", "seed: 3\nnote: a\nseed: 4", 3, "found duplicate key seed"),
        ("model/wide", "name: conv\nchannels: [1,", 3, "expected the node content"),
    ],
)
def test_broken_yaml_is_a_problem_of_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, line: int, message: str
) -> None:
    write(tmp_path, "app", "defaults: [{model: wide}, _self_]")
    write(tmp_path, "model/wide", "name: conv")
    write(tmp_path, name, text)
    monkeypatch.chdir(tmp_path)
    (problem,) = problems(Experiment, config_dir=tmp_path, config_name="app").values()
    assert message in problem.message
    assert problem.origin == f"{name}.yaml:{line}"


def test_bytes_that_are_no_text_name_their_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "app", "note: a\x07b")
    monkeypatch.chdir(tmp_path)
    (problem,) = problems(Experiment, config_dir=tmp_path, config_name="app").values()
    assert (problem.origin, problem.message) == (
        "app.yaml", "the file is not valid YAML: special characters are not allowed"
    )  # fmt: skip


def test_config_path_is_relative_to_the_calling_file(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    write(tmp_path, "conf/app", "seed: 3")
    script.write_text("import exca.hydra\nmade = exca.hydra.compose(model, config_path='conf', config_name='app')\n")
    names: dict[str, Any] = {"model": Experiment}
    exec(compile(script.read_text(), str(script), "exec"), names)
    assert names["made"].seed == 3


def test_interpolations_are_resolved_and_dead_ones_reported() -> None:
    assert exca.hydra.compose(Experiment, ["seed=${layers.0}", "note=n${seed}", "layers=[5,${seed}]"]).note == "n5"
    found = problems(Experiment, "note=${nowhere}", "seed=${optim.lr}")
    assert found["note"].value == "${nowhere}"
    assert found["note"].origin == "override note=${nowhere}"
    assert found["seed"].message.startswith("Input should be a valid integer")
    assert exca.hydra.compose(Experiment, ["note=${hydra:job.config_name}"]).note == "experiment"


def test_secrets_are_never_shown() -> None:
    found = problems(Guarded, "token=[swordfish]")
    assert found["token"].value == "**********"
    assert "swordfish" not in str(found["token"].message)
    with pytest.raises(InvalidConfig) as caught:
        exca.hydra.compose(Guarded, ["++token=[swordfish]"])
    assert "swordfish" not in str(caught.value)
    assert "**********" in str(caught.value)


def test_problems_of_hydra_stay_short() -> None:
    with pytest.raises(MissingConfigException, match="Could not find 'model/convv'"):
        exca.hydra.compose(Experiment, ["model=convv"])
    with pytest.raises(MissingConfigException, match="Cannot find primary config 'absent'"):
        exca.hydra.compose(Experiment, config_name="absent")
    with pytest.raises(OverrideParseException):
        exca.hydra.compose(Experiment, ["seed=[1"])


def test_errors_survive_pickling() -> None:
    with pytest.raises(InvalidConfig) as caught:
        exca.hydra.compose(Experiment, ["seed=a"])
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.problems) == (str(caught.value), caught.value.problems)  # type: ignore[attr-defined]


def test_to_model_takes_any_config_and_names_no_origin_it_does_not_know() -> None:
    cfg = OmegaConf.create({"seed": "a", "optim": {"lr": 0.5}})
    with pytest.raises(InvalidConfig) as caught:
        exca.hydra.to_model(cfg, Experiment)
    (problem,) = caught.value.problems  # type: ignore[attr-defined]
    assert (problem.field, problem.origin) == ("seed", None)
    cfg.seed = 1
    assert exca.hydra.to_model(cfg, Experiment) == Experiment(seed=1, optim={"lr": 0.5})  # type: ignore[arg-type]


def test_unions_without_discriminator_are_named_by_their_path_alone() -> None:
    found = exca_problems_of_everything("either={path: [1]}", "models=[{name: conv, channels: 0}]")
    assert "models.0.channels" in found
    assert all(part.split(".")[0] in ("either", "models") for part in found)


def exca_problems_of_everything(*overrides: str) -> set[str]:
    with pytest.raises(InvalidConfig) as caught:
        exca.hydra.compose(Everything, overrides)
    return {problem.field for problem in caught.value.problems}  # type: ignore[attr-defined]


class TestVolatile:
    """A value of the run in the uid makes every run new (incident 29)."""

    def test_incident_29_a_value_of_the_run_in_the_uid_is_warned_of_once(self) -> None:
        with pytest.warns(VolatileValueWarning, match=r"Guarded.name is \$\{now:%Y\}"):
            exca.hydra.compose(Guarded, ["name=${now:%Y}"])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            exca.hydra.compose(Guarded, ["name=${now:%Y}"])

    def test_fields_outside_the_uid_may_hold_values_of_the_run(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            exca.hydra.compose(Guarded, ["comment=${now:%Y}"])
            exca.hydra.compose(Experiment, ["infra.folder=out/${now:%Y}"])


def write(root: Path, name: str, text: str) -> None:
    file = root / f"{name}.yaml"
    file.parent.mkdir(exist_ok=True, parents=True)
    file.write_text(textwrap.dedent(text) + "\n")


PLAIN = """
    import sys
    sys.path.insert(0, {models!r})
    import hydra
    from hydra_models import Experiment
    import exca.hydra

    exca.hydra.register(Experiment)

    @hydra.main(config_path="conf", config_name="config", version_base="1.3")
    def train(cfg):
        print("RUN", exca.hydra.to_model(cfg, Experiment).seed)

    if __name__ == "__main__":
        train()
"""


@pytest.mark.slow
def test_incident_24_a_plain_app_does_not_run_a_default_that_a_file_says_must_be_set(tmp_path: Path) -> None:
    write(tmp_path, "conf/config", "defaults: [experiment, {exp: null}, _self_]\nseed: ???\noptim:\n  lr: ???")
    write(tmp_path, "conf/exp/full", "# @package _global_\nseed: 7")
    (tmp_path / "app.py").write_text(textwrap.dedent(PLAIN).format(models=str(Path(__file__).parent)))
    env = {**os.environ, "PYTHONPATH": str(Path(exca.hydra.__file__).parents[2]), "PYTHONWARNINGS": "ignore"}

    def run(*words: str) -> Any:
        command = [sys.executable, "app.py", *words, "hydra.run.dir=out"]
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=100, check=False)

    done = run()
    assert done.returncode == 1
    assert "RUN" not in done.stdout
    assert "seed: missing\n      from   conf/config.yaml:2\n      hint   set it with seed=<value>" in done.stderr
    assert "conf/config.yaml:4" in done.stderr
    assert "RUN 3" in run("seed=3", "optim.lr=1").stdout
