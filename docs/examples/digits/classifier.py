"""Softmax classifiers in numpy: zero or more ReLU layers, trained by mini-batch SGD with momentum."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Train and test parts of a labelled data set.

    Attributes
    ----------
    train_x, test_x
        Inputs of shape ``(samples, features)``, standardised with the mean and deviation of the train part.
    train_y, test_y
        Labels of shape ``(samples,)``, integers from 0.
    """

    train_x: FloatArray
    train_y: IntArray
    test_x: FloatArray
    test_y: IntArray


def load_digits(test_fraction: float, seed: int) -> Split:
    """Split the 1,797 handwritten digits of scikit-learn (8x8 pixels), each class in the same proportion.

    Source: test part of "Optical Recognition of Handwritten Digits", UCI, shipped with scikit-learn.
    """
    # Here and not above: a cached point never needs scikit-learn, which takes a second to import.
    from sklearn import datasets

    x, y = datasets.load_digits(return_X_y=True)
    rng = np.random.default_rng(seed)
    is_test = np.zeros(len(y), dtype=bool)
    for label in np.unique(y):
        members = rng.permutation(np.flatnonzero(y == label))
        is_test[members[: round(test_fraction * len(members))]] = True
    mean, deviation = x[~is_test].mean(axis=0), x[~is_test].std(axis=0)
    x = (x - mean) / np.where(deviation > 0, deviation, 1.0)  # some border pixels are always blank
    return Split(x[~is_test], y[~is_test], x[is_test], y[is_test])


class Classifier:
    """A stack of affine layers with ReLU between them and softmax at the end.

    Parameters
    ----------
    sizes
        Number of units of each layer, input and output included: ``(64, 10)`` is softmax regression.
    rng
        Source of the initial weights, He-scaled: https://arxiv.org/abs/1502.01852 (equation 10).
    """

    def __init__(self, sizes: Sequence[int], rng: np.random.Generator) -> None:
        self.weights = [
            rng.normal(scale=np.sqrt(2 / fan_in), size=(fan_in, fan_out))
            for fan_in, fan_out in itertools.pairwise(sizes)
        ]
        self.biases = [np.zeros(fan_out) for fan_out in sizes[1:]]

    @property
    def parameters(self) -> list[FloatArray]:
        """Weights, then biases, one array per layer; changing them in place trains the classifier."""
        return [*self.weights, *self.biases]

    def activations(self, x: FloatArray) -> list[FloatArray]:
        """Return the input of every layer, then the log-probabilities of shape ``(samples, classes)``."""
        values = [x]
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            values.append(np.maximum(values[-1] @ weight + bias, 0))
        logits = values[-1] @ self.weights[-1] + self.biases[-1]
        logits -= logits.max(axis=1, keepdims=True)
        return [*values, logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))]

    def loss(self, x: FloatArray, y: IntArray) -> float:
        """Mean cross-entropy, in nats per sample."""
        return float(-self.activations(x)[-1][np.arange(len(y)), y].mean())

    def gradients(self, x: FloatArray, y: IntArray) -> list[FloatArray]:
        """Gradient of `loss` for each of `parameters`, by back-propagation."""
        *inputs, log_probabilities = self.activations(x)
        delta = np.exp(log_probabilities)
        delta[np.arange(len(y)), y] -= 1
        delta /= len(y)
        weights: list[FloatArray] = []
        biases: list[FloatArray] = []
        for layer in reversed(range(len(self.weights))):
            weights.insert(0, inputs[layer].T @ delta)
            biases.insert(0, delta.sum(axis=0))
            delta = (delta @ self.weights[layer].T) * (inputs[layer] > 0)
        return [*weights, *biases]

    def accuracy(self, x: FloatArray, y: IntArray) -> float:
        """Fraction of samples whose most probable class is the label."""
        return float((self.activations(x)[-1].argmax(axis=1) == y).mean())


class Momentum:
    """Stochastic gradient descent with (heavy-ball) momentum and weight decay.

    Parameters
    ----------
    lr
        Learning rate.
    momentum
        Fraction of the previous step that is kept, from 0 (none) to below 1.
    weight_decay
        L2 penalty added to the gradient of the weights; biases are not penalised.
    """

    def __init__(self, lr: float, momentum: float, weight_decay: float) -> None:
        self.lr = lr
        self.momentum = momentum
        self.weight_decay = weight_decay
        self._velocities: list[FloatArray] = []

    def step(self, parameters: list[FloatArray], gradients: list[FloatArray]) -> None:
        """Move the parameters, in place, against their gradients."""
        self._velocities = self._velocities or [np.zeros_like(parameter) for parameter in parameters]
        for parameter, gradient, velocity in zip(parameters, gradients, self._velocities, strict=True):
            decay = self.weight_decay if parameter.ndim > 1 else 0.0
            velocity *= self.momentum
            velocity -= self.lr * (gradient + decay * parameter)
            parameter += velocity


def batches(samples: int, batch_size: int, rng: np.random.Generator) -> Iterator[IntArray]:
    """Yield the indices of one epoch in random order; the last batch may be smaller."""
    order = rng.permutation(samples)
    for start in range(0, samples, batch_size):
        yield order[start : start + batch_size]
