"""SGD and Adam against their definitions."""

import numpy as np
import pytest

from tinymaml import Parameters
from tinymaml.training.optimizers import SGD, Adam


def test_sgd_is_eq_13():
    theta = Parameters(W1=np.ones((2, 3)), b1=np.zeros((1, 3)))
    gradient = Parameters(W1=np.full((2, 3), 2.0), b1=np.ones((1, 3)))
    moved, state = SGD(0.1).step(theta, gradient, SGD(0.1).start(theta))
    np.testing.assert_allclose(moved["W1"], 0.8)
    np.testing.assert_allclose(moved["b1"], -0.1)
    assert state == {}


def test_adam_follows_algorithm_1_coordinate_by_coordinate():
    rng = np.random.default_rng(0)
    theta = Parameters(W1=rng.standard_normal((2, 3)), b1=rng.standard_normal((1, 3)))
    adam = Adam(0.01)
    state, m, v, w = adam.start(theta), 0.0, 0.0, theta["W1"][1, 2]
    for t in range(1, 20):
        gradient = theta.map(lambda array: rng.standard_normal(array.shape))
        theta, state = adam.step(theta, gradient, state)
        g = gradient["W1"][1, 2]
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        w -= 0.01 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    assert theta["W1"][1, 2] == pytest.approx(w, rel=1e-12)


@pytest.mark.parametrize("optimizer", [SGD(0.1), Adam(0.1), Adam(np.float64(0.1))])
def test_a_step_leaves_what_it_was_given_and_keeps_float32(optimizer):
    theta = Parameters(w=np.ones(3, np.float32))
    before = optimizer.start(theta)
    kept = {name: array.copy() for name, array in before.items()}
    moved, _ = optimizer.step(theta, theta, before)
    moved, state = optimizer.step(moved, theta, optimizer.step(theta, theta, before)[1])
    assert moved["w"].dtype == np.float32
    assert all(array.dtype == np.float32 for name, array in state.items() if name != "t")
    np.testing.assert_array_equal(theta["w"], 1)
    assert all(np.array_equal(before[name], kept[name]) for name in kept)


@pytest.mark.parametrize("lr", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("kind", [SGD, Adam])
def test_rates_are_above_zero(kind, lr):
    with pytest.raises(ValueError, match=r"^lr is"):
        kind(lr)


def test_the_rate_falls_to_a_half_in_every_half_life():
    theta = gradient = Parameters(w=np.ones(1))
    adam, steps = Adam(0.1, half_life=10), []
    state = adam.start(theta)
    for _ in range(21):
        moved, state = adam.step(theta, gradient, state)  # a constant gradient: every step is as long as the rate
        steps.append(float(theta["w"][0] - moved["w"][0]))
    assert steps[10] / steps[0] == pytest.approx(0.5, rel=1e-6) and steps[20] / steps[10] == pytest.approx(0.5, rel=1e-6)
