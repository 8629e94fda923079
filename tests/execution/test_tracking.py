"""Jobs whose supervisor is somewhere, or nowhere: what a reader may conclude."""

from __future__ import annotations

import dataclasses
import os
import pickle
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from execution_calls import double

from exca.errors import JobCancelled, JobFailed, UntrustedResult
from exca.execution import Call, Job, JobPaths, job_from_folder
from exca.execution._array._layout import ArrayPaths, Spec, Verdict
from exca.execution._array._schedule import Posting
from exca.execution._queued import QueuedJob
from exca.execution._scheduled import ScheduledArray
from exca.execution._tracking import TrackedArray
from exca.liveness import Stamp

HERE = Stamp.current()


def array(tmp_path: Path, *, supervisor: Stamp | None, worker: Stamp | None = None) -> tuple[ArrayPaths, Job]:
    """An array of one call as its processes would leave it."""
    paths = ArrayPaths(tmp_path / "array")
    paths.create()
    spec = Spec("array", 1, "../%j", str(tmp_path), [], {}, False)
    paths.write_spec(spec, None)
    job = paths.job(spec, 0)
    job.folder.mkdir()
    job.ticket.symlink_to("../array/tickets/0")
    job.call.write_bytes(pickle.dumps({"name": b"call", "call": pickle.dumps((double, (1,)))}))
    paths.heartbeat.touch()
    if supervisor:
        paths.sign(supervisor)
    if worker:
        paths.sign(worker, "worker")
        assert paths.take(0, "worker")
    return paths, QueuedJob(TrackedArray(paths, spec), 0)


def test_a_live_supervisor_is_trusted(tmp_path: Path) -> None:
    gone = dataclasses.replace(HERE, start=HERE.start + 1)
    assert array(tmp_path, supervisor=HERE, worker=gone)[1].status() == "running"


def test_a_pid_that_was_given_to_another_process_is_a_dead_supervisor(tmp_path: Path) -> None:
    _, job = array(tmp_path, supervisor=dataclasses.replace(HERE, start=HERE.start + 1))
    with pytest.raises(JobFailed, match="queue died before the call was started"):
        job.result()
    assert job_from_folder(tmp_path / "array_0").status() == "failed"


@pytest.mark.parametrize("host", ["another-node", HERE.host], ids=["far", "same_name"])
@pytest.mark.parametrize(("age_s", "status"), [(5, "pending"), (3600, "failed")])
def test_incident_22_a_supervisor_of_another_machine_or_boot_lives_as_long_as_its_heart_beats(
    tmp_path: Path, age_s: float, status: str, host: str
) -> None:
    elsewhere = dataclasses.replace(HERE, host=host, boot="another-boot/pid:[1]")
    paths, job = array(tmp_path, supervisor=elsewhere)
    os.utime(paths.heartbeat, (time.time() - age_s, time.time() - age_s))
    assert job.status() == status


@pytest.mark.parametrize(("age_s", "status"), [(1, "pending"), (3600, "failed")])
def test_an_array_whose_submitter_was_killed_before_it_started_a_supervisor(
    tmp_path: Path, age_s: float, status: str
) -> None:
    paths, job = array(tmp_path, supervisor=None)
    os.utime(paths.spec, (time.time() - age_s, time.time() - age_s))
    assert job.status() == status


def test_a_job_that_ends_while_it_is_cancelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = subprocess.Popen(["sleep", "60"], start_new_session=True)
    _, job = array(tmp_path, supervisor=dataclasses.replace(HERE, start=HERE.start + 1), worker=Stamp.of(worker.pid))
    assert job.status() == "running"
    look = TrackedArray._live_worker

    def end_once_seen(tracked: TrackedArray, index: int) -> Stamp | None:
        seen = look(tracked, index)
        if tracked.paths.sentence_of(index):
            worker.kill()
            worker.wait()
        return seen

    monkeypatch.setattr(TrackedArray, "_live_worker", end_once_seen)
    job.cancel()
    assert isinstance(job.exception(), JobCancelled)


def test_a_job_whose_folder_has_gone_is_cancelled_in_vain(tmp_path: Path) -> None:
    paths, job = array(tmp_path, supervisor=HERE)
    shutil.rmtree(paths.folder)
    job.cancel()
    assert "has gone" in str(job.exception())


