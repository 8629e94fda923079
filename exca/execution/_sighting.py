"""What a scheduler says of one of its jobs."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["ALIVE", "FORGOTTEN", "UNKNOWN", "Sighting"]


class Sighting(NamedTuple):
    """What a scheduler says of one of its jobs."""

    state: str
    reason: str = ""  # why it ended

    @property
    def ended(self) -> bool:
        return self.state not in ("ALIVE", "UNKNOWN")


ALIVE: Final = Sighting("ALIVE")  # waits, runs, or is about to be started again
UNKNOWN: Final = Sighting("UNKNOWN")  # the scheduler has not answered since it took the job
FORGOTTEN: Final = Sighting("FORGOTTEN", "the scheduler does not know its job any more")
