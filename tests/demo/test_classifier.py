"""The learning code of the example app: right gradients, an honest split, the steps of the optimiser."""

from __future__ import annotations

import numpy as np
import pytest
from classifier import Classifier, Momentum, batches, load_digits


@pytest.mark.parametrize("sizes", [(5, 3), (5, 4, 3), (5, 7, 6, 3)])
def test_gradients_agree_with_finite_differences(sizes: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    classifier = Classifier(sizes, rng)
    for bias in classifier.biases:  # away from the kink that ReLU has where all inputs of a unit are zero
        bias += rng.normal(scale=0.1, size=bias.shape)
    x, y = rng.normal(size=(11, 5)), rng.integers(3, size=11)
    step = 1e-6
    for parameter, gradient in zip(classifier.parameters, classifier.gradients(x, y), strict=True):
        for index in np.ndindex(parameter.shape):
            kept = parameter[index]
            parameter[index] = kept + step
            above = classifier.loss(x, y)
            parameter[index] = kept - step
            below = classifier.loss(x, y)
            parameter[index] = kept
            assert gradient[index] == pytest.approx((above - below) / (2 * step), abs=1e-6)


@pytest.mark.slow
def test_split_is_stratified_disjoint_and_standardised_by_the_train_part() -> None:
    split = load_digits(test_fraction=0.25, seed=0)
    assert len(split.train_y) + len(split.test_y) == 1797
    shares = np.bincount(split.test_y) / (np.bincount(split.train_y) + np.bincount(split.test_y))
    np.testing.assert_allclose(shares, 0.25, atol=0.01)
    np.testing.assert_allclose(split.train_x.mean(axis=0), 0, atol=1e-12)
    assert set(np.round(split.train_x.std(axis=0), 12)) <= {0.0, 1.0}
    assert np.abs(split.test_x.mean(axis=0)).max() > 1e-6  # the test part did not take part in the scaling


def test_split_depends_on_its_seed_alone() -> None:
    first, again, other = load_digits(0.25, 3), load_digits(0.25, 3), load_digits(0.25, 4)
    np.testing.assert_array_equal(first.test_x, again.test_x)
    assert not np.array_equal(first.test_x, other.test_x)


def test_batches_visit_every_sample_once() -> None:
    visited = np.concatenate(list(batches(103, 32, np.random.default_rng(0))))
    assert sorted(visited) == list(range(103))


def test_momentum_makes_the_heavy_ball_steps() -> None:
    optim = Momentum(lr=0.1, momentum=0.5, weight_decay=0.0)
    position, gradient = np.array([1.0]), np.array([2.0])
    optim.step([position], [gradient])
    optim.step([position], [gradient])
    assert position[0] == pytest.approx(1.0 - 0.2 - (0.2 + 0.1))
