"""What an app made with ``exca.hydra.main`` is about, for launchers and sweepers to find."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

__all__ = ["Bound"]


@dataclass(frozen=True, slots=True)
class Bound:
    """A model and the function that takes it; the attribute ``__exca_bound__`` of the app's task function.

    Parameters
    ----------
    model
        The experiment.
    method
        Name of the method that is its computation; None where the model has one only.
    function
        The user's function, as it was decorated.
    """

    model: type[BaseModel]
    method: str | None
    function: Callable[[Any], Any]
