"""Methods against closed forms: two parabolas, and the series expansion of MAML and Reptile in alpha."""

import closed_forms
import numpy as np
import pytest
from closed_forms import Parabola, fixed_point, tasks

from tinymaml import meta_gradient, methods
from tinymaml.check import Problem
from tinymaml.experiment.options import options_of, settings_for
from tinymaml.methods.multi_step import multi_step_gradient
from tinymaml.methods.pretraining import all_points
from tinymaml.methods.reptile import reptile_gradient
from tinymaml.parameters import Parameters
from tinymaml.tasks import TaskBatch
from tinymaml.training.loop import Diverged, initial_state, train
from tinymaml.training.optimizers import SGD

ENDS = [  # method, alpha, K, where t comes to rest
    ("pretraining", 0.1, 1, 0.800), ("maml", 0.1, 1, -0.800), ("maml", 0.1, 3, -1.000), ("first-order", 0.1, 1, 0.0),
    ("first-order", 0.1, 3, -0.976), ("reptile", 0.1, 1, 0.800), ("reptile", 0.1, 5, 0.419), ("imaml", 0.1, 1, -0.471),
    ("maml", 0.2, 1, 0.8), ("reptile", 0.2, 5, 0.328),
]  # fmt: skip


def moves(method, alpha, steps):
    """The method's own gradient, as it is trained with, on parabolas."""
    options = {"steps": steps, "strength": 1.0, "cg_steps": 1}
    if method == "imaml":
        options["steps"] = 120  # until the inner loop has converged
    known = options_of(methods.named(method))
    own = {name: value for name, value in options.items() if name in known}
    return methods.named(method).gradient(Parabola(), settings_for("sinusoids", method, inner_lr=alpha, **own))


def trained(gradient, lr, t=0.3, iterations=60):
    state = initial_state(Parameters(t=np.array([[t]])), SGD(lr), np.random.default_rng(0))
    return train(gradient, lambda rng: tasks(), state, optimizer=SGD(lr), iterations=iterations).theta["t"].item()


@pytest.mark.parametrize(("method", "alpha", "steps", "end"), ENDS)
def test_every_method_comes_to_rest_where_its_formula_says(method, alpha, steps, end):
    assert fixed_point(method, alpha, steps=steps) == pytest.approx(end, abs=5e-4)
    lr = 1 / closed_forms.weights(method, alpha, steps=steps).sum()  # half of the way in every iteration
    assert trained(moves(method, alpha, steps), lr) == pytest.approx(fixed_point(method, alpha, steps=steps), abs=1e-9)


def test_first_order_maml_runs_away_where_the_weights_turn():
    """Beyond alpha h = 1 it takes the steep task for the opposite of what it is; MAML, which knows the Hessian, does not."""
    assert closed_forms.weights("first-order", 0.2).sum() < 0 < closed_forms.weights("maml", 0.2).sum()
    rest = fixed_point("first-order", 0.2)
    assert trained(moves("first-order", 0.2, 1), 0.2, t=rest) == pytest.approx(rest)
    assert abs(trained(moves("first-order", 0.2, 1), 0.2, t=rest + 1e-6) - rest) > 1
    with pytest.raises(Diverged):
        trained(moves("first-order", 0.2, 1), 10.0, iterations=1000)


def test_the_multi_step_loss_weighs_as_its_steps_do():
    h, c = np.array(closed_forms.CURVATURES), np.array(closed_forms.CENTRES)
    w = sum(w_k * h * (1 - 0.1 * h) ** (2 * k) for k, w_k in ((1, 0.2), (2, 0.3), (3, 0.5)))
    weights = {"weights": [0.2, 0.3, 0.5]}
    gradient = lambda theta, batch, iteration: multi_step_gradient(Parabola(), theta, batch, inner_lr=0.1, **weights)
    assert trained(gradient, 1 / w.sum()) == pytest.approx(w @ c / w.sum(), abs=1e-9)


def test_a_method_without_a_formula_is_rejected():
    with pytest.raises(ValueError, match="unknown method 'anil': choose one of pretraining, maml"):
        fixed_point("anil", 0.1)


# -- Nichol, Achiam and Schulman (2018), their equations 36-41, with the same points in every step ------------------------

PROBLEM = Problem((2, 4, 2), tasks=3, shots=4, queries=4)
EVERYWHERE = all_points(PROBLEM.batch)


def expanded(of_alpha):
    """The first two coefficients of a gradient as a power series in alpha, by regression on alpha."""
    alphas = 0.01 * np.cos(np.pi * (np.arange(8) + 0.5) / 8)
    powers = alphas[:, None] ** np.arange(7)
    return np.linalg.lstsq(powers, np.stack([of_alpha(alpha) for alpha in alphas]), rcond=None)[0][:2]


def rates(alpha):
    return dict.fromkeys(PROBLEM.theta, float(alpha))


def maml_of_updates(k, first_order=False):
    """MAML whose k-th update is the outer one, on the same points as the k - 1 inner ones."""
    same = TaskBatch(*EVERYWHERE, *EVERYWHERE)
    return lambda alpha: meta_gradient(
        PROBLEM.model, PROBLEM.theta, same, inner_lr=rates(alpha), steps=k - 1, first_order=first_order
    ).gradient.flat


def reptile_of_updates(k):
    way = lambda alpha: reptile_gradient(PROBLEM.model, PROBLEM.theta, PROBLEM.batch, inner_lr=rates(alpha), steps=k)
    return lambda alpha: way(alpha).gradient.flat / alpha


@pytest.mark.parametrize("k", [2, 3, 5])
@pytest.mark.parametrize(("method", "average", "inner"), [
    (maml_of_updates, lambda k: 1, lambda k: -2 * (k - 1)),
    (lambda k: maml_of_updates(k, first_order=True), lambda k: 1, lambda k: -(k - 1)),
    (reptile_of_updates, lambda k: k, lambda k: -k * (k - 1) / 2),
], ids=["MAML", "first-order", "Reptile"])
def test_how_much_of_the_mean_gradient_and_of_its_agreement_is_in_a_method(k, method, average, inner):
    """AvgGrad is the mean gradient; AvgGradInner, the mean of H g, lessens what the gradients of a task agree on."""
    here = PROBLEM.model.at(PROBLEM.theta, *EVERYWHERE)
    AvgGrad, AvgGradInner = here.gradient.mean().flat, here.hvp(here.gradient).mean().flat
    constant, linear = expanded(method(k))
    np.testing.assert_allclose(constant, average(k) * AvgGrad, rtol=0, atol=1e-7 * np.abs(AvgGrad).max())
    np.testing.assert_allclose(linear, inner(k) * AvgGradInner, rtol=0, atol=1e-5 * np.abs(AvgGradInner).max())