def test_a_scheduled_job_whose_submitter_was_killed_and_whose_folder_has_gone(tmp_path: Path) -> None:
    paths, _ = array(tmp_path, supervisor=None)
    submitter = dataclasses.replace(HERE, start=HERE.start + 1).to_dict()
    Posting(True, None, cluster="slurm", submitter=submitter).write(paths)
    job = QueuedJob(ScheduledArray(paths, paths.read_spec()[0]), 0)
    shutil.rmtree(paths.folder)
    assert "has gone" in str(job.exception())


CANCEL = """
import os, sys
from exca.execution import job_from_folder
os.setuid(65534)
try:
    job_from_folder(sys.argv[1]).cancel()
except PermissionError as error:
    print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
@pytest.mark.parametrize("state", ["waits", "runs", "has ended"])
def test_the_job_of_another_user_is_not_cancelled(tmp_path: Path, state: str) -> None:
    for path in (tmp_path, *tmp_path.parents):
        if path.owner() == "root" and str(path) not in ("/", "/tmp"):
            path.chmod(0o755)
    paths, _ = array(tmp_path, supervisor=HERE, worker=None if state == "waits" else HERE)
    if state == "has ended":
        assert paths.end(0, Verdict("lost", "long ago"))
    command = [sys.executable, "-c", CANCEL, str(tmp_path / "array_0")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    said = f"[Errno 13] not cancelled: the job belongs to root, who alone can cancel it: '{paths.folder}'\n"
    assert done.stdout == ("" if state == "has ended" else said)


def test_the_first_verdict_stands(tmp_path: Path) -> None:
    paths, job = array(tmp_path, supervisor=HERE, worker=HERE)
    assert paths.end(0, Verdict("lost", "first\nof two"))
    assert not paths.end(0, Verdict("completed"))
    with pytest.raises(JobFailed, match="first of two"):
        job.result()


def test_a_verdict_of_any_length_can_be_written(tmp_path: Path) -> None:
    paths, job = array(tmp_path, supervisor=HERE, worker=HERE)
    assert paths.end(0, Verdict("lost", "é\0" * 5000))
    assert job.status() == "failed"


def test_incident_8_a_result_that_is_damaged(tmp_path: Path) -> None:
    for number, kind in enumerate(("completed", "raised ValueError: too much")):
        (tmp_path / str(number)).mkdir()
        paths, job = array(tmp_path / str(number), supervisor=HERE, worker=HERE)
        assert paths.end(0, Verdict.from_text(kind))
        assert job.paths is not None
        job.paths.result.write_bytes(pickle.dumps("whole")[:-3])
        with pytest.raises(JobFailed, match="cannot be loaded here" if number == 0 else "ValueError: too much"):
            job.result()


def test_a_result_that_anybody_could_have_written(tmp_path: Path) -> None:
    paths, job = array(tmp_path, supervisor=HERE, worker=HERE)
    assert paths.end(0, Verdict("completed"))
    assert job.paths is not None
    job.paths.result.write_bytes(pickle.dumps("trap"))
    job.paths.result.chmod(0o666)
    with pytest.raises(UntrustedResult, match="chmod o-w"):
        job.result()
    job.paths.result.chmod(0o664)
    job.paths.folder.chmod(0o777)
    with pytest.raises(UntrustedResult, match=f"and {job.paths.folder} can be written by every user"):
        job.result()
    job.paths.folder.chmod(0o775)
    assert job.result() == "trap"


def test_a_job_survives_pickling(tmp_path: Path) -> None:
    paths, job = array(tmp_path, supervisor=HERE, worker=HERE)
    assert paths.end(0, Verdict("raised ", "x"))
    again = pickle.loads(pickle.dumps(job))
    assert (again.job_id, again.paths, again.status()) == (job.job_id, job.paths, "failed")


def test_paths_compare_and_print() -> None:
    assert JobPaths("/a") == JobPaths(Path("/a"))
    assert len({JobPaths("/a"), JobPaths("/a"), JobPaths("/b")}) == 2
    assert repr(JobPaths("/a")) == "JobPaths('/a')"


def test_a_call_runs() -> None:
    assert Call(double, (4,)).run() == 8
