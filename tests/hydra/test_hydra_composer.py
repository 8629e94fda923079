"""Composition with a memory equals composition by Hydra, for every point; and it is fast."""

from __future__ import annotations

import copy
import itertools
import random
import textwrap
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.config_store import ConfigStore
from hydra.core.utils import setup_globals
from hydra.types import RunMode
from hydra_models import Experiment
from omegaconf import DictConfig, ListConfig, OmegaConf

import exca.hydra
from exca.hydra import Composer
from exca.hydra._cloning import clone
from exca.hydra._loader import ModelLoader

FILES = {
    "app": """
        defaults:
          - experiment
          - db: sqlite
          - optional extra: nothing
          - _self_
        now: ${now:%f}
        user: {name: me, full: "${.name} and ${seed}"}
        hydra: {job: {config: {override_dirname: {exclude_keys: [seed], item_sep: "/"}}}}
        """,
    "app2": """
        defaults: [experiment, {override model: transformer}, _self_]
        hydra: {job: {env_copy: [HOME]}, sweep: {subdir: "${hydra.job.override_dirname}"}}
        """,
    "db/sqlite": "{kind: sqlite, file: a.db, options: {}}\n",
    "db/server": "# @package db\n{kind: server, host: ${user.name}, ports: [1, 2]}\n",
    "extra/more": "# @package _global_\nseed: 7\nadded: 1\n",
    "exp/one": "# @package _global_\ndefaults: [{override /model: conv}, {override /db: server}]\nlayers: [1]\n",
}
OVERRIDES = {
    "app": [
        "model=conv", "model=transformer", "model/attention=sparse", "db=server", "+exp=one", "extra=more",
        "seed=3", "seed=null", "optim.lr=1e-3", "optim={lr: 2}", "optim.schedule=null", "tags.a=1",
        "+tags.b.c=[1,{x:2}]",
        "++tags.team=x", "~tags.team", "~user", "~db", "layers=[3]", "note='a,b ${seed}'", "+note2=${hydra:job.name}",
        "user.name=${note}", "hydra.job.name=n", "hydra.sweep.dir=x", "hydra.verbose=true", "hydra.job.env_set.A=b",
        "+hydra.job.env_copy=[HOME]", "hydra.runtime.cwd=/x", "hydra/job_logging=none", "hydra.searchpath=[]",
        "stop=default", "infra=slurm", "infra.mem_gb=3", "db.file=x", "db.host=y", "model.dim=2", "zzz=1", "+seed=1",
        "~zzz", "model=absent", "nogroup/x=1", "seed@pkg=1", "db@other=server", "+db@second=server", "seed=1,2",
        "user.name.x=1", "layers.0=5", "layers.9=5", "hydra.job.config.override_dirname.kv_sep=:", "~layers",
        "note=", "optim.lr=${optim.momentum}", "now=x", "tags={}", "+new={a: {b: 1}}", "hydra.nothing=1",
    ],
    "app2": ["seed=1", "model=conv", "model.attention.heads=2", "hydra.job.env_copy=[]", "tags.a=${oc.env:HOME}"],
}  # fmt: skip


