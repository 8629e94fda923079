"""Hydra's own suites for launchers and sweepers, inherited whole: nothing is deselected."""

from __future__ import annotations

import typing as tp
from pathlib import Path

import pytest
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.test_utils.launcher_common_tests import BatchedSweeperTestSuite, IntegrationTestSuite, LauncherTestSuite
from hydra.version import VersionBase
from packaging.version import Version

launcher_plugin = pytest.importorskip("hydra_plugins.hydra_exca.launcher", reason="the plugin is not installed")

# Hydra's own words about apps without version_base, as its suites' are.
pytestmark = pytest.mark.filterwarnings("ignore:\\s*Future Hydra versions will no longer change working directory")

CLUSTERS = ("inline", "processpool", "local")


@pytest.fixture(autouse=True)
def _as_in_hydra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tp.Iterator[None]:
    """A folder to start in, so that no two tests share a result, and the version base of a fresh process.

    The suites name no version base, and expect jobs to run in their output folders, as of 1.1.
    """
    monkeypatch.chdir(tmp_path)
    before = VersionBase.instance().version_base
    VersionBase.instance().version_base = Version("1.1")
    yield
    VersionBase.instance().version_base = before  # the suites put another instance in its place


def _launched(*others: str) -> list[tp.Any]:
    """The parameters of a suite for each cluster; what starts processes is slow."""
    parameters = []
    for cluster in CLUSTERS:
        fields = [] if cluster == "inline" else [f"hydra.launcher.cluster={cluster}", "hydra.launcher.max_workers=2"]
        marks = [] if cluster == "inline" else [pytest.mark.slow]
        parameters.append(pytest.param("exca", [*fields, *others], id=cluster, marks=marks))
    return parameters


def test_the_launcher_is_found() -> None:
    assert "ExcaLauncher" in [found.__name__ for found in Plugins.instance().discover(Launcher)]


def test_the_sweeper_is_found() -> None:
    assert "ExcaSweeper" in [found.__name__ for found in Plugins.instance().discover(Sweeper)]


@pytest.mark.slow
@pytest.mark.parametrize(("launcher_name", "overrides"), _launched())
class TestLauncher(LauncherTestSuite):
    """Our launcher, under Hydra's sweeper."""


@pytest.mark.parametrize(("launcher_name", "overrides"), _launched("hydra/sweeper=exca"))
class TestLauncherAndSweeper(LauncherTestSuite):
    """Our launcher, under our sweeper."""


@pytest.mark.slow
@pytest.mark.parametrize(("launcher_name", "overrides"), [("basic", ["hydra/sweeper=exca"])])
class TestSweeperOverBasic(LauncherTestSuite):
    """Our sweeper, over Hydra's launcher."""


BATCHES = ("hydra/sweeper=exca", "hydra.sweeper.max_batch_size=2")


@pytest.mark.parametrize(
    ("launcher_name", "overrides"),
    [*_launched(*BATCHES), pytest.param("basic", list(BATCHES), id="basic", marks=pytest.mark.slow)],
)
class TestBatches(BatchedSweeperTestSuite):
    """Our sweeper in batches, over our launcher and over Hydra's."""


def _configured(cluster: str, sweeper: str) -> tp.Any:
    defaults = [
        "_self_",
        {"override hydra/launcher": "exca"},
        {"override hydra/sweeper": sweeper},
        {"override hydra/hydra_logging": "hydra_debug"},
        {"override hydra/job_logging": "disabled"},
    ]
    fields: dict[str, tp.Any] = {"code_change": "recompute"}  # one test writes its app anew, with another computation
    if cluster != "inline":
        fields |= {"cluster": cluster, "max_workers": 2}
    config = {"defaults": defaults, "hydra": {"launcher": fields}}
    return pytest.param(config, ["-m"], id=f"{cluster}-{sweeper}")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task_launcher_cfg", "extra_flags"),
    [_configured(cluster, sweeper) for cluster in CLUSTERS for sweeper in ("basic", "exca")],
)
class TestIntegration(IntegrationTestSuite):
    """Apps of their own, started as a user does."""
