"""What this process may use of its machine."""

from __future__ import annotations

import functools
import math
import os
import time
from pathlib import Path
from typing import Final

from exca.errors import InvalidInfra

__all__ = ["allowed_cpus", "allowed_gpus", "thread_limits"]

_QUOTA_S: Final = 1.0  # quotas change seldom, and are some twenty files; they are asked for several times a submission


def allowed_cpus(cgroup_root: Path = Path("/sys/fs/cgroup"), own_groups: Path = Path("/proc/self/cgroup")) -> int:
    """CPUs this process may use: its affinity, bounded by the quota of each control group it is in.

    Sources: sched_getaffinity(2); ``cpu.max`` in the kernel's cgroup-v2.rst; ``cpu.cfs_quota_us`` and
    ``cpu.cfs_period_us`` of cgroup v1 in sched-bwc.rst. A quota of 1.5 CPUs counts as 2, as some
    CPU would idle otherwise.

    Parameters
    ----------
    cgroup_root: where control groups are mounted.
    own_groups: the groups of this process, see cgroups(7).
    """
    try:
        cpus = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        cpus = os.cpu_count() or 1
    quota = _least_quota(cgroup_root, own_groups, int(time.monotonic() / _QUOTA_S))
    return max(1, cpus if quota == math.inf else min(cpus, math.ceil(quota)))


@functools.lru_cache(maxsize=1)
def _least_quota(root: Path, own_groups: Path, _time: int) -> float:
    """The least of all quotas, in CPUs; read anew when the time is another one."""
    quotas = [quota for folder in _cgroup_folders(root, own_groups) if (quota := _quota(folder)) is not None]
    return min(quotas, default=math.inf)


def _cgroup_folders(root: Path, own_groups: Path) -> list[Path]:
    """Folders whose quota binds this process: its own group and all above it, in both versions."""
    try:
        lines = own_groups.read_text().splitlines()
    except OSError:
        return []
    folders = []
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            mounts = [root, root / "unified"]
        elif "cpu" in controllers.split(","):
            mounts = [root / controllers, root / "cpu"]
        else:
            continue
        relative = Path(group.lstrip("/"))
        # Inside a container the group's path is often the host's, while its own group is mounted as the root.
        folders += [mount / path for mount in mounts for path in (relative, *relative.parents)]
    return folders


def _quota(folder: Path) -> float | None:
    """CPUs that a control group may use per period, or None if it sets no bound."""
    try:
        quota, period = (folder / "cpu.max").read_text().split()
    except OSError:
        try:
            quota = (folder / "cpu.cfs_quota_us").read_text().strip()
            period = (folder / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    if quota in ("max", "-1") or int(period) <= 0:
        return None
    return int(quota) / int(period)


def allowed_gpus() -> list[str]:
    """Names of the GPUs this process may use, as ``CUDA_VISIBLE_DEVICES`` takes them.

    ``EXCA_LOCAL_GPUS`` (a number, or a list such as ``0,2``) comes first, then ``CUDA_VISIBLE_DEVICES``, then what the
    driver shows under ``/proc/driver/nvidia/gpus``.

    Raises
    ------
    InvalidInfra: ``EXCA_LOCAL_GPUS`` is neither a number nor a list.
    """
    given = os.environ.get("EXCA_LOCAL_GPUS", "").strip()
    if given.isdigit():
        return [str(number) for number in range(int(given))]
    visible = given or os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        names = [name.strip() for name in visible.split(",") if name.strip()]
        if any("/" in name or name.startswith(".") for name in names):
            raise InvalidInfra(f"a list of GPUs looks like 0,2 and not like {visible!r} (EXCA_LOCAL_GPUS)")
        return [] if names[:1] == ["-1"] else names
    try:
        return [str(number) for number in range(len(os.listdir("/proc/driver/nvidia/gpus")))]
    except OSError:
        return []


def thread_limits(threads: int) -> dict[str, str]:
    """Threads of the numerical libraries in each worker, where the user has not set them.

    Each library starts a thread per core by itself; with a worker per core, the square of it.
    """
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    return {name: str(max(1, threads)) for name in names if name not in os.environ}
