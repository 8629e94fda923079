"""Claims whose authors are dead, far away, hidden, of another user, or asleep."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
from typing import Any

import pytest
from uid_folders import as_nobody

from exca.liveness import Stamp
from exca.store import FolderEntry


def _dead_claim(entry: FolderEntry) -> pathlib.Path:
    claim = entry.path / "claim.json"
    claim.write_text(json.dumps({"process": Stamp.current().to_dict() | {"start": 1}, "since": 0}))
    return claim


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_incident_15_a_dead_claim_in_the_folder_of_another_user_keeps_nobody_from_reading(entry: FolderEntry) -> None:
    claim = _dead_claim(entry)
    assert as_nobody(entry, "entry.watch().alive()") == "False"
    assert claim.exists()
    said = as_nobody(entry, "entry.claim()")
    assert said.startswith(f"ResultNotStored {entry.path} cannot be written, so nothing was computed")
    assert "mode='read-only'" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_incident_15_a_claim_that_cannot_be_read_lives_by_its_heartbeat(entry: FolderEntry) -> None:
    claim = _dead_claim(entry)
    claim.chmod(0o600)
    assert as_nobody(entry, "(entry.watch().alive(), entry.watch().holder(), entry.claim())") == (
        "(True, 'nobody', None)"
    )
    os.utime(claim, (1, 1))
    assert as_nobody(entry, "entry.watch().alive()") == "False"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_incident_15_the_silence_of_a_claim_that_cannot_be_removed_is_waited_for_once(entry: FolderEntry) -> None:
    (entry.path / "claim.json").write_text("{}")
    looks = (
        "[setattr(sys.modules['exca.store._claims'], 'SILENCE_S', 0.05), watch := entry.watch()]"
        " and [watch.alive(), __import__('time').sleep(0.1), watch.alive(), entry.watch().alive()]"
    )
    assert as_nobody(entry, looks) == "[True, None, False, False]"
    os.utime(entry.path / "claim.json")
    assert entry.watch().alive(), "a beat came"


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
