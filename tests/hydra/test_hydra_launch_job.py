"""A point is run as Hydra runs a job: compared with ``run_job``, step by step."""

from __future__ import annotations

import copy
import os
import typing as tp
from pathlib import Path

import pytest
import yaml
from hydra import initialize
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, run_job
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, open_dict

from exca.hydra._launch_job import run_point


def native(context: HydraContext, function: tp.Callable[[DictConfig], tp.Any], config: DictConfig) -> JobReturn:
    return run_job(
        hydra_context=context,
        task_function=function,
        config=config,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )


@pytest.fixture
def context(tmp_path: Path) -> tp.Iterator[HydraContext]:
    with initialize(version_base="1.3", config_path=None, job_name="app"):
        loader = GlobalHydra.instance().config_loader()
        yield HydraContext(config_loader=loader, callbacks=Callbacks())


def composed(context: HydraContext, folder: Path, *overrides: str) -> DictConfig:
    texts = [f"hydra.sweep.dir={folder}", "+text='1e3'", "+long=" + "word_" * 60, "+list=[1,null,true]", *overrides]
    config = context.config_loader.load_configuration(None, texts, RunMode.MULTIRUN)
    with open_dict(config):
        config.hydra.job.id = "0"
        config.hydra.job.num = 0
        config.hydra.job.name = "app"
    return config


CASES: list[tuple[str, ...]] = [
    (),
    ("hydra.job.chdir=true",),
    ("hydra.output_subdir=null",),
    ("+hydra.job.env_set.EXCA_TEST_VARIABLE=set",),
    ("hydra.sweep.subdir=${hydra.job.override_dirname}", "hydra.job.config.override_dirname.exclude_keys=[long,list]"),
    ("+deep.a.b=${text}", "+deep.c='héé'", "+deep.d='no'"),
]


@pytest.mark.parametrize("overrides", CASES)
@pytest.mark.parametrize("fails", [False, True])
def test_same_as_hydra(context: HydraContext, tmp_path: Path, overrides: tuple[str, ...], fails: bool) -> None:
    error = ValueError("as told")
    seen: list[tp.Any] = []

    def function(config: DictConfig) -> str:
        hydra = HydraConfig.get()
        seen.append(
            (
                copy.deepcopy(config),
                os.getcwd(),
                os.environ.get("EXCA_TEST_VARIABLE"),
                hydra.runtime.output_dir,
                hydra.job.num,
            )
        )
        if fails:
            raise error
        return "value"

    config = composed(context, tmp_path, *overrides)
    start = os.getcwd()
    results, files = [], []
    for run in (native, run_point):
        results.append(run(context, function, copy.deepcopy(config)))
        files.append({str(path): yaml.safe_load(path.read_text()) for path in tmp_path.rglob("*.yaml")})
        assert os.getcwd() == start
        assert not HydraConfig.initialized()
    hydras, ours = results
    assert seen[0] == seen[1]
    assert files[0] == files[1]
    assert (hydras.status, hydras._return_value) == (ours.status, ours._return_value)
    assert ours.status is (JobStatus.FAILED if fails else JobStatus.COMPLETED)
    for name in ("cfg", "hydra_cfg", "overrides", "working_dir", "task_name"):
        assert getattr(hydras, name) == getattr(ours, name), name


def test_files_are_hydras_to_the_letter(context: HydraContext, tmp_path: Path) -> None:
    config = composed(context, tmp_path)
    texts = []
    for run in (native, run_point):
        run(context, lambda _: None, copy.deepcopy(config))
        texts.append({path.name: path.read_text() for path in tmp_path.rglob("*.yaml")})
    assert texts[0] == texts[1]
