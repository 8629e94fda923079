"""``hydra/sweeper=exca``: the Basic sweeper's grammar; every point is composed and validated once, by the launcher."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore


class ExcaSweeper(BasicSweeper):
    """A grid of points, like ``hydra/sweeper=basic``.

    Parameters
    ----------
    max_batch_size: points handed to the launcher at once; None: all.
    params: overrides that are always part of the sweep, key to value.
    """

    def __init__(self, max_batch_size: int | None = None, params: dict[str, str] | None = None) -> None:
        super().__init__(max_batch_size=max_batch_size, params=params)

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        # docstring inherited
        # The exca launcher composes and validates all points before it submits any; others rely on this check.
        if not self._is_ours():
            super().validate_batch_is_legal(batch)

    def sweep(self, arguments: list[str]) -> Any:
        # docstring inherited
        if not self._is_ours():
            return super().sweep(arguments)
        from exca.hydra import sweep_to_the_end

        launcher: Any = self.launcher
        assert self.config is not None
        return sweep_to_the_end(lambda: BasicSweeper.sweep(self, arguments), lambda: launcher.failed, self.config)

    def _is_ours(self) -> bool:
        return type(self.launcher).__module__ == "hydra_plugins.hydra_exca.launcher"


_TARGET = f"{ExcaSweeper.__module__}.{ExcaSweeper.__qualname__}"
ConfigStore.instance().store(
    group="hydra/sweeper",
    name="exca",
    node={"_target_": _TARGET, "max_batch_size": None, "params": None},
    provider="exca",
)
