"""What the tests of several rooms need: interpreters, pools that serve more than one test, counts of examples."""

from __future__ import annotations

import os
import typing as tp
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from warm_python import FreshPython, WarmPython


def pytest_configure(config: pytest.Config) -> None:
    """Try few examples of each property among the fast tests, and many among the slow ones, which repeat them.

    Nothing is said about time: a machine under load is slow, not wrong.
    """
    patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("fast", patient, max_examples=30)
    settings.register_profile("thorough", patient, max_examples=200)
    if config.getoption("hypothesis_profile", None) is None:
        settings.load_profile("fast" if "not slow" in config.getoption("markexpr") else "thorough")


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call() -> tp.Generator[None, object, object]:
    """Take away the variable in which pytest names the test: a kept pool serves one environment, not one test."""
    os.environ.pop("PYTEST_CURRENT_TEST", None)
    return (yield)


@pytest.fixture(scope="session")
def _warm_python() -> Iterator[WarmPython]:
    plugin = "hydra_plugins.hydra_exca"
    python = WarmPython("exca.cli", "exca.hydra._launch_app", f"{plugin}.launcher", f"{plugin}.sweeper", "rich.table")
    yield python
    python.close()


@pytest.fixture
def python(request: pytest.FixtureRequest) -> FreshPython:
    """Give what starts scripts: new interpreters if the test is slow, else forks of one that is warm."""
    if request.node.get_closest_marker("slow"):
        return FreshPython()
    return tp.cast("FreshPython", request.getfixturevalue("_warm_python"))
