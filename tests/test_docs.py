"""The documentation does what it says: its code runs, its commands end as stated, its links lead somewhere."""

from __future__ import annotations

import builtins
import inspect
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from snippets import PAGES, ROOT, Block, blocks

import exca.hydra

# The page of test_tutorial.py needs a cache folder by the name of `tmp_path`.
RUN_ELSEWHERE = {ROOT / "docs" / "tutorials" / "task-and-map.md"}
RUN = [page for page in PAGES if page not in RUN_ELSEWHERE and any(b.language == "python" for b in blocks(page))]


def run_block(block: Block, folder: Path) -> None:
    """Write the file that a block shows, or run its script or its commands in the reader's folder."""
    if block.file:
        file = folder / block.file
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(block.text)
    elif block.language == "python":
        script = folder / f"line_{block.line}.py"
        script.write_text(block.text)
        expect(0, [sys.executable, script.name], folder, block)
    elif block.language == "console":
        for line in block.text.splitlines():
            command = re.match(r"\$ (python|exca) (.*?)(?:  # exit code (\d+))?$", line)
            if command:
                start = [sys.executable] if command[1] == "python" else [sys.executable, "-m", "exca.cli"]
                expect(int(command[3] or 0), [*start, *shlex.split(command[2])], folder, block)


def expect(code: int, command: list[str], folder: Path, block: Block) -> None:
    """Run a command and compare its exit code."""
    # Commands of the documentation are typed by people: what a test run adds to the environment is left out.
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(
        command, cwd=folder, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    printed = f"line {block.line}: {shlex.join(command)}\n{done.stdout}\n{done.stderr}"
    assert done.returncode == code, printed
    assert "Traceback" not in done.stderr or code == 0, printed


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_runs_from_top_to_bottom(page: Path, tmp_path: Path) -> None:
    for block in blocks(page):
        run_block(block, tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text())
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_into_a_page_lead_to_a_heading(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?://)([^)#]*)#([^)]+)\)", page.read_text()):
        assert anchor in anchors((page.parent / target) if target else page), f"{target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """What the headings of a page are called in links, as the sites that render it do."""
    code_left_out = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ +(.+)$", code_left_out, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_page_is_linked_from_the_readme(page: Path) -> None:
    assert page == ROOT / "README.md" or f"({page.relative_to(ROOT)})" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_blocks_compile(page: Path) -> None:
    for block in blocks(page):
        if block.language == "python":
            compile(block.text, f"{page}:{block.line}", "exec")


def test_reference_has_every_field_of_an_infra() -> None:
    page = (ROOT / "docs" / "reference" / "task-infra.md").read_text()
    assert [name for name in exca.TaskInfra.model_fields if f"`{name}`" not in page] == []
    page += (ROOT / "docs" / "reference" / "map-infra.md").read_text()
    assert [name for name in exca.MapInfra.model_fields if f"`{name}`" not in page] == []


def test_reference_has_every_error_with_its_builtin() -> None:
    page = (ROOT / "docs" / "reference" / "errors.md").read_text()
    table = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", page, re.MULTILINE)
    rows = dict(table)
    assert len(rows) == len(table), "each error has one row"
    for name in exca.errors.__all__:
        error = getattr(exca.errors, name)
        if not any(getattr(exca.errors, other).__mro__[1] is error for other in exca.errors.__all__):
            assert issubclass(error, getattr(builtins, rows[name]))
    assert set(rows) <= set(exca.errors.__all__)


@pytest.mark.parametrize("name", ["compose", "main", "register", "to_config", "to_model", "to_overrides"])
def test_reference_has_the_functions_of_the_hydra_room_with_their_parameters(name: str) -> None:
    page = (ROOT / "docs" / "reference" / "hydra.md").read_text()
    row = re.search(rf"^\| `{name}\((.*?)\)` \|", page, re.MULTILINE)
    assert row is not None
    documented = [parameter.partition("=")[0].strip() for parameter in row[1].split(",")]
    parameters = inspect.signature(getattr(exca.hydra, name)).parameters
    assert [parameter.lower() for parameter in documented] == list(parameters)


def parameters_of(function: Callable[..., object]) -> list[str]:
    """The parameters of a function or method, as a call is written in the documentation."""
    parameters = list(inspect.signature(function).parameters.values())
    named = [f"**{each.name}" if each.kind is each.VAR_KEYWORD else each.name for each in parameters]
    return [name for name in named if name not in ("self", "cls")]


@pytest.mark.parametrize("name", exca.helpers.__all__)
def test_reference_has_the_helpers_with_their_parameters(name: str) -> None:
    page = (ROOT / "docs" / "reference" / "helpers.md").read_text()
    row = re.search(rf"^\| \[`{name}(?:\((.*?)\))?`\]\(#", page, re.MULTILINE)
    assert row is not None
    assert re.search(rf"^## .*\b{name}\b", page, re.MULTILINE)
    if row[1] is not None:
        documented = [word.partition("=")[0].strip() for word in row[1].split(",") if word.strip() != "*"]
        assert documented == parameters_of(getattr(exca.helpers, name))


def test_reference_has_the_methods_of_a_confdict_with_their_parameters() -> None:
    page = (ROOT / "docs" / "reference" / "confdict.md").read_text()
    own = [name for name in vars(exca.ConfDict) if not name.startswith("_") and name not in ("get", "setdefault")]
    assert len(own) > 8
    for name in own:
        row = re.search(rf"^\| `(?:ConfDict\.)?{name}\((.*?)\)`", page, re.MULTILINE)
        assert row is not None, name
        documented = [word.partition("=")[0].strip() for word in re.sub(r"\(\)", "", row[1]).split(",") if word]
        assert documented == parameters_of(getattr(exca.ConfDict, name)), name
