"""The same promises on every cluster that runs on one machine, with real processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import typing as tp
from pathlib import Path

import pytest
from computations import Awkward, Work, traced

from exca.errors import InvalidInfra, JobFailed

HERE = Path(__file__).parent


class OnCluster:
    cluster: tp.ClassVar[str | None]
    own_process: tp.ClassVar[bool] = True

    @pytest.fixture
    def work(self, tmp_path: Path) -> Work:
        infra = {"folder": tmp_path / "cache", "cluster": self.cluster, "max_workers": 2}
        return Work(trace=tmp_path / "trace", infra=infra)


class ClusterContract(OnCluster):
    def test_computed_once(self, work: Work, tmp_path: Path) -> None:
        first = work.run()
        assert work.infra.clone_obj().run() == first
        assert (first["pid"] != os.getpid()) is self.own_process
        assert len(traced(tmp_path / "trace")) == 1

    def test_a_job_array_keeps_values_beside_failures(self, work: Work, tmp_path: Path) -> None:
        work.infra.clone_obj(x=0).run()
        with work.infra.job_array(max_workers=2) as tasks:
            tasks.extend(work.infra.clone_obj(x=x) for x in range(3))
            tasks.append(work.infra.clone_obj(x=3, then="raise"))
        assert [task.run()["x"] for task in tasks[:3]] == [0, 1, 2]
        with pytest.raises(ValueError, match="bad 3") as caught:
            tasks[3].run()
        assert "raise ValueError" in "\n".join(caught.value.__notes__)
        assert [task.infra.status() for task in tasks] == ["completed"] * 3 + ["failed"]
        assert len(traced(tmp_path / "trace")) == 4

    def test_a_failure_is_stored_and_retried_once(self, work: Work, tmp_path: Path) -> None:
        failing = work.infra.clone_obj(then="raise")
        for _ in range(2):
            with pytest.raises(ValueError, match="bad 1"):
                failing.run()
        assert len(traced(tmp_path / "trace")) == 1
        again = failing.infra.clone_obj({"infra.mode": "retry"})
        for _ in range(2):
            with pytest.raises(ValueError, match="bad 1"):
                again.run()
        assert len(traced(tmp_path / "trace")) == 2

    def test_incident_11_an_exception_with_another_constructor_keeps_its_type(self, work: Work) -> None:
        for _ in range(2):
            with pytest.raises(Awkward, match="disk: 3"):
                work.infra.clone_obj(then="custom").run()

    def test_force_replaces_the_result(self, work: Work, tmp_path: Path) -> None:
        work.run()
        forced = work.infra.clone_obj({"infra.mode": "force"})
        value = forced.run()
        assert len(traced(tmp_path / "trace")) == 2
        assert forced.run() == value
        assert work.infra.clone_obj().run() == value
        assert len(traced(tmp_path / "trace")) == 2

    def test_a_result_that_cannot_be_stored_is_a_failure_with_a_reason(self, work: Work) -> None:
        bad = work.infra.clone_obj(then="unstorable")
        for _ in range(2):
            with pytest.raises(Exception, match="not stored"):
                bad.run()
        assert bad.infra.status() == "failed"

    def test_the_job(self, work: Work) -> None:
        job = work.infra.job()
        assert job.wait(30)
        assert (job.done(), job.status(), job.result()["x"], job.exception()) == (True, "completed", 1, None)
        job.cancel()
        assert work.infra.status() == "completed"


class QueueContract(ClusterContract):
    """What only clusters with processes of their own can promise."""

    @pytest.mark.parametrize(("then", "reason"), [("kill", "SIGKILL"), ("exit", "exit code 3|code 3")])
    def test_a_killed_worker_costs_one_task(self, work: Work, then: str, reason: str) -> None:
        with work.infra.job_array() as tasks:
            tasks.extend(work.infra.clone_obj(x=x) for x in range(3))
            tasks.append(work.infra.clone_obj(then=then))
        assert [task.run()["x"] for task in tasks[:3]] == [0, 1, 2]
        with pytest.raises(JobFailed, match=reason):
            tasks[3].run()
        assert tasks[3].infra.status() == "failed"
        with pytest.raises(JobFailed, match=reason):
            tasks[3].infra.clone_obj().run()

    @pytest.mark.slow
    def test_a_killed_force_keeps_the_old_result_and_says_so(self, work: Work, tmp_path: Path) -> None:
        value = work.run()
        killer = work.infra.clone_obj({"infra.mode": "force"}, seconds=30)
        job = killer.infra.job()
        _until(lambda: len(traced(tmp_path / "trace")) == 2)
        os.kill(int(traced(tmp_path / "trace")[1].split()[1]), signal.SIGKILL)
        with pytest.raises(JobFailed, match="SIGKILL"):
            killer.run()
        assert job.done()
        assert work.infra.clone_obj().run() == value

    def test_output_goes_to_files_of_its_own(self, work: Work) -> None:
        with work.infra.job_array() as tasks:
            tasks.extend(work.infra.clone_obj(x=x) for x in range(2))
        for task in tasks:
            task.run()
        assert [task.infra.job().stdout() for task in tasks] == ["out 0\n", "out 1\n"]
        assert [task.infra.job().stderr() for task in tasks] == ["err 0\n", "err 1\n"]


class TestInline(ClusterContract):
    cluster = None
    own_process = False


class TestDebug(ClusterContract):
    cluster = "debug"
    own_process = False

    def test_a_job_array_keeps_values_beside_failures(self, work: Work, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="bad 3"), work.infra.job_array() as tasks:  # for the debugger to see
            tasks.extend([work.infra.clone_obj(x=0), work.infra.clone_obj(x=3, then="raise")])
        assert [task.infra.status() for task in tasks] == ["completed", "failed"]


class TestThreadPool(ClusterContract):
    cluster = "threadpool"
    own_process = False


class TestProcessPool(QueueContract):
    cluster = "processpool"

    def test_works_without_folder(self) -> None:
        config = Work(infra={"cluster": "processpool"})
        assert config.run()["pid"] != os.getpid()


@pytest.mark.slow
class TestLocalAsAnyOther(QueueContract):
    cluster = "local"


class TestLocal(OnCluster):
    """What only a queue that outlives its submitter can promise."""

    cluster = "local"

    def test_the_uid_folder_leads_to_the_job(self, work: Work) -> None:
        work.run()
        folder = work.infra.uid_folder()
        assert folder is not None
        assert (folder / "submitit" / "stdout.log").read_text() == "out 1\n"
        note = json.loads((folder / "job.json").read_text())
        assert (note["state"], note["cluster"], note["job_id"]) == ("completed", "local", work.infra.job().job_id)

    def test_incident_09_deleted_logs_lose_logs_only(self, work: Work, tmp_path: Path) -> None:
        value = work.run()
        _until(lambda: _is_removed(tmp_path / "cache" / "logs"))  # its queue may be writing its last words
        twin = work.infra.clone_obj()
        assert twin.run() == value
        assert twin.infra.job().stdout() is None

    @pytest.mark.slow
    def test_leaving_the_array_does_not_wait(self, work: Work) -> None:
        before = time.monotonic()
        with work.infra.job_array() as tasks:
            tasks.append(work.infra.clone_obj(seconds=1.5))
        assert time.monotonic() - before < 1.0
        assert tasks[0].infra.status() == "running"
        assert tasks[0].infra.clone_obj().infra.status() == "running", "another process sees it too"
        assert tasks[0].run()["x"] == 1

    def test_incident_17_never_more_than_max_workers_at_once(self, work: Work, tmp_path: Path) -> None:
        with work.infra.job_array(max_workers=2) as tasks:
            tasks.extend(work.infra.clone_obj(x=x, seconds=0.1) for x in range(8))
        for task in tasks:
            task.run()
        starts = sorted(float(line.split()[2]) for line in traced(tmp_path / "trace"))
        for k in range(len(starts) - 2):  # a third task starts only when one of the two before has ended
            assert starts[k + 2] - starts[k] >= 0.09

    def test_cancel(self, work: Work, tmp_path: Path) -> None:
        config = work.infra.clone_obj(seconds=60)
        job = config.infra.job()
        _until(lambda: bool(traced(tmp_path / "trace")))
        job.cancel()
        assert job.wait(20)
        with pytest.raises(JobFailed, match="cancel"):
            job.result()
        config.infra.clear_job()
        assert config.infra.status() == "not submitted"

    def test_survives_the_process_that_submitted(self, work: Work, tmp_path: Path) -> None:
        code = f"""
        import os, signal, sys
        sys.path.insert(0, {str(HERE)!r})
        from computations import Work
        work = Work(trace={str(tmp_path / "trace")!r}, seconds=0.7, infra={work.infra.model_dump(mode="json")!r})
        with work.infra.job_array() as tasks:
            tasks.extend(work.infra.clone_obj(x=x) for x in (5, 6))
        os.kill(os.getpid(), signal.SIGKILL)
        """
        subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
        configs = [work.infra.clone_obj(x=x) for x in (5, 6)]
        assert [config.run()["x"] for config in configs] == [5, 6]
        assert len(traced(tmp_path / "trace")) == 2, "the second process waited for the first one's jobs"

    @pytest.mark.slow
    def test_numerical_libraries_share_the_cores(self, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        one = work.infra.clone_obj({"infra.cpus_per_task": 3})
        assert one.run()["threads"] == "3"
        monkeypatch.setenv("OMP_NUM_THREADS", "7")
        assert one.infra.clone_obj(x=5).run()["threads"] == "7", "what the user set stands"

    def test_relative_folders_start_where_the_job_was_submitted(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = tmp_path / "project"
        source.mkdir()
        shutil.copy(HERE / "computations.py", source)
        monkeypatch.chdir(source)
        work = Work(infra={"folder": "cache", "cluster": "local", "workdir": source})
        work.run()
        assert (source / "cache" / work.infra.uid() / "result.json").exists()
        assert (source / "cache" / work.infra.uid() / "code").resolve() != source

    def test_needs_a_folder(self) -> None:
        with pytest.raises(InvalidInfra, match=r"infra\.folder"):
            Work(infra={"cluster": "local"}).run()


def test_incident_07_many_processes_compute_each_task_once(tmp_path: Path) -> None:
    code = f"""
    import sys
    sys.path.insert(0, {str(HERE)!r})
    from computations import Work
    base = Work(trace={str(tmp_path / "trace")!r}, seconds=0.05, infra={{"folder": {str(tmp_path / "cache")!r}}})
    print([base.infra.clone_obj(x=x).run()["pid"] for x in range(3)])
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    values = {process.communicate()[0].splitlines()[-1] for process in processes}
    assert len(values) == 1, "all were given the same three values"
    assert len(traced(tmp_path / "trace")) == 3


