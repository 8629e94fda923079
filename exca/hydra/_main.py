"""Apps: a ``hydra.main`` whose function is given a validated model."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import hydra
import hydra._internal.hydra as hydra_app
from hydra._internal.utils import get_args_parser
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from pydantic import BaseModel

from ._bound import Bound
from ._folders import anchor_folders
from ._loader import ModelLoader
from ._register import default_name
from ._validation import built, check

__all__ = ["main"]

M = TypeVar("M", bound=BaseModel)

_LOADER = "ConfigLoaderImpl"


def main(
    model: type[M],
    *,
    config_path: str | None = None,
    config_name: str | None = None,
    method: str | None = None,
    version_base: str | None = "1.3",
) -> Callable[[Callable[[M], Any]], Callable[..., Any]]:
    """Make a Hydra app of a function that takes an experiment.

    It is a ``hydra.main`` app in every respect: ``--cfg``, ``--info``, ``--help``, ``-m``, ``--config-dir``,
    job directories, logging, callbacks, tab completion. In addition, the model's own tree lies beneath the
    primary config, everything is validated before anything runs, and ``-m`` uses this package's launcher and
    sweeper unless others are chosen.

    Parameters
    ----------
    model
        The experiment.
    config_path
        Directory of YAML files, relative to the file of the function; None for an app without files.
    config_name
        Name of the primary config; None for the model's own tree.
    method
        The method that is the computation; needed only where the model has several.
    version_base
        As in ``hydra.main``.

    Returns
    -------
    Callable
        A decorator. The decorated function runs the app when it is called without an argument; given an
        experiment, or a config, it is the function itself.

    Examples
    --------
    >>> @main(Experiment, config_path="conf", config_name="config")  # doctest: +SKIP
    ... def train(experiment: Experiment) -> float:
    ...     return experiment.run()
    """

    def decorate(function: Callable[[M], Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def task(cfg: DictConfig) -> Any:
            config = built(cfg, model)
            if HydraConfig.initialized():  # hydra.job.chdir may have moved this job
                anchor_folders(config, Path(HydraConfig.get().runtime.cwd))
            return function(config)

        task.__exca_bound__ = Bound(model, method, function)  # type: ignore[attr-defined]
        name = config_name or default_name(model)
        launch = hydra.main(config_path=config_path, config_name=name, version_base=version_base)(task)

        @functools.wraps(function)
        def app(config: M | DictConfig | None = None) -> Any:
            if config is None:
                with _loader_of(model):
                    return launch()
            return function(config) if isinstance(config, BaseModel) else task(config)

        return app

    return decorate


@contextmanager
def _loader_of(model: type[BaseModel]) -> Iterator[None]:
    """Let the next Hydra app have the loader of a model.

    Hydra has no hook to choose the config loader of an app; the one name by which it looks up the class is
    replaced until it was looked up once. (Hydra 1.3 and the development version of 1.4 are alike in this.)
    """
    names = vars(hydra_app)
    original = names[_LOADER]

    def make(config_search_path: ConfigSearchPath) -> ModelLoader:
        names[_LOADER] = original
        return ModelLoader(config_search_path, model, ours=True, check=check if _runs() else None)

    names[_LOADER] = make
    try:
        yield
    finally:
        names[_LOADER] = original


def _runs() -> bool:
    """Whether the command line asks to run the app, rather than to show something about it."""
    args = get_args_parser().parse_args()
    return not (args.help or args.hydra_help or args.cfg or args.info or args.shell_completion)
