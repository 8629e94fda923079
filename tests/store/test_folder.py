"""What only files can get wrong: faults of disks, other users, moved folders, dead claimants."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import pathlib
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from exca.errors import CorruptResult, JobFailed, ResultNotStored, UntrustedResult
from exca.liveness import Stamp
from exca.store import FolderEntry, FolderStore
from exca.store._files import publish


@dataclasses.dataclass
class Report:
    """A value that only a pickle can hold."""

    loss: float


class Attached(RuntimeError):
    """Carries something that no pickle takes."""

    def __init__(self) -> None:
        super().__init__("see the lock")
        self.lock = threading.Lock()


@pytest.fixture
def entry(tmp_path: pathlib.Path) -> FolderEntry:
    entry = FolderStore(tmp_path / "cache").entry("m/a")
    entry.prepare({"uid.yaml": "x: 1\n"})
    return entry


def load(entry: FolderEntry) -> Any:
    outcome = entry.outcome()
    assert outcome is not None
    return entry.load(outcome)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"status": 3', b"\xff\xfe"])
def test_incident_08_a_damaged_record_is_named_and_can_be_replaced(entry: FolderEntry, content: bytes) -> None:
    (entry.path / "result.json").write_bytes(content)
    with pytest.raises(CorruptResult, match=r"result\.json is not a result.*mode='force'"):
        entry.outcome()
    entry.write_value(1, {}, replace=True)
    assert load(entry) == 1


@pytest.mark.parametrize("value", [np.arange(1000), "x" * 100_000, Report(1.0)])
def test_incident_08_damaged_bulk_data_is_named(entry: FolderEntry, value: Any) -> None:
    entry.write_value(value, {}, replace=False)
    (bulk,) = entry.path.glob("value-*")
    bulk.write_bytes(bulk.read_bytes()[:40])
    with pytest.raises(CorruptResult, match="mode='force'"):
        load(entry)
    bulk.unlink()
    with pytest.raises(CorruptResult, match="is gone"):
        load(entry)


def _without(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda record: record.pop(key)


def _with(**fields: Any) -> Callable[[dict[str, Any]], object]:
    return lambda record: record.update(fields)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_with(status="unknown"), "'unknown'"),
        (_with(facts=None), "'facts'"),
        (_with(exca=2), "format is 2"),
        (_with(files="value"), "'files'"),
        (_with(format="zip"), "'format'"),
        (_with(format="pickle", value=3), "'value'"),
        (_without("value"), "no 'value'"),
        (_without("status"), "no 'status'"),
        (_with(status="failed"), "no 'error'"),
        (_with(status="failed", error={"type": "x", "message": "y"}), "no 'traceback'"),
    ],
)
def test_incident_08_a_record_that_lacks_something_is_named_and_can_be_replaced(
    entry: FolderEntry, damage: Callable[[dict[str, Any]], object], message: str
) -> None:
    entry.write_value(1, {}, replace=False)
    path = entry.path / "result.json"
    record = json.loads(path.read_bytes())
    damage(record)
    path.write_text(json.dumps(record))
    with pytest.raises(CorruptResult, match=rf"result\.json is not a result .*{message}"):
        entry.outcome()
    entry.write_value(2, {}, replace=True)
    assert load(entry) == 2


@pytest.mark.parametrize("by", ["a value", "a failure"])
def test_incident_08_a_damaged_record_is_replaced(entry: FolderEntry, by: str) -> None:
    (entry.path / "result.json").write_text("{")
    with pytest.raises(CorruptResult):
        entry.outcome()
    if by == "a value":
        entry.write_value(1, {}, replace=True)
        assert load(entry) == 1
    else:
        entry.write_error(KeyError("x"), {}, replace=True)
        outcome = entry.outcome()
        assert outcome is not None
        assert outcome.status == "failed"
    assert list(entry.path.glob(".*")) == []


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
    said = _as_nobody(entry, f"(__import__('logging').disable(), {stored}, sum(entry.load(entry.outcome())))")
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


def test_incident_08_a_folder_in_the_place_of_a_record_is_named(entry: FolderEntry) -> None:
    (entry.path / "result.json").mkdir()
    with pytest.raises(CorruptResult, match="a folder"):
        entry.outcome()
    with pytest.raises(IsADirectoryError, match=r"result\.json"):
        entry.write_error(KeyError("x"), {}, replace=True)
    assert entry.path.joinpath("result.json").is_dir()


_NPY_DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "magic": lambda content: content[:3],
    "header": lambda content: content[:20],
    "half": lambda content: content[:300],
    "garbage": lambda content: content[:12] + b"\xff" * 100 + content[112:],
    "unclosed": lambda content: content.replace(b"}", b"(", 1),
    "zip": lambda content: b"PK\x05\x06" + bytes(18),
    "zip_start": lambda content: b"PK\x03\x04" + content[4:],
    "pickle": lambda content: b"\x80\x04N.",
}


@pytest.mark.parametrize("name", list(_NPY_DAMAGES))
def test_incident_08_a_damaged_array_is_named_and_never_taken_for_another_format(
    entry: FolderEntry, name: str
) -> None:
    entry.write_value(np.arange(50), {}, replace=False)
    (bulk,) = entry.path.glob("value-*")
    bulk.write_bytes(_NPY_DAMAGES[name](bulk.read_bytes()))
    with pytest.raises(CorruptResult, match="mode='force'"):
        load(entry)


@pytest.mark.parametrize("name", ["empty", "half", "footer"])
def test_incident_08_a_damaged_frame_is_named(entry: FolderEntry, name: str) -> None:
    pandas = pytest.importorskip("pandas")
    entry.write_value(pandas.DataFrame({"a": range(100)}), {}, replace=False)
    (bulk,) = entry.path.glob("value-*.parquet")
    content = bulk.read_bytes()
    footer = content[:-60] + b"\xff" * 52 + content[-8:]
    bulk.write_bytes({"empty": b"", "half": content[: len(content) // 2], "footer": footer}[name])
    with pytest.raises(CorruptResult, match="mode='force'"):
        load(entry)


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


def test_incident_09_a_moved_cache_is_still_read(entry: FolderEntry, tmp_path: pathlib.Path) -> None:
    entry.write_value({"a": np.arange(3)}, {}, replace=False)
    shutil.move(tmp_path / "cache", tmp_path / "elsewhere")
    assert load(FolderStore(tmp_path / "elsewhere").entry("m/a"))["a"].tolist() == [0, 1, 2]


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


@pytest.mark.parametrize("error", [Attached(), KeyboardInterrupt("see the lock")], ids=["attached", "interrupt"])
def test_incident_11_an_exception_that_cannot_be_rebuilt_keeps_its_text(
    entry: FolderEntry, error: BaseException
) -> None:
    entry.write_error(error, {}, replace=False)
    outcome = entry.outcome()
    assert outcome is not None
    rebuilt = entry.error(outcome)
    assert isinstance(rebuilt, JobFailed)
    assert f"{type(error).__name__}: see the lock" in str(rebuilt)


def test_a_failure_that_names_its_builtin_in_full_is_read(entry: FolderEntry) -> None:
    entry.write_error(KeyError("x"), {}, replace=False)
    failure = entry.path / "failure.json"
    failure.write_text(failure.read_text().replace('"type":"KeyError"', '"type":"builtins.KeyError"'))
    outcome = entry.outcome()
    assert outcome is not None
    assert outcome.record["error"]["type"] == "builtins.KeyError"
    assert type(entry.error(outcome)) is KeyError


def test_incident_13_the_status_does_not_read_the_value(entry: FolderEntry) -> None:
    entry.write_value(np.zeros(10_000_000), {}, replace=False)
    (bulk,) = entry.path.glob("value-*")
    bulk.unlink()
    outcome = entry.outcome()
    assert outcome is not None
    assert outcome.status == "completed"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_incident_15_a_cache_of_another_user_is_read_without_writing(
    entry: FolderEntry, tmp_path: pathlib.Path
) -> None:
    entry.write_value({"x": np.arange(3)}, {}, replace=False)
    for path in (tmp_path, *tmp_path.parents):
        if path.owner() == "root" and str(path) not in ("/", "/tmp"):
            path.chmod(0o755)
    code = (
        "import os, sys, pathlib; import numpy; from exca.store import FolderStore; os.setuid(65534)\n"
        "entry = FolderStore(pathlib.Path(sys.argv[1])).entry('m/a'); print(entry.load(entry.outcome()))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "cache")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "{'x': array([0, 1, 2])}\n", done.stderr


def _as_nobody(entry: FolderEntry, expression: str) -> str:
    """What another user gets for an expression about that entry."""
    for path in entry.path.parents:
        if path.owner() == "root" and str(path) not in ("/", "/tmp"):
            path.chmod(0o755)
    code = (
        "import os, sys; from exca.store import FolderStore; from exca.errors import *; os.setuid(65534)\n"
        "entry = FolderStore(sys.argv[1]).entry('m/a')\n"
        f"try: print({expression})\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    command = [sys.executable, "-c", code, str(entry.path.parent.parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.strip()


def _dead_claim(entry: FolderEntry) -> pathlib.Path:
    claim = entry.path / "claim.json"
    claim.write_text(json.dumps({"process": Stamp.current().to_dict() | {"start": 1}, "since": 0}))
    return claim


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_incident_15_a_dead_claim_in_the_folder_of_another_user_keeps_nobody_from_reading(entry: FolderEntry) -> None:
    claim = _dead_claim(entry)
    assert _as_nobody(entry, "entry.watch().alive()") == "False"
    assert claim.exists()
    said = _as_nobody(entry, "entry.claim()")
    assert said.startswith(f"ResultNotStored {entry.path} cannot be written, so nothing was computed")
    assert "mode='read-only'" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_incident_15_a_claim_that_cannot_be_read_lives_by_its_heartbeat(entry: FolderEntry) -> None:
    claim = _dead_claim(entry)
    claim.chmod(0o600)
    assert _as_nobody(entry, "(entry.watch().alive(), entry.watch().holder(), entry.claim())") == (
        "(True, 'nobody', None)"
    )
    os.utime(claim, (1, 1))
    assert _as_nobody(entry, "entry.watch().alive()") == "False"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_incident_15_the_silence_of_a_claim_that_cannot_be_removed_is_waited_for_once(entry: FolderEntry) -> None:
    (entry.path / "claim.json").write_text("{}")
    looks = (
        "[setattr(sys.modules['exca.store._claims'], 'SILENCE_S', 0.05), watch := entry.watch()]"
        " and [watch.alive(), __import__('time').sleep(0.1), watch.alive(), entry.watch().alive()]"
    )
    assert _as_nobody(entry, looks) == "[True, None, False, False]"
    os.utime(entry.path / "claim.json")
    assert entry.watch().alive(), "a beat came"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_incident_15_a_folder_of_another_user_says_what_to_do(entry: FolderEntry) -> None:
    entry.write_value(1, {}, replace=False)
    for call in ("entry.claim()", "entry.delete()"):
        said = _as_nobody(entry, call)
        assert str(entry.path) in said
        assert "Permission denied" in said
        assert "set infra.folder to a folder of yours" in said
    assert load(entry) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files immutable")
def test_a_claim_that_cannot_be_given_back_does_not_hide_the_outcome(entry: FolderEntry) -> None:
    claim = entry.claim()
    assert claim is not None
    attributes = subprocess.run(["chattr", "+i", claim.path], capture_output=True, check=False)
    if attributes.returncode:
        pytest.skip("this file system has no immutable files")
    try:
        claim.release()
    finally:
        subprocess.run(["chattr", "-i", claim.path], check=True)


def test_a_folder_that_is_a_file_holds_nothing_and_says_so(tmp_path: pathlib.Path) -> None:
    (tmp_path / "cache").write_text("")
    entry = FolderStore(tmp_path / "cache").entry("m/a")
    assert entry.outcome() is None
    assert not entry.watch().alive()
    assert entry.watch().holder() == "nobody"
    assert entry.read_note("job.json") is None
    entry.delete()
    with pytest.raises(ResultNotStored, match=r"cache/m/a cannot be written.*Not a directory"):
        entry.claim()
    with pytest.raises(OSError, match="cache"):
        entry.prepare({})


def test_notes_are_the_same_in_every_locale_and_hold_any_path(entry: FolderEntry) -> None:
    text = "h\u00e9 \u65e5\r\n " + os.fsdecode(b"/data/\xff")
    entry.prepare({"config.yaml": text})
    entry.write_note("job.json", text)
    code = (
        "import sys; from exca.store import FolderStore; entry = FolderStore(sys.argv[1]).entry('m/a')\n"
        "print(ascii([entry.read_note('config.yaml'), entry.read_note('job.json')]))"
    )
    for variables in ({}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}):
        done = subprocess.run(
            [sys.executable, "-c", code, str(entry.path.parent.parent)],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == ascii([text, text])


_SPAWNING_SCRIPT = """
import multiprocessing, sys
from exca.store import FolderStore

