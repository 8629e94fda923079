"""The copy of the code that queued jobs run."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from execution_calls import import_and_look, until, wait_for
from executor_contract import results

from exca.errors import InvalidInfra
from exca.execution import Call, Resources, make_executor
from exca.execution._snapshot import relocate, snapshot


def write(folder: Path, **files: str) -> Path:
    for name, content in files.items():
        path = folder / name.replace("__", "/")
        path = path.with_suffix(".py") if not path.suffix else path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


def copied(folder: Path) -> set[str]:
    return {
        os.path.relpath(os.path.join(root, name), folder)
        for root, folders, files in os.walk(folder)
        for name in [*files, *(name for name in folders if os.path.islink(os.path.join(root, name)))]
    }


@pytest.fixture
def code(tmp_path: Path) -> Path:
    folder = write(tmp_path / "code", main="1", package__module="2", secret="3", logs__job="4")
    (folder / "link").symlink_to("package")
    (folder / "broken").symlink_to("nowhere")
    return folder


def test_outside_of_git(code: Path, tmp_path: Path) -> None:
    write(code, venv__lib="5", node_modules__x="6")
    (code / "package" / "__pycache__").mkdir()
    (code / "package" / "__pycache__" / "module.pyc").touch()
    (code / "venv" / "pyvenv.cfg").touch()
    (code / ".hidden").mkdir()
    (code / ".hidden" / "file").touch()
    snapshot(code, tmp_path / "copy", leave_out=code / "logs")
    assert copied(tmp_path / "copy") == {"main.py", "package/module.py", "secret.py", "link", "broken"}
    assert os.readlink(tmp_path / "copy" / "link") == "package"


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_in_a_git_repository(code: Path, tmp_path: Path) -> None:
    def git(*arguments: str, folder: Path = code) -> None:
        who = ["-c", "user.name=n", "-c", "user.email=e", "-c", "protocol.file.allow=always"]
        subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)

    git("init")
    (code / ".gitignore").write_text("secret.py\n")
    git("add", "main.py", ".gitignore")
    git("commit", "-m", "m")
    write(tmp_path / "other", inner="7")
    git("init", folder=tmp_path / "other")
    git("add", ".", folder=tmp_path / "other")
    git("commit", "-m", "m", folder=tmp_path / "other")
    git("submodule", "add", str(tmp_path / "other"), "submodule")
    write(code, gone="8", main="changed")
    git("add", "gone.py")
    (code / "gone.py").unlink()
    snapshot(code, tmp_path / "copy", leave_out=code / "logs")
    code_files = {"main.py", "package/module.py", "link", "broken", "submodule/inner.py"}
    assert copied(tmp_path / "copy") == {*code_files, ".gitignore", ".gitmodules"}
    assert (tmp_path / "copy" / "main.py").read_text() == "changed"
    snapshot(code / "package", tmp_path / "part", leave_out=code / "logs")
    assert copied(tmp_path / "part") == {"module.py"}


def test_data_is_not_code(code: Path, tmp_path: Path) -> None:
    with open(code / "data.bin", "wb") as file:
        file.truncate(201 * 10**6)
    with pytest.raises(InvalidInfra, match=r"more than 200 MB \(reached at data.bin\)"):
        snapshot(code, tmp_path / "copy", leave_out=code / "logs")
    assert not (tmp_path / "copy").exists()
    with pytest.raises(InvalidInfra, match="is not a folder"):
        snapshot(code / "missing", tmp_path / "copy", leave_out=code / "logs")


def test_the_import_path_follows(tmp_path: Path) -> None:
    source, copy = tmp_path / "code", tmp_path / "copy"
    (copy / "src").mkdir(parents=True)
    before = [str(source), "/usr/lib/python", str(source / "src"), str(source / ".venv")]
    assert relocate(before, source, copy) == [str(copy), "/usr/lib/python", str(copy / "src"), str(source / ".venv")]


def test_a_queued_job_runs_what_was_submitted(tmp_path: Path) -> None:
    code = write(tmp_path / "code", edited_later="VALUE = 'as submitted'")
    gate = tmp_path / "gate"
    resources = Resources(cluster="local", max_workers=1, workdir=code)
    jobs = make_executor(resources, f"{code}/logs/%j").submit(
        [Call(wait_for, (str(gate),)), Call(import_and_look, ("edited_later",))]
    )
    until(lambda: jobs[0].status() == "running")
    write(code, edited_later="VALUE = 'edited'")
    gate.touch()
    assert jobs[1].paths is not None
    copy = jobs[1].paths.code.resolve()
    assert results(jobs)[1] == ("as submitted", str(copy))
    assert copied(copy) == {"edited_later.py"}