@pytest.fixture(autouse=True)
def setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Write the files, register the model, compose by the rules of Hydra 1.3."""
    for name, text in FILES.items():
        file = tmp_path / f"{name}.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(textwrap.dedent(text).lstrip())
    monkeypatch.setattr(ConfigStore.instance(), "repo", dict(ConfigStore.instance().repo))
    exca.hydra.register(Experiment)
    before = version.getbase()
    version.setbase("1.3")
    setup_globals()
    yield
    version.VersionBase.instance().version_base = before


def corpus(name: str, every: int, count: int) -> Iterator[list[str]]:
    """Yield override lists: every n-th override alone, then random combinations in random orders."""
    yield []
    yield from ([override] for override in OVERRIDES[name][::every])
    draw = random.Random(count)
    for _ in range(count):
        yield draw.sample(OVERRIDES[name], draw.randint(2, min(6, len(OVERRIDES[name]))))


def outcome(load: Any, overrides: Sequence[str]) -> tuple[Any, Any]:
    """Return the config, or the error as far as users see it."""
    try:
        return load(list(overrides)), None
    except Exception as error:
        return None, (type(error), str(error), str(error.__cause__))


def assert_same(left: Any, right: Any) -> None:
    """Compare two configs down to flags, types and raw values."""
    assert type(left) is type(right)
    assert left._metadata.flags == right._metadata.flags or not (left._metadata.flags or right._metadata.flags)
    assert (left._metadata.ref_type, left._metadata.object_type) == (
        right._metadata.ref_type,
        right._metadata.object_type,
    )
    one, other = left._value(), right._value()
    if isinstance(left, DictConfig) and isinstance(one, dict):
        assert list(one) == list(other)
        pairs = [(one[key], other[key]) for key in one]
    elif isinstance(left, ListConfig) and isinstance(one, list):
        assert len(one) == len(other)
        pairs = list(zip(one, other, strict=True))
    else:
        assert (type(one), one) == (type(other), other)
        return
    for below in pairs:
        assert all(node._get_parent() is parent for node, parent in zip(below, (left, right), strict=True))
        assert_same(*below)


@pytest.mark.parametrize(
    ("name", "every", "count"),
    [("app2", 1, 2), *(pytest.param("app", *each, marks=pytest.mark.slow) for each in ((5, 6), (1, 400)))],
)
def test_every_point_equals_what_hydra_composes(tmp_path: Path, name: str, every: int, count: int) -> None:
    plain = ConfigLoaderImpl(create_config_search_path(str(tmp_path)))
    master = plain.load_configuration(name, ["hydra.verbose=false", "seed=5,6"], RunMode.MULTIRUN)
    assert name != "app" or master.now  # from now on, the time of the sweep
    composer = Composer(plain)
    good = 0
    for overrides in corpus(name, every, count):
        expected, error = outcome(lambda texts: plain.load_sweep_config(master, texts), overrides)
        made, made_error = outcome(lambda texts: composer.load_sweep_config(master, texts), overrides)
        assert made_error == error, overrides
        if expected is not None:
            good += 1
            assert_same(made, expected)
            if "now" in expected:
                assert made.now == expected.now
    assert good > 4


@pytest.mark.slow
def test_the_loader_of_a_model_equals_its_own_composition_without_memory(tmp_path: Path) -> None:
    loader, fresh = (ModelLoader(create_config_search_path(str(tmp_path)), Experiment) for _ in range(2))
    lists = [["model.name=transformer", "model.dim=2"], ["stop.patience=1", "tags.x=1", "model=null"], ["stop=null"]]
    good = 0
    for overrides in itertools.chain(corpus("app", 8, 2), lists):
        fresh.composer._bases.clear()
        expected, error = outcome(lambda texts: fresh.load_configuration("app", texts, RunMode.RUN), overrides)
        made, made_error = outcome(lambda texts: loader.load_configuration("app", texts, RunMode.RUN), overrides)
        assert made_error == error, overrides
        if expected is not None:
            good += 1
            assert_same(made, expected)
            assert list(made.hydra.overrides._get_node("task")._iter_ex(resolve=False)) == [
                text for text in overrides if not text.lstrip("+~").startswith("hydra")
            ]
    assert good > 5


def test_points_do_not_share_anything(tmp_path: Path) -> None:
    loader = ModelLoader(create_config_search_path(str(tmp_path)), Experiment)
    first = loader.load_configuration("app", ["seed=1"], RunMode.RUN)
    first.layers.append(9)
    first.optim.lr = 7
    OmegaConf.set_struct(first.hydra, False)
    second = loader.load_configuration("app", ["seed=2"], RunMode.RUN)
    assert (second.layers, second.optim.lr, second.seed) == ([8, 4], 0.3, 2)
    assert OmegaConf.is_struct(second.hydra)


def test_a_clone_is_a_deep_copy(tmp_path: Path) -> None:
    cfg = ConfigLoaderImpl(create_config_search_path(str(tmp_path))).load_configuration("app", ["~now"], RunMode.RUN)
    twin = clone(cfg)
    assert_same(twin, copy.deepcopy(cfg))
    twin._metadata.resolver_cache = cfg._metadata.resolver_cache  # both are to hold the same ${now:...}
    assert twin == cfg
    twin.hydra.job.name = "other"
    assert cfg.hydra.job.name != "other"
    assert twin.user.full == "me and 0"


@pytest.mark.slow
def test_a_point_costs_a_small_part_of_what_hydra_takes(tmp_path: Path) -> None:
    plain = ConfigLoaderImpl(create_config_search_path(str(tmp_path)))
    master = plain.load_configuration("app", [], RunMode.MULTIRUN)
    composer = Composer(plain)
    points = [[f"optim.lr=0.{lr}", f"seed={seed}"] for lr in range(1, 5) for seed in range(50)]

    def cost(load: Any, texts: Sequence[list[str]]) -> float:
        start = time.perf_counter()
        for overrides in texts:
            load(master, overrides)
        return (time.perf_counter() - start) / len(texts)

    cost(composer.load_sweep_config, points)
    assert cost(composer.load_sweep_config, points) * 10 < cost(plain.load_sweep_config, points[:10])
