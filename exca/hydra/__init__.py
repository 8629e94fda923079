"""Experiments composed by Hydra, validated by their model."""

from exca.hydra._compose import compose
from exca.hydra._register import register
from exca.hydra._validation import to_model

__all__ = ["compose", "register", "to_model"]
