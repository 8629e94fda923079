"""Hydra's config loader, for an app whose config is one model."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence

import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import CachingConfigRepository, IConfigRepository
from hydra._internal.defaults_list import Overrides, _create_defaults_list
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.default_element import DefaultsTreeNode, ResultDefault
from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException, MissingConfigException
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from pydantic import BaseModel

from exca.identity import module_name

from ._builder import schema_of
from ._choices import Contribution, Verdict, judge
from ._composer import Composer, record, written_texts
from ._composition import Composition
from ._guard import Guard
from ._nodes import stored_configs
from ._parsing import key_path, parse
from ._plain import unresolved
from ._problems import InvalidComposition, UnknownOption, as_error
from ._register import default_name, registered_names
from ._schema import Path
from ._source import ModelRepository, ModelSource, is_generated
from ._translation import chosen_by_hand, named_texts, translated, unaliased
from ._unknown import unknown_keys, unknown_option
from ._unset import marked, unmark
from ._yaml_errors import problem_of_yaml

__all__ = ["ModelLoader"]

_OUR_PLUGIN = "hydra_plugins.hydra_exca."
_NOT_THERE = "???"
_MOST_ROUNDS = 10
"""A member can bring a union of its own, whose member is then to be found; nobody nests them deeper."""


class ModelLoader(ConfigLoaderImpl):
    """A config loader that knows the model behind the config.

    The schema lies beneath the primary config whether or not a defaults list names it, every union holds
    one member, overrides mean what the model makes of them, unknown keys are all reported at once with
    advice, and repeated composition costs a millisecond.

    Parameters
    ----------
    config_search_path
        Where Hydra looks for configs.
    model
        The experiment.
    ours
        Whether this package's launcher and sweeper are the default ones, where the plugin is installed.
    check
        Raises where a config that is about to be run does not validate. The points of a sweep are left
        to our launcher, which looks at all of them; other launchers know nothing of validation.
    checks_all
        Whether ``check`` is asked about every config; else only about the rest of one that does not compose,
        by a caller who checks the others.
    """

    def __init__(
        self,
        config_search_path: ConfigSearchPath,
        model: type[BaseModel],
        *,
        ours: bool = False,
        check: Callable[[DictConfig, ModelLoader], object] | None = None,
        checks_all: bool = True,
    ) -> None:
        super().__init__(config_search_path)
        self.schema = schema_of(model)
        self._guard = Guard(self.schema)
        self.schema_name = default_name(model)
        # The last name is for the case that files of the user have all the others.
        known = [name for name in registered_names(model) if "/" not in name]  # others are for other places
        self._names = list(dict.fromkeys([self.schema_name, *known, f"_{self.schema_name}_"]))
        configs = [stored for name in self._names for stored in stored_configs(self.schema, name)]
        source = ModelSource(f"{module_name(model)}.{model.__qualname__}", configs)
        values = {key for key, entry in self.schema.tree.entries.items() if entry.site is None}
        self.repository: ModelRepository = ModelRepository(config_search_path, source, values)
        self._ours, self._check, self._checks_all = ours, check, checks_all
        self.composer = Composer(
            self,
            load=self._load,
            translate=lambda overrides: translated(self.schema, overrides),
            chooses=lambda override: chosen_by_hand(self.schema, override) is not None,
        )

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        """Compose a config, its ``hydra`` node included.

        Raises
        ------
        InvalidConfig
            Overrides set keys that do not exist.
        ConfigCompositionException
            Anything else that Hydra finds wrong.
        """
        overrides = self._guard.overrides(overrides)
        if validate_sweep_overrides:
            self.validate_sweep_overrides_legal(parse(overrides), run_mode, from_shell)
        try:
            cfg = self._composed(config_name, overrides, run_mode)
        except InvalidComposition as error:
            return self._without(error, config_name, overrides, run_mode)
        if self._check is not None and self._checks_all and run_mode is RunMode.RUN:
            self._check(cfg, self)
        return cfg

    def _without(
        self, error: InvalidComposition, config_name: str | None, overrides: list[str], run_mode: RunMode
    ) -> DictConfig:
        """Compose without the overrides that an error is about, and raise all that is wrong.

        Our launcher looks at the points of a sweep one by one, so that a sweep is composed without them.
        """
        if run_mode is RunMode.MULTIRUN and any(problem.path[:1] == ("hydra",) for problem in error.problems):
            raise error  # what was meant may decide whether anything is to run, as hydra.sweeper.dry_run
        about = {problem.origin for problem in error.problems}
        rest = [text for text in overrides if f"override {text}" not in about]
        if len(rest) == len(overrides):
            raise error
        try:
            cfg = self.load_configuration(config_name, rest, run_mode, validate_sweep_overrides=False)
            if self._check is not None and not self._checks_all and run_mode is RunMode.RUN:
                self._check(cfg, self)
        except InvalidComposition as more:
            problems = [*error.problems, *more.problems]
            raise as_error(self.schema.model.__name__, problems, kind=type(error)) from error
        except ConfigCompositionException:
            raise error from None
        if run_mode is RunMode.MULTIRUN and self._check is not None and _is_ours(cfg):
            record(cfg, parse(overrides))
            return cfg
        raise error

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """Compose one point of a sweep, its ``hydra`` node included."""
        hydra = master_config.hydra
        texts = [*written_texts(hydra.overrides.hydra), *self._guard.overrides(sweep_overrides)]
        self.validate_sweep_overrides_legal(parse(texts), RunMode.RUN, from_shell=True)
        cfg = self._composed(hydra.job.config_name, texts, RunMode.RUN)
        OmegaConf.copy_cache(from_config=master_config, to_config=cfg)
        if self._check is not None and not _is_ours(master_config):
            self._check(cfg, self)
        return cfg

    def _composed(self, config_name: str | None, overrides: list[str], run_mode: RunMode) -> DictConfig:
        try:
            return self.composer.compose(config_name, overrides, run_mode)
        except yaml.YAMLError as error:
            raise as_error(self.schema.model.__name__, [problem_of_yaml(error)]) from error
        except ConfigCompositionException as error:
            better = self._explained(config_name, overrides, run_mode, error)
            if better is None:
                raise
            raise better from error

    def choices(self, overrides: Sequence[str]) -> list[str]:
        """Return the overrides that decide what the config is made of."""
        return self.composer.split(parse(overrides))[0]

    def own_path(self, path: Path) -> Path:
        """Return the path in the tree of a path that may name fields by their aliases."""
        return unaliased(self.schema.tree, path)

    def written(
        self, config_name: str, overrides: Sequence[str]
    ) -> Iterator[tuple[ResultDefault, ConfigSource, list[Path]]]:
        """Yield the configs of a composition that somebody wrote, in the order in which they are merged.

        Each comes with the source it is read from, and the nodes that are left out as another member's.
        """
        parsed, repository = self._parse_overrides_and_create_caching_repo(config_name, list(overrides))
        assert isinstance(repository, Composition)
        for default in _defaults(config_name, parsed, repository)[2]:
            path = str(default.config_path)
            source = next((source for source in repository.get_sources() if source.is_config(path)), None)
            if source is not None and source is not self.repository.model_source:
                yield default, source, repository.left_out.get((path, default.package), [])

    def _explained(
        self, config_name: str | None, overrides: Sequence[str], run_mode: RunMode, error: ConfigCompositionException
    ) -> InvalidComposition | None:
        """Return a better error where overrides name keys or options that do not exist."""
        name, parsed = self.schema.model.__name__, parse(overrides)
        if isinstance(error, MissingConfigException):
            problem = unknown_option(parsed, error)
            return as_error(name, [problem], kind=UnknownOption) if problem is not None else None
        choices, values = self.composer.split(parsed)
        if not values:
            return None
        base = self.composer.compose(config_name, choices, run_mode)
        data = {**unresolved(base), "hydra": OmegaConf.to_container(base.hydra, resolve=False)}
        problems = unknown_keys(self.schema, data, values)
        return as_error(name, problems) if problems else None

    def _load(self, config_name: str | None, overrides: list[str], run_mode: RunMode) -> DictConfig:
        cfg = super().load_configuration(config_name, overrides, run_mode, validate_sweep_overrides=False)
        self._guard.config(cfg)
        return cfg

    def _parse_overrides_and_create_caching_repo(
        self, config_name: str | None, overrides: list[str]
    ) -> tuple[list[Override], CachingConfigRepository]:
        parsed = translated(self.schema, parse(overrides))
        repository = Composition(self.repository, self.schema, self._names, ours=self._ours)
        self._process_config_searchpath(config_name, parsed, repository)
        if config_name is not None and repository.config_exists(config_name):
            parsed = self._settle(config_name, parsed, repository)
        return parsed, repository

    def _settle(self, config_name: str, parsed: list[Override], repository: Composition) -> list[Override]:
        """Find the member of every union; return the overrides, discriminators set by hand as choices."""
        by_hand = {id(o): choice for o in parsed if (choice := chosen_by_hand(self.schema, o)) is not None}
        current = [o for o in parsed if id(o) not in by_hand]
        repository.settle(config_name, _defaults(config_name, current, repository)[1])
        choices: dict[int, Override] = {}
        for _ in range(_MOST_ROUNDS):
            current = [choices.get(id(o), o) for o in parsed if id(o) not in by_hand or id(o) in choices]
            verdict = self._judge(config_name, current, repository)
            changed = not verdict.switched.items() <= repository.switched.items()
            repository.switched.update(verdict.switched)
            for override in parsed:
                if id(override) in by_hand and id(override) not in choices:
                    path = key_path(override)
                    text = verdict.texts.get(path[:-1], _NOT_THERE) if path else _NOT_THERE
                    if text not in (_NOT_THERE, *named_texts(self.schema, override)):
                        choices[id(override)] = by_hand[id(override)]
                        changed = True
            if not changed:
                break
        repository.left_out = verdict.left_out
        return [choices.get(id(o), o) for o in parsed]

    def _judge(self, config_name: str, overrides: list[Override], repository: Composition) -> Verdict:
        gathered, _, defaults = _defaults(config_name, overrides, repository)
        contributions = []
        for default in defaults:
            loaded = repository.load_config(str(default.config_path))
            if loaded is not None and isinstance(loaded.config, DictConfig):
                contributions.append(Contribution(default, loaded.config, is_generated(loaded.provider)))
        return judge(self.schema, contributions, gathered)

    def _load_single_config(self, default: ResultDefault, repo: IConfigRepository) -> ConfigResult:
        result = super()._load_single_config(default, repo)
        left_out = repo.left_out if isinstance(repo, Composition) else {}
        for path in left_out.get((default.config_path, default.package), ()):
            result = copy.copy(result)
            result.config = copy.deepcopy(result.config)
            package = default.package.split(".") if default.package else []
            node = result.config
            for key in [*package, *path[:-1]]:
                node = node[key]
            with open_dict(node):
                del node[path[-1]]
        return result if str(default.config_path).startswith("hydra/") else marked(result)

    def _compose_config_from_defaults_list(self, defaults: list[ResultDefault], repo: IConfigRepository) -> DictConfig:
        cfg = super()._compose_config_from_defaults_list(defaults, repo)
        unmark(cfg)
        return cfg


def _is_ours(cfg: DictConfig) -> bool:
    """Whether the launcher of a config is this package's."""
    return str(cfg.hydra.launcher.get("_target_")).startswith(_OUR_PLUGIN)


def _defaults(
    config_name: str, overrides: list[Override], repository: Composition
) -> tuple[Overrides, DefaultsTreeNode, list[ResultDefault]]:
    """Return the defaults list of a config as it stands, and what Hydra gathered on the way."""
    gathered = Overrides(repo=repository, overrides_list=overrides)
    defaults, tree = _create_defaults_list(repository, config_name, gathered, prepend_hydra=False, skip_missing=True)
    return gathered, tree, defaults
