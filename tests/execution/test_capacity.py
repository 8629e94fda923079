"""What a process may use of its machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from execution_calls import PATIENCE_S

from exca.errors import InvalidInfra
from exca.execution._array._departures import Departure, OomWatch, oom_kills
from exca.execution._capacity import allowed_cpus, allowed_gpus

MANY = max(2, len(os.sched_getaffinity(0)))


def test_incident_18_affinity_counts() -> None:
    script = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); from exca.execution._capacity "
    script += "import allowed_cpus; print(allowed_cpus())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.stdout == "1\n", done.stderr


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "max 100000"}, MANY),
        ("0::/\n", {"cpu.max": "100000 100000"}, 1),
        ("0::/\n", {"cpu.max": "150000 100000"}, 2),
        ("0::/\n", {"cpu.max": "1000 100000"}, 1),
        ("0::/a/b\n", {"cpu.max": "max 100000", "a/cpu.max": "100000 100000", "a/b/cpu.max": "max 100000"}, 1),
        ("0::/host/path\n", {"cpu.max": "100000 100000"}, 1),  # in a container: the path is not the container's
        (
            "5:cpu,cpuacct:/x\n",
            {"cpu,cpuacct/x/cpu.cfs_quota_us": "100000", "cpu,cpuacct/x/cpu.cfs_period_us": "100000"},
            1,
        ),
        ("5:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, MANY),
        ("5:memory:/\n", {"memory/cpu.cfs_quota_us": "100000", "memory/cpu.cfs_period_us": "100000"}, MANY),
        ("", {}, MANY),
    ],
)
def test_incident_18_cgroup_quotas_count(tmp_path: Path, groups: str, files: dict[str, str], expected: int) -> None:
    for name, content in files.items():
        path = tmp_path / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    own = tmp_path / "own"
    own.write_text(groups)
    assert allowed_cpus(tmp_path / "cgroup", own) == min(expected, len(os.sched_getaffinity(0)))


@pytest.mark.parametrize(
    ("ours", "visible", "expected"),
    [
        ("3", "7", ["0", "1", "2"]),
        ("2,5", None, ["2", "5"]),
        ("0", "7", []),
        ("", "1, 3", ["1", "3"]),
        ("", "GPU-8f1", ["GPU-8f1"]),
        ("", "", []),
        ("", "-1", []),
    ],
)
def test_gpus(monkeypatch: pytest.MonkeyPatch, ours: str, visible: str | None, expected: list[str]) -> None:
    monkeypatch.setenv("EXCA_LOCAL_GPUS", ours)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert allowed_gpus() == expected


def test_names_of_gpus_that_are_paths_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXCA_LOCAL_GPUS", "../slot")
    with pytest.raises(InvalidInfra, match="EXCA_LOCAL_GPUS"):
        allowed_gpus()


def test_reasons_of_departures() -> None:
    assert Departure("w", -9).reason == "killed by signal 9 (SIGKILL)"
    assert Departure("w", -40).reason == "killed by signal 40"
    assert Departure("w", 2).reason == "its process ended with exit code 2"


def test_count_of_processes_killed_for_memory(tmp_path: Path) -> None:
    (tmp_path / "vmstat").write_text("nr_free_pages 12\noom_kill 3\npgfault 9\n")
    assert oom_kills(str(tmp_path / "vmstat")) == 3
    assert oom_kills(str(tmp_path / "missing")) == 0


def test_a_worker_is_said_to_be_out_of_memory_once_for_each_kill_of_the_kernel(tmp_path: Path) -> None:
    vmstat = tmp_path / "vmstat"
    vmstat.write_text("oom_kill 3\n")
    watch, killed = OomWatch(str(vmstat)), Departure("w", -9)
    assert "out of memory" not in watch.explain(killed)
    vmstat.write_text("oom_kill 4\n")
    assert "out of memory" not in watch.explain(Departure("w", 1)), "it ended by itself"
    assert "out of memory" in watch.explain(killed)
    assert "out of memory" not in watch.explain(killed)
