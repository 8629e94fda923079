"""The code of the tutorial runs as it is written there, and what the tutorial says around it is so."""

from __future__ import annotations

import runpy
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pydantic
import pytest
import yaml
from snippets import ROOT, blocks

import exca

PAGE = ROOT / "docs" / "tutorials" / "task-and-map.md"
SECTIONS = {"A task": 3, "A map": 2, "A function": 1, "Pydantic in brief": 4}


def run_section(title: str, tmp_path: Path) -> dict[str, Any]:
    """Run the blocks of a section as one script and return its names."""
    texts = [block.text for block in blocks(PAGE) if block.section == title]
    assert len(texts) == SECTIONS[title]
    script = "\n".join(texts)
    if title == "A task":
        assert script.count("import torch\n") == 1
        if find_spec("torch") is None:  # optional: without it that line alone is left out
            script = script.replace("import torch\n", "\n")
    # A folder of its own: `tmp_path` is the cache of the tutorial.
    file = tmp_path.parent / f"{tmp_path.name}_script" / "tutorial.py"
    file.parent.mkdir()
    file.write_text(script)
    return runpy.run_path(str(file), {"tmp_path": tmp_path}, "tutorial")


def test_every_block_belongs_to_a_section_that_is_run() -> None:
    assert {block.section for block in blocks(PAGE)} == set(SECTIONS)


@pytest.mark.parametrize("title", SECTIONS)
def test_tutorial_section_runs_as_written(title: str, tmp_path: Path) -> None:
    run_section(title, tmp_path)


def test_tutorial_models_refuse_what_the_text_says(tmp_path: Path) -> None:
    names = run_section("Pydantic in brief", tmp_path)
    with pytest.raises(pydantic.ValidationError):
        names["MyModel"](x="wrong")
    with pytest.raises(pydantic.ValidationError):
        names["MyModel"](x=12, wrong_parameter=12)


class Task(pydantic.BaseModel):
    """The task of the tutorial, at module level so that another process finds it."""

    param: int = 12
    infra: exca.TaskInfra = exca.TaskInfra(version="1")

    @infra.apply
    def process(self) -> float:
        """Draw a number."""
        print("drawing")
        return float(self.param * np.random.default_rng().random())


def test_an_infra_forbids_unknown_parameters() -> None:
    with pytest.raises(pydantic.ValidationError, match="wrong_parameter"):
        Task(wrong_parameter=12)


def test_modes_of_the_tutorial(tmp_path: Path) -> None:
    first = Task(infra={"folder": tmp_path}).process()
    assert Task(infra={"folder": tmp_path, "mode": "cached"}).process() == first
    assert Task(infra={"folder": tmp_path, "mode": "retry"}).process() == first
    forced = Task(infra={"folder": tmp_path, "mode": "force"}).process()
    assert forced != first
    assert Task(infra={"folder": tmp_path}).process() == forced


def test_folder_of_a_task_holds_its_manifests(tmp_path: Path) -> None:
    task = Task(param=3, infra={"folder": tmp_path})
    task.process()
    folder = task.infra.uid_folder()
    assert folder is not None
    manifests = {
        name: yaml.safe_load((folder / name).read_text()) for name in ("config.yaml", "full-uid.yaml", "uid.yaml")
    }
    assert manifests["config.yaml"]["infra"]["folder"] == str(tmp_path)
    assert manifests["full-uid.yaml"] == {"param": 3}
    assert manifests["uid.yaml"] == {"param": 3}
    assert Task(**manifests["config.yaml"]) == task


def test_minimal_manifest_leaves_defaults_out_and_the_full_one_has_them(tmp_path: Path) -> None:
    folder = Task(infra={"folder": tmp_path}).infra.uid_folder(create=True)
    assert folder is not None
    assert folder.name == "default"
    assert yaml.safe_load((folder / "uid.yaml").read_text()) == {}
    assert yaml.safe_load((folder / "full-uid.yaml").read_text()) == {"param": 12}


def test_config_export_of_the_tutorial(tmp_path: Path) -> None:
    task = Task(param=3, infra={"folder": tmp_path})
    assert task.infra.config(uid=False, exclude_defaults=True)["param"] == 3
    assert "param" not in Task(infra={"folder": tmp_path}).infra.config(uid=True, exclude_defaults=True)


@pytest.mark.parametrize("cluster", ["auto", "local"])
def test_job_of_the_tutorial_in_its_own_process(cluster: str, tmp_path: Path) -> None:
    task = Task(infra={"folder": tmp_path, "cluster": cluster})
    job = task.infra.job()
    job.wait()
    assert job.done()
    assert job.result() == task.process()
    assert "drawing" in (job.stdout() or "")
    assert job.stderr() is not None
    folder = task.infra.uid_folder()
    assert folder is not None
    assert (folder / "submitit").is_symlink()
    assert list((folder / "submitit").iterdir())
    task.infra.clear_job()
    assert task.infra.status() == "not submitted"


def test_code_link_of_the_tutorial(tmp_path: Path) -> None:
    source = tmp_path / "project"
    source.mkdir()
    (source / "module.py").write_text("x = 1\n")
    task = Task(infra={"folder": tmp_path / "cache", "cluster": "local", "workdir": source})
    task.process()
    folder = task.infra.uid_folder()
    assert folder is not None
    assert (folder / "code").is_symlink()
    assert [path.read_text() for path in (folder / "code").resolve().rglob("module.py")] == ["x = 1\n"]
