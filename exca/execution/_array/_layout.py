"""Where everything of an array and of its jobs lies on disk.

An array folder holds::

    array.json      what the workers need to know (`Spec`), and the supervisor (`Queue`)
    setup.pkl       the initializer, if any
    shared-0.pkl    an argument that several calls have in common
    code            symlink to the copy of the code that the calls run, if a `workdir` was given
    tickets/3       symlink to the name of whoever took call 3; making it is taking the call
    ended/3         symlink to the `Verdict` on call 3; the first one made stands
    sentences/3     symlink to the `Verdict` that call 3 will get when it has been made to end
    workers/NAME    symlink to the stamp of a worker (JSON)
    supervisor      symlink to the stamp of the supervisor (JSON)
    finished        made when the supervisor has turned to other arrays, or is about to end
    heartbeat       touched by the supervisor while it lives, for readers on other machines
    supervisor.log  output of the supervisor, and of workers between two calls

Symlinks hold the notes because creating one is atomic, refuses to overwrite, and carries its text, on NFS too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from exca.liveness import Stamp

__all__ = ["ArrayPaths", "JobPaths", "Queue", "Spec", "Verdict", "write_atomically", "write_file"]

COMPLETED, RAISED, LOST, CANCELLED = "completed", "raised", "lost", "cancelled"
NEVER_STARTED = "never-started"  # one word, as it is the first of the text of a verdict
_LONGEST_REASON = 1000  # characters; a symlink's text ends at 4095 bytes


class JobPaths:
    """Every path of one job."""

    __slots__ = ("folder",)

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    @property
    def stdout(self) -> Path:
        """What the call, its libraries and its subprocesses printed."""
        return self.folder / "stdout.log"

    @property
    def stderr(self) -> Path:
        """What the call, its libraries and its subprocesses printed as errors."""
        return self.folder / "stderr.log"

    @property
    def call(self) -> Path:
        """The pickled call."""
        return self.folder / "call.pkl"

    @property
    def state(self) -> Path:
        """Who runs it, where and since when, and how it ended (JSON; for people, nothing depends on it)."""
        return self.folder / "state.json"

    @property
    def code(self) -> Path:
        """Symlink to the copy of the code it runs; only where a `workdir` was given."""
        return self.folder / "code"

    @property
    def ticket(self) -> Path:
        """Symlink to the job's ticket, ``<array folder>/tickets/<index>``: which array it belongs to."""
        return self.folder / "ticket"

    @property
    def stored(self) -> Path:
        """Symlink to where the result is kept; only where whoever submitted the call has made one."""
        return self.folder / "stored"

    @property
    def result(self) -> Path:
        """The pickled return value, or the account of the exception."""
        return self.folder / "result.pkl"

    def __repr__(self) -> str:
        return f"JobPaths({str(self.folder)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JobPaths) and self.folder == other.folder

    def __hash__(self) -> int:
        return hash(self.folder)


class Spec(NamedTuple):
    """What a worker needs to know of an array."""

    array: str  # id of the array; job i is "<array>_<i>"
    size: int  # number of calls
    template: str  # job folder relative to the array folder, with %j for the job id
    cwd: str
    sys_path: list[str]
    environment: dict[str, str]  # variables of each call; %j stands for the job's id, %f for its folder
    durable: bool  # whether results must survive a power cut

    def job_id(self, index: int) -> str:
        return f"{self.array}_{index}"


class Queue(NamedTuple):
    """What the supervisor needs to know of an array."""

    max_workers: int
    timeout_s: float | None  # per call
    slots: str | None  # folder of the slots shared with other arrays; None if there is no bound to share
    slot_names: list[str]
    slots_per_worker: int
    gpus: bool  # whether the slots are GPUs
    share_after_s: float  # after this time a worker gives its slots to an array that has none
    tied: bool  # whether it ends with its owner, the process that started it
    keep_s: float  # how long it waits for another array of its owner once this one has ended
    private: bool  # whether the folder goes when the owner does
    lent_slots: Sequence[str] = ()  # what the worker that submitted it holds, and does not use while it waits


class Verdict(NamedTuple):
    """How a call ended; the text of the symlink ``ended/<index>``."""

    kind: str  # "completed", "raised", "lost", "cancelled" or "never-started"
    reason: str = ""

    def to_text(self) -> str:
        readable = self.reason.encode("utf-8", "backslashreplace").decode()  # half a surrogate pair is no file name
        reason = " ".join(readable.replace("\0", " ").split())[:_LONGEST_REASON]
        return f"{self.kind} {reason}".rstrip()

    @classmethod
    def from_text(cls, text: str) -> Verdict:
        kind, _, reason = text.partition(" ")
        return cls(kind, reason)


