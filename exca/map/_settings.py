"""What a map asks of its infra."""

from __future__ import annotations

from typing import Protocol

from exca.task import Settings

__all__ = ["MapSettings"]


class MapSettings(Settings, Protocol):
    """What a map asks of its infra, beside what every computation does."""

    cluster: str | None
    max_jobs: int | None
    min_samples_per_job: int
    forbid_single_item_computation: bool
