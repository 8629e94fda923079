"""What only files can get wrong: faults of disks, other users, moved folders."""

from __future__ import annotations

import dataclasses
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
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from uid_folders import as_nobody, load

from exca.errors import CorruptResult, JobFailed, ResultNotStored, UntrustedResult
from exca.store import FolderEntry, FolderStore


@dataclasses.dataclass
class Report:
    """A value that only a pickle can hold."""

    loss: float


class Attached(RuntimeError):
    """Carries something that no pickle takes."""

    def __init__(self) -> None:
        super().__init__("see the lock")
        self.lock = threading.Lock()


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


def test_incident_09_a_moved_cache_is_still_read(entry: FolderEntry, tmp_path: pathlib.Path) -> None:
    entry.write_value({"a": np.arange(3)}, {}, replace=False)
    shutil.move(tmp_path / "cache", tmp_path / "elsewhere")
    assert load(FolderStore(tmp_path / "elsewhere").entry("m/a"))["a"].tolist() == [0, 1, 2]


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


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_incident_15_a_folder_of_another_user_says_what_to_do(entry: FolderEntry) -> None:
    entry.write_value(1, {}, replace=False)
    for call in ("entry.claim()", "entry.delete()"):
        said = as_nobody(entry, call)
        assert str(entry.path) in said
        assert "Permission denied" in said
        assert "set infra.folder to a folder of yours" in said
    assert load(entry) == 1


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
