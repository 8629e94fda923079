"""The calls that the tests of this room make; light to import, as each worker does."""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE_S = 30.0  # far more than any of this takes; a test that needs it has failed


class OddError(ValueError):
    """An error that pickle alone cannot load again: its constructor takes other arguments than `args`."""

    def __init__(self, field: str, *, limit: int) -> None:
        super().__init__(f"{field} is over {limit}")
        self.limit = limit


class Unwritable:
    def __reduce__(self) -> str:
        raise TypeError("this object stays at home")


class Unreadable:
    """Can be written, and cannot be read where it arrives."""

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return refuse_to_load, ()


def refuse_to_load() -> None:
    raise ModuleNotFoundError("No module named 'only_at_home'", name="only_at_home")


def double(x: int) -> int:
    return 2 * x


def fail(text: str) -> None:
    raise KeyError(text)


def fail_oddly() -> None:
    raise OddError("lr", limit=3)


def fail_with_cause() -> None:
    try:
        fail("the cause")
    except KeyError as error:
        raise RuntimeError("the effect") from error


def leave() -> None:
    sys.exit(3)


def give_unwritable() -> Unwritable:
    return Unwritable()


def take(thing: object) -> object:
    return thing


def describe_arguments(thing: object, number: object, word: object) -> tuple[object, ...]:
    return type(thing).__name__, len(thing) if isinstance(thing, list) else thing, number, word


def identify(thing: object) -> tuple[int, int]:
    return os.getpid(), id(thing)


def speak(word: str) -> None:
    """Print in the four ways a program can."""
    print(f"python {word}")
    print(f"python error {word}", file=sys.stderr)
    subprocess.run([sys.executable, "-c", f"print('child {word}')"], check=True)
    os.write(1, f"raw {word}\n".encode())
    ctypes.CDLL(None).puts(f"libc {word}".encode())


def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def wait_for(path: str) -> str:
    """Return once the file exists."""
    until(Path(path).exists)
    return path


def mark_and_wait(mark: str, path: str) -> None:
    Path(mark).write_text(str(os.getpid()))
    wait_for(path)


def until(ready: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
    end = time.monotonic() + patience_s
    while not ready():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.002)


def change_the_process(number: int) -> tuple[str, str | None, int, float]:
    os.umask(umask := os.umask(0o077))
    found = os.getcwd(), os.environ.get("EXCA_TEST_LEAK"), umask, signal.getitimer(signal.ITIMER_REAL)[0]
    os.environ["EXCA_TEST_LEAK"] = str(number)
    os.chdir("/")
    os.umask(0o123)
    signal.alarm(50)
    threading.Thread(target=time.sleep, args=(0.01,)).start()
    return found


def kill_self(number: int) -> None:
    print("last words", file=sys.stderr, flush=True)
    os.kill(os.getpid(), number)


def crash() -> None:
    ctypes.string_at(0)


def leave_without_goodbye(code: int) -> None:
    os._exit(code)


def note_loss(folder: str, reason: str, log: Path) -> None:
    Path(folder, "lost").write_text(f"{reason} | {log.name}")


def with_child(mark: str) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    Path(mark).write_text(str(child.pid))
    time.sleep(60)


def stay(mark: str, how: str) -> None:
    """Run for ever: deaf to SIGTERM, or leaving through SystemExit."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN if how == "deaf" else lambda *_: sys.exit("as asked"))
    Path(mark).touch()
    time.sleep(60)


def leave_a_thread() -> None:
    threading.Thread(target=time.sleep, args=(60,)).start()


def environment() -> tuple[str, str, int, str]:
    import submitit

    env = submitit.JobEnvironment()
    return env.cluster, env.job_id, env.num_tasks, str(env.paths.folder)


def count_at_work(folder: str, wait_for_so_many: int = 0) -> int:
    """Most calls at work in the meantime, this one included: each leaves a file while at work."""
    mark = Path(folder, f"at-work-{os.getpid()}-{time.monotonic_ns()}")
    mark.touch()

    def count() -> int:
        return sum(name.startswith("at-work") for name in os.listdir(folder))

    until(lambda: count() >= wait_for_so_many)
    most = 0
    for _ in range(10):
        most = max(most, count())
        time.sleep(0.001)
    if wait_for_so_many:
        time.sleep(0.2)  # the others must see it
    mark.unlink()
    return most


def gpus_while_at_work(folder: str, wait_for_so_many: int) -> str:
    count_at_work(folder, wait_for_so_many)
    return os.environ["CUDA_VISIBLE_DEVICES"]


def submit_from_a_worker(folder: str) -> list[object]:
    """A job may submit jobs."""
    from exca.execution import Call, Resources, make_executor

    jobs = make_executor(Resources(cluster="local", max_workers=1), f"{folder}/inner/%j").submit(
        [Call(double, (i,)) for i in (1, 2)]
    )
    return [job.result() for job in jobs]


def double_in_processes(method: str) -> list[int]:
    """What a data loader does."""
    import multiprocessing

    with multiprocessing.get_context(method).Pool(2) as pool:
        return pool.map(double, [1, 2])


def loaded_modules() -> list[str]:
    return sorted(sys.modules)


def fork_and_return() -> int:
    """The child comes back from the call too."""
    return os.fork()


def import_and_look(name: str) -> tuple[object, str]:
    """A value of a module, and the current folder."""
    return importlib.import_module(name).VALUE, os.getcwd()


def log_and_nap(folder: str, number: int, seconds: float) -> int:
    """Leave one byte for each time the call is made."""
    with open(f"{folder}/{number}", "a") as file:
        file.write("x")
    time.sleep(seconds)
    return number


class Saving:
    """Waits for a gate, and can save its state; gives what was saved."""

    def __call__(self, folder: str) -> list[str]:
        Path(folder, "begun").write_text("x")
        wait_for(f"{folder}/gate")
        saved = Path(folder, "state")
        return saved.read_text().split() if saved.exists() else []

    def checkpoint(self, folder: str) -> None:
        Path(folder, "state").write_text("saved")


class Loading:
    """Like `Saving`; the first time it is loaded, that takes until a signal comes."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __setstate__(self, state: dict[str, str]) -> None:
        self.__dict__.update(state)
        if not Path(self.folder, "loading").exists():
            come, arrives = os.pipe()
            os.set_blocking(arrives, False)
            signal.set_wakeup_fd(arrives)
            Path(self.folder, "loading").write_text("x")
            os.read(come, 1)
            signal.set_wakeup_fd(-1)

    def __call__(self) -> list[str]:
        return Saving()(self.folder)

    def checkpoint(self) -> None:
        Saving().checkpoint(self.folder)


class LoadingWithoutSaving(Loading):
    checkpoint = None  # type: ignore[assignment]
