"""Which executor a `cluster` stands for."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from exca.errors import InvalidInfra
from exca.execution._capacity import allowed_cpus, allowed_gpus, thread_limits
from exca.execution._inline import InlineExecutor
from exca.execution._job import Executor
from exca.execution._resources import Resources

if TYPE_CHECKING:
    from exca.execution._queues import QueueExecutor

__all__ = [
    "check_cluster",
    "choose_cluster",
    "ends_with_this_process",
    "make_executor",
    "runs_in_this_process",
    "worker_bound",
]

_CLUSTERS = (None, "auto", "debug", "local", "processpool", "threadpool", "slurm")
_ANSWER_S = 5.0  # a controller that takes longer is as good as none


def runs_in_this_process(cluster: str | None) -> bool:
    """Whether calls run in this very process: nothing is pickled, and there are no log files."""
    return cluster in (None, "debug", "threadpool")


def ends_with_this_process(cluster: str | None) -> bool:
    """Whether calls that have not ended end with this process; else they go on, and can be found again."""
    return runs_in_this_process(cluster) or cluster == "processpool"


def check_cluster(cluster: str | None) -> None:
    """Say at once that a cluster is none; what resources it can give is seen when an executor is made.

    Raises
    ------
    InvalidInfra: it is neither one of this package nor an installed submitit plugin.
    """
    if cluster in _CLUSTERS:
        return
    from exca.execution._submitit import known_clusters

    known = [name for name in (*_CLUSTERS, *known_clusters()) if name is not None]
    if cluster not in known:
        close = difflib.get_close_matches(str(cluster), known, 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        others = ", ".join(map(repr, dict.fromkeys(known)))
        raise InvalidInfra(
            f"cluster={cluster!r} is not known: there are None, {others}, and submitit plugins that are "
            f"installed{hint}"
        )


def make_executor(
    resources: Resources, logs: str | None, *, initializer: Callable[[], None] | None = None
) -> Executor:
    """The executor for some resources.

    Parameters
    ----------
    logs: template of a job's folder; ``{user}`` is replaced, and ``%j`` by the job's id (added if missing). Needed for
        "local"; a process pool without it keeps its files in a temporary folder.
    initializer: called in each worker process before it loads its first call; must be picklable.

    Raises
    ------
    InvalidInfra: the resources ask for what this cluster cannot give, or name a cluster that is not there.

    Examples
    --------
    >>> make_executor(Resources(), None).submit([Call(divmod, (7, 2))])[0].result()
    (3, 1)
    """
    cluster = choose_cluster(resources.cluster)
    if cluster in (None, "debug"):
        return InlineExecutor(debug=cluster == "debug")
    if cluster == "threadpool":
        from exca.execution._threads import ThreadExecutor

        return ThreadExecutor(resources.max_workers or _default_workers(resources))
    if cluster in ("local", "processpool"):
        return _make_queue(resources, cluster, logs, initializer)
    check_cluster(cluster)
    from exca.execution._scheduler_request import make_submitit_executor

    return make_submitit_executor(resources, cluster, logs, initializer)


def worker_bound(resources: Resources) -> int | None:
    """How many workers would be alive at once, at most; None if only the scheduler knows.

    Raises
    ------
    InvalidInfra: more GPUs are asked for than there are.
    """
    if choose_cluster(resources.cluster) in ("local", "processpool", "threadpool"):
        return resources.max_workers or _default_workers(resources)
    return resources.max_workers


def choose_cluster(cluster: str | None) -> str | None:
    """Replace "auto": Slurm where a controller answers, else "local"."""
    if cluster != "auto":
        return cluster
    return "slurm" if slurm_answers() else "local"


@functools.cache
def slurm_answers() -> bool:
    """Whether a Slurm controller answers; asked once per process."""
    import shutil
    import subprocess

    if shutil.which("sbatch") is None or shutil.which("scontrol") is None:
        return False
    try:
        ping = subprocess.run(["scontrol", "ping"], capture_output=True, text=True, timeout=_ANSWER_S)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ping.returncode == 0 and " is UP" in ping.stdout


def _make_queue(
    resources: Resources, cluster: str, logs: str | None, initializer: Callable[[], None] | None
) -> QueueExecutor:
    # What starts processes is imported when there are some to start: most calls are answered from the cache.
    from exca.execution._interpreters import find_interpreter
    from exca.execution._queues import ENVIRONMENT, Bounds, QueueExecutor
    from exca.execution._writing import Surroundings, code_of

    if cluster == "local" and logs is None:
        raise InvalidInfra("cluster='local' outlives this process, so its jobs need a folder: set `folder`")
    for name in ("nodes", "tasks_per_node"):
        if getattr(resources, name) != 1:
            raise InvalidInfra(f"{name}={getattr(resources, name)}: cluster={cluster!r} runs each job as one process")
    gpus = _gpus(resources)
    bounds = Bounds(
        max_workers=resources.max_workers or _default_workers(resources),
        timeout_s=None if resources.timeout_min is None else resources.timeout_min * 60,
        gpus=gpus,
        gpus_per_worker=(resources.gpus_per_node or 0) if gpus else 0,
    )
    environment = ENVIRONMENT | thread_limits(resources.cpus_per_task or allowed_cpus() // bounds.max_workers)
    around = Surroundings(environment, code_of(resources), find_interpreter(resources.conda_env), initializer)
    return QueueExecutor(bounds, logs, around, tied=cluster == "processpool")


def _default_workers(resources: Resources) -> int:
    if resources.gpus_per_node:
        return max(1, len(_gpus(resources)) // resources.gpus_per_node)
    return max(1, allowed_cpus() // (resources.cpus_per_task or 1))


def _gpus(resources: Resources) -> tuple[str, ...]:
    if not resources.gpus_per_node:
        return ()
    gpus = allowed_gpus()
    if len(gpus) < resources.gpus_per_node:
        raise InvalidInfra(
            f"gpus_per_node={resources.gpus_per_node}, but {len(gpus)} GPUs can be used here "
            f"({', '.join(gpus) or 'none'}); EXCA_LOCAL_GPUS=2 or EXCA_LOCAL_GPUS=0,3 says otherwise"
        )
    return tuple(gpus)
