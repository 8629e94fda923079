"""The fields every infra has: where results live, who computes, and with which resources."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from exca.errors import InvalidInfra
from exca.execution import Resources, ends_with_this_process
from exca.infra._workdir import WorkDir
from exca.task import Computation, Method, absolute

__all__ = ["ATOMS", "BaseInfra", "ExecutionFields", "JobMode", "PositiveInt"]

# Not pydantic's own PositiveInt: the module that defines it takes a fifth of the import time of this package.
PositiveInt = Annotated[int, Field(gt=0)]
ATOMS = frozenset({type(None), bool, int, float, str})  # values that copies share, as nobody can change them
JobMode = Literal["cached", "retry", "force", "read-only"]


def _mode_bits(value: Any) -> Any:
    """Accept ``"0o770"`` and ``"770"``: no way to write an octal number in YAML is read alike by everyone."""
    if isinstance(value, str):
        try:
            return int(value.removeprefix("0o"), 8)
        except ValueError:
            return value
    return value


def _usable_bits(value: int | None) -> int | None:
    """Refuse bits that lock the owner out: ``770`` read as a decimal number is ``0o1402``, open to everybody else."""
    if value is None or _are_usable(value):
        return value
    digits = str(value)
    octal = int(digits, 8) if set(digits) <= set("01234567") else 0
    meant = octal if _are_usable(octal) else 0o770
    raise ValueError(
        f"{value} is {value:#o}, and no mode that lets its owner read and write: "
        f'write "{meant:#o}" (or {meant}, which is the same)'
    )


def _are_usable(bits: int) -> bool:
    return 0 <= bits <= 0o7777 and bits & 0o600 == 0o600


class ExecutionFields(BaseModel):
    """Who computes and with what: the same names as in submitit.

    Parameters
    ----------
    cluster: None: this process. ``"local"``: worker processes of this machine, a bounded queue that goes on when this
        process ends. ``"processpool"``, ``"threadpool"``: workers that end with this process. ``"debug"``: this
        process, and exceptions propagate to the debugger. ``"slurm"``; ``"auto"``: Slurm where a controller answers,
        else local. Any other name: a submitit plugin.
    max_workers: upper bound of jobs at work at once; None: the cores this process may use (local), no bound (Slurm).
    logs: folder of a job's log files; ``{folder}``, ``{user}`` and ``%j`` (job id) are filled in.
    workdir: folder of code, or a `WorkDir`; copied at submission, and the jobs run in, and import from, the copy.
    job_name: name shown by the scheduler; None: class and method.
    timeout_min: time limit of a job, in minutes.
    nodes: machines a job runs on.
    tasks_per_node: processes of a job on each machine.
    cpus_per_task: cores of each process.
    gpus_per_node: GPUs on each machine.
    mem_gb: memory on each machine, in GB.
    slurm_constraint, slurm_partition, slurm_account, slurm_qos, slurm_use_srun: as sbatch names them.
    slurm_setup: shell lines to run before the job.
    slurm_additional_parameters: further sbatch options, name to value.
    conda_env: name or path of the conda environment of the jobs.
    """

    # Schemas are built when a config declares an infra: pydantic's machinery is half of what an import would cost.
    model_config = ConfigDict(extra="forbid", revalidate_instances="always", defer_build=True)

    cluster: str | None = None
    max_workers: PositiveInt | None = None
    logs: str = "{folder}/logs/{user}/%j"
    workdir: Path | WorkDir | None = None
    job_name: str | None = None
    timeout_min: PositiveInt | None = None
    nodes: PositiveInt = 1
    tasks_per_node: PositiveInt = 1
    cpus_per_task: PositiveInt | None = None
    gpus_per_node: Annotated[int, Field(ge=0)] | None = None
    mem_gb: Annotated[float, Field(ge=0)] | None = None
    slurm_constraint: str | None = None
    slurm_partition: str | None = None
    slurm_account: str | None = None
    slurm_qos: str | None = None
    slurm_use_srun: bool = False
    slurm_setup: list[str] | None = None
    slurm_additional_parameters: dict[str, int | str | float | bool | None] | None = None
    conda_env: str | Path | None = None


class BaseInfra(ExecutionFields):
    """Where results live, on top of who computes them.

    Parameters
    ----------
    folder: root of the cache; None: nothing is stored on disk.
    version: change it when the code changes what comes out; part of the uid.
    mode: ``"cached"``: give what is stored, value or error, else compute. ``"retry"``: the same, but compute again
        what failed. ``"force"``: compute again. ``"read-only"``: never compute. ``force`` and ``retry`` act once per
        config.
    permissions: mode bits of new folders and files, such as ``0o770``; None: the umask decides.
        The owner reads and writes in any case.
    keep_in_ram: also keep the value in this process, for this config object.
    code_change: what to do if the code of the computation differs from the code that made the stored result.
    """

    __slots__ = ("_applied", "_task")

    model_config = ConfigDict(validate_assignment=True)

    folder: Path | None = None
    version: str = "0"
    mode: JobMode = "cached"
    permissions: Annotated[int | None, BeforeValidator(_mode_bits), AfterValidator(_usable_bits)] = None
    keep_in_ram: bool = False
    code_change: Literal["ignore", "warn", "error", "recompute"] = "warn"

    @classmethod
    def _exclude_from_cls_uid(cls) -> list[str]:
        """Of an infra, only the version says what is computed."""
        return [name for name in cls.__pydantic_fields__ if name != "version"]

    def _make(self, config: BaseModel, method: Method, exclude: Callable[[], Collection[str]]) -> Computation:
        """A computation of that config without any state, of the kind that this infra is for."""
        raise NotImplementedError

    def resources(self) -> Resources:
        """What the executor is told, with hashable values so that equal resources share one array."""
        own = self.__dict__
        values = {name: v if type(v := own[name]) in ATOMS else _hashable(v) for name in _ASKED}
        if self.workdir is not None and self.folder is not None:
            values["cache"] = absolute(self.folder)
        return Resources(**values)

    def logs_template(self) -> str | None:
        """The ``logs`` field with the folder filled in; None without a folder.

        Raises
        ------
        InvalidInfra
            if the cluster needs log files and there is no folder to put them in.
        """
        if self.folder is not None:
            return self.logs.replace("{folder}", absolute(self.folder))
        if "{folder}" not in self.logs:
            return self.logs
        if ends_with_this_process(self.cluster):
            return None
        raise InvalidInfra(f"cluster={self.cluster!r} needs a folder for its jobs: set infra.folder")

    def __hash__(self) -> int:
        """One for all, so that frozen configs can be hashed: equal infras hash alike, whatever is assigned later."""
        return hash(BaseInfra)

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        # Every config gets a copy of its class's default infra: this is the short way, without the binding.
        twin = self.__class__.__new__(self.__class__)
        values = {name: v if type(v) in ATOMS else copy.deepcopy(v, memo) for name, v in self.__dict__.items()}
        object.__setattr__(twin, "__dict__", values)
        object.__setattr__(twin, "__pydantic_fields_set__", set(self.__pydantic_fields_set__))
        object.__setattr__(twin, "__pydantic_extra__", None)
        object.__setattr__(twin, "__pydantic_private__", None)
        return twin


_ASKED = tuple(field.name for field in dataclasses.fields(Resources) if field.name != "cache")


def _hashable(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, WorkDir):
        return value.to_code_copy()
    if isinstance(value, dict):
        return tuple(sorted(value.items()))
    return value
