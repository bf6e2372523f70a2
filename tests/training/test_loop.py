"""The outer loop by itself: what it asks for, what it keeps, when it saves, and what it lets go."""

import weakref

import numpy as np
import pytest

from tinymaml import Parameters
from tinymaml.training import loop as training
from tinymaml.training.loop import Diverged, initial_state, train
from tinymaml.training.optimizers import SGD


class Found:
    """A gradient of |theta|^2 / 2 that can be watched."""

    def __init__(self, theta, loss=None):
        self.gradient = theta
        self.loss = float((theta.flat**2).sum()) / 2 if loss is None else loss


def state(rng=0):
    return initial_state(Parameters({"w": np.array([[1.0, -2.0]])}), SGD(0.1), np.random.default_rng(rng))


def descend(gradient, iterations=5, **more):
    return train(gradient, lambda rng: rng.random(), state(), optimizer=SGD(0.1), iterations=iterations, **more)


def test_a_gradient_is_gone_before_the_next_is_computed():
    alive = weakref.WeakSet()

    def gradient(theta, batch, iteration):
        assert len(alive) == 0
        alive.add(found := Found(theta))
        return found

    assert descend(gradient).iteration == 5


def test_every_loss_is_kept_and_theta_moves_along_the_gradient():
    done = descend(lambda theta, batch, iteration: Found(theta))
    np.testing.assert_allclose(done.theta["w"], np.array([[1.0, -2.0]]) * 0.9**5)
    np.testing.assert_allclose(done.losses, 2.5 * 0.81 ** np.arange(5))


def test_the_gradient_is_given_the_number_of_iterations_done_also_after_a_resume():
    given = []

    def gradient(theta, batch, iteration):
        given.append(iteration)
        return Found(theta)

    half = descend(gradient, iterations=3)
    train(gradient, lambda rng: None, half, optimizer=SGD(0.1), iterations=5)
    assert given == [0, 1, 2, 3, 4]


def test_it_saves_every_so_often_and_at_the_end():
    saved = []
    keep = lambda state: saved.append(state.iteration)
    descend(lambda theta, batch, iteration: Found(theta), iterations=7, save=keep, save_every=3)
    assert saved == [3, 6, 7]


def test_it_saves_by_time_where_iterations_are_long(monkeypatch):
    """An iteration takes 8 seconds here: a save is due after the fourth."""
    saved, now = [], [0.0]
    monkeypatch.setattr(training.time, "monotonic", lambda: now[0])

    def gradient(theta, batch, iteration):
        now[0] += 8.0
        return Found(theta)

    done = descend(gradient, iterations=10, save=lambda state: saved.append((state.iteration, state.seconds)))
    assert saved == [(4, 32.0), (8, 64.0), (10, 80.0)] and done.seconds == 80.0


@pytest.mark.parametrize(("loss", "scale", "sentence"), [
    (np.nan, 1, "the loss is nan"), (1.0, np.inf, "the gradient is not finite"), (1.0, 1e200, "the gradient is not finite, or"),
])
def test_it_never_steps_along_a_gradient_that_is_not_finite(loss, scale, sentence):
    saved = []

    def gradient(theta, batch, iteration):
        return Found(theta) if len(saved) < 2 else Found(scale * theta, loss)

    with pytest.raises(Diverged, match=f"iteration 3: {sentence}"):
        descend(gradient, save=saved.append, save_every=1)
    assert saved[-1].iteration == 2 and np.isfinite(saved[-1].theta.flat).all()


def test_fewer_iterations_than_are_done_are_refused():
    done = descend(lambda theta, batch, iteration: Found(theta))
    with pytest.raises(ValueError, match="iterations is 3, but 5 are already done: ask for more"):
        train(None, None, done, optimizer=SGD(0.1), iterations=3)
