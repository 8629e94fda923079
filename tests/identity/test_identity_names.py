"""Names: of folders for people and file systems, of classes and functions for other processes."""

from __future__ import annotations

import collections
import functools
import json
import os
import pathlib
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, Generic, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, SecretStr

from exca.errors import UnstableIdentity
from exca.identity import computation_name, identify, import_path, module_name

ROOT = Path(__file__).parents[2]
SAFE = re.compile(r"[A-Za-z0-9_=,+][A-Za-z0-9._=,+-]*")
T = TypeVar("T")


class Optim(BaseModel):
    lr: float = 0.1
    name: str = "sgd"


class Experiment(BaseModel):
    model_config = ConfigDict(extra="allow")
    optim: Optim = Optim()
    layers: list[int] = []
    folder: Path = Path("data")
    anything: Any = None


class Box(BaseModel, Generic[T]):
    item: T | None = None

    class Inner(BaseModel):
        x: int = 1


def readable(**values: Any) -> str:
    """Readable part of the name of an experiment."""
    name, digest = identify(Experiment(**values)).name.rsplit("-", 1)
    assert re.fullmatch("[0-9a-f]{20}", digest)
    return name


def test_the_readable_part_says_what_differs() -> None:
    assert readable(optim={"lr": 0.01}) == "optim.lr=0.01"
    assert readable(layers=[64, 32], optim={"name": "adam", "lr": 1}) == "layers=64+32,optim.lr=1.0,optim.name=adam"
    assert readable(anything=[{"x": 1}, {"y": [2]}]) == "anything.0.x=1,anything.1.y=2"
    assert readable(anything={"a": {"b": None}, "c": []}) == "anything.a.b=None,anything.c=empty"
    assert readable(folder="/very/long/path/to/imagenet/train") == "folder=imagenet_train"
    assert readable(anything=Optim()) == "anything=Optim"
    assert readable(anything=SecretStr("hush")) == "anything=secret"
    assert readable(anything=json.dumps) == "anything=dumps"


def test_long_values_are_shortened_before_pairs_are_dropped() -> None:
    long = readable(anything="x" * 300, optim={"lr": 0.5})
    assert long.startswith("anything=xxxxxxxx")
    assert long.endswith("..,optim.lr=0.5")
    many = readable(**{f"extra{number}": "y" * 30 for number in range(40)})
    assert many.endswith(",...")
    assert 100 < len(many) < 180


def test_names_never_hold_a_password_or_an_address() -> None:
    from pydantic import HttpUrl

    name = readable(anything=[HttpUrl("https://me:hush@host/x"), SecretStr("hush"), Optim, functools.partial(int)])
    assert "hush" not in name
    assert "0x" not in name


@given(
    st.dictionaries(
        st.text(), st.text() | st.floats() | st.integers() | st.binary() | st.lists(st.text()), max_size=8
    ),
    st.text(),
)
def test_names_are_safe_for_any_text(data: dict[str, Any], text: str) -> None:
    name = identify(Experiment(anything=data, optim={"name": text})).name
    assert SAFE.fullmatch(name)
    assert len(name.encode()) <= 200


@given(st.dictionaries(st.text(min_size=1), st.text(), min_size=1, max_size=5))
def test_names_are_safe_for_any_extra(extra: dict[str, str]) -> None:
    config = Experiment.model_construct()
    object.__setattr__(config, "__pydantic_extra__", extra)
    name = identify(config).name
    assert SAFE.fullmatch(name)
    assert len(name.encode()) <= 200
    assert name not in (".", "..")


def test_a_name_can_be_a_folder(tmp_path: Path) -> None:
    for text in ("a/b", "..", ".", "-rf", "", "x" * 5000, "é\n\0", "CON"):
        folder = tmp_path / identify(Experiment(anything={text: text})).name
        folder.mkdir()
        assert folder.parent == tmp_path
    assert len(os.listdir(tmp_path)) == 8


def test_names_differ_where_case_is_ignored() -> None:
    names = [identify(Experiment(anything=text)).name for text in ("abc", "ABC", "Abc")]
    assert len({name.lower() for name in names}) == 3


def test_computation_names() -> None:
    assert computation_name(Experiment, "run", "0") == f"{__name__}.Experiment.run,0"
    assert computation_name(Box.Inner, "run", "1.2") == f"{__name__}.Box.Inner.run,1.2"
    names = [
        computation_name(Box[int], "run", "0"),
        computation_name(Box[str], "run", "0"),
        computation_name(Experiment, "run", "a/b"),
        computation_name(Experiment, "run", "a-b"),
        computation_name(Experiment, "run", "a b"),
        computation_name(Experiment, "run", "x" * 300),
        computation_name(Experiment, "run", "x" * 301),
        computation_name(Experiment, "run", ""),
    ]
    assert len(set(names)) == len(names)
    for name in names:
        assert SAFE.fullmatch(name)
        assert len(name.encode()) <= 200


def test_computation_names_of_local_classes() -> None:
    class Local(BaseModel):
        pass

    here = f"{__name__}.test_computation_names_of_local_classes.Local.run,0"
    assert computation_name(Local, "run", "0") == here


