"""A queue of this machine whose owner is killed: it goes on, and keeps to its bound."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

SCRIPT = """
import os, sys, time
from pathlib import Path
import pydantic, exca

class Task(pydantic.BaseModel):
    number: int
    infra: exca.TaskInfra = exca.TaskInfra()

    @infra.apply
    def run(self) -> int:
        with open("trace", "a") as trace:
            trace.write(f"{self.number} {os.getpid()}\\n")
        Path("alive", str(self.number)).touch()
        time.sleep(0.1)
        Path("alive", str(self.number)).unlink()
        return 2 * self.number

if __name__ == "__main__":
    tasks = [Task(number=k, infra={"folder": "cache", "cluster": "local", "max_workers": 2}) for k in range(50)]
    if sys.argv[1] == "look":
        print(*(task.infra.status() for task in tasks))
        sys.exit()
    with tasks[0].infra.job_array() as array:
        array.extend(tasks)
    print("submitted", flush=True)
    print(sum(task.run() for task in tasks))
"""


@pytest.mark.slow
def test_incident_17_fifty_tasks_of_a_dead_owner_two_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "alive").mkdir()
    (tmp_path / "tasks.py").write_text(SCRIPT)
    command = [sys.executable, "tasks.py"]
    owner = subprocess.Popen(
        [*command, "submit"], cwd=tmp_path, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == "submitted\n"
    os.killpg(owner.pid, signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    most_tasks, most_workers = _watch(tmp_path)
    assert most_tasks == 2
    assert most_workers <= 2
    lines = (tmp_path / "trace").read_text().splitlines()
    assert sorted(int(line.split()[0]) for line in lines) == list(range(50))
    looked = subprocess.run([*command, "look"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert looked.stdout.split() == ["completed"] * 50
    again = subprocess.run([*command, "submit"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert again.stdout == f"submitted\n{sum(range(0, 100, 2))}\n"
    assert len((tmp_path / "trace").read_text().splitlines()) == 50, "nothing was computed again"


def _watch(folder: Path) -> tuple[int, int]:
    """Most tasks, and most processes that have run one, that were seen alive at once, until all results are there."""
    most_tasks = most_workers = 0
    end = time.monotonic() + 60
    while len(list(folder.glob("cache/*/*/result.json"))) < 50:
        assert time.monotonic() < end, "waited too long"
        most_tasks = max(most_tasks, len(os.listdir(folder / "alive")))
        trace = (folder / "trace").read_text().splitlines() if (folder / "trace").exists() else []
        pids = {int(line.split()[1]) for line in trace if line.count(" ") == 1}
        most_workers = max(most_workers, sum(psutil.pid_exists(pid) for pid in pids))
        time.sleep(0.01)
    return most_tasks, most_workers
