"""One config has one identity: in every process, with every hash seed, Python and pydantic; and quickly."""

from __future__ import annotations

import doctest
import functools
import importlib
import json
import os
import shutil
import subprocess
import sys
import timeit
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import golden_configs
import pytest
from pydantic import BaseModel, Field

from exca.identity import identify

ROOT = Path(__file__).parents[2]
GOLDEN: dict[str, list[str]] = json.loads(Path(__file__).with_name("golden_digests.json").read_text())
WITHOUT_NUMPY = {name: value for name, value in GOLDEN.items() if not name.startswith("numpy")}
VERSIONS = ("3.11", "3.12", "3.13")


def digests_of(python: str, *arguments: str, seed: str = "random") -> dict[str, list[str]]:
    """The golden digests as another process finds them."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed}
    command = [python, str(Path(golden_configs.__file__)), *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


@functools.cache
def interpreters() -> dict[str, str]:
    """Python interpreters of other versions on this machine, by version.

    Those of ``EXCA_TEST_PYTHONS`` (paths, separated like ``PATH``), of ``PATH`` and of pyenv.
    """
    named = [path for path in os.environ.get("EXCA_TEST_PYTHONS", "").split(os.pathsep) if path]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    installed = [str(path) for path in sorted(pyenv.glob("*/bin/python"))]
    found: dict[str, str] = {}
    for candidate in [*named, *(f"python{version}" for version in VERSIONS), *installed]:
        version = _version(candidate)
        if version in VERSIONS:
            found.setdefault(version, candidate)
    return found


def _version(python: str) -> str | None:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def test_the_digests_are_those_of_every_release() -> None:
    """If this fails, every result that users have stored would be computed again: the format has changed."""
    assert golden_configs.digests(numpy=True) == GOLDEN


@pytest.mark.parametrize("seed", ["0", "1", "4242"])
def test_incident_02_hash_seeds_do_not_matter(seed: str) -> None:
    assert digests_of(sys.executable, "--numpy", seed=seed) == GOLDEN


@pytest.mark.parametrize("version", VERSIONS)
def test_other_pythons_that_have_pydantic(version: str) -> None:
    python = interpreters().get(version)
    if python is None:
        pytest.skip(f"no Python {version} here; EXCA_TEST_PYTHONS can name one")
    if subprocess.run([python, "-c", "import pydantic, yaml, tzdata"], capture_output=True).returncode:
        pytest.skip(f"{python} has no pydantic and PyYAML")
    assert digests_of(python) == WITHOUT_NUMPY


@pytest.mark.slow
@pytest.mark.parametrize(
    ("version", "packages"),
    [
        ("3.11", ["pydantic==2.10.*", "numpy==1.26.*"]),
        ("3.12", ["pydantic", "numpy"]),
        ("3.13", ["pydantic", "numpy"]),
    ],
)
def test_other_pythons_and_packages(version: str, packages: list[str], tmp_path: Path) -> None:
    python = interpreters().get(version)
    if python is None:
        pytest.skip(f"no Python {version} here; EXCA_TEST_PYTHONS can name one")
    subprocess.run([python, "-m", "venv", str(tmp_path / "venv")], check=True)
    inside = str(tmp_path / "venv" / "bin" / "python")
    subprocess.run([inside, "-m", "pip", "install", "-q", "PyYAML", *packages], check=True)
    assert digests_of(inside, "--numpy") == GOLDEN


def test_classes_that_travel_by_value_keep_their_identity(tmp_path: Path) -> None:
    """A class pickled by value, with its plan already made, arrives without it and makes a new one."""
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, cloudpickle\n"
        "from pydantic import BaseModel\n"
        "from exca.identity import identify\n"
        "class Inner(BaseModel):\n  x: int = 1\n"
        "class Config(BaseModel):\n  inner: Inner = Inner()\n  y: float = 1\n"
        "config = Config(inner={'x': 2})\n"
        "print(identify(config).digest)\n"
        "sys.stdout.flush()\n"
        "sys.stdout.buffer.write(cloudpickle.dumps(config))\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, str(script)], env=env, capture_output=True, check=True)
    import pickle

    digest, _, pickled = done.stdout.partition(b"\n")
    config = pickle.loads(pickled)
    assert type(config).__module__ == "__main__"
    assert identify(config).digest == digest.decode()


def test_there_is_a_python_to_compare_with() -> None:
    """The version that runs the tests is always found, so that the search itself is tested."""
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    if shutil.which(f"python{here}") or os.environ.get("EXCA_TEST_PYTHONS"):
        assert here in interpreters()


class Flat(BaseModel):
    x: int = 1
    y: float = 0.1
    z: str = "a"


class Mlp(BaseModel):
    name: Literal["mlp"] = "mlp"
    width: int = 8
    depth: int = 2
    dropout: float = 0.0


class Conv(BaseModel):
    name: Literal["conv"] = "conv"
    channels: int = 8
    kernel: int = 3
    dropout: float = 0.0


class Optim(BaseModel):
    lr: float = 0.1
    momentum: float = 0.9
    decay: float = 0.0
    nesterov: bool = False
    schedule: str = "cosine"


class Data(BaseModel):
    path: str = "data"
    batch: int = 32
    augment: bool = True
    workers: int = 4
    splits: tuple[float, float] = (0.8, 0.2)


class Nested(BaseModel):
    """30 fields in all, with a discriminated union."""

    model: Annotated[Mlp | Conv, Field(discriminator="name")] = Mlp()
    optim: Optim = Optim()
    data: Data = Data()
    epochs: int = 10
    seed: int = 0
    name: str = "experiment"
    tags: list[str] = []
    options: dict[str, int] = {}
    a: int = 1
    b: int = 2
    c: float = 3.0
    d: str = "d"
    e: bool = True
    f: int | None = None
    g: float | None = None
    h: str | None = None


def microseconds(call: Callable[[], Any]) -> float:
    """Time of one call, the best of many."""
    call()
    return min(timeit.repeat(call, number=200, repeat=10)) / 200 * 1e6


def test_naming_a_config_takes_microseconds() -> None:
    """Bounds five times what was measured, for slow machines: they hold the order of magnitude."""
    flat, nested = Flat(x=2, y=0.2), Nested(model={"name": "conv", "channels": 3}, optim={"lr": 0.5}, seed=3)
    assert microseconds(lambda: identify(flat)) < 50
    assert microseconds(lambda: identify(nested)) < 250


@pytest.mark.parametrize("module", sorted(path.stem for path in (ROOT / "exca" / "identity").glob("_[a-z]*.py")))
def test_the_examples_of_the_documentation_run(module: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(f"exca.identity.{module}"))
    assert failed == 0
