"""What is asked of Slurm's commands, and what is made of their answers; the commands are scripts that take notes."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pydantic
import pytest
from execution_calls import double, until

from exca import TaskInfra
from exca.errors import InvalidInfra, JobNotStarted, SubmissionFailed
from exca.execution import Call, Job, Resources, make_executor
from exca.execution import _slurm as slurm
from exca.execution import _submitit as handing_over
from exca.execution._array._layout import ArrayPaths
from exca.execution._array._schedule import Schedule
from exca.execution._sighting import ALIVE, FORGOTTEN, UNKNOWN
from exca.execution._slurm import SlurmWatch, largest_array, watch_of

SBATCH = """
cp "$1" {folder}/script-$(ls {folder} | grep -c script-)
env > {folder}/environment
echo sbatch >> {folder}/calls
if [ -e {folder}/refusal ]; then cat {folder}/refusal >&2; mv {folder}/refusal {folder}/refused; exit 1; fi
echo "Submitted batch job 7$(grep -c sbatch {folder}/calls)"
"""
SCONTROL = "echo 'AccountingStorageType = none'; echo 'MaxArraySize            = 3'; echo 'MaxDBDMsgs = 1'"
SQUEUE = 'echo "$@" >> {folder}/calls; cat {folder}/queue'


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of the scripts' notes."""
    folder, programs = tmp_path / "notes", tmp_path / "bin"
    for path in (folder, programs):
        path.mkdir()
    scripts = {"sbatch": SBATCH, "scontrol": SCONTROL, "squeue": SQUEUE, "scancel": SQUEUE, "srun": "exit 0"}
    for name, script in scripts.items():
        (programs / name).write_text(f"#!/bin/sh\n{script.replace('{folder}', str(folder))}\n")
        (programs / name).chmod(0o755)
    (folder / "queue").touch()
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(handing_over, "_TRIES_S", (0.0, 0.0))
    for cached in (largest_array, watch_of):
        cached.cache_clear()
    yield folder
    for cached in (largest_array, watch_of):
        cached.cache_clear()


def submit(tmp_path: Path, count: int = 1, **resources: object) -> list[Job]:
    executor = make_executor(Resources(cluster="slurm", **resources), str(tmp_path / "logs"))  # type: ignore[arg-type]
    return executor.submit([Call(double, (i,), name="a name") for i in range(count)])


def flags(notes: Path, script: int = 0) -> dict[str, str]:
    lines = (notes / f"script-{script}").read_text().splitlines()
    found = [line.removeprefix("#SBATCH --").partition("=") for line in lines if line.startswith("#SBATCH")]
    return {name: value.strip("'") for name, _, value in found}


def calls(notes: Path) -> list[str]:
    return (notes / "calls").read_text().splitlines()


# Submitting


def test_resources_become_options_of_sbatch(tmp_path: Path, notes: Path) -> None:
    submit(
        tmp_path,
        2,
        timeout_min=90,
        cpus_per_task=4,
        gpus_per_node=2,
        mem_gb=2.5,
        slurm_partition="dev",
        slurm_account="us",
        slurm_qos="low",
        slurm_constraint="a100",
        slurm_setup=["module load cuda"],
        slurm_additional_parameters={"nice": 10, "exclusive": True, "requeue": False, "comment": "mine"},
    )
    found = flags(notes)
    expected = {
        "job-name": "a name",
        "time": "90",
        "nodes": "1",
        "cpus-per-task": "4",
        "gpus-per-node": "2",
        "mem": "2560M",
        "partition": "dev",
        "account": "us",
        "qos": "low",
        "constraint": "a100",
        "nice": "10",
        "exclusive": "",
        "array": "0-1%2",
        "signal": "B:USR2@90",
    }
    assert expected.items() <= found.items()
    assert not {"requeue", "ntasks-per-node"} & found.keys()
    assert found["comment"].startswith("mine 20")
    assert "module load cuda" in (notes / "script-0").read_text()


def test_what_is_not_asked_for_is_left_to_the_cluster(tmp_path: Path, notes: Path) -> None:
    submit(tmp_path)
    assert not {"time", "mem", "cpus-per-task", "gpus-per-node", "partition", "array"} & flags(notes).keys()