@given(st.text())
def test_computation_names_are_safe_for_any_version(version: str) -> None:
    name = computation_name(Experiment, "run", version)
    assert SAFE.fullmatch(name)
    assert len(name.encode()) <= 200


def test_import_paths() -> None:
    assert import_path(Experiment) == f"{__name__}.Experiment"
    assert import_path(Box.Inner) == f"{__name__}.Box.Inner"
    assert import_path(json) == "json"
    assert import_path(os.path.join) == "posixpath.join"
    assert import_path(len) == "builtins.len"
    assert import_path(str.upper) == "builtins.str.upper"
    assert import_path(Experiment.model_validate) == f"{__name__}.Experiment.model_validate"
    assert import_path(list[int]) == "builtins.list[builtins.int]"
    assert import_path(pathlib.Path) == "pathlib.Path"
    assert import_path(collections.OrderedDict) == "collections.OrderedDict"
    # Private modules of a package that exports the object are not part of its name.
    assert import_path(BaseModel) == "pydantic.main.BaseModel"
    from exca.errors import ConfigError
    from exca.identity import ConfDict

    assert import_path(ConfDict) == "exca.identity.ConfDict"
    assert import_path(ConfigError) == "exca.errors.ConfigError"


def test_what_cannot_be_imported_has_no_path() -> None:
    def local() -> None: ...

    class Local: ...

    for obj in (lambda: 0, local, Local, [].append, 3, functools.partial(len)):
        with pytest.raises(UnstableIdentity):
            import_path(obj)


def test_module_names() -> None:
    assert module_name(Experiment) == __name__
    assert module_name(json) == "json"
    with pytest.raises(UnstableIdentity, match="in which module"):
        module_name(object())


SCRIPT = """
import sys
from typing import Any
from pydantic import BaseModel
from exca.identity import computation_name, identify, import_path, module_name
class Inner(BaseModel):
    x: int = 1
class Sub(Inner):
    pass
class Config(BaseModel):
    inner: Inner = Inner()
    anything: Any = None
def function(): ...
def report():
    config = Config(inner=Sub(), anything=[Config, function, Inner(x=3)])
    return [module_name(Config), import_path(Config), import_path(function),
            computation_name(Config, "run", "0"), identify(config).digest]
if __name__ == "__main__":
    print(*report(), sep="\\n")
"""


def run(folder: Path, *command: str, stdin: str | None = None) -> list[str]:
    """Run Python in a folder and give what it prints, line by line."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)])}
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=env, input=stdin, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


@pytest.mark.slow
def test_incident_02_running_and_importing_share_one_identity(tmp_path: Path) -> None:
    package = tmp_path / "project"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "train.py").write_text(SCRIPT)
    (tmp_path / "train.py").write_text(SCRIPT)
    imported = run(tmp_path, "-c", "import train; print(*train.report(), sep='\\n')")
    assert imported[0] == "train"
    assert imported[3] == "train.Config.run,0"
    assert run(tmp_path, "train.py") == imported
    assert run(tmp_path, str(tmp_path / "train.py")) == imported
    module = run(tmp_path, "-c", "import project.train as t; print(*t.report(), sep='\\n')")
    assert module[0] == "project.train"
    assert run(tmp_path, "-m", "project.train") == module
    (package / "__main__.py").write_text(SCRIPT)
    assert run(tmp_path, "-m", "project")[0] == "project"


@pytest.mark.slow
def test_what_cannot_be_imported_is_main(tmp_path: Path) -> None:
    assert run(tmp_path, "-", stdin=SCRIPT)[0] == "__main__"
    assert run(tmp_path, "-c", SCRIPT)[0] == "__main__"


@pytest.mark.slow
def test_incident_18_worker_names_a_class_as_its_submitter_did(tmp_path: Path) -> None:
    """The class travels by value, after its plan was made, to a process that runs another program."""
    (tmp_path / "train.py").write_text(
        SCRIPT.replace(
            "print(*report()",
            "import cloudpickle, pathlib; pathlib.Path('job').write_bytes(cloudpickle.dumps(report)); print(*report()",
        )
    )
    submitted = run(tmp_path, "train.py")
    (tmp_path / "worker.py").write_text(
        textwrap.dedent(
            """
            import pathlib, pickle
            from exca.identity import main_module_override
            report = pickle.loads(pathlib.Path("job").read_bytes())
            print(report()[0])
            main_module_override("train")
            print(*report(), sep="\\n")
            """
        )
    )
    before, *after = run(tmp_path, "worker.py")
    assert before == "worker"
    assert after == submitted


def test_incident_18_spawned_process_names_a_class_as_its_parent_did(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        SCRIPT.replace(
            "    print(*report()",
            "    import multiprocessing as mp\n"
            "    with mp.get_context('spawn').Pool(1) as pool:\n"
            "        assert pool.apply(report) == report()\n"
            "    print(*report()",
        )
    )
    assert run(tmp_path, "train.py")[0] == "train"