@pytest.mark.parametrize("cluster", [pytest.param("local", marks=pytest.mark.slow), "processpool"])
def test_incident_18_a_script_without_guard_uses_its_own_classes(tmp_path: Path, cluster: str) -> None:
    script = tmp_path / "study.py"
    script.write_text(
        textwrap.dedent(f"""
        import sys, pydantic, exca
        print("script runs")

        class Report(pydantic.BaseModel):
            value: int

        class Study(pydantic.BaseModel):
            x: int = 1
            infra: exca.TaskInfra = exca.TaskInfra()

            @infra.apply
            def run(self) -> Report:
                if self.x < 0:
                    raise Mistake(self.x)
                return Report(value=helper(self.x))

        class Mistake(Exception):
            pass

        def helper(x: int) -> int:
            return x * 2

        base = Study(infra={{"folder": {str(tmp_path / "cache")!r}, "cluster": {cluster!r}}})
        with base.infra.job_array() as tasks:
            tasks.extend([base.infra.clone_obj(x=x) for x in (1, 2, -1)])
        print([type(task.run()) is Report and task.run().value for task in tasks[:2]])
        try:
            tasks[2].run()
        except Mistake as error:
            print("caught", error)
        print(base.infra.uid())
        """)
    )
    for _ in range(2):
        done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
        assert done.stdout == "script runs\n[2, 4]\ncaught -1\nstudy.Study.run,0/default\n", done.stderr
    code = (
        "import study; print(study.Study(x=2, infra=study.base.infra.model_copy(update={'mode': 'read-only'})).run())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stdout.endswith("value=4\n"), f"incident 2: imported, it is the same computation; {done.stderr}"


def test_incident_21_auto_needs_a_controller_not_just_sbatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "bin"
    fake.mkdir()
    for name in ("sbatch", "scontrol", "squeue", "sinfo"):
        (fake / name).write_text("#!/bin/sh\nexit 1\n")
        (fake / name).chmod(0o755)
    env = os.environ | {"PATH": f"{fake}:{os.environ['PATH']}"}
    code = f"""
    import sys
    sys.path.insert(0, {str(HERE)!r})
    from computations import Work
    print(Work(infra={{"folder": {str(tmp_path / "cache")!r}, "cluster": "auto"}}).run()["x"])
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.stdout == "1\n", done.stderr


def _is_removed(folder: Path) -> bool:
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


def _until(condition: tp.Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
