"""Composition of many points at a small part of what composing each from the start costs.

What a config is made of depends on the config groups chosen, a value override only changes the outcome.
So Hydra composes once for each set of choices, and every point starts from a copy of that. The copy takes
the point's value overrides through Hydra's own function, and the records that Hydra leaves in the config
are written as Hydra writes them: the outcome is equal to ``ConfigLoader.load_configuration``, errors included.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ._cloning import clone
from ._direct import assign
from ._parsing import parse

__all__ = ["Composer", "record", "written_texts"]

_RECORDS = ("hydra.runtime", "hydra.overrides", "hydra.job.env_copy", "hydra.job.override_dirname", "hydra.searchpath")
"""Where Hydra writes by itself: an override below these keys goes the long way."""
_VARIABLES = "hydra.job.env_set"
"""Where Hydra puts what ``hydra.job.env_copy`` names, over what the overrides say."""

Load = Callable[[str | None, list[str], RunMode], DictConfig]


class Composer:
    """Composes as a config loader does, with a memory.

    Parameters
    ----------
    loader
        The config loader. One that composes with a memory of its own is left to do so.
    load
        How to compose from the start; by default the loader's ``load_configuration``.
    translate
        How overrides are read before they are applied; by default as they are written.
    chooses
        Whether a value override decides what the config is made of, as choices of groups do.

    Examples
    --------
    >>> composer = Composer(hydra_context.config_loader)  # doctest: +SKIP
    >>> composer.load_sweep_config(master_config, ["model=conv", "optim.lr=0.1"])  # doctest: +SKIP
    """

    def __init__(
        self,
        loader: ConfigLoader,
        load: Load | None = None,
        translate: Callable[[list[Override]], list[Override]] | None = None,
        chooses: Callable[[Override], bool] | None = None,
    ) -> None:
        self._loader = loader
        self._load = load or (lambda name, texts, mode: loader.load_configuration(name, texts, mode))
        self._translate = translate or (lambda overrides: overrides)
        self._chooses = chooses or (lambda _: False)
        self._bases: dict[tuple[str | None, RunMode, tuple[str, ...]], DictConfig] = {}
        self.from_the_start = 0
        """How many configs had to be composed from the start, apart from the first of each set of choices."""
        self._groups: dict[str, bool] = {}

    @property
    def own(self) -> Composer:
        """The composer that does the work: this one, or that of a loader which has one."""
        found: Composer = getattr(self._loader, "composer", self)
        return found

    def load_sweep_config(self, master: DictConfig, overrides: Sequence[str]) -> DictConfig:
        """Return the config of one point of a sweep, its ``hydra`` node included.

        Parameters
        ----------
        master
            The config of the sweep as a whole.
        overrides
            The overrides of the point.
        """
        if not isinstance(self._loader, ConfigLoaderImpl) or hasattr(self._loader, "composer"):
            return self._loader.load_sweep_config(master, list(overrides))
        texts = [*written_texts(master.hydra.overrides.hydra), *overrides]
        ConfigLoaderImpl.validate_sweep_overrides_legal(parse(texts), RunMode.RUN, from_shell=True)
        cfg = self.compose(master.hydra.job.config_name, texts, RunMode.RUN)
        OmegaConf.copy_cache(from_config=master, to_config=cfg)
        return cfg

    def compose(self, config_name: str | None, texts: list[str], mode: RunMode) -> DictConfig:
        """Return the config for overrides, its ``hydra`` node included."""
        written = parse(texts)
        overrides = self._translate(written)
        choices, values = self._sorted(overrides)
        cfg = None if _concerns(written, _RECORDS) else self._base(config_name, mode, choices)
        if cfg is None or (_concerns(written, _VARIABLES) and cfg.hydra.job.env_copy):
            self.from_the_start += 1
            cfg = self._load(config_name, texts, mode)
            if overrides != written:
                record(cfg, written)
            return cfg
        try:
            ConfigLoaderImpl._apply_overrides_to_config(values, cfg)
            record(cfg, written)
        except OmegaConfBaseException as error:
            raise ConfigCompositionException().with_traceback(sys.exc_info()[2]) from error
        return cfg

    def split(self, overrides: Sequence[Override]) -> tuple[list[str], list[Override]]:
        """Separate overrides as written: texts that choose what the config is made of, and values."""
        choices, values = self._sorted(self._translate(list(overrides)))
        return [choice_text(choice) for choice in choices], values

    def _sorted(self, overrides: Sequence[Override]) -> tuple[list[Override], list[Override]]:
        """Separate choices of config groups from values; what a sweep varies is neither."""
        choices: list[Override] = []
        values: list[Override] = []
        for override in overrides:
            if override.is_sweep_override():
                continue
            value = isinstance(override.value(), dict) or not self.is_group(override.key_or_group)
            (values if value and not self._chooses(override) else choices).append(override)
        return choices, values

    def is_group(self, key: str) -> bool:
        """Whether a key is that of a config group."""
        known = self._groups.get(key)
        if known is None:
            assert isinstance(self._loader, ConfigLoaderImpl)
            known = self._groups[key] = self._loader.repository.group_exists(key)
        return known

    def _base(self, config_name: str | None, mode: RunMode, choices: Sequence[Override]) -> DictConfig:
        texts = tuple(choice_text(choice) for choice in choices)
        key = (config_name, mode, texts)
        base = self._bases.get(key)
        if base is None:
            base = self._bases[key] = self._load(config_name, list(texts), mode)
        return clone(base)


def _concerns(overrides: Sequence[Override], keys: str | tuple[str, ...]) -> bool:
    return any(override.key_or_group.startswith(keys) for override in overrides)


def written_texts(overrides: ListConfig) -> list[str]:
    """Return override texts that Hydra keeps in its config: a text may look like an interpolation."""
    return [str(text) for text in overrides._iter_ex(resolve=False)]


def choice_text(override: Override) -> str:
    """Return the text of a choice: as written, or as it was translated."""
    return override.input_line or f"{override.key_or_group}={override.value()}"


def record(cfg: DictConfig, overrides: Sequence[Override]) -> None:
    """Write down the overrides where Hydra does, and what it derives from them."""
    hydra = cfg.hydra
    lines = [(override.is_hydra_override(), str(override.input_line)) for override in overrides]
    for name, texts in (
        ("hydra", [line for own, line in lines if own]),
        ("task", [line for own, line in lines if not own]),
    ):
        if written_texts(hydra.overrides[name]) != texts:
            hydra.overrides[name] = texts
    assign(cfg, "hydra.runtime.cwd", os.getcwd())
    naming = hydra.job.config.override_dirname
    name = get_overrides_dirname(
        overrides=[override for override in overrides if not override.is_hydra_override()],
        kv_sep=naming.kv_sep,
        item_sep=naming.item_sep,
        exclude_keys=naming.exclude_keys,
    )
    assign(cfg, "hydra.job.override_dirname", name)
