"""What ``hydra.launcher`` and ``hydra.sweeper`` say, checked before anything is composed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig
from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
from pydantic_core import ErrorDetails

from exca.infra import BaseInfra

from ._composer import written_texts
from ._launcher_words import launcher_hint
from ._problems import Problem, raise_problems, shown

__all__ = ["check_launcher", "check_options"]


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class _Own:
    """The options of the launcher that are no field of an infra."""

    folder: str
    progress: bool
    exclude: list[str]


def check_launcher(launcher: Any) -> None:
    """Raise where an option of the launcher is none, or has a value that it cannot have.

    Raises
    ------
    InvalidConfig
        Listing all of them.
    """
    own = {"folder": launcher.folder, "progress": launcher.progress, "exclude": launcher.exclude}
    problems = [*_problems(TypeAdapter(_Own), own), *_problems(TypeAdapter(BaseInfra), launcher.fields)]
    _raise("launcher", problems, launcher.config)


def check_options(kind: type, options: Mapping[str, Any], config: DictConfig) -> None:
    """Raise where an option of the sweeper has a value that it cannot have; parameters: see ``check_launcher``.

    Raises
    ------
    InvalidConfig
        Listing all of them.
    """
    _raise("sweeper", list(_problems(TypeAdapter(kind), options)), config)


def _problems(adapter: TypeAdapter[Any], options: Mapping[str, Any]) -> Iterator[ErrorDetails]:
    try:
        adapter.validate_python(dict(options))
    except ValidationError as error:
        yield from error.errors(include_url=False)


def _raise(node: str, details: list[ErrorDetails], config: DictConfig) -> None:
    texts = written_texts(config.hydra.overrides.hydra)
    problems = []
    for detail in details:
        path = ("hydra", node, *detail["loc"][:1])
        key = ".".join(map(str, path))
        origin = next((f"override {text}" for text in reversed(texts) if _key(text) == key), None)
        problems.append(_problem(path, detail, origin))
    raise_problems(f"hydra.{node}", problems)


def _key(text: str) -> str:
    return text.partition("=")[0].lstrip("+~")


def _problem(path: tuple[str | int, ...], detail: ErrorDetails, origin: str | None) -> Problem:
    if detail["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        hint = launcher_hint(str(path[-1]), list(BaseInfra.model_fields))
        return Problem(path, "no such option", origin=origin, hint=hint)
    return Problem(path, detail["msg"], shown(detail["input"]), origin, _how_to_write(path, detail))


def _how_to_write(path: tuple[str | int, ...], detail: ErrorDetails) -> str | None:
    """What a word of the command line is read as depends on how it looks."""
    key, value = ".".join(map(str, path)), detail["input"]
    if detail["type"] == "string_type" and isinstance(value, int | float):
        return f"""quote it: {key}="'{value}'\""""
    if detail["type"] in ("list_type", "tuple_type", "is_instance_of") and isinstance(value, str | int | float):
        return f"a list has brackets: {key}=[{value}]"
    return None