class ArrayPaths:
    """Every path of one array, and the notes that its processes leave there."""

    __slots__ = (
        "code",
        "ended",
        "finished",
        "folder",
        "heartbeat",
        "log",
        "sentences",
        "setup",
        "spec",
        "supervisor",
        "tickets",
        "workers",
    )

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.spec = self.folder / "array.json"
        self.setup = self.folder / "setup.pkl"
        self.code = self.folder / "code"
        self.log = self.folder / "supervisor.log"
        self.supervisor = self.folder / "supervisor"
        self.heartbeat = self.folder / "heartbeat"
        self.finished = self.folder / "finished"
        # These are joined with an index for every call, so they are plain text: ten times faster.
        self.tickets = f"{self.folder}/tickets"
        self.ended = f"{self.folder}/ended"
        self.sentences = f"{self.folder}/sentences"
        self.workers = f"{self.folder}/workers"

    def create(self) -> None:
        """Make the folders of a new array."""
        self.folder.mkdir(parents=True)
        for folder in (self.tickets, self.ended, self.sentences, self.workers):
            os.mkdir(folder)

    def shared(self, number: int) -> Path:
        return self.folder / f"shared-{number}.pkl"

    def job(self, spec: Spec, index: int) -> JobPaths:
        relative = spec.template.replace("%j", spec.job_id(index))
        return JobPaths(os.path.normpath(os.path.join(self.folder, relative)))

    def write_spec(self, spec: Spec, queue: Queue | None) -> None:
        content = {"spec": spec._asdict(), "queue": queue._asdict() if queue else None}
        write_atomically(self.spec, json.dumps(content, indent=1).encode(), durable=spec.durable)

    def read_spec(self) -> tuple[Spec, Queue | None]:
        content = json.loads(self.spec.read_bytes())
        return Spec(**content["spec"]), Queue(**content["queue"]) if content["queue"] else None

    def take(self, index: int, worker: str) -> bool:
        """Take a call, for ever; False if somebody else has."""
        return _note(f"{self.tickets}/{index}", worker)

    def end(self, index: int, verdict: Verdict) -> bool:
        """Say how a call ended; False if that was said before."""
        return _note(f"{self.ended}/{index}", verdict.to_text())

    def owner(self, index: int) -> str | None:
        return _read_note(f"{self.tickets}/{index}")

    def verdict(self, index: int) -> Verdict | None:
        return _read_verdict(f"{self.ended}/{index}")

    def has_ended(self, index: int) -> bool:
        return os.path.lexists(f"{self.ended}/{index}")

    def sentence(self, index: int, verdict: Verdict) -> None:
        """Ask for a call to be ended; the supervisor does it."""
        _note(f"{self.sentences}/{index}", verdict.to_text())

    def sentence_of(self, index: int) -> Verdict | None:
        return _read_verdict(f"{self.sentences}/{index}")

    def sign(self, stamp: Stamp, worker: str | None = None) -> None:
        """Leave the stamp of a worker, or of the supervisor."""
        path = f"{self.workers}/{worker}" if worker else str(self.supervisor)
        _note(path, json.dumps(stamp.to_dict()))

    def finish(self) -> bool:
        """Say that its supervisor does not look after it any more; False if that cannot be written."""
        try:
            return _note(str(self.finished), "finished")
        except OSError:
            return False

    def stamp(self, worker: str | None = None) -> Stamp | None:
        """The stamp of a worker, or of the supervisor; None if it has not signed."""
        text = _read_note(f"{self.workers}/{worker}" if worker else str(self.supervisor))
        return None if text is None else Stamp.from_dict(json.loads(text))


def _note(path: str, text: str) -> bool:
    try:
        os.symlink(text, path)
    except FileExistsError:
        return False
    return True


def _read_note(path: str) -> str | None:
    try:
        return os.readlink(path)
    except FileNotFoundError:
        return None


def _read_verdict(path: str) -> Verdict | None:
    text = _read_note(path)
    return None if text is None else Verdict.from_text(text)


def write_file(path: str | Path, content: bytes, *, durable: bool = False, secret: bool = False) -> None:
    """Write a file that others cannot write to, whatever the umask: it may be a pickle.

    Nor can others read it if it is ``secret``, as what a call is given: passwords may be among it.
    """
    mode = 0o600 if secret else 0o664
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with open(descriptor, "wb") as file:
        file.write(content)
        if durable:
            file.flush()
            os.fsync(descriptor)


def write_atomically(path: Path, content: bytes, *, durable: bool) -> None:
    """Write a file so that a reader sees all of it or nothing."""
    temporary = f"{path}.{os.uname().nodename}-{os.getpid()}-{os.urandom(4).hex()}.tmp"
    try:
        write_file(temporary, content, durable=durable)
        os.replace(temporary, path)
    except BaseException:
        if os.path.lexists(temporary):
            os.unlink(temporary)
        raise
