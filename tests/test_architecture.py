"""What holds the house: the arrows between rooms, the public names, the import budget, the shape of the package."""

from __future__ import annotations

import ast
import functools
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import exca
import exca.errors

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "exca"
PLUGIN = ROOT / "hydra_plugin" / "hydra_plugins"

# A room may import the rooms of the rows above its own, never one of its own row.
ROWS: list[set[str]] = [
    {"errors", "_version", "by_value", "discriminated", "liveness", "main_module", "trust", "raised"},
    {"identity", "store", "execution", "policy", "provenance"},
    {"cachedict"},
    {"task"},
    {"map"},
    {"infra"},
    {"hydra", "helpers"},
    {"cli", "hydra_plugin"},
]
LEVEL = {room: level for level, row in enumerate(ROWS) for room in row}
# The front door re-exports every room; users come in here.
FRONT_DOOR = PACKAGE / "__init__.py"

Import = tuple[Path, int, str]


def room_of(path: Path) -> str:
    """Return the room a source file stands in."""
    if path.is_relative_to(PLUGIN):
        return "hydra_plugin"
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def sources() -> list[Path]:
    """Return every source file of the package and of the plugin."""
    return sorted([*PACKAGE.rglob("*.py"), *PLUGIN.rglob("*.py")])


@functools.cache
def parsed(path: Path) -> ast.Module:
    """Return the syntax tree of a source file."""
    return ast.parse(path.read_text(), filename=str(path))


def imports(path: Path) -> Iterator[Import]:
    """Yield ``(file, line, absolute dotted name)`` for every import, at any depth: functions, type checking."""
    package = path.relative_to(PACKAGE.parent).parts[:-1] if path.is_relative_to(PACKAGE) else ()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield path, node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            prefix = list(package[: len(package) - node.level + 1]) if node.level else []
            module = ".".join([*prefix, *([node.module] if node.module else [])])
            for alias in node.names:
                yield path, node.lineno, f"{module}.{alias.name}"


def arrows() -> Iterator[tuple[Import, str, str]]:
    """Yield every import of one room by another as ``(import, from room, to room)``."""
    for path in sources():
        for found in imports(path):
            parts = found[2].split(".")
            if parts[0] != "exca" or path == FRONT_DOOR:
                continue
            # `from exca import X` names the front door, or a room by its name.
            target = parts[1] if len(parts) > 1 and parts[1] in LEVEL else "front door"
            if target != room_of(path):
                yield found, room_of(path), target


def test_every_file_stands_in_a_room() -> None:
    homeless = [str(path) for path in sources() if path != FRONT_DOOR and room_of(path) not in LEVEL]
    assert not homeless


def test_a_room_imports_only_leftwards_and_never_a_sibling() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {source} imports {name}"
        for (path, line, name), source, target in arrows()
        if target == "front door" or LEVEL[target] >= LEVEL[source]
    ]
    assert not wrong, "\n".join(wrong)


def test_rooms_keep_their_private_files() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name} is private to {target}"
        for (path, line, name), _, target in arrows()
        if any(part.startswith("_") and not part.startswith("__") for part in name.split(".")[2:])
    ]
    assert not wrong, "\n".join(wrong)


def test_one_file_imports_submitit() -> None:
    importers = {path for path in sources() for _, _, name in imports(path) if name.split(".")[0] == "submitit"}
    assert len(importers) <= 1, importers
    assert {room_of(path) for path in importers} <= {"execution"}


def test_public_names() -> None:
    assert sorted(exca.__all__) == [
        "ConfDict",
        "MapInfra",
        "SubmitInfra",
        "TaskInfra",
        "__version__",
        "cachedict",
        "errors",
        "helpers",
        "hydra",
    ]
    for name in exca.__all__:
        assert getattr(exca, name) is not None
    assert set(exca.__all__) <= set(dir(exca))


@pytest.mark.parametrize("room", ["identity", "store", "execution", "cachedict", "map", "infra", "hydra"])
def test_rooms_say_what_is_public(room: str) -> None:
    module = __import__(f"exca.{room}", fromlist=["__all__"])
    assert module.__all__
    for name in module.__all__:
        assert not name.startswith("_")
        assert hasattr(module, name)


def test_every_error_is_drawn_public_and_catchable() -> None:
    drawing = exca.errors.__doc__ or ""
    classes = {name: value for name, value in vars(exca.errors).items() if isinstance(value, type)}
    assert sorted(classes) == sorted(exca.errors.__all__)
    for name, error in classes.items():
        assert name in drawing
        assert issubclass(error, exca.errors.ExcaError)
        assert error.__doc__
    leaves = [error for error in classes.values() if not error.__subclasses__()]
    for leaf in leaves:
        builtins = [base for base in leaf.__mro__ if base.__module__ == "builtins"]
        assert set(builtins) > {Exception, BaseException, object}, f"{leaf} inherits no builtin a user would catch"