class Report:
    def __init__(self, loss): self.loss = loss
    class Part: pass

def double(x): return 2 * x

def entry(): return FolderStore(sys.argv[1]).entry("m/a")

def work():
    entry().prepare({})
    parts = (Report(1.5), Report.Part(), double, lambda x: double(x) + 1)
    entry().write_value(parts, {}, replace=True)

def show():
    report, part, function, other = entry().load(entry().outcome())
    print(type(report) is Report, type(part) is Report.Part, function(2), other(2))

if __name__ == "__main__":
    child = multiprocessing.get_context(sys.argv[2]).Process(target=work)
    child.start()
    child.join()
    show()
"""


@pytest.mark.parametrize("start", ["spawn", pytest.param("forkserver", marks=pytest.mark.slow)])
def test_values_of_the_script_are_found_again_if_a_child_of_multiprocessing_stored_them(
    start: str, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "train_report.py").write_text(_SPAWNING_SCRIPT)
    cache = str(tmp_path / "cache")
    command = [sys.executable, str(tmp_path / "train_report.py"), cache, start]
    imported = [sys.executable, "-c", "import train_report; train_report.show()", cache]
    for each in (command, imported):
        path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
        done = subprocess.run(
            each, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
        )
        assert done.stdout == "True True 4 5\n", done.stderr


@pytest.mark.parametrize("place", ["file", "folder"])
def test_a_pickle_that_anybody_could_have_written_is_refused(tmp_path: pathlib.Path, place: str) -> None:
    entry = FolderStore(tmp_path).entry("m/a")
    entry.prepare({})
    entry.write_value(Report(1.0), {}, replace=False)
    assert load(entry) == Report(1.0)
    (bulk,) = entry.path.glob("value-*.pkl")
    (bulk if place == "file" else entry.path).chmod(0o777)
    with pytest.raises(UntrustedResult, match="chmod o-w"):
        load(entry)
    assert load(FolderStore(tmp_path, permissions=0o777).entry("m/a")) == Report(1.0)


def test_permissions_reach_every_file_and_new_folder(tmp_path: pathlib.Path) -> None:
    store = FolderStore(tmp_path / "new" / "cache", permissions=0o770)
    entry = store.entry("m/a")
    entry.prepare({"uid.yaml": ""})
    entry.write_value(np.arange(3), {}, replace=False)
    entry.write_note("job.json", "{}")
    assert {path.stat().st_mode & 0o777 for path in entry.path.iterdir()} == {0o660}
    for folder in (entry.path, entry.path.parent, pathlib.Path(store.folder), tmp_path / "new"):
        assert folder.stat().st_mode & 0o777 == 0o770


def test_folders_keep_the_bit_that_hands_down_their_group(tmp_path: pathlib.Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o2770)
    entry = FolderStore(shared / "cache", permissions=0o770).entry("m/a")
    entry.prepare({})
    for folder in (entry.path, entry.path.parent, shared / "cache"):
        assert folder.stat().st_mode & 0o7777 == 0o2770
        assert folder.stat().st_gid == shared.stat().st_gid


def test_a_full_disk_loses_neither_the_value_nor_the_old_result(entry: FolderEntry) -> None:
    entry.write_value("old", {}, replace=False)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(ResultNotStored, match="computed but not stored") as caught:
            entry.write_value(np.arange(10_000), {}, replace=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.value.shape == (10_000,)
    assert load(entry) == "old"
    assert [path.name for path in entry.path.glob(".*")] == [], "no half-written file stays behind"


def test_an_error_speaks_of_its_value_where_that_is(entry: FolderEntry) -> None:
    with pytest.raises(ResultNotStored, match="computed but not stored") as caught:
        entry.write_value([1, threading.Lock()], {}, replace=False)
    error = caught.value
    assert error.value[0] == 1
    error.add_note("see the log")
    assert error.__notes__ == ["The value is in this error's `value`.", "see the log"]
    travelled = pickle.loads(pickle.dumps(error))
    assert (type(travelled), str(travelled)) == (ResultNotStored, str(error))
    assert (travelled.value, travelled.__notes__) == (None, ["see the log"])
    assert not hasattr(ResultNotStored("nothing was computed"), "__notes__")


def test_a_large_plain_value_does_not_slow_the_record_down(entry: FolderEntry) -> None:
    entry.write_value(list(range(50_000)), {}, replace=False)
    assert (entry.path / "result.json").stat().st_size < 500
    assert load(entry) == list(range(50_000))


def test_incident_21a_a_claim_of_a_dead_process_is_taken_over(entry: FolderEntry) -> None:
    code = (
        "import os, sys, pathlib; from exca.store import FolderStore\n"
        "FolderStore(pathlib.Path(sys.argv[1])).entry('m/a').claim(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(entry.path.parent.parent)], check=False)
    assert (entry.path / "claim.json").exists()
    assert not entry.watch().alive()
    assert entry.claim() is not None


def _taken_over(entry: FolderEntry) -> None:
    """Somebody takes the claim over, as after a long silence of its author."""
    claim = entry.path / "claim.json"
    note = json.loads(claim.read_bytes())
    claim.unlink()
    claim.write_text(json.dumps(note | {"token": "of the next"}))


def test_a_claim_that_was_taken_over_is_left_to_the_next(entry: FolderEntry) -> None:
    claim = entry.claim()
    assert claim is not None
    _taken_over(entry)  # on ext4, the new note has the inode of the old one
    claim.release()
    assert "of the next" in (entry.path / "claim.json").read_text()


_BEATING = """
import os, sys, time
from exca.store import FolderStore, _claims
_claims.HEARTBEAT_S = 0.01
entry = FolderStore(sys.argv[1]).entry('m/a')
claim = entry.claim()
def beats():
    before = os.stat(claim.path).st_mtime_ns
    time.sleep(0.2)
    return os.stat(claim.path).st_mtime_ns > before
