"""What was seen from a point stays what it was when the arrays of that point are changed in place afterwards."""

import numpy as np
import pytest
from closed_forms import Parabola
from hypothesis import given
from hypothesis import strategies as st
from strategies import few, seeds

from tinymaml import MLP, adapt, meta_gradient
from tinymaml.check.golden import Linear
from tinymaml.check.problem import random_batch
from tinymaml.methods.imaml import Proximal, implicit_gradient
from tinymaml.nn.models import CNN, RNN
from tinymaml.rl.exact import LinearPolicy
from tinymaml.rl.sampled import SampledPolicy, with_noise
from tinymaml.tasks import TaskBatch

MODELS = {
    "MLP": MLP([2, 4, 3], "tanh"),
    "classifier with batch norm": MLP([2, 4, 3], loss="cross_entropy", norm="batch"),
    "CNN": CNN(5, 2, 1, 2, norm="layer"),
    "RNN": RNN(1, 3, 2, 3),
    "policy": LinearPolicy(horizon=3),
    "sampled policy": SampledPolicy(MLP([2, 3, 2], "tanh"), 3, baseline=lambda C, seen, y: C - C + y.mean()),
    "held by a spring": None,
    "linear": Linear(3),
    "parabola": Parabola(),
}


def problem(name, rng):
    """A model, theta and a batch of tasks, in arrays that nobody else has."""
    model = MODELS[name] or Proximal(MODELS["MLP"], MODELS["MLP"].init(rng), 2.0)
    inner = getattr(model, "model", model)
    sizes = {"linear": [3, 1], "parabola": [1, 1]}.get(name, [2, 2])
    batch = random_batch(inner if hasattr(inner, "example_loss") else MLP(sizes), rng, tasks=2, shots=3, queries=3)
    if isinstance(inner, SampledPolicy):
        batch = with_noise(batch, rng, inner.horizon)
    return model, inner.init(rng), batch


def spoilt(*things):
    """Every array of every thing set to another number, in place."""
    for thing in things:
        arrays = (
            [getattr(thing, part) for part in ("x_support", "y_support", "x_query", "y_query")]
            if isinstance(thing, TaskBatch) else thing.values() if hasattr(thing, "values") else [thing]
        )  # fmt: skip
        for array in arrays:
            array[...] = 0.125


def numbers(thing):
    """All that was seen, as arrays."""
    return [array.copy() if isinstance(array, np.ndarray) else array.dense() for array in thing.values()]


def same(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", MODELS)
@few
@given(seeds, st.booleans(), st.integers(1, 7))
def test_a_surface(name, seed, own, which):
    """Of shared parameters and of each task's own; theta, x and y changed each alone and together; v after `along`."""
    rng = np.random.default_rng(seed)
    model, theta, batch = problem(name, rng)
    x, y = batch.x_support, batch.y_support
    if own:
        theta = theta.map(lambda array: np.stack([array, 1.5 * array]))
    v = theta.map(lambda array: rng.standard_normal(array.shape))
    expected = model.at(theta, x, y)
    expected = [expected.loss, *numbers(expected.gradient), *numbers(expected.hvp(v))]
    here = model.at(theta, x, y)
    spoilt(*(thing for bit, thing in enumerate((theta, x, y)) if which >> bit & 1))
    same([here.loss, *numbers(here.gradient), *numbers(here.hvp(v))], expected)
    if hasattr(here, "along"):
        again, along = here.along(v), here.along(v)
        rest = {**here.quantities, **again.quantities}
        spoilt(v)
        same({**here.quantities, **along.quantities}.values(), rest.values())
        same(numbers(along.hvp), numbers(again.hvp))


@pytest.mark.parametrize("name", MODELS)
@few
@given(seeds, st.booleans(), st.booleans())
def test_what_follows_from_a_batch(name, seed, factored, first_order):
    rng = np.random.default_rng(seed)
    model, theta, batch = problem(name, rng)
    start = model.fast_weights(theta) if factored and hasattr(model, "fast_weights") else theta
    made = lambda: (
        adapt(model, start, batch.x_support, batch.y_support, inner_lr=0.05, steps=2),
        meta_gradient(model, start, batch, inner_lr=0.05, steps=2, first_order=first_order),
        implicit_gradient(getattr(model, "model", model), theta, batch, inner_lr=0.05, steps=2, strength=2.0),
    )
    look = lambda theta_K, meta, implicit: [
        *numbers(theta_K), meta.losses, *numbers(meta.gradient), *numbers(meta.first_order), *numbers(implicit.gradient),
        *([] if first_order else [*numbers(meta.curvature), *numbers(meta.rates_gradient)]),
    ]  # fmt: skip
    expected, found = look(*made()), made()
    spoilt(theta, batch)
    same(look(*found), expected)