def loaded_by(statement: str, path: Path = ROOT) -> set[str]:
    """Return the modules a fresh interpreter has loaded after a statement."""
    program = f"{statement}\nimport json, sys\nprint(json.dumps(list(sys.modules)))"
    command = [sys.executable, "-c", program]
    printed = subprocess.run(command, cwd=path, check=True, capture_output=True, text=True).stdout
    return set(json.loads(printed))


HEAVY = {"submitit", "numpy", "torch", "pandas", "hydra", "omegaconf", "hydra_plugins", "yaml"}


def test_import_budget_of_the_package() -> None:
    names = ", ".join(name for name in exca.__all__ if name != "hydra")
    assert not HEAVY & loaded_by(f"from exca import {names}")


def test_import_budget_of_a_task() -> None:
    assert not {"exca.cachedict", "exca.map", "exca.discriminated", *HEAVY} & loaded_by("from exca import TaskInfra")


def test_import_budget_of_the_command() -> None:
    """``exca --help`` waits for nothing."""
    assert not {"pydantic", *HEAVY} & loaded_by("import exca.cli")


def test_lazy_names_load_on_first_use() -> None:
    assert {"hydra", "omegaconf"} <= loaded_by("import exca; exca.hydra.compose")
    rooms = ["cachedict", "errors", "execution", "helpers", "identity", "infra", "map", "store", "task"]
    asked = "; ".join(f"exca.{room}.__all__" for room in rooms)
    assert {f"exca.{room}" for room in rooms} <= loaded_by(f"import exca; {asked}")
    with pytest.raises(AttributeError, match="no attribute 'TaskInfr'"):
        _ = exca.TaskInfr


def plugin_modules() -> list[str]:
    """Return the modules that Hydra imports while it scans for plugins: those without a leading underscore."""
    names = [path.relative_to(PLUGIN.parent).with_suffix("").parts for path in PLUGIN.rglob("*.py")]
    modules = [".".join(parts).removesuffix(".__init__") for parts in names]
    return [name for name in modules if not name.rpartition(".")[2].startswith("_")]


def test_import_budget_of_the_plugin() -> None:
    modules = plugin_modules()
    assert modules
    loaded = loaded_by("\n".join(f"import {name}" for name in modules), PLUGIN.parent)
    assert not {"pydantic", "submitit", "numpy", "pandas", "torch", "rich"} & loaded


def test_incident_26_plugin_is_discovered_by_hydra_as_installed_here() -> None:
    """Incident 26: an editable install whose plugin Hydra does not see."""
    program = (
        "from hydra.core.plugins import Plugins; from hydra.plugins.launcher import Launcher;"
        "print([found.__module__ for found in Plugins.instance().discover(Launcher)])"
    )
    command = [sys.executable, "-c", program]
    printed = subprocess.run(command, cwd="/", check=True, capture_output=True, text=True).stdout
    assert "hydra_plugins.hydra_exca" in printed


def test_incident_23_importing_changes_nothing_of_anybody_else() -> None:
    program = """
import logging, random, signal, socket, sys, warnings
import numpy, yaml
def state():
    return (
        len(logging.getLogger().handlers), logging.getLogger().level, random.getstate(), socket.getdefaulttimeout(),
        sorted(map(str, yaml.SafeDumper.yaml_representers)), sorted(map(str, yaml.Dumper.yaml_representers)),
        sorted(map(str, yaml.SafeLoader.yaml_constructors)), numpy.random.get_state()[1].tolist(),
        {number: signal.getsignal(number) for number in signal.valid_signals()}, len(warnings.filters), sys.excepthook,
    )
before = state()
import exca
for name in exca.__all__:  # each is imported when it is first asked for
    getattr(exca, name)
assert state() == before
"""
    subprocess.run([sys.executable, "-c", program], cwd="/", check=True)


def test_shape_of_the_package() -> None:
    assert (PACKAGE / "py.typed").is_file()
    assert not (PLUGIN / "__init__.py").exists(), "hydra_plugins is a namespace that other plugins share"
    assert (PLUGIN / "hydra_exca" / "__init__.py").is_file()
    vague = {"utils", "util", "base", "core", "common", "misc"}
    assert not [str(path) for path in sources() if path.stem.strip("_") in vague]


def test_functions_are_short() -> None:
    lengths = sorted(
        (node.end_lineno or node.lineno) - node.lineno + 1
        for path in sources()
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    assert lengths[len(lengths) * 9 // 10] <= 30, "nine functions of ten have at most 30 lines"