print(beats())
text = open(claim.path).read()
os.unlink(claim.path)
open(claim.path, "w").write(text.replace('"token": "', '"token": "other'))
time.sleep(0.05)
print(beats())
"""

_FORKING = """
import os, sys, threading
from exca.store import FolderStore, _claims
held = FolderStore(sys.argv[1]).entry('m/a').claim()
with _claims._HEART._lock:  # as another thread may, in the instant of a fork
    child = os.fork()
    if not child:
        __import__("signal").alarm(5)
        entry = FolderStore(sys.argv[1]).entry('m/b')
        entry.prepare({})
        claim = entry.claim()
        beats = [thread.name for thread in threading.enumerate()]
        os._exit(0 if claim is not None and "exca-claims" in beats else 3)
print(os.waitpid(child, 0)[1])
"""


@pytest.mark.parametrize(
    ("script", "printed"),
    [
        pytest.param(_BEATING, "True\nFalse\n", id="beats_for_its_own_claims_alone"),
        pytest.param(_FORKING, "0\n", id="begins_anew_in_a_forked_child"),
    ],
)
def test_the_heart_of_a_process(entry: FolderEntry, script: str, printed: str) -> None:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script, str(entry.path.parent.parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (printed, "")


_OTHER_BOOT = {"boot": "another-boot/pid:[1]"}  # of this machine, or of another one with its host name


@pytest.mark.parametrize(
    ("change", "silent_h", "alive"),
    [
        ({}, 0, True),
        ({}, 2, True),  # stopped, or its disk hangs: it is there
        ({"start": 1}, 0, False),  # the pid was given to another process
        (_OTHER_BOOT, 0, True),
        (_OTHER_BOOT, 2, False),
    ],
)
def test_incident_22_a_claim_names_one_process_for_ever(
    entry: FolderEntry, change: dict[str, Any], silent_h: int, alive: bool
) -> None:
    note = {"token": "0123456789abcdef", "process": Stamp.current().to_dict() | change, "since": 0}
    claim = entry.path / "claim.json"
    claim.write_text(json.dumps(note))
    os.utime(claim, (time.time() - 3600 * silent_h, time.time() - 3600 * silent_h))
    assert entry.watch().alive() is alive


_HIDING = """
mount -o remount,hidepid=$1 /proc || exit 77
sleep 30 & live=$!
sleep 0 & gone=$!
wait $gone
exec "$2" -c '
import os, sys, dataclasses
from exca.liveness import Stamp
live = Stamp.of(int(sys.argv[1]))
os.setgroups([]); os.setgid(65534); os.setuid(65534)
print(live.liveness(), dataclasses.replace(live, pid=int(sys.argv[2])).liveness(), Stamp.current().liveness())
' $live $gone
"""


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs a namespace of its own")
@pytest.mark.parametrize("hidepid", ["1", "2"])
def test_incident_22_a_process_that_is_hidden_from_this_user_is_not_dead(hidepid: str) -> None:
    # a pid namespace of its own has a /proc of its own: that of the machine stays as it is
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    command += ["sh", "-c", _HIDING, "sh", hidepid, sys.executable]
    path = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"no namespaces here: {done.stderr}")
    assert done.stdout.split() == ["elsewhere", "dead", "alive"], done.stderr


@pytest.mark.parametrize("change", [{"host": "far", **_OTHER_BOOT}, _OTHER_BOOT], ids=["far", "same_name"])
def test_incident_22_a_claim_from_another_machine_or_boot_lives_by_its_heartbeat(
    entry: FolderEntry, change: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    note = {"token": "0123456789abcdef", "process": Stamp.current().to_dict() | change, "since": 0}
    claim = entry.path / "claim.json"
    claim.write_text(json.dumps(note))
    monkeypatch.setattr("exca.store._claims.SILENCE_S", 0.05)
    watch = entry.watch()
    assert watch.alive()
    time.sleep(0.03)
    os.utime(claim)
    assert watch.alive(), "a beat came"
    time.sleep(0.08)
    assert not watch.alive(), "no beat came in time"
