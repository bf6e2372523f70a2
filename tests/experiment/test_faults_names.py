"""Names, not order: whatever meets parameters pairs them by name, and gives the same bits whatever their order is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import problems, quick, seeds

from tinymaml import MLP, Parameters, adapt, meta_gradient, pretraining_gradient
from tinymaml.check import central_difference, complex_step, complex_step_gradient, gradient_by_entries, relative_error
from tinymaml.training.optimizers import SGD, Adam


def shuffled(parameters, seed: int):
    """The same arrays in another order of their names."""
    names = list(parameters)
    order = np.random.default_rng(seed).permutation(len(names))
    return Parameters.unchecked({names[i]: parameters[names[i]] for i in order})


def same(one, other) -> None:
    """Equal to the last bit, name by name."""
    one, other = one.dense(), other.dense()
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


@quick
@given(problems(), seeds)
def test_arithmetic(problem, seed):
    theta, v = problem.theta, problem.v
    w = shuffled(v, seed)
    for one, other in ((theta + v, theta + w), (theta - v, w * -1 + theta), (theta * v, w * theta), (v / 3, w / 3), (-v, -w)):
        same(one, other)
    assert theta.dot(v) == theta.dot(w)
    same(v, theta.unflatten(w.flat_like(theta)))
    np.testing.assert_array_equal(w.flat_like(theta), v.flat)
    np.testing.assert_array_equal(w.unflatten(w.flat).flat_like(v), v.flat)
    assert relative_error(v, w) == 0


@quick
@given(problems(), seeds, st.sampled_from([SGD(0.1), Adam(0.1), Adam(0.1, half_life=3)]))
def test_optimisers(problem, seed, optimizer):
    """A gradient in another order moves theta to the same bits, step after step."""
    one = other = problem.theta
    state, likewise = optimizer.start(one), optimizer.start(other)
    for step in range(3):
        gradient = problem.v * (step + 1.0)
        one, state = optimizer.step(one, gradient, state)
        other, likewise = optimizer.step(other, shuffled(gradient, seed + step), likewise)
        same(one, other)
        assert list(one) == list(other) == list(problem.theta)
    for name in state:
        np.testing.assert_array_equal(state[name], likewise[name])


@quick
@given(problems(), seeds, st.booleans())
def test_maml(problem, seed, fast_weights):
    """theta, its rates and a direction, each in an order of its own."""
    model, theta, batch = problem.model, problem.theta, problem.batch
    mixed, x, y = shuffled(theta, seed), batch.x_support, batch.y_support
    names = {name: 0.01 * (i + 1) for i, name in enumerate(theta)}
    entries = theta * theta
    turned = [0.1, dict(reversed(names.items())), shuffled(entries, seed + 1)]
    for rates, other in zip((0.1, names, entries), turned, strict=True):
        options = {"steps": problem.steps, "fast_weights": fast_weights}
        one = meta_gradient(model, theta, batch, inner_lr=rates, **options)
        two = meta_gradient(model, mixed, batch, inner_lr=other, **options)
        for what in ("gradient", "first_order", "curvature", "rates_gradient"):
            same(getattr(one, what), getattr(two, what))
        same(adapt(model, theta, x, y, inner_lr=rates, **options), adapt(model, mixed, x, y, inner_lr=other, **options))
    same(pretraining_gradient(model, theta, batch).gradient, pretraining_gradient(model, mixed, batch).gradient)
    same(model.at(theta, x, y).hvp(problem.v), model.at(mixed, x, y).hvp(shuffled(problem.v, seed + 2)))


@quick
@given(problems(), seeds)
def test_derivatives_by_other_means(problem, seed):
    theta, v, x, y = problem.theta, problem.v, problem.batch.x_support[0], problem.batch.y_support[0]
    mixed, w, loss = shuffled(theta, seed), shuffled(v, seed + 1), lambda theta: problem.model.at(theta, x, y).loss
    for derivative in (complex_step, central_difference):
        assert derivative(loss, theta, v) == derivative(loss, mixed, w)
    same(gradient_by_entries(loss, theta), gradient_by_entries(loss, mixed))
    many = lambda thetas: np.array([loss(thetas.task(p)) for p in range(theta.size)])
    same(complex_step_gradient(many, theta), complex_step_gradient(many, mixed))


def test_adapting_fast_weights_again_is_adapting_formed_ones_again():
    rng = np.random.default_rng(0)
    model, x, y = MLP([30, 40, 3]), rng.standard_normal((2, 3, 30)), rng.standard_normal((2, 3, 3))
    theta = model.init(rng)
    factored, formed = (adapt(model, start, x, y, inner_lr=0.01) for start in (model.fast_weights(theta), theta))
    once_more = adapt(model, formed, x, y, inner_lr=0.01)
    for form in (True, False):
        assert relative_error(adapt(model, factored, x, y, inner_lr=0.01, fast_weights=form).dense(), once_more) < 1e-14
    for mixed, plain in (
        (factored + formed, formed + formed), (formed - factored, formed - formed), (factored - formed, formed - formed),
        (factored * formed, formed * formed), (formed * factored, formed * formed), (factored * factored, formed * formed),
        (factored.astype(np.float32).astype(np.float64), formed.astype(np.float32).astype(np.float64)),
    ):  # fmt: skip
        assert relative_error(mixed.dense(), plain) < 1e-12
    assert factored.dot(formed) == pytest.approx(formed.dot(formed), rel=1e-14)
