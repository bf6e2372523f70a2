"""The closed form, the oracle's view, and pre-training's gradient."""

import numpy as np
import pytest

from tinymaml import MLP
from tinymaml.baselines import pretraining_gradient, task_blind, told
from tinymaml.tasks import Sinusoids


def test_the_task_blind_optimum_is_minus_1_623_cos_x():
    x = np.linspace(-5, 5, 50)[:, None]
    expected = -(2 / np.pi) * 2.55 * np.cos(x)
    np.testing.assert_allclose(task_blind(Sinusoids(), x), expected, atol=1e-14)
    assert abs(2 / np.pi * 2.55 - 1.623) < 5e-4


def test_no_other_multiple_of_it_does_better_and_its_error_is_the_closed_form():
    batch = Sinusoids().sample(np.random.default_rng(0), tasks=20_000, shots=1, queries=5)
    blind = task_blind(Sinusoids(), batch.x_query)
    losses = [((scale * blind - batch.y_query) ** 2).mean() for scale in (0.8, 1.0, 1.2)]
    assert losses[1] < losses[0] and losses[1] < losses[2]
    # E[y^2] - E[blind^2] = 3.01; the standard error over 20 000 tasks is about 0.02
    assert losses[1] == pytest.approx(3.01, abs=0.12)
    assert (batch.y_query**2).mean() == pytest.approx(4.25, abs=0.15)


def test_with_phases_around_the_whole_circle_it_is_zero():
    x = np.linspace(-5, 5, 9)[:, None]
    np.testing.assert_allclose(task_blind(Sinusoids(phase=(0, 2 * np.pi)), x), 0, atol=1e-14)
    np.testing.assert_allclose(task_blind(Sinusoids(phase=(1.0, 1.0)), x), 2.55 * np.sin(x - 1.0))


def test_the_oracle_is_told_amplitude_and_phase_of_its_own_task():
    batch = Sinusoids().sample(np.random.default_rng(3), tasks=5, shots=4, queries=3, dtype=np.float32)
    seen = told(batch)
    assert seen.x_support.shape == (5, 4, 3) and seen.x_query.shape == (5, 3, 3)
    x, A, phase = np.moveaxis(seen.x_query.astype(float), -1, 0)
    np.testing.assert_allclose(A * np.sin(x - phase), batch.y_query[..., 0], atol=1e-5)
    assert seen.x_query.dtype == np.float32


def test_pretraining_takes_every_point_of_every_task_alike():
    rng = np.random.default_rng(4)
    model = MLP([1, 6, 1], "tanh")
    theta = model.init(rng)
    batch = Sinusoids().sample(rng, tasks=3, shots=2, queries=5)
    found = pretraining_gradient(model, theta, batch)
    parts = [model.at(theta, batch.x_support, batch.y_support), model.at(theta, batch.x_query, batch.y_query)]
    assert found.loss == pytest.approx((2 * parts[0].loss.mean() + 5 * parts[1].loss.mean()) / 7)
    mean = (2 * parts[0].gradient.mean() + 5 * parts[1].gradient.mean()) / 7
    np.testing.assert_allclose(found.gradient.flat, mean.flat, atol=1e-14)
