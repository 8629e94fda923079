"""Points that only set values are read without composing each: the models are the same, at a hundredth of the cost."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import setup_globals
from hydra.errors import ConfigCompositionException
from hydra.types import RunMode
from hydra_models import Everything, Experiment
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from pydantic import BaseModel

import exca.hydra
from exca.errors import InvalidConfig
from exca.hydra._loader import ModelLoader
from exca.hydra._parsing import _simple, parse
from exca.hydra._shortcut import Shortcut
from exca.identity import identify

FILES = {
    "plain": "defaults: [_self_, {exp: null}]\nseed: 3\nmodel: {name: transformer}\n",
    "linked": """
        note: s${seed}
        tags: {double: '${layers.0}', deep: {lr: '${optim.lr}'}}
        data: {path: 'x/${.fraction}'}
        """,
    "unset": "seed: ???\nnote: ???\n",
    "timed": "note: ${now:%Y}\n",
    "numbered": "note: job ${hydra:job.num}\n",
    "variables": "hydra: {job: {env_set: {SHORTCUT_TEST: there}}}\nnote: '${oc.env:SHORTCUT_TEST}'\n",
    "exp/one": "# @package _global_\ndefaults: [{override /model: conv}]\nlayers: [1]\n",
    "model/wide": "name: transformer\ndim: 512\n",
}
POINTS = [
    ["seed=1"], ["seed=1", "optim.lr=1e-2"], ["note=word", "seed=2"], ["model=conv", "seed=1"], ["layers=[5,6]"],
    ["model=wide", "model.dropout=0", "seed=1"], ["exp=one", "seed=1"], ["model.name=conv"], ["tags.team=x"],
    ["tags.new=1"], ["+tags.other={a: [1]}"], ["stop.patience=3"], ["stop=null"], ["optim.schedule=linear"],
    ["seed=1", "note=n${seed}"], ["note='a b'"], ["optim={lr: 2}"], ["infra=slurm", "infra.mem_gb=3"], ["layers.0=9"],
    ["hydra.job.name=other", "seed=1"], ["~tags.team"], ["data.fraction=0.5", "note=x", "seed=4"], [],
]  # fmt: skip


@pytest.fixture(autouse=True)
def rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version.VersionBase.instance(), "version_base", None)
    version.setbase("1.3")
    setup_globals()


@pytest.fixture(scope="module")
def conf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("conf")
    for name, text in FILES.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / f"{name}.yaml").write_text(textwrap.dedent(text))
    return root


def outcomes(loader: ModelLoader, master: Any, model: type[BaseModel]) -> Iterator[tuple[Any, Any]]:
    """Yield what becomes of each point, read and composed: a model, or a message."""
    for point in POINTS:
        yield tuple(_outcome(read, point) for read in (
            lambda texts: exca.hydra.read_points(loader, master, [texts], model)[0],
            lambda texts: exca.hydra.to_model(loader.load_sweep_config(master, texts), model),
        ))  # fmt: skip


def _outcome(read: Any, point: list[str]) -> Any:
    try:
        return read(point)
    except ConfigCompositionException:
        return "does not compose"
    except InvalidConfig as error:
        found = [problem.field for problem in error.problems]  # type: ignore[attr-defined]
        return found if found != [""] else "does not compose"


@pytest.mark.filterwarnings("ignore::exca.hydra.VolatileValueWarning")
@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("plain", 15),
        pytest.param("linked", 12, marks=pytest.mark.slow),
        pytest.param("unset", 1, marks=pytest.mark.slow),
        pytest.param("timed", 0, marks=pytest.mark.slow),
        ("numbered", 0),
        pytest.param("variables", 12, marks=pytest.mark.slow),
    ],
)
def test_points_are_what_they_would_be_composed(conf: Path, name: str, short: int) -> None:
    loader = ModelLoader(create_config_search_path(str(conf)), Experiment)
    master = loader.load_configuration(name, [], RunMode.MULTIRUN)
    if name != "numbered":  # whose points are numbered by the sweep alone
        for made, expected in outcomes(loader, master, Experiment):
            assert made == expected
            if isinstance(expected, Experiment):
                assert identify(made) == identify(expected)
                assert made.model_fields_set == expected.model_fields_set
    shortcut = Shortcut(loader.composer, master, loader.schema)
    assert sum(shortcut.point(point) is not None for point in POINTS) >= short
    assert (short > 0) == any(shortcut.point(point) is not None for point in POINTS)


def test_points_share_nothing_that_one_may_change(conf: Path) -> None:
    loader = ModelLoader(create_config_search_path(None), Everything)
    master = loader.load_configuration("everything", ["anything={a: [1]}"], RunMode.MULTIRUN)
    points = [["anything={a: [1]}", f"count={count}"] for count in range(2)] + [["anything=[[1]]"]] * 2
    first, second, third, fourth = exca.hydra.read_points(loader, master, points, Everything)
    first.anything["a"].append(2)
    third.anything[0].append(2)
    assert second.anything == {"a": [1]}
    assert fourth.anything == [[1]]


KEYS = st.from_regex(r"[a-z_]{1,3}([./][a-z_][a-z0-9_]{0,2}){0,2}", fullmatch=True)
WORDS = st.from_regex(r"[A-Za-z0-9_.+:$~-]{1,8}", fullmatch=True)
NUMBERS = (
    st.integers().map(str) | st.floats().map(repr) | st.sampled_from(["+1", "-0", "1e5", "1.", ".5", "1_0", "TRUE"])
)


@given(KEYS, WORDS | NUMBERS)
def test_simple_overrides_are_parsed_as_hydra_does(key: str, value: str) -> None:
    made = _simple(f"{key}={value}")
    if made is not None:
        assert made == OverridesParser.create().parse_overrides([f"{key}={value}"])[0]
        assert type(made.value()) is type(OverridesParser.create().parse_overrides([f"{key}={value}"])[0].value())


def test_most_overrides_are_simple() -> None:
    texts = ["seed=1", "optim.lr=0.1", "optim.lr=1e-3", "model=conv", "model/attention=sparse", "seed=-4"]
    assert None not in map(_simple, texts)
    assert [override.input_line for override in parse(texts)] == texts


@pytest.mark.slow
def test_incident_28_ten_thousand_points_take_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ConfigStore.instance(), "repo", dict(ConfigStore.instance().repo))
    exca.hydra.register(Experiment)
    plain = ConfigLoaderImpl(create_config_search_path(None))
    loader = ModelLoader(create_config_search_path(None), Experiment)
    master, other = (each.load_configuration("experiment", [], RunMode.MULTIRUN) for each in (loader, plain))
    points = [[f"optim.lr=0.{i % 97 + 1}", f"seed={i}", f"data.fraction=0.{i % 9 + 1}"] for i in range(10_000)]

    start = time.perf_counter()
    for point in points[:20]:
        plain.load_sweep_config(other, point)
    theirs = (time.perf_counter() - start) / 20
    ours = {}
    for count in (100, 1_000, 10_000):
        start = time.perf_counter()
        models = exca.hydra.read_points(loader, master, points[:count], Experiment)
        uids = {model.infra.uid() for model in models}
        ours[count] = (time.perf_counter() - start) / count
        assert len(uids) == count
    with capsys.disabled():
        each = ", ".join(f"{count} points {seconds * 1e3:.2f} ms each" for count, seconds in ours.items())
        print(f"\ncomposed, validated, named: {each}; load_sweep_config alone {theirs * 1e3:.1f} ms")
    assert ours[10_000] * 100 < theirs
    assert ours[10_000] < 3 * ours[100]


def test_a_sweep_over_a_config_with_references_resolves_them_for_each_point(conf: Path) -> None:
    loader = ModelLoader(create_config_search_path(str(conf)), Experiment)
    master = loader.load_configuration("linked", [], RunMode.MULTIRUN)
    models = exca.hydra.read_points(loader, master, [[f"seed={seed}", "layers=[7]"] for seed in range(3)], Experiment)
    assert [(model.note, model.tags["double"]) for model in models] == [("s0", 7), ("s1", 7), ("s2", 7)]
    assert OmegaConf.is_missing(master, "note") is False