def test_several_processes_are_started_by_srun(tmp_path: Path, notes: Path) -> None:
    submit(tmp_path, tasks_per_node=2, nodes=3, timeout_min=2)
    found = flags(notes)
    assert (found["ntasks-per-node"], found["nodes"], found["signal"]) == ("2", "3", "USR2@30")
    assert "\nsrun " in (notes / "script-0").read_text()


@pytest.mark.parametrize(
    ("count", "workers", "arrays"),
    [(7, None, ["0-2%3", "0-2%3", None]), (7, 5, ["0-2%3", "0-1%2"]), (7, 1, [None]), (3, None, ["0-2%3"])],
)
def test_arrays_are_as_large_as_the_scheduler_takes_them(
    tmp_path: Path, notes: Path, count: int, workers: int | None, arrays: list[str | None]
) -> None:
    jobs = submit(tmp_path, count, max_workers=workers)
    assert len(jobs) == count
    assert calls(notes) == ["sbatch"] * len(arrays)
    assert [flags(notes, i).get("array") for i in range(len(arrays))] == arrays


def test_what_the_scheduler_refuses_leaves_nothing_behind(tmp_path: Path, notes: Path) -> None:
    (notes / "refusal").write_text("sbatch: error: invalid partition specified: nowhere")
    with pytest.raises(SubmissionFailed, match=r"slurm did not take the jobs: .*nowhere"):
        submit(tmp_path)
    assert os.listdir(tmp_path / "logs") == []


def test_the_arrays_before_one_that_is_refused_are_cancelled(tmp_path: Path, notes: Path) -> None:
    script = (notes.parent / "bin" / "sbatch").read_text()
    broken = f'[ $(grep -c sbatch {notes}/calls) = 2 ] && echo "no more" > {notes}/refusal\nif [ -e'
    (notes.parent / "bin" / "sbatch").write_text(script.replace("if [ -e", broken, 1))
    with pytest.raises(SubmissionFailed, match="no more"):
        submit(tmp_path, 6)
    assert calls(notes) == ["sbatch", "sbatch", "--quiet 71_0 71_1 71_2"]
    assert os.listdir(tmp_path / "logs") == []


def test_a_controller_that_is_away_is_asked_again(tmp_path: Path, notes: Path) -> None:
    (notes / "refusal").write_text("sbatch: error: Batch job submission failed: Unable to contact slurm controller")
    assert len(submit(tmp_path)) == 1
    assert calls(notes) == ["sbatch", "sbatch"]


