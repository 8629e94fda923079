"""The copy of the code that queued jobs run."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from execution_calls import import_and_look, until, wait_for
from executor_contract import results

from exca.errors import InvalidInfra, SubmissionFailed
from exca.execution import Call, CodeCopy, Resources, make_executor
from exca.execution import _snapshot as snapshot
from exca.execution._code import Part, find_parts, relocate
from exca.execution._listing import Selection
from exca.execution._snapshot import take_snapshot


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


def take(code: Path, root: Path, selection: Selection | None = None) -> Path:
    return take_snapshot(find_parts(code), selection or Selection(leave_out=(code / "logs",)), root)


@pytest.fixture
def code(tmp_path: Path) -> Path:
    folder = write(tmp_path / "code", main="1", package__module="2", secret="3", logs__job="4")
    (folder / "link").symlink_to("package")
    (folder / "broken").symlink_to("nowhere")
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "snapshots"


ALL = {"main.py", "package/module.py", "secret.py", "link", "broken"}


def test_outside_of_git(code: Path, root: Path) -> None:
    write(code, venv__lib="5", node_modules__x="6")
    (code / "package" / "__pycache__").mkdir()
    (code / "package" / "__pycache__" / "module.pyc").touch()
    (code / "venv" / "pyvenv.cfg").touch()
    (code / ".hidden").mkdir()
    (code / ".hidden" / "file").touch()
    os.mkfifo(code / "pipe")
    tree = take(code, root)
    assert copied(tree) == ALL
    assert os.readlink(tree / "link") == "package"


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_in_a_git_repository(code: Path, root: Path, tmp_path: Path) -> None:
    def git(*arguments: str, folder: Path = code) -> None:
        who = ["-c", "user.name=n", "-c", "user.email=e", "-c", "protocol.file.allow=always"]
        subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)

    git("init")
    (code / ".gitignore").write_text("secret.py\nscratch\n")
    git("add", "main.py", ".gitignore")
    git("commit", "-m", "m")
    write(tmp_path / "other", inner="7")
    git("init", folder=tmp_path / "other")
    git("add", ".", folder=tmp_path / "other")
    git("commit", "-m", "m", folder=tmp_path / "other")
    git("submodule", "add", str(tmp_path / "other"), "submodule")
    write(code, gone="8", main="changed", scratch__trial="9")
    git("add", "gone.py")
    (code / "gone.py").unlink()
    (code / "__pycache__").mkdir()
    (code / "__pycache__" / "main.pyc").touch()
    tree = take(code, root)
    code_files = {"main.py", "package/module.py", "link", "broken", "submodule/inner.py"}
    assert copied(tree) == {*code_files, ".gitignore", ".gitmodules"}
    assert (tree / "main.py").read_text() == "changed"
    assert copied(take(code / "package", root)) == {"module.py"}
    assert copied(take(code / "scratch", root)) == {"trial.py"}, "git ignores it, but it was asked for"


def test_the_same_content_is_one_copy(code: Path, root: Path) -> None:
    first = take(code, root)
    shutil.copytree(code, code.with_name("clone"), symlinks=True)
    os.utime(code / "main.py", (1, 1))
    assert take(code, root) == first
    assert take(code.with_name("clone"), root, Selection(leave_out=(code.with_name("clone") / "logs",))) == first
    assert len(list(root.iterdir())) == 1


@pytest.mark.parametrize("change", ["content", "name", "program", "link"])
def test_other_content_is_another_copy(code: Path, root: Path, change: str) -> None:
    first = take(code, root)
    if change == "content":
        (code / "main.py").write_text("2")
    elif change == "name":
        (code / "main.py").rename(code / "other.py")
    elif change == "program":
        (code / "main.py").chmod(0o755)
    else:
        (code / "link").unlink()
        (code / "link").symlink_to("main.py")
    second = take(code, root)
    assert second != first
    assert (first / "main.py").read_text() == "1"
    assert os.access(second / "main.py", os.X_OK) == (change == "program")


def test_files_that_have_not_changed_are_stored_once(code: Path, root: Path) -> None:
    first = take(code, root)
    write(code, main="changed")
    second = take(code, root)
    assert (first / "secret.py").samefile(second / "secret.py")
    assert not (first / "main.py").samefile(second / "main.py")
    assert not (code / "secret.py").samefile(first / "secret.py"), "an editor may write in place"
    shutil.rmtree(first.parent)
    assert (second / "secret.py").read_text() == "3"
    assert take(code, root) == second


@pytest.mark.parametrize("how", ["changed", "removed", "no manifest"])
def test_a_copy_that_is_not_what_it_was_is_not_used(code: Path, root: Path, how: str) -> None:
    first = take(code, root)
    (first / "package" / "__pycache__").mkdir()
    (first / "package" / "__pycache__" / "module.pyc").touch()
    assert take(code, root) == first, "what jobs add is no harm"
    if how == "no manifest":
        (first.parent / "manifest.json").write_text("{")
    else:
        (first / "main.py").unlink()
        if how == "changed":
            (first / "main.py").write_text("9")
    second = take(code, root)
    assert second != first
    assert (second / "main.py").read_text() == "1"
    assert take(code, root) == second


def test_a_disk_that_rounds_the_times_of_files_keeps_one_copy(code: Path, root: Path) -> None:
    first = take(code, root)
    for target in ALL - {"link"}:
        os.utime(first / target, (1, 1), follow_symlinks=False)
    assert take(code, root) == first
    assert len(os.listdir(root)) == 1


def test_a_disk_that_does_not_keep_the_copy(code: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = snapshot._place

    def place_badly(piece: snapshot.Piece, path: Path, before: dict[str, Path]) -> snapshot.Copy:
        copy = place(piece, path, before)
        if path.name == "main.py":
            path.unlink()
        return copy

    monkeypatch.setattr(snapshot, "_place", place_badly)
    with pytest.raises(SubmissionFailed, match=rf"^{root}/.*: the copy of the code .*\(main.py differs"):
        take(code, root)
    assert len(os.listdir(root)) == 5
    monkeypatch.undo()
    assert copied(take(code, root)) == ALL, "on another day"


def test_jobs_cannot_change_the_copy_by_mistake(code: Path, root: Path) -> None:
    tree = take(code, root)
    assert (tree / "main.py").stat().st_mode & 0o777 == 0o444
    (tree / "output.txt").write_text("jobs may write beside it")


def test_a_copy_that_is_used_again_is_not_old(code: Path, root: Path) -> None:
    folder = take(code, root).parent
    os.utime(folder, (1, 1))
    take(code, root)
    assert folder.stat().st_mtime > 1


def test_a_copy_that_was_not_completed_is_not_used(code: Path, root: Path) -> None:
    name = take(code, root).parent.name
    shutil.rmtree(root)
    half = root / f".{name}-host-1-abcd.tmp" / "tree"
    half.mkdir(parents=True)
    (half / "main.py").write_text("ha")
    assert copied(take(code, root)) == ALL


def test_many_submitters_at_once(tmp_path: Path, root: Path) -> None:
    for number in range(10):
        write(tmp_path / f"code-{number}", **{f"module{k}": f"{number} {k}" for k in range(30)})
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(4)
    processes = [context.Process(target=_take_all, args=(tmp_path, root, barrier)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    assert len(list(root.iterdir())) == 10


def _take_all(folder: Path, root: Path, barrier: threading.Barrier) -> None:
    for number in range(10):
        barrier.wait(30)
        tree = take(folder / f"code-{number}", root)
        assert (tree / "module3.py").read_text() == f"{number} 3"
        assert copied(tree) == {f"module{k}.py" for k in range(30)}


def test_patterns(code: Path, root: Path) -> None:
    write(code, package__notes="6")
    (code / "notes.txt").touch()
    (code / "package" / "deep").mkdir()
    (code / "package" / "deep" / "table.csv").touch()
    assert copied(take(code, root, Selection(includes=["*.py"], leave_out=[code / "logs"]))) == {
        "main.py",
        "secret.py",
        "package/module.py",
        "package/notes.py",
    }
    taken = copied(take(code, root, Selection(excludes=["deep", "logs", "package/module.py", "s*.py"])))
    assert taken == {"main.py", "package/notes.py", "notes.txt", "link", "broken"}


def test_links_out_of_the_folder_lead_where_they_led(code: Path, root: Path, tmp_path: Path) -> None:
    write(tmp_path, data="x")
    (code / "data").symlink_to("../data.py")
    assert os.readlink(take(code, root) / "data") == str(tmp_path / "data.py")


def test_data_is_not_code(code: Path, root: Path) -> None:
    with open(code / "data.bin", "wb") as file:
        file.truncate(201 * 10**6)
    with pytest.raises(InvalidInfra, match=r"more than 200 MB \(reached at data.bin\)"):
        take(code, root)
    assert not root.exists()
    with pytest.raises(InvalidInfra, match="is not a folder"):
        take(code / "missing", root)
    with pytest.raises(InvalidInfra, match=r"no file of .* is let through"):
        take(code, root, Selection(includes=["*.nothing"]))


def test_the_manifest_says_where_it_came_from(code: Path, root: Path) -> None:
    manifest = json.loads((take(code, root).parent / "manifest.json").read_text())
    assert manifest["sources"] == {".": str(code)}
    assert set(manifest["files"]) == ALL


def test_the_import_path_follows(tmp_path: Path) -> None:
    source, copy = tmp_path / "code", tmp_path / "copy"
    (copy / "src").mkdir(parents=True)
    before = [str(source), "/usr/lib/python", str(source / "src"), str(source / ".venv")]
    after = [str(copy), "/usr/lib/python", str(copy / "src"), str(source / ".venv")]
    assert relocate(before, [Part(source, Path("."))], copy) == after
    assert relocate(before, [Part(source / "src", Path("src"))], copy) == [str(copy), before[0], *after[1:]]


class TestSeveralThings:
    def test_where_they_go(self, code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(code)
        copy = CodeCopy(("package/module.py", "package", str(tmp_path / "code" / "main.py"), "../code/logs"))
        assert find_parts(copy) == (
            Part(code / "package" / "module.py", Path("package/module.py")),
            Part(code / "package", Path("package")),
            Part(code / "main.py", Path("main.py")),
            Part(code / "logs", Path("logs")),
        )

    def test_packages_that_are_edited(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write(tmp_path / "src", edited_package____init__="", edited_module="")
        monkeypatch.syspath_prepend(str(tmp_path / "src"))
        assert find_parts(CodeCopy(("edited_package", "edited_module"))) == (
            Part(tmp_path / "src" / "edited_package", Path("edited_package")),
            Part(tmp_path / "src" / "edited_module.py", Path("edited_module.py")),
        )

    @pytest.mark.parametrize(
        ("names", "message"),
        [
            (("no/such",), "there is no .*no/such"),
            (("no_such_package",), "neither in .* nor a package"),
            (("pydantic",), "'pydantic' is installed in .*give the path"),
            (("json",), "'json' is installed in"),
            (("sys",), "part of Python itself"),
            (("code/main.py", "other/main.py"), None),
            (("{tmp_path}/code/main.py", "{tmp_path}/other/main.py"), r"would both be main\.py"),
            ((), "workdir.copied is empty"),
        ],
    )
    def test_what_is_refused(
        self, code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], message: str | None
    ) -> None:
        monkeypatch.chdir(tmp_path)
        write(tmp_path / "other", main="2")
        copy = CodeCopy(tuple(name.format(tmp_path=tmp_path) for name in names))
        if message is None:
            assert len(find_parts(copy)) == len(names)
            return
        with pytest.raises(InvalidInfra, match=message):
            find_parts(copy)


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
    assert copied(copy) - {"__pycache__"} >= {"edited_later.py"}
    assert not (copy / "logs").exists()


@pytest.mark.parametrize("cluster", ["local", "processpool"])
def test_a_package_is_imported_from_the_copy_under_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster: str
) -> None:
    """It has relative imports, and the process that submits has imported it from elsewhere."""
    source = tmp_path / "src" / f"of_{cluster}"
    write(source, __init__="", values="VALUE = 'as submitted'")
    (source / "__init__.py").write_text("")
    (source / "work.py").write_text("from .values import VALUE\nfrom . import values\nWHERE = values.__file__\n")
    monkeypatch.syspath_prepend(str(tmp_path / "src"))
    name = f"{source.name}.work"
    assert import_and_look(name)[0] == "as submitted"
    write(source, values="VALUE = 'edited'")
    monkeypatch.chdir(tmp_path)
    copy = CodeCopy((source.name,), excludes=("*.csv",), folder=str(tmp_path / "snapshots"))
    [job] = make_executor(Resources(cluster=cluster, workdir=copy), str(tmp_path / "logs")).submit(
        [Call(import_and_look, (name,))]
    )
    value, folder = job.result()  # type: ignore[misc]
    assert value == "edited", "the file as it was at submission, not as this process has imported it"
    assert Path(folder).parents[1] == tmp_path / "snapshots"
    assert copied(Path(folder)) >= {f"{source.name}/{file}.py" for file in ("__init__", "values", "work")}
    for module in [module for module in sys.modules if module.startswith(source.name)]:
        del sys.modules[module]
