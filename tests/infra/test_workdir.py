"""A workdir as a user gives it: one folder, or several things; in Python, YAML and overrides."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pydantic
import pytest

import exca
import exca.hydra
from exca.errors import InvalidInfra
from exca.infra import WorkDir


class Where(pydantic.BaseModel):
    """Says what the jobs see."""

    module: str = ""
    infra: exca.TaskInfra = exca.TaskInfra()

    @infra.apply
    def run(self) -> list[str]:
        import importlib
        import os

        value = importlib.import_module(self.module).VALUE if self.module else ""
        return [os.getcwd(), str(value)]


class TestForms:
    def test_a_folder(self) -> None:
        assert Where(infra={"workdir": "."}).infra.workdir == Path(".")

    @pytest.mark.parametrize("copied", ["package", ["package"], [Path("package")]])
    def test_several_things(self, copied: Any) -> None:
        workdir = Where(infra={"workdir": {"copied": copied, "excludes": "*.csv"}}).infra.workdir
        assert isinstance(workdir, WorkDir)
        assert list(map(str, workdir.copied)) == ["package"]
        assert workdir.excludes == ["*.csv"]

    @pytest.mark.parametrize("given", [{"copied": []}, {}, {"copied": ["a"], "include": ["*.py"]}])
    def test_what_is_refused(self, given: dict[str, Any]) -> None:
        with pytest.raises(pydantic.ValidationError, match="workdir"):
            Where(infra={"workdir": given})

    def test_it_is_not_part_of_the_uid(self) -> None:
        assert Where(infra={"workdir": {"copied": ["package"]}}).infra.uid() == Where().infra.uid()

    @pytest.mark.parametrize(
        ("override", "expected"),
        [
            ("infra.workdir=code", Path("code")),
            ("infra.workdir.copied=[mypackage,script.py]", WorkDir(copied=["mypackage", "script.py"])),
            ("infra.workdir={copied:[a],includes:['*.py']}", WorkDir(copied=["a"], includes=["*.py"])),
        ],
    )
    def test_overrides(self, override: str, expected: object) -> None:
        config = exca.hydra.compose(Where, overrides=[override])
        assert config.infra.workdir == expected
        assert exca.hydra.compose(Where, overrides=exca.hydra.to_overrides(config)).infra.workdir == expected


def project(tmp_path: Path) -> Path:
    """A repository as they are: a script, a package in `src`, the cache among the code."""
    folder = tmp_path / "project"
    package = folder / "src" / "edited_since"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from .values import VALUE\n")
    (package / "values.py").write_text("VALUE = 'as submitted'\n")
    (package / "table.csv").write_text("1,2\n")
    (folder / "notes.txt").write_text("n")
    return folder


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = project(tmp_path)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder / "src"))
    return folder


@pytest.mark.parametrize("cluster", ["processpool", pytest.param("local", marks=pytest.mark.slow)])
def test_jobs_run_in_the_copy(code: Path, cluster: str) -> None:
    copied = {"copied": ["edited_since", "notes.txt"], "excludes": ["*.csv"]}
    here = {"folder": "cache", "cluster": cluster, "workdir": copied}
    config = Where(module="edited_since", infra=here)
    folder, value = config.run()
    assert value == "as submitted"
    uid_folder = config.infra.uid_folder()
    assert uid_folder is not None
    assert (uid_folder / "code").resolve() == Path(folder)
    assert (Path(folder) / "notes.txt").read_text() == "n"
    assert {path.name for path in (Path(folder) / "edited_since").glob("*.*")} == {"__init__.py", "values.py"}
    again = Where(module="edited_since.values", infra=here)
    assert again.run() == [folder, "as submitted"], "the same code is the same copy"
    (code / "src" / "edited_since" / "values.py").write_text("VALUE = 'edited'\n")
    changed = Where(module="edited_since", infra=here | {"mode": "force", "code_change": "ignore"})
    assert changed.run()[1] == "edited"


@pytest.mark.slow
def test_the_cache_is_no_code(code: Path) -> None:
    infra = {"folder": "cache", "cluster": "processpool", "workdir": "."}
    first, _ = Where(infra=infra).run()
    second, _ = Where(infra=infra | {"version": "1"}).run()
    assert first == second
    assert not (Path(first) / "cache").exists()


def test_copies_can_lie_elsewhere(code: Path, tmp_path: Path) -> None:
    workdir = {"copied": ["src"], "folder": tmp_path / "elsewhere"}
    folder, value = Where(module="edited_since", infra={"cluster": "processpool", "workdir": workdir}).run()
    assert Path(folder).parents[1] == tmp_path / "elsewhere"
    assert value == "as submitted", "src is on the import path, and so is its copy"


def test_what_is_not_there_is_said_at_submission(code: Path) -> None:
    config = Where(infra={"cluster": "processpool", "workdir": {"copied": ["no_such_package"]}})
    with pytest.raises(InvalidInfra, match=r"workdir\.copied: 'no_such_package' is neither in"):
        config.run()
    assert config.infra.status() == "not submitted"


SCRIPT = """
import sys
import pydantic, exca
from {package} import values

class Place(pydantic.BaseModel):
    infra: exca.TaskInfra = exca.TaskInfra()
    @infra.apply
    def run(self) -> str:
        from . import values
        return f"{{values.VALUE}} {{values.__file__}}"

if __name__ == "__main__":
    here = {{"folder": "cache", "cluster": "local", "workdir": {{"copied": ["{package}"]}}}}
    print(Place(infra=here).run())
"""


@pytest.mark.slow
def test_a_module_that_is_run_may_import_its_siblings(tmp_path: Path) -> None:
    package = tmp_path / "lab"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "values.py").write_text("VALUE = 3\n")
    (package / "train.py").write_text(SCRIPT.format(package="lab"))
    done = subprocess.run([sys.executable, "-m", "lab.train"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    value, _, file = done.stdout.strip().partition(" ")
    assert value == "3"
    assert Path(file).is_relative_to(tmp_path / "cache" / "logs")


def test_the_python_of_an_environment_runs_the_copy(code: Path, tmp_path: Path) -> None:
    prefix = tmp_path / "env"
    (prefix / "bin").mkdir(parents=True)
    (prefix / "bin" / "python").write_text(f'#!/bin/sh\nexport STARTED_BY={prefix}\nexec {sys.executable} "$@"\n')
    (prefix / "bin" / "python").chmod(0o755)
    (code / "src" / "edited_since" / "values.py").write_text("import os\nVALUE = os.environ.get('STARTED_BY')\n")
    infra = {"folder": "cache", "cluster": "local", "conda_env": prefix, "workdir": {"copied": ["src"]}}
    assert Where(module="edited_since", infra=infra).run()[1] == str(prefix)