def test_a_submission_that_is_taken_twice(tmp_path: Path, notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The jobs of an attempt whose answer was lost take the calls; those of the next find them taken, and end."""
    monkeypatch.setattr(slurm, "_FIRST_PAUSE_S", 0.0)
    (notes / "refusal").write_text(
        "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"
    )
    [job, taken_later, cancelled] = submit(tmp_path, 3)
    [posting] = (tmp_path / "logs").glob("*/posting.json")
    array = ArrayPaths(posting.parent)
    assert [array.take(0, "0@71_0"), array.take(2, "2@71_2")] == [True, True]

    def see(first: str, second: str) -> None:
        queue = [(f"7{n}_{i}", state) for n, state in ((1, first), (2, second)) for i in range(3)]
        (notes / "queue").write_text("".join(f"{one}|{state}|None|{array.folder.name}+0\n" for one, state in queue))

    see("RUNNING", "COMPLETED")
    assert job.status() == "running"
    cancelled.cancel()
    until(lambda: "--quiet 71_2 72_2" in calls(notes))
    see("NODE_FAIL", "RUNNING")
    until(job.done)
    assert "its node failed, Slurm job 71_0 is NODE_FAIL" in str(job.exception())
    assert taken_later.status() == "pending"


def test_a_job_submits_jobs_of_their_own(tmp_path: Path, notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SLURM_JOB_ID": "5", "SLURM_CPUS_PER_TASK": "3", "SLURM_CONF": "/here/slurm.conf"}.items():
        monkeypatch.setenv(name, value)
    submit(tmp_path)
    lines = (notes / "environment").read_text().splitlines()
    assert [line for line in lines if line.startswith("SLURM")] == ["SLURM_CONF=/here/slurm.conf"]
    assert os.environ["SLURM_CPUS_PER_TASK"] == "3"


@pytest.mark.parametrize("option", ["array", "output", "parsable", "quiet", "test_only", "wait", "wrap", "--nice"])
def test_options_that_would_lose_the_jobs_are_refused(tmp_path: Path, notes: Path, option: str) -> None:
    with pytest.raises(InvalidInfra, match=rf"slurm_additional_parameters: .*{option}"):
        submit(tmp_path, slurm_additional_parameters={option: "1"})
    assert not (notes / "calls").exists()


def test_an_option_of_several_lines_is_refused(tmp_path: Path, notes: Path) -> None:
    with pytest.raises(InvalidInfra, match=r"'comment': 'one\\ntwo'.*one line"):
        submit(tmp_path, slurm_additional_parameters={"comment": "one\ntwo"})
    assert not (notes / "calls").exists()


def test_the_user_may_choose_when_workers_are_warned_but_not_how(tmp_path: Path, notes: Path) -> None:
    submit(tmp_path, timeout_min=90, slurm_additional_parameters={"signal": "USR2@300"})
    assert flags(notes)["signal"] == "B:USR2@300"
    [posting] = (tmp_path / "logs").glob("*/posting.json")
    assert json.loads(posting.read_text())["warning_s"] == 300
    with pytest.raises(InvalidInfra, match=r"'USR1@30'.*listen to USR2"):
        submit(tmp_path, slurm_additional_parameters={"signal": "USR1@30"})


def test_odd_names_fit_into_the_script(tmp_path: Path, notes: Path) -> None:
    executor = make_executor(Resources(cluster="slurm"), str(tmp_path / "50%A" / "logs"))
    executor.submit([Call(double, (1,), name="a\nb" + 1000 * "c")])
    found = flags(notes)
    assert found["job-name"] == "a b" + 197 * "c"
    for name, suffix in (("output", "out"), ("error", "err")):
        assert found[name].startswith(f"{tmp_path}/50%%A/logs/20")
        assert found[name].endswith(f"/scheduler/%j_0_log.{suffix}")


def test_a_job_that_is_never_started_is_not_submitted_for_ever(tmp_path: Path, notes: Path) -> None:
    config = Doubled(infra={"cluster": "slurm", "folder": tmp_path})
    with pytest.raises(JobNotStarted, match="the scheduler does not know its job any more"):
        config.run()
    assert calls(notes).count("sbatch") == 3


class Doubled(pydantic.BaseModel):
    infra: TaskInfra = TaskInfra()

    @infra.apply
    def run(self) -> int:
        return 2


def test_settings_for_sbatch_hold_outside_of_jobs(
    tmp_path: Path, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SBATCH_ACCOUNT", "ours")
    submit(tmp_path)
    assert "SBATCH_ACCOUNT=ours" in (notes / "environment").read_text().splitlines()


# Watching


def schedule(token: str = "20260101-array", age_s: float = 0.0) -> Schedule:
    return Schedule("slurm", time.time() - age_s, os.getuid(), token, ["7_0", "7_1", "7_2", "7_3", "7_4"])


def test_a_schedule_of_an_earlier_version_can_be_read(tmp_path: Path) -> None:
    mine, array = schedule(), ArrayPaths(tmp_path)
    mine.write(array)
    assert Schedule.read(array) == mine
    written = json.loads((tmp_path / "scheduler.json").read_text())
    written["uid"] = written.pop("user_id")
    (tmp_path / "scheduler.json").write_text(json.dumps(written))
    assert Schedule.read(array) == mine


def test_one_question_for_all_jobs(notes: Path) -> None:
    lines = [
        "7_0|RUNNING|None|",
        "7_1|FAILED|NonZeroExitCode|",
        "7_2|PENDING|Priority|",
        "7_3|TIMEOUT|TimeLimit|mine ",
    ]
    (notes / "queue").write_text("".join(f"{line}20260101-array\n" for line in lines))
    mine, watch = schedule(), SlurmWatch(0)
    seen = [watch.sighting(mine, job) for job in mine.ids for _ in range(100)][::100]
    assert [seen[0], seen[2], seen[4]] == [ALIVE, ALIVE, FORGOTTEN]
    assert (seen[1].state, seen[3].state) == ("FAILED", "TIMEOUT")
    assert seen[1].reason == "its Slurm job failed (NonZeroExitCode), Slurm job 7_1 is FAILED"
    assert [watch.sighting(schedule(age_s=60), job).state for job in ("7_0", "7_1")] == ["ALIVE", "FAILED"]
    assert calls(notes) == ["--noheader --array --states=all --user=0 --format=%i|%T|%r|%k"]


def test_the_jobs_of_an_array_are_found_by_their_comment(notes: Path) -> None:
    lines = ["8|PENDING|None|mine a+3", "7_1|RUNNING|None|a+0", "7_0|FAILED|None|a+0", "9_0|RUNNING|None|ab+0"]
    (notes / "queue").write_text("".join(f"{line}\n" for line in lines))
    watch = SlurmWatch(0)
    assert watch.ids_of("a", time.time() + 60) is None, "the answer is too old"
    since = time.time() - 60
    assert watch.ids_of("a", since) == ["7_0", "7_1", "", "8"]
    assert watch.ids_of("b", since) == []


def test_incident_16_the_job_of_another_has_the_id_of_ours(notes: Path) -> None:
    (notes / "queue").write_text("7_0|RUNNING|None|20270101-another\n7_1|COMPLETED|None|\n")
    mine, watch = schedule(), SlurmWatch(0)
    assert [watch.sighting(mine, job) for job in ("7_0", "7_1")] == [FORGOTTEN, FORGOTTEN]


def test_an_answer_from_before_a_submission_says_nothing_of_its_jobs(notes: Path) -> None:
    (notes / "queue").write_text("7_0|RUNNING|None|20260101-array\n")
    watch = SlurmWatch(0)
    assert watch.sighting(schedule(), "7_0") == ALIVE
    # Asked about while sbatch had not answered yet, or by a clock that goes before that of the submitter.
    other = Schedule("slurm", time.time() - 60, 0, "other", ["8_0"])
    assert watch.sighting(other, "8_0") == UNKNOWN
    assert watch.sighting(schedule("long-ago", age_s=3600), "5_0") == FORGOTTEN
    assert len(calls(notes)) == 1


def test_threads_share_a_watch(notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm, "_FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr(slurm, "_LONGEST_PAUSE_S", 0.0)
    (notes / "queue").write_text("".join(f"7_{i}|RUNNING|None|20260101-array\n" for i in range(5000)))
    mine, watch = schedule(age_s=3600), SlurmWatch(0)
    watch.sighting(mine, "7_4999")

    def look(_: int) -> set[object]:
        end = time.monotonic() + 0.5
        seen: set[object] = set()
        while time.monotonic() < end:
            seen.add(watch.sighting(mine, "7_4999"))
        return seen

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(8) as pool:
            assert set().union(*pool.map(look, range(8))) == {ALIVE}
    finally:
        sys.setswitchinterval(interval)
    assert len(calls(notes)) > 2


def test_what_the_user_likes_to_see_of_a_queue_is_not_all_there_is(
    notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    squeue = notes.parent / "bin" / "squeue"
    squeue.write_text(squeue.read_text() + f"env > {notes}/squeue-environment\n")
    monkeypatch.setenv("SQUEUE_PARTITION", "gpu")
    monkeypatch.setenv("SLURM_CONF", "/here/slurm.conf")
    SlurmWatch(0).sighting(schedule(), "7_0")
    lines = (notes / "squeue-environment").read_text().splitlines()
    assert not [line for line in lines if line.startswith("SQUEUE_")]
    assert "SLURM_CONF=/here/slurm.conf" in lines


def test_many_jobs_are_cancelled_with_one_call(tmp_path: Path, notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm, "_MOMENT_S", 0.8)
    jobs = submit(tmp_path, 3)
    [posting] = (tmp_path / "logs").glob("*/posting.json")
    (notes / "queue").write_text("".join(f"71_{i}|PENDING|None|{posting.parent.name}+0\n" for i in range(3)))
    for job in jobs:
        job.cancel()
        assert job.status() == "failed"
    end = time.monotonic() + 10
    while not (asked := [call for call in calls(notes) if call.startswith("--quiet")]) and time.monotonic() < end:
        time.sleep(0.02)
    assert asked == ["--quiet 71_0 71_1 71_2"]


def test_jobs_that_will_never_start_are_named_once(
    notes: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm, "_FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr(slurm, "_LONGEST_PAUSE_S", 0.0)
    lines = [
        "7_0|PENDING|PartitionNodeLimit|mine 20260101-array+0",
        "7_1|PENDING|PartitionNodeLimit|mine 20260101-array+0",
        "7_2|PENDING|Priority|mine 20260101-array+0",
        "9|PENDING|JobHeldUser|of another program",
    ]
    (notes / "queue").write_text("".join(f"{line}\n" for line in lines))
    mine, watch = schedule(), SlurmWatch(0)
    with caplog.at_level(logging.WARNING):
        assert [watch.sighting(mine, job) for job in mine.ids[:3]] == [ALIVE] * 3
    [message] = [record.message for record in caplog.records]
    assert message.startswith("Slurm job 7_0 and 1 more will not start as it is (PartitionNodeLimit): see `scontrol")


def test_an_array_that_is_newer_than_the_answer_is_asked_about(notes: Path) -> None:
    watch = SlurmWatch(0)
    assert watch.sighting(schedule(), "7_0") == FORGOTTEN
    (notes / "queue").write_text("8_0|RUNNING|None|newer\n")
    newer = Schedule("slurm", time.time(), 0, "newer", ["8_0"])
    assert watch.sighting(newer, "8_0") == ALIVE
    assert len(calls(notes)) == 2


def test_a_controller_that_is_away_ends_no_job(
    notes: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm, "_FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr(slurm, "_LONGEST_PAUSE_S", 0.0)
    squeue = notes.parent / "bin" / "squeue"
    works = squeue.read_text()
    squeue.write_text("#!/bin/sh\necho 'Unable to contact slurm controller' >&2; exit 1\n")
    mine, watch = schedule(), SlurmWatch(0)
    with caplog.at_level(logging.WARNING):
        assert [watch.sighting(mine, "7_0") for _ in range(3)] == [UNKNOWN] * 3
        squeue.write_text(works)
        (notes / "queue").write_text("7_0|RUNNING|None|20260101-array\n")
        assert [watch.sighting(mine, "7_0") for _ in range(3)] == [ALIVE] * 3
        squeue.write_text("#!/bin/sh\nexit 1\n")
        assert watch.sighting(mine, "7_0") == ALIVE  # what is known stays known
    messages = [record.message for record in caplog.records]
    assert messages[0].startswith("Slurm does not answer (Unable to contact slurm controller); its jobs are waited")
    assert messages[1] == "Slurm answers again"


def test_questions_become_rare(notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(slurm.time, "monotonic", lambda: now)
    mine, watch = schedule(), SlurmWatch(0)
    asked = []
    while now < 1600.0:
        watch.sighting(mine, "7_0")
        asked.append(len(calls(notes)))
        now += 0.5
    assert asked[20] <= 5  # in the first 10 s
    assert asked[-1] - asked[-121] <= 2  # in the last minute


def test_the_largest_array(notes: Path) -> None:
    assert largest_array() == 3
    largest_array.cache_clear()
    (notes.parent / "bin" / "scontrol").write_text("#!/bin/sh\nexit 1\n")
    assert largest_array() == 1001


def test_where_the_workers_are_is_written_down(tmp_path: Path, notes: Path) -> None:
    [job, *_] = submit(tmp_path, 4)
    assert job.paths is not None
    array = (job.paths.folder / os.readlink(job.paths.ticket)).resolve().parents[1]
    written = json.loads((array / "scheduler.json").read_text())
    assert written["ids"] == ["71_0", "71_1", "71_2", "72"]
    assert written["token"] == array.name
    assert flags(notes)["comment"] == f"{array.name}+0", "the array, and the worker that is element 0"
