"""The environment variables that a call finds are the same, whichever calls its worker has run before."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from executor_contract import results

from exca.execution import Call, Resources, make_executor

MODULE = """
import os

os.environ.setdefault("EXCA_TEST_MODE", "fast")
os.environ["OMP_NUM_THREADS"] = "3"
os.environ.pop("EXCA_TEST_GONE", None)

def look():
    from exca_test_lazily import look_again
    names = "MODE", "GONE", "INITIALIZED", "GIVEN", "LEAK"
    found = *(os.environ.get(f"EXCA_TEST_{name}") for name in names), os.environ["OMP_NUM_THREADS"], look_again()
    os.environ["EXCA_TEST_MODE"] = os.environ["EXCA_TEST_LEAK"] = "of this call"
    del os.environ["OMP_NUM_THREADS"], os.environ["EXCA_TEST_GIVEN"]
    return found
"""
LAZY_MODULE = """
import os

os.environ.setdefault("EXCA_TEST_LAZY", "fast")

def look_again():
    return os.environ.get("EXCA_TEST_LAZY")
"""


@pytest.fixture
def look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], object]:
    """A function of a module that sets variables when it is imported, and imports another such when it is called."""
    (tmp_path / "exca_test_eagerly.py").write_text(MODULE)
    (tmp_path / "exca_test_lazily.py").write_text(LAZY_MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("EXCA_TEST_MODE", "OMP_NUM_THREADS"):
            patch.setenv(name, "")  # so that it is removed when the module has set it here
        function: Callable[[], object] = importlib.import_module("exca_test_eagerly").look
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("EXCA_TEST_GONE", "still there")
    monkeypatch.setenv("EXCA_TEST_GIVEN", "by the submitter")
    return function


def initialize() -> None:
    os.environ["EXCA_TEST_INITIALIZED"] = "yes"


@pytest.mark.parametrize("cluster", ["local", "processpool"])
def test_what_imports_and_the_initializer_set_lasts_and_what_a_call_sets_does_not(
    tmp_path: Path, look: Callable[[], object], cluster: str
) -> None:
    logs = str(tmp_path / "logs") if cluster == "local" else None
    resources = Resources(cluster=cluster, max_workers=1)
    found = results(make_executor(resources, logs, initializer=initialize).submit([Call(look)] * 3))
    assert found == [("fast", None, "yes", "by the submitter", None, "3", "fast")] * 3
    found = results(make_executor(resources, logs).submit([Call(look)] * 2))
    assert found == [("fast", None, None, "by the submitter", None, "3", "fast")] * 2
