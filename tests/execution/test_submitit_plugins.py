"""Any submitit plugin is a cluster: a plugin of these tests, which runs jobs on this machine, stands for all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PLUGIN = '''
import os
import signal
from submitit.local import local

class NearbyJob(local.LocalJob):
    """Known by its id alone, as on a real scheduler: here the id of its process."""

    def get_info(self, mode="force"):
        return {"jobState": "RUNNING" if self._alive() else "ENDED"}

    def _alive(self):
        try:
            with open(f"/proc/{self.job_id}/stat") as file:
                return file.read().rpartition(")")[2].split()[0] != "Z"
        except FileNotFoundError:
            return False

    def cancel(self, check=True):
        if self._alive():
            os.kill(int(self.job_id), signal.SIGINT)

class NearbyExecutor(local.LocalExecutor):
    job_class = NearbyJob

    @property
    def _submitit_command_str(self):
        return "env SUBMITIT_EXECUTOR=nearby " + super()._submitit_command_str

class NearbyJobEnvironment(local.LocalJobEnvironment): pass
'''
SCRIPT = """
import os, signal
from execution_calls import double, fail, kill_self, mark_and_wait, nap, until
from exca.execution import Call, Resources, make_executor, job_from_folder, wait_all
from exca.errors import InvalidInfra, JobCancelled, JobFailed

def where():
    import submitit
    return submitit.JobEnvironment().cluster

logs = os.environ["LOGS"]
executor = make_executor(Resources(cluster="nearby", timeout_min=5), logs)
calls = [Call(double, (1,)), Call(fail, ("odd",)), Call(kill_self, (signal.SIGKILL,)), Call(where)]
jobs = executor.submit(calls)
assert wait_all(jobs, 60), jobs
print(jobs[0].result(), type(jobs[1].exception()).__name__, jobs[2].exception(), jobs[3].result(), sep="\\n")
print(job_from_folder(jobs[0].paths.folder).result())
shared = make_executor(Resources(cluster="nearby", max_workers=2), logs).submit([Call(double, (i,)) for i in range(9)])
print([job.result() for job in shared])
[job] = executor.submit([Call(mark_and_wait, (logs + "/mark", logs + "/never"))])
until(lambda: os.path.exists(logs + "/mark"))
job.cancel()
print(type(job.exception()).__name__)
for resources in ({"conda_env": "torch"}, {"nodes": 3}):
    try:
        make_executor(Resources(cluster="nearby", **resources), logs).submit([Call(double, (1,))])
    except InvalidInfra as error:
        print(error)
"""


@pytest.fixture
def nearby(tmp_path: Path) -> dict[str, str]:
    """The environment of a process in which the plugin is installed."""
    site = tmp_path / "site"
    (site / "nearby-1.0.dist-info").mkdir(parents=True)
    (site / "nearby_plugin.py").write_text(PLUGIN)
    (site / "nearby-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: nearby\nVersion: 1.0\n")
    (site / "nearby-1.0.dist-info" / "entry_points.txt").write_text(
        "[submitit]\nexecutor = nearby_plugin:NearbyExecutor\njob_environment = nearby_plugin:NearbyJobEnvironment\n"
    )
    path = os.pathsep.join([str(site), str(Path(__file__).parent)])
    return {**os.environ, "PYTHONPATH": path, "LOGS": str(tmp_path / "logs")}


def test_a_plugin_is_a_cluster(nearby: dict[str, str]) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=nearby, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["2", "KeyError"]
    assert "killed by signal 9 (SIGKILL)" in lines[2]
    assert lines[3:7] == ["nearby", "2", "[0, 2, 4, 6, 8, 10, 12, 14, 16]", "JobCancelled"]
    assert lines[7] == "conda_env='torch': the submitit plugin 'nearby' chooses its own Python"
    assert lines[8].startswith("cluster='nearby' does not take these resources: LocalExecutor can use only one node")
