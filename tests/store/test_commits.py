"""What is left if writers are killed, interrupted or late: the old value or the new, and no file of neither."""

from __future__ import annotations

import errno
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest
from uid_folders import as_nobody, load

from exca.errors import ResultNotStored
from exca.store import FolderEntry, FolderStore
from exca.store._files import publish


def test_what_was_replaced_leaves_no_file(entry: FolderEntry) -> None:
    entry.write_error(KeyError("x"), {}, replace=False)
    entry.write_value(np.zeros(3), {}, replace=True)
    assert sorted(path.suffix for path in entry.path.iterdir()) == [".json", ".npy", ".yaml"]
    entry.delete()
    entry.write_error(KeyError("x"), {}, replace=True)
    assert sorted(path.name for path in entry.path.iterdir()) == ["failure.json", "uid.yaml"]


def test_a_failure_never_costs_the_files_of_a_value(entry: FolderEntry) -> None:
    entry.write_value(np.ones(3), {}, replace=False)
    assert not entry.write_error(KeyError("x"), {}, replace=True)
    assert load(entry).tolist() == [1] * 3
    assert sorted(path.suffix for path in entry.path.iterdir()) == [".json", ".npy", ".yaml"]


@pytest.mark.parametrize(
    ("before", "replace"),
    [("nothing", False), ("nothing", True), ("a failure", False), ("a failure", True), ("damage", True)],
)
def test_a_value_that_is_stored_while_a_failure_is_written_stands(
    entry: FolderEntry, before: str, replace: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if before == "a failure":
        entry.write_error(KeyError("of before"), {}, replace=False)
    elif before == "damage":
        (entry.path / "result.json").write_text("{")

    def publish_after_a_value(target: str, *arguments: Any, replace: bool) -> bool:
        monkeypatch.undo()
        entry.write_value(np.ones(3), {}, replace=True)
        return publish(target, *arguments, replace=replace)

    monkeypatch.setattr("exca.store._folder.publish", publish_after_a_value)
    assert not entry.write_error(KeyError("x"), {}, replace=replace)
    monkeypatch.undo()
    assert entry.status() == "completed"
    assert load(entry).tolist() == [1] * 3
    assert not (entry.path / "failure.json").exists()


_INTERRUPTS = {"ctrl_c": KeyboardInterrupt(), "disk": OSError(errno.EIO, "Input/output error")}


@pytest.mark.parametrize("interrupt", list(_INTERRUPTS))
@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("place", ["_files", "_folder"])  # the temporary name of the commit; what it took the place of
def test_what_fails_after_the_commit_leaves_the_committed_value_whole(
    entry: FolderEntry, interrupt: str, replace: bool, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if replace:
        entry.write_value(np.zeros(5), {}, replace=False)
    else:
        entry.write_error(KeyError("of before"), {}, replace=False)

    def interrupted(path: str) -> None:
        raise _INTERRUPTS[interrupt]

    monkeypatch.setattr(f"exca.store.{place}.remove_quietly", interrupted)
    if interrupt == "ctrl_c" and not (replace and place == "_files"):  # a commit that replaces leaves no such name
        with pytest.raises(KeyboardInterrupt):
            entry.write_value(np.ones(5), {}, replace=replace)
    else:
        assert entry.write_value(np.ones(5), {}, replace=replace)
    monkeypatch.undo()
    assert entry.status() == "completed"
    assert load(entry).tolist() == [1] * 5


def test_an_interrupt_before_the_commit_leaves_the_old_value_and_no_file(
    entry: FolderEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry.write_value(np.zeros(5), {}, replace=False)

    def interrupted(*_: object, **__: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr("exca.store._folder.publish", interrupted)
    with pytest.raises(KeyboardInterrupt):
        entry.write_value(np.ones(5), {}, replace=True)
    assert load(entry).tolist() == [0] * 5
    assert len(list(entry.path.glob("value-*"))) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_a_failure_of_somebody_else_in_a_sticky_folder_costs_no_value(entry: FolderEntry) -> None:
    entry.write_error(KeyError("of before"), {}, replace=False)
    entry.path.chmod(0o1777)
    stored = "entry.write_value(list(range(9000)), {}, replace=False)"
    said = as_nobody(entry, f"(__import__('logging').disable(), {stored}, sum(entry.load(entry.outcome())))")
    assert said == f"(None, True, {sum(range(9000))})"
    assert (entry.path / "failure.json").exists()


def test_a_commit_whose_answer_was_lost_on_the_way_is_this_writers_own(
    entry: FolderEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def repeated(source: str, target: str) -> None:  # what a client of NFS does
        link(source, target)
        link(source, target)

    monkeypatch.setattr(os, "link", repeated)
    assert entry.write_value(np.ones(2), {}, replace=False)
    assert load(entry).tolist() == [1, 1]


_KILLED = """
import os, sys
from exca.store import FolderStore, _files, _folder
place = {"commit": (_folder, "publish"), "rename": (_files.os, "replace")}[sys.argv[2]]
setattr(*place, lambda *_, **__: os._exit(9))  # killed behind the bulk file, or before it has its name
entry = FolderStore(sys.argv[1]).entry("m/a")
entry.write_value(list(range(9000)), {}, replace=False)
"""


_CHECKPOINTS = ("value-net.npy", "value-0123456789ab.npy.old", ".mine.tmp", "value-0123456789ab.pt")


def _killed_writers(entry: FolderEntry, *, age_s: float) -> set[str]:
    """What writers leave that are killed at the worst moments; the user's own files stand beside it, as old."""
    for name in _CHECKPOINTS:
        (entry.path / name).write_text("")
    before = set(os.listdir(entry.path))
    for moment in ("commit", "rename"):
        subprocess.run([sys.executable, "-c", _KILLED, str(entry.path.parent.parent), moment], check=False)
    for path in entry.path.iterdir():
        os.utime(path, (time.time() - age_s, time.time() - age_s))
    left = set(os.listdir(entry.path)) - before
    assert len(left) == 2
    return left


@pytest.mark.parametrize(("age_h", "removed"), [(1, False), (25, True)])
def test_incident_14_what_killed_writers_left_is_removed_by_the_next_after_a_day(
    entry: FolderEntry, age_h: int, removed: bool
) -> None:
    left = _killed_writers(entry, age_s=3600 * age_h)
    entry.write_value(np.ones(3), {}, replace=False)
    assert (left - set(os.listdir(entry.path)) == left) is removed
    assert set(_CHECKPOINTS) < set(os.listdir(entry.path))
    assert load(entry).tolist() == [1] * 3


def test_incident_14_what_killed_writers_left_goes_with_the_result(entry: FolderEntry) -> None:
    left = _killed_writers(entry, age_s=60)
    entry.write_value(np.ones(3), {}, replace=False)
    with entry.claim() or pytest.fail("nobody else claims it"):
        entry.delete()
        assert len(list(entry.path.glob("value-*.json"))) == 1, "whoever is at work may be about to name it"
    entry.delete()
    entry.delete()
    (temporary,) = (name for name in left if name.startswith("."))
    assert set(os.listdir(entry.path)) == {*_CHECKPOINTS, "uid.yaml", temporary}, "a day has not passed"


def test_incident_10_a_reader_follows_results_that_are_replaced_again_and_again(
    entry: FolderEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry.write_value(np.full(3, 0), {}, replace=False)
    outcome = entry.outcome()
    assert outcome is not None
    versions = iter(range(1, 6))
    read_outcome = FolderEntry.outcome

    def replaced_after_each_look(self: FolderEntry) -> Any:
        seen = read_outcome(self)
        if (version := next(versions, None)) is not None:
            monkeypatch.undo()  # the writer's own look is none of the reader's
            entry.write_value(np.full(3, version), {}, replace=True)
            monkeypatch.setattr(FolderEntry, "outcome", replaced_after_each_look)
        return seen

    entry.write_value(np.full(3, -1), {}, replace=True)  # the first outcome is out of date from the start
    monkeypatch.setattr(FolderEntry, "outcome", replaced_after_each_look)
    assert entry.load(outcome).tolist() == [5, 5, 5]


def test_a_value_that_is_replaced_by_a_failure_while_it_is_read_raises_that_failure(entry: FolderEntry) -> None:
    entry.write_value(np.zeros(3), {}, replace=False)
    outcome = entry.outcome()
    assert outcome is not None
    entry.delete()
    entry.write_error(KeyError("gone"), {}, replace=False)
    with pytest.raises(KeyError, match="gone"):
        entry.load(outcome)


def test_incident_10_the_old_result_stands_until_the_new_one_is_whole(entry: FolderEntry) -> None:
    entry.write_value(np.zeros(5), {}, replace=False)
    with pytest.raises(ResultNotStored):
        entry.write_value([np.ones(5), threading.Lock()], {}, replace=True)
    assert load(entry).tolist() == [0] * 5
    entry.write_value(np.ones(5), {}, replace=True)
    assert load(entry).tolist() == [1] * 5
    assert len(list(entry.path.glob("value-*"))) == 1, "the files of the old value are removed"


@pytest.mark.slow
def test_incident_10_a_writer_killed_at_any_moment_leaves_the_old_value_or_the_new(tmp_path: pathlib.Path) -> None:
    entry = FolderStore(tmp_path).entry("m/a")
    entry.prepare({})
    entry.write_value(np.zeros(200_000), {}, replace=False)
    code = (
        "import sys, numpy as np, pathlib; from exca.store import FolderStore\n"
        "entry = FolderStore(pathlib.Path(sys.argv[1])).entry('m/a'); print('ready', flush=True)\n"
        "for k in range(10**6): entry.write_value(np.full(200_000, k % 7), {}, replace=True)"
    )
    for delay in (0.0, 0.003, 0.01, 0.02, 0.04):
        process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        value = load(entry)
        assert value.shape == (200_000,)
        assert (value == value[0]).all()
