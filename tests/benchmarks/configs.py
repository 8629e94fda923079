"""A nested config of 30 fields with a discriminated union, as a training has; without any infra."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Strict(BaseModel):
    """One of the peers accepts nothing else."""

    model_config = ConfigDict(extra="forbid")


class Conv(Strict):
    """One member of the union."""

    name: Literal["conv"] = "conv"
    channels: int = 32
    kernel: int = 3
    depth: int = 4
    dropout: float = 0.1


class Transformer(Strict):
    """The other member."""

    name: Literal["transformer"] = "transformer"
    embeddings: int = 128
    heads: int = 8
    depth: int = 6
    dropout: float = 0.1


class Data(Strict):
    """Eight fields."""

    path: str = "data"
    subjects: list[int] = [1, 2, 3]
    low_hz: float = 0.5
    high_hz: float = 40.0
    window_s: float = 2.0
    stride_s: float = 0.5
    shuffle: bool = True
    workers: int = 4


class Optim(Strict):
    """Eight fields."""

    name: str = "adamw"
    lr: float = 1e-3
    weight_decay: float = 0.01
    beta1: float = 0.9
    beta2: float = 0.999
    clip: float | None = None
    warmup: int = 100
    schedule: Literal["constant", "cosine"] = "cosine"


class Training(Strict):
    """The whole: 5 + 8 + 8 + 9 fields."""

    data: Data = Data()
    optim: Optim = Optim()
    model: Annotated[Conv | Transformer, Field(discriminator="name")] = Conv()
    seed: int = 0
    epochs: int = 10
    batch_size: int = 64
    precision: Literal["32", "bf16"] = "32"
    monitor: str = "loss"
    tags: dict[str, str] = {}


def values() -> dict[str, Any]:
    """Return every field explicitly, as Hydra passes them; half of them differ from the defaults."""
    return {
        "data": {
            "path": "/data/recordings",
            "subjects": [1, 2],
            "low_hz": 0.1,
            "high_hz": 40.0,
            "window_s": 4.0,
            "stride_s": 0.5,
            "shuffle": True,
            "workers": 8,
        },
        "optim": {
            "name": "adamw",
            "lr": 3e-4,
            "weight_decay": 0.1,
            "beta1": 0.9,
            "beta2": 0.95,
            "clip": 1.0,
            "warmup": 100,
            "schedule": "constant",
        },
        "model": {"name": "transformer", "embeddings": 256, "heads": 4, "depth": 6, "dropout": 0.1},
        "seed": 3,
        "epochs": 10,
        "batch_size": 128,
        "precision": "32",
        "monitor": "accuracy",
        "tags": {"study": "pilot"},
    }
