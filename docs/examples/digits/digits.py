"""The experiment: which data, which classifier, how it is trained, and the one method that computes."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from classifier import Classifier, Momentum, batches, load_digits
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

import exca


class Strict(BaseModel):
    """A part of the experiment: a field it does not know is an error."""

    model_config = ConfigDict(extra="forbid")


class Data(Strict):
    """How the digits are split; the split has its own seed so that all trainings share it."""

    test_fraction: float = Field(0.25, gt=0, lt=1)
    split_seed: int = 0


class Softmax(Strict):
    """Softmax regression: one affine layer."""

    name: Literal["softmax"] = "softmax"

    def sizes(self, features: int, classes: int) -> list[int]:
        """Units of each layer."""
        return [features, classes]


class Mlp(Strict):
    """A multi-layer perceptron with ReLU layers."""

    name: Literal["mlp"] = "mlp"
    hidden: PositiveInt = 128
    layers: PositiveInt = 1

    def sizes(self, features: int, classes: int) -> list[int]:
        """Units of each layer."""
        return [features, *[self.hidden] * self.layers, classes]


class Optim(Strict):
    """Mini-batch SGD with momentum."""

    lr: PositiveFloat = 0.1
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(1e-4, ge=0)
    batch_size: PositiveInt = 32
    epochs: PositiveInt = 60


class Experiment(BaseModel):
    """Train a classifier on handwritten digits and measure it on digits it has never seen.

    Example
    -------
    >>> Experiment(model={"name": "mlp"}, infra={"folder": ".exca"}).run()["test_accuracy"]  # doctest: +SKIP
    0.98
    """

    data: Data = Data()
    model: Annotated[Softmax | Mlp, Field(discriminator="name")] = Softmax()
    optim: Optim = Optim()
    seed: int = 0
    infra: exca.TaskInfra = exca.TaskInfra(version="1")

    @infra.apply
    def run(self) -> dict[str, float]:
        """Train for a fixed number of epochs and return the accuracies and the final training loss."""
        rng = np.random.default_rng(self.seed)
        data = load_digits(self.data.test_fraction, self.data.split_seed)
        sizes = self.model.sizes(data.train_x.shape[1], int(data.train_y.max()) + 1)
        classifier = Classifier(sizes, rng)
        optim = Momentum(self.optim.lr, self.optim.momentum, self.optim.weight_decay)
        for epoch in range(self.optim.epochs):
            for batch in batches(len(data.train_y), self.optim.batch_size, rng):
                gradients = classifier.gradients(data.train_x[batch], data.train_y[batch])
                optim.step(classifier.parameters, gradients)
            if (epoch + 1) % 10 == 0:
                loss = classifier.loss(data.train_x, data.train_y)
                print(f"epoch {epoch + 1}: training loss {loss:.4f} nats", flush=True)
        return {
            "test_accuracy": classifier.accuracy(data.test_x, data.test_y),
            "train_accuracy": classifier.accuracy(data.train_x, data.train_y),
            "train_loss": classifier.loss(data.train_x, data.train_y),
        }
