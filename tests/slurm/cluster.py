"""A real Slurm of two nodes on this machine, for tests: one controller and two node daemons, on loopback only.

It needs Debian or Ubuntu and root. Everything it writes is in one state folder; nothing under ``/etc`` is touched: the
clients are small wrappers in ``<state>/bin`` that say where the configuration is.

    python tests/slurm/cluster.py install     # the Debian packages, when they are missing
    python tests/slurm/cluster.py start
    export PATH="$(python tests/slurm/cluster.py path):$PATH"
    sinfo
    python tests/slurm/cluster.py stop
"""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Cluster", "ClusterError", "ClusterUnavailable", "install"]

PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
CLIENTS = ("sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo", "sacct", "sacctmgr")
# Nodes have more CPUs than the machine (SlurmdParameters=config_overrides): the tests' jobs mostly sleep.
CPUS_PER_NODE = 8
MEMORY_PER_NODE_MB = 4000
UP_TIMEOUT_S = 20.0
DOWN_TIMEOUT_S = 20.0
TAKING_JOBS = {"idle", "mixed", "allocated", "completing", "planned"}

CONFIGURATION = """\
ClusterName=exca-test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
# cred_expire is also how long a requeued job waits (120 s by default)
AuthInfo=socket={state}/munge/sock,cred_expire=5
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny,DisableIPv6
StateSaveLocation={state}/controller
SlurmdSpoolDir={state}/spool.%n
SlurmctldPidFile={state}/run/slurmctld.pid
SlurmdPidFile={state}/run/slurmd.%n.pid
SlurmctldLogFile={state}/log/slurmctld.log
SlurmdLogFile={state}/log/slurmd.%n.log
# linuxproc would leave the Python of a cancelled job running
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,sched_min_interval=1000,batch_sched_delay=0,bf_interval=2
PriorityType=priority/basic
ReturnToService=2
JobRequeue=1
KillWait=5
SlurmdTimeout=10
SlurmctldTimeout=10
MessageTimeout=10
MaxArraySize=1001
MaxJobCount=20000
# ended jobs stay visible to squeue
MinJobAge=86400
FirstJobId={first_job}
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


class ClusterError(RuntimeError):
    """The test cluster could not be started or stopped; the message says where its logs are."""


class ClusterUnavailable(ClusterError):
    """There can be no test cluster here: packages or rights are missing."""


@dataclass
class Cluster:
    """The cluster of one state folder.

    Parameters
    ----------
    state: folder for configuration, state, spool and logs.
    port: first of three TCP ports, on loopback.
    """

    state: Path = field(default_factory=lambda: Path(os.environ.get("EXCA_SLURM_STATE", "/tmp/exca-slurm")))
    port: int = field(default_factory=lambda: int(os.environ.get("EXCA_SLURM_PORT", "6817")))
    nodes: tuple[str, ...] = ("n1", "n2")

    @property
    def configuration(self) -> Path:
        return self.state / "slurm.conf"

    @property
    def clients(self) -> Path:
        """Folder of the client commands; put it first on PATH."""
        return self.state / "bin"

    # ------------------------------------------------------------------ the whole

    def is_up(self) -> bool:
        """Whether the controller answers and every node takes jobs."""
        if not self.configuration.exists():
            return False
        ping = self.run("scontrol", "ping")
        states = self.run("sinfo", "-h", "-N", "-o", "%T").stdout.split()
        return " UP" in ping.stdout and len(states) == len(self.nodes) and set(states) <= TAKING_JOBS

    def start(self) -> None:
        """Start what does not run; return when jobs are accepted.

        Raises
        ------
        ClusterUnavailable
            without the packages or root.
        ClusterError
            if a daemon does not come up.
        """
        missing = [name for name in ("slurmctld", "slurmd", "sbatch", "munged") if _program(name) is None]
        if missing:
            raise ClusterUnavailable(
                f"not installed: {', '.join(missing)}; run `python {sys.argv[0]} install` as root"
            )
        if os.geteuid() != 0:
            raise ClusterUnavailable("the daemons of a test cluster need root")
        if self.is_up():
            return
        self._write_files()
        if not self._alive("munged"):  # a start that failed may have left it
            self.start_munge()
        if not self._alive("slurmctld"):
            self.start_controller()
        for node in self.nodes:
            if not self._alive(f"slurmd.{node}"):
                self.start_node(node)
        self._until(self.is_up, "the controller and the nodes to answer", UP_TIMEOUT_S)

    def stop(self) -> None:
        """Cancel every job, end every daemon, remove the state folder."""
        if not self.state.exists():
            return
        if self._alive("slurmctld"):
            self.run("scancel", "-u", "root")
            for node in self.nodes:
                if not self._alive(f"slurmd.{node}"):
                    self.run("scontrol", "update", f"nodename={node}", "state=down", "reason=stop")
            self._until(lambda: not self.queued(), "cancelled jobs to end", DOWN_TIMEOUT_S, quietly=True)
        for name in (*(f"slurmd.{node}" for node in self.nodes), "slurmctld", "munged"):
            self.end(name)
        self.kill_job()  # of a node whose daemon had gone before
        shutil.rmtree(self.state)

    def queued(self) -> list[str]:
        """Ids of the jobs that wait, run or are being ended."""
        return self.run("squeue", "-h", "-o", "%i").stdout.split()

    def state_of(self, job: str) -> str:
        """State of one job, ``"123"`` or ``"123_4"``, as the controller remembers it; "" if it does not."""
        return self.run("squeue", "-h", "-r", "-t", "all", "-j", job, "-o", "%T").stdout.strip()

    def wait_for_end(self, jobs: Sequence[str], timeout_s: float = 60.0) -> None:
        """Return when none of the jobs waits, runs or is being ended.

        Raises
        ------
        ClusterError
            if some still do.
        """
        going = {"PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "REQUEUED"}
        self._until(lambda: not going & {self.state_of(job) for job in jobs}, f"{list(jobs)} to end", timeout_s)

    def run(self, *command: str, timeout_s: float = 30.0) -> subprocess.CompletedProcess[str]:
        """Run a client command against this cluster."""
        env = {**os.environ, "SLURM_CONF": str(self.configuration)}
        program = _program(command[0]) or command[0]  # not the wrapper of another cluster, which may be on PATH
        return subprocess.run(
            [program, *command[1:]], env=env, capture_output=True, text=True, timeout=timeout_s, check=False
        )

    # ------------------------------------------------------------------ single daemons, for faults

    def start_munge(self) -> None:
        munge = self.state / "munge"
        options = {"socket": "sock", "key-file": "key", "log-file": "log", "seed-file": "seed"}
        flags = [f"--{option}={munge / name}" for option, name in options.items()]
        self._launch("munged", *flags, f"--pid-file={self.state}/run/munged.pid")

    def start_controller(self) -> None:
        self._launch("slurmctld", "-f", str(self.configuration))

    def start_node(self, node: str) -> None:
        self._launch("slurmd", "-f", str(self.configuration), "-N", node)

    def kill_job(self, number: str | None = None) -> None:
        """End everything of a job on its node, as a power cut would.

        Parameters
        ----------
        number
            Slurm's own number of the job, ``%A`` of squeue; None: all jobs of this cluster.
        """
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                command = (folder / "cmdline").read_text(errors="replace").replace("\0", " ")
                environment = (folder / "environ").read_text(errors="replace").split("\0")
            except OSError:  # it has just ended, or is nobody's to look at
                continue
            if f"SLURM_CONF={self.configuration}" not in environment:
                continue
            step, job = f"slurmstepd: [{number or ''}", f"SLURM_JOB_ID={number or ''}"
            if command.startswith(step) or any(entry.startswith(job) for entry in environment):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(folder.name), signal.SIGKILL)

    def pid(self, daemon: str) -> int | None:
        """Process id of ``slurmctld``, ``slurmd.<node>`` or ``munged``."""
        try:
            return int((self.state / "run" / f"{daemon}.pid").read_text())
        except (FileNotFoundError, ValueError):
            return None

    def end(self, daemon: str, number: signal.Signals = signal.SIGTERM) -> None:
        """End one daemon and wait until it is gone; one that does not run is fine."""
        pid = self.pid(daemon)
        if pid is None or not _runs(pid):
            return
        os.kill(pid, number)
        if not self._until(lambda: not _runs(pid), f"{daemon} to end", DOWN_TIMEOUT_S, quietly=True):
            os.kill(pid, signal.SIGKILL)
            self._until(lambda: not _runs(pid), f"{daemon} to end", DOWN_TIMEOUT_S)

    # ------------------------------------------------------------------ details

    def _alive(self, daemon: str) -> bool:
        pid = self.pid(daemon)
        return pid is not None and _runs(pid)

    def _launch(self, program: str, *arguments: str) -> None:
        path = _program(program)
        assert path is not None
        done = subprocess.run([path, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise ClusterError(f"{program} did not start ({done.stderr.strip()}); logs: {self.state}/log")

    def _write_files(self) -> None:
        for name in ("munge", "controller", "run", "log", "bin", *(f"spool.{node}" for node in self.nodes)):
            (self.state / name).mkdir(parents=True, exist_ok=True)
        (self.state / "munge").chmod(0o755)
        key = self.state / "munge" / "key"
        if not key.exists():
            key.touch(mode=0o600)
            key.write_bytes(secrets.token_bytes(1024))
        self.configuration.write_text(self._configuration())
        for client in CLIENTS:
            wrapper = self.clients / client
            wrapper.write_text(f'#!/bin/sh\nSLURM_CONF={self.configuration} exec {_program(client)} "$@"\n')
            wrapper.chmod(0o755)

    def _configuration(self) -> str:
        host = socket.gethostname().split(".")[0]
        lines = (
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={self.port + 1 + index} "
            f"CPUs={CPUS_PER_NODE} RealMemory={MEMORY_PER_NODE_MB} State=UNKNOWN"
            for index, node in enumerate(self.nodes)
        )
        # A fresh number each time, as ids of a wiped controller would come again.
        first_job = int(time.time()) % 60_000_000 + 1
        return CONFIGURATION.format(
            host=host, port=self.port, state=self.state, first_job=first_job, nodes="\n".join(lines)
        )

    def _until(self, condition: Callable[[], bool], what: str, timeout_s: float, *, quietly: bool = False) -> bool:
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                if quietly:
                    return False
                raise ClusterError(f"waited {timeout_s:.0f} s for {what}; logs: {self.state}/log")
            time.sleep(0.1)
        return True


def install() -> None:
    """Install the Debian packages that are missing.

    Raises
    ------
    ClusterError
        without root or apt.
    """
    if all(_program(name) for name in ("slurmctld", "slurmd", "sbatch", "munged")):
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ClusterError("installing Slurm needs root and apt-get; or install " + " ".join(PACKAGES) + " yourself")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run(["apt-get", *command], env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ClusterError(f"apt-get {command[0]} failed:\n{done.stdout}\n{done.stderr}")


def _program(name: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join([os.defpath, "/usr/sbin", "/sbin", "/usr/bin", "/usr/local/bin"]))


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["install", "start", "stop", "status", "path"])
    command = parser.parse_args(arguments).command
    cluster = Cluster()
    try:
        if command == "install":
            install()
        elif command == "start":
            cluster.start()
            print(f"up; put {cluster.clients} first on PATH")
        elif command == "stop":
            cluster.stop()
        elif command == "path":
            print(cluster.clients)
        else:
            up = cluster.is_up()
            print("up" if up else "down")
            return 0 if up else 1
    except ClusterError as error:
        print(f"slurm: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
