"""Experiments composed by Hydra, validated by their model."""

from exca.hydra._bound import Bound
from exca.hydra._compose import compose
from exca.hydra._composer import Composer
from exca.hydra._json_schema import json_schema
from exca.hydra._launch import launch_points
from exca.hydra._launch_sweep import SweepFailed
from exca.hydra._main import main
from exca.hydra._overrides import to_config, to_overrides
from exca.hydra._points import read_points
from exca.hydra._problems import Problem
from exca.hydra._register import register
from exca.hydra._sweep import Settings as SweepSettings
from exca.hydra._sweep import run_sweep
from exca.hydra._validation import to_model, validate_points
from exca.hydra._volatile import VolatileValueWarning

__all__ = [
    "Bound",
    "Composer",
    "Problem",
    "SweepFailed",
    "SweepSettings",
    "VolatileValueWarning",
    "compose",
    "json_schema",
    "launch_points",
    "main",
    "read_points",
    "register",
    "run_sweep",
    "to_config",
    "to_model",
    "to_overrides",
    "validate_points",
]
