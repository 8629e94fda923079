"""A sweep by ``hydra/sweeper=exca``: its points, their validation, its batches, and how it ends."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher as HydraLauncher
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from ._launch import Launch
from ._launch_interrupted import SUBMITTED, interruptions
from ._launch_points import Launcher, Point
from ._launch_sweep import SweepFailed, SweepRefused, own_folder
from ._plugin_options import check_options
from ._sweep_plan import counts, print_plan, standings
from ._sweep_points import expand, read_rows

__all__ = ["Settings", "run_sweep"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Settings:
    """What ``hydra.sweeper`` says; see the plugin's sweeper."""

    max_batch_size: int | None
    params: dict[str, Any]
    dry_run: bool
    detach: bool
    max_failure_rate: float
    points: str | None
    zip: Sequence[Any]

    def __post_init__(self) -> None:
        if self.max_batch_size is not None and self.max_batch_size < 1:
            raise SweepRefused(f"hydra.sweeper.max_batch_size={self.max_batch_size} is not positive")
        if not 0 <= self.max_failure_rate <= 1:
            raise SweepRefused(f"hydra.sweeper.max_failure_rate={self.max_failure_rate} is not between 0 and 1")

    def pairs(self) -> list[list[str]]:
        """The groups of keys that vary together; one group may be written without its brackets."""
        if any(isinstance(item, str) for item in self.zip):
            return [[str(item) for item in self.zip]]
        return [[str(item) for item in group] for group in self.zip]


class Sweeper(Protocol):
    """What is used of the plugin's sweeper, after its ``setup``."""

    options: dict[str, Any]
    hydra_context: HydraContext
    config: DictConfig
    launcher: Any

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Compose every point of a batch."""


def run_sweep(sweeper: Sweeper, arguments: Sequence[str], *, ours: bool) -> list[Sequence[JobReturn]]:
    """Run a sweep from its arguments to its exit code.

    Parameters
    ----------
    sweeper: the plugin's.
    arguments: overrides of the command line.
    ours: whether the launcher is this package's, which shows its points before it runs them.

    Returns
    -------
    list of sequences of JobReturn: one sequence for each batch; empty after a dry run, and while detached jobs run.

    Raises
    ------
    InvalidConfig
        if any point of any batch does not validate; nothing was submitted then.
    SweepFailed
        if more points failed than ``max_failure_rate`` allows.
    SweepRefused
        if the sweep cannot be run as it is configured.
    """
    check_options(Settings, sweeper.options, sweeper.config)
    settings = Settings(**sweeper.options)
    overrides = _overrides_of(sweeper, settings, arguments)
    if not ours:
        return _over_another_launcher(sweeper, settings, overrides)
    launcher: Launcher = sweeper.launcher
    if settings.dry_run:
        print_plan(Launch(launcher).read(overrides))
        return []
    with interruptions(SUBMITTED), own_folder(sweeper.config):
        launch = Launch(launcher)
        points = launch.read(overrides)
        _save(sweeper.config)
        if settings.detach and _detached(launch, points):
            return []
        results: list[Sequence[JobReturn]] = []
        for batch in _chunks(points, settings.max_batch_size):
            results.append(launch.finish(batch))
            stored = any(point.has_stored_failure() for point in batch)
            left = len(points) - sum(map(len, results))
            _stop_if_too_many_failed(settings, results, left, retry=launch.retry if stored else "")
        return results


def _overrides_of(sweeper: Sweeper, settings: Settings, arguments: Sequence[str]) -> list[list[str]]:
    texts = [*(f"{key}={value}" for key, value in settings.params.items()), *arguments]
    parser = OverridesParser.create(config_loader=sweeper.hydra_context.config_loader)
    rows = None
    if settings.points is not None:
        rows = read_rows(Path(sweeper.config.hydra.runtime.cwd) / Path(settings.points).expanduser())
    return expand(parser.parse_overrides(texts), settings.pairs(), rows)


def _over_another_launcher(
    sweeper: Sweeper, settings: Settings, overrides: list[list[str]]
) -> list[Sequence[JobReturn]]:
    """Hydra's own launchers take overrides, and say nothing before they have run them."""
    launcher = sweeper.launcher
    assert isinstance(launcher, HydraLauncher)
    if settings.dry_run or settings.detach:
        option = "dry_run" if settings.dry_run else "detach"
        raise SweepRefused(f"hydra.sweeper.{option} needs hydra/launcher=exca: {type(launcher).__name__} cannot do it")
    _save(sweeper.config)
    for batch in _chunks(overrides, settings.max_batch_size):
        sweeper.validate_batch_is_legal(batch)
    started = 0
    results: list[Sequence[JobReturn]] = []
    for batch in _chunks(overrides, settings.max_batch_size):
        results.append(launcher.launch(batch, initial_job_idx=started))
        started += len(batch)
        _stop_if_too_many_failed(settings, results, len(overrides) - started, retry="")
    return results


def _detached(launch: Launch, points: Sequence[Point]) -> bool:
    """Submit what is missing; return whether anything is still to be waited for."""
    going_on = launch.submit(points)
    if going_on:
        _LOG.info(
            "%s. They go on without this process; run the same command again to see how far they are, and for the "
            "table when all have ended (without hydra.sweeper.detach=true it waits for them)",
            counts(standings(points)),
        )
    return bool(going_on)


def _stop_if_too_many_failed(
    settings: Settings, results: Sequence[Sequence[JobReturn]], left: int, *, retry: str
) -> None:
    ended = [result for batch in results for result in batch]
    failed = [result for result in ended if result.status is not JobStatus.COMPLETED]
    if failed and len(failed) > settings.max_failure_rate * len(ended):
        count = f"{len(failed)} point{'s' if len(failed) > 1 else ''} failed"
        rate = f" (of {len(ended)}; allowed: {settings.max_failure_rate:.0%})" if settings.max_failure_rate else ""
        rate += f", and the {left} of later batches were not run" if left else ""
        again = "correct the cause and run the same command"
        again += f" with {retry} to compute only those again" if retry else " again"
        raise SweepFailed(f"{count}{rate}; {again}") from failed[0]._return_value
    if failed:
        _LOG.warning("%d of %d points failed, which hydra.sweeper.max_failure_rate allows", len(failed), len(ended))


def _chunks(items: list[Any], size: int | None) -> list[list[Any]]:
    return [items[start : start + (size or len(items))] for start in range(0, len(items), size or len(items) or 1)]


def _save(config: DictConfig) -> None:
    folder = Path(str(config.hydra.sweep.dir))
    folder.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(config, folder / "multirun.yaml")
