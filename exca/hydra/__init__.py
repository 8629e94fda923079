"""Experiments composed by Hydra, validated by their model."""

from exca.hydra._bound import Bound
from exca.hydra._compose import compose
from exca.hydra._composer import Composer
from exca.hydra._main import main
from exca.hydra._problems import Problem
from exca.hydra._register import register
from exca.hydra._validation import to_model, validate_points
from exca.hydra._volatile import VolatileValueWarning

__all__ = [
    "Bound",
    "Composer",
    "Problem",
    "VolatileValueWarning",
    "compose",
    "main",
    "register",
    "to_model",
    "validate_points",
]
