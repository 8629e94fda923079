"""Composition without an app: notebooks, tests, scripts."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from hydra import version
from hydra._internal.utils import create_config_search_path
from hydra.core.utils import setup_globals
from hydra.types import RunMode
from packaging.version import Version
from pydantic import BaseModel

from exca.errors import InvalidConfig

from ._loader import ModelLoader
from ._validation import built, check

__all__ = ["compose"]

M = TypeVar("M", bound=BaseModel)


def compose(
    model: type[M],
    overrides: Sequence[str] = (),
    *,
    config_dir: str | os.PathLike[str] | None = None,
    config_path: str | None = None,
    config_name: str | None = None,
) -> M:
    """Compose an experiment as its app would, and return it validated.

    Hydra's own state is left alone, so it may be called anywhere, inside a running app too.

    Parameters
    ----------
    model
        The experiment.
    overrides
        What would stand on the command line (``["model=transformer", "optim.lr=0.1"]``).
    config_dir
        Directory of YAML files, absolute or relative to the working directory.
    config_path
        The same, relative to the calling file; or ``pkg://package.conf``.
    config_name
        Name of the primary config; without it, the schema of the model is the primary config.

    Raises
    ------
    InvalidConfig
        Listing all problems; an option that no group has also makes it a ``MissingConfigException``.
    ConfigCompositionException
        From Hydra: a file that does not exist.

    Examples
    --------
    >>> class Experiment(BaseModel):
    ...     lr: float = 0.1
    >>> compose(Experiment, ["lr=0.5"])
    Experiment(lr=0.5)
    """
    if config_dir is not None and config_path is not None:
        raise InvalidConfig("compose() takes config_dir or config_path, not both")
    where = None if config_dir is None else str(Path(config_dir).absolute())
    if config_path is not None:
        caller = Path(sys._getframe(1).f_code.co_filename)
        beside = caller.parent if caller.is_file() else Path()  # a notebook's cells are no files
        where = config_path if config_path.startswith("pkg://") else str((beside / config_path).resolve())
    with _version_base():
        setup_globals()
        loader = ModelLoader(create_config_search_path(where), model, check=check, checks_all=False)
        name = config_name or loader.schema_name
        cfg = loader.load_configuration(name, list(overrides), RunMode.RUN, from_shell=False)
        return built(cfg, model)


@contextmanager
def _version_base() -> Iterator[None]:
    """Compose by the rules of Hydra 1.3, unless an app that runs has chosen others."""
    before = version.getbase()
    if not isinstance(before, Version):
        version.setbase("1.3")
    try:
        yield
    finally:
        version.VersionBase.instance().version_base = before
