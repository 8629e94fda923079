"""The ``exca`` command: a Hydra app for a model that has no script of its own."""

from __future__ import annotations

import argparse
import difflib
import importlib
import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from exca._version import __version__
from exca.errors import ConfigError

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["main"]

_MODEL = "the model, as package.module:Class; the current folder can be imported from"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command.

    Parameters
    ----------
    arguments: words after the command's name; None: those of the command line.
    """
    parser = argparse.ArgumentParser(prog="exca", description="Configured, cached, distributed experiments.")
    parser.add_argument("--version", action="version", version=f"exca-hydra {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser(
        "run",
        help="run a model's computation, with the options of a Hydra app",
        description="Compose, validate and run a model: exca run package.module:Experiment lr=0.1; -m: a sweep.",
        epilog="What follows the model is given to Hydra; exca run MODEL --help shows the model's fields.",
    )
    run.add_argument("model", help=_MODEL)
    run.add_argument("--method", help="name of the computation, where the model has several")
    run.add_argument("overrides", nargs=argparse.REMAINDER, help="overrides and flags of Hydra")
    schema = commands.add_parser(
        "schema",
        help="print the JSON Schema of a model's YAML files, for editors",
        description="Print the JSON Schema of the YAML files of a model: exca schema package.module:Experiment.",
        epilog="A file names its schema in a comment: # yaml-language-server: $schema=experiment.json",
    )
    schema.add_argument("model", help=_MODEL)
    schema.add_argument("--group", help="the config group that the files are of, instead of whole experiments")
    given = parser.parse_args(arguments)
    sys.path.insert(0, os.getcwd())  # a console script does not have it, unlike python -m
    if given.command == "schema":
        _print_schema(schema, given.model, given.group)
        return
    # What follows the model was left to Hydra as it is: the one option of ours among it is taken out again.
    late = argparse.ArgumentParser(prog=run.prog, add_help=False, allow_abbrev=False)
    late.add_argument("--method", default=given.method)
    options, overrides = late.parse_known_args(given.overrides)
    try:
        model = _find_model(given.model)
        method = _computation(model, options.method)
    except _Usage as error:
        run.error(str(error))
    _run(model, method, overrides)


class _Usage(Exception):
    """The words of the command do not make sense; the message says why."""


def _print_schema(parser: argparse.ArgumentParser, text: str, group: str | None) -> None:
    from exca.hydra import json_schema

    try:
        print(json.dumps(json_schema(_find_model(text), group), indent=2))
    except (_Usage, ConfigError) as error:
        parser.error(str(error))


def _run(model: type[BaseModel], method: str, overrides: list[str]) -> None:
    import exca.hydra

    def compute(config: Any) -> Any:
        from hydra.core.hydra_config import HydraConfig
        from hydra.types import RunMode

        value = getattr(config, method)()
        if HydraConfig.get().mode is not RunMode.MULTIRUN:  # a sweep has its table
            print(value)
        return value

    compute.__module__ = "__main__"  # an app without a config folder of its own, as Hydra sees it
    # Hydra takes overrides in one run of words: the name joins those that are there.
    first = next((k for k, word in enumerate(overrides) if "=" in word and word[0] != "-"), len(overrides))
    words = [*overrides[:first], f"hydra.job.name={model.__name__}", *overrides[first:]]
    sys.argv = [f"exca run {model.__module__}:{model.__name__}", *words]
    exca.hydra.main(model, method=method)(compute)()


def _find_model(text: str) -> type[BaseModel]:
    from pydantic import BaseModel  # so that --help need not wait for it

    name, _, path = text.partition(":")
    if not name or not path:
        raise _Usage(f"{text!r} is not of the form package.module:Class")
    try:
        found: Any = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # the module is there, and imports another that is not
        raise _Usage(f"no module named {error.name!r} here; start from the folder it is imported from") from error
    for part in path.split("."):
        if not hasattr(found, part):
            close = difflib.get_close_matches(part, dir(found), 1)
            raise _Usage(f"{name} has no {part!r}" + (f"; did you mean {close[0]!r}?" if close else ""))
        found = getattr(found, part)
    if not (isinstance(found, type) and issubclass(found, BaseModel)):
        raise _Usage(f"{text} is not a pydantic model")
    return found


def _computation(model: type[BaseModel], method: str | None) -> str:
    from exca.infra import computations

    found = computations(model)
    known = ", ".join(found) or "none: apply a TaskInfra to a method"
    if method is not None and method not in found:
        raise _Usage(f"{model.__name__} has no computation {method!r} (it has: {known})")
    if method is None and len(found) != 1:
        raise _Usage(f"{model.__name__} has not just one computation ({known}); say which with --method")
    return method or next(iter(found))


if __name__ == "__main__":
    main()
