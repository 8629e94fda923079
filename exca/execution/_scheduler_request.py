"""What to ask of a scheduler for some resources."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from exca.errors import InvalidInfra
from exca.execution._capacity import thread_limits
from exca.execution._interpreters import find_interpreter
from exca.execution._resources import Resources
from exca.execution._writing import Surroundings, code_of

if TYPE_CHECKING:
    from exca.execution._submitit import SubmititExecutor

__all__ = ["make_submitit_executor"]

_ENVIRONMENT = {"SUBMITIT_FOLDER": "%f"}
_EVERYWHERE = ("timeout_min", "nodes", "tasks_per_node", "cpus_per_task", "gpus_per_node", "mem_gb")
_WARNING_S = 90.0  # submitit's own choice
# Options of sbatch(1) without which a submitted job could not be found again, or would not be one at all.
_OURS = frozenset(["array", "clusters", "error", "output", "parsable", "quiet", "test-only", "wait", "wrap"])


def make_submitit_executor(
    resources: Resources, cluster: str, logs: str | None, initializer: Callable[[], None] | None
) -> SubmititExecutor:
    """The executor for a scheduler.

    Raises
    ------
    InvalidInfra: it cannot be asked for these resources.
    """
    from exca.execution._submitit import SchedulerRequest, SubmititExecutor

    if logs is None:
        raise InvalidInfra(f"cluster={cluster!r} outlives this process, so its jobs need a folder: set `folder`")
    if cluster == "slurm":
        _require_slurm()
        parameters = _slurm_parameters(resources)
    elif resources.conda_env is not None:
        raise InvalidInfra(
            f"conda_env={resources.conda_env!r}: the submitit plugin {cluster!r} chooses its own Python"
        )
    else:
        values = {name: getattr(resources, name) for name in _EVERYWHERE}
        parameters = {name: value for name, value in values.items() if value is not None}
    limit_s = None if resources.timeout_min is None else 60.0 * resources.timeout_min
    warning_s = _asked_warning_s(resources) if cluster == "slurm" else None
    if warning_s is None:
        warning_s = _warning_s(limit_s)
    parallel = resources.nodes * resources.tasks_per_node > 1
    request = SchedulerRequest(cluster, parameters, resources.max_workers, limit_s, warning_s, parallel)
    environment = _ENVIRONMENT | (thread_limits(resources.cpus_per_task) if resources.cpus_per_task else {})
    around = Surroundings(environment, code_of(resources), find_interpreter(resources.conda_env), initializer)
    return SubmititExecutor(request, logs, around)


def _require_slurm() -> None:
    import shutil

    if shutil.which("sbatch") is None or shutil.which("srun") is None:
        raise InvalidInfra(
            "cluster='slurm', but there is no sbatch on PATH: submit from a login node, or set cluster='local' "
            "(cluster='auto' chooses)"
        )


def _slurm_parameters(resources: Resources) -> dict[str, Any]:
    """For submitit's `SlurmExecutor`, in its own words; what is not set is left to the cluster's defaults."""
    several = resources.nodes * resources.tasks_per_node > 1
    extra = _options(resources)
    extra.pop("signal", None)  # comes back with the time of the warning
    parameters: dict[str, Any] = {
        "time": None if resources.timeout_min is None else math.ceil(resources.timeout_min),
        "nodes": resources.nodes,
        "ntasks_per_node": resources.tasks_per_node if several else None,
        "cpus_per_task": resources.cpus_per_task,
        "gpus_per_node": resources.gpus_per_node,
        "mem": None if resources.mem_gb is None else f"{math.ceil(resources.mem_gb * 1024)}M",
        "use_srun": resources.slurm_use_srun or several,
        "comment": extra.pop("comment", None),
        "additional_parameters": extra,
    }
    for name in ("constraint", "partition", "account", "qos", "setup"):
        value = getattr(resources, f"slurm_{name}")
        parameters[name] = list(value) if name == "setup" and value else value
    # Without a `time`, submitit asks for 5 minutes; the partition's own limit is what nobody has to guess.
    return {name: value for name, value in parameters.items() if value is not None or name == "time"}


def _options(resources: Resources) -> dict[str, Any]:
    """What `slurm_additional_parameters` sets, by the names that sbatch(1) has for it.

    Raises
    ------
    InvalidInfra: it is not the user's to set, or cannot be written into a batch script.
    """
    found: dict[str, Any] = {}
    for name, value in _pairs(resources.slurm_additional_parameters):
        option = str(name).strip().replace("_", "-")
        where = f"slurm_additional_parameters: {{{name!r}: {value!r}}}"
        if value is None or value is False:
            continue
        if option in _OURS:
            raise InvalidInfra(f"{where}: jobs are submitted and found again through this option of sbatch: remove it")
        if option.startswith("-"):
            raise InvalidInfra(f"{where}: write the option without its dashes, {option.lstrip('-')!r}")
        if isinstance(value, (list, tuple, set, dict)) or not str(value).isprintable():
            raise InvalidInfra(
                f"{where}: an option of sbatch has one line of text, such as 'a,b', or a number or true"
            )
        found[option] = value
    return found


def _asked_warning_s(resources: Resources) -> float | None:
    """How long before its limit the user wants a worker to be warned; None: nothing was said.

    Raises
    ------
    InvalidInfra: by a signal that workers do not listen to.
    """
    asked = _options(resources).get("signal")
    if asked is None:
        return None
    found = re.fullmatch(r"(?:[RB]+:)?(?:SIG)?(?:USR2|12)(?:@(\d+))?", str(asked))
    if found is None:
        raise InvalidInfra(
            f"slurm_additional_parameters: {{'signal': {asked!r}}}: workers listen to USR2, such as 'USR2@300' for "
            "300 s before the end; they hand it on to the method `checkpoint` of the config"
        )
    return float(found[1] or 60)  # the default of sbatch(1)


def _warning_s(limit_s: float | None) -> float:
    """How long before its limit a worker is warned; not much of a short limit."""
    return _WARNING_S if limit_s is None else min(_WARNING_S, limit_s // 4)


def _pairs(parameters: Mapping[str, object] | Sequence[tuple[str, object]] | None) -> Sequence[tuple[str, object]]:
    return tuple(parameters.items()) if isinstance(parameters, Mapping) else parameters or ()
