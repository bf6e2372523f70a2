"""Both forms of adapted weights, factored and formed, give the same numbers (eqs. 14 and 15)."""

import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples, few, linear_batch, seeds

from tinymaml import MLP, Parameters, adapt, meta_gradient
from tinymaml.check.golden import Linear
from tinymaml.nn.activations import ACTIVATIONS
from tinymaml.nn.fast_weights import Factored, outer, sum_of_products
from tinymaml.tasks import TaskBatch


def episode(rng, model, tasks, shots, queries, dtype):
    d, d_out = model.inputs, model.outputs

    def examples(n):
        x = rng.standard_normal((tasks, n, d)).astype(dtype)
        if model.loss == "cross_entropy":
            return x, np.eye(d_out, dtype=dtype)[rng.integers(0, d_out, (tasks, n))]
        return x, rng.standard_normal((tasks, n, d_out)).astype(dtype)

    return TaskBatch(*examples(shots), *examples(queries))


@examples(60)
@given(
    widths=st.lists(st.integers(1, 7), min_size=2, max_size=5),
    activation=st.sampled_from(sorted(ACTIVATIONS)),
    loss=st.sampled_from(["squared_error", "cross_entropy"]), tasks=st.integers(1, 4),
    shots=st.integers(1, 5),
    queries=st.integers(1, 5), steps=st.integers(1, 4), dtype=st.sampled_from(["float64", "float32"]),
    first_order=st.booleans(), seed=st.integers(0, 2**32 - 1),
)
def test_the_two_forms_agree(
    widths, activation, loss, tasks, shots, queries, steps, dtype, first_order, seed
):
    rng = np.random.default_rng(seed)
    model = MLP(widths, activation, loss)
    theta = model.init(rng, dtype)
    batch = episode(rng, model, tasks, shots, queries, dtype)
    fast, formed, chosen = (
        meta_gradient(
            model, start, batch, inner_lr=0.05, steps=steps, first_order=first_order, fast_weights=form
        )
        for start, form in ((model.fast_weights(theta), True), (theta, False), (theta, True))
    )
    tolerance = 1e-11 if dtype == "float64" else 2e-4
    for other in (formed, chosen):
        for name in ("gradient", "first_order") + (() if first_order else ("curvature",)):
            one, two = getattr(fast, name), getattr(other, name)
            scale = max(np.abs(two.flat).max(), 1e-3)
            assert {n: a.shape for n, a in one.items()} == dict(model.shapes)
            assert all(a.dtype == dtype for a in one.values())
            np.testing.assert_allclose(one.flat, two.flat, atol=tolerance * scale)
        np.testing.assert_allclose(fast.losses, other.losses, rtol=tolerance, atol=tolerance)


@examples(30)
@given(seed=st.integers(0, 2**32 - 1), sizes=st.tuples(*[st.integers(1, 5)] * 5))
def test_a_factored_matrix_answers_as_the_matrix_it_stands_for(seed, sizes):
    T, n, m, d, e = sizes
    rng = np.random.default_rng(seed)
    shared, x = rng.standard_normal((d, e)), rng.standard_normal((T, n, d))
    W = Factored(shared)
    pieces = [
        Factored(None, ((rng.standard_normal((T, k, d)), rng.standard_normal((T, k, e)), 1.0),))
        for k in (m, 1)
    ]
    assert W.shape == (d, e) and pieces[0].shape == (T, d, e)
    np.testing.assert_allclose(x @ W, x @ shared)
    changed = W - pieces[0] * 0.3 + pieces[1]
    matrix = shared - 0.3 * pieces[0].dense() + pieces[1].dense()
    assert changed.shape == matrix.shape and changed.size == matrix.size
    np.testing.assert_allclose(changed.dense(), matrix, atol=1e-12)
    np.testing.assert_allclose(sum_of_products((x, changed)), x @ matrix, atol=1e-12)
    y = rng.standard_normal((T, n, e))
    np.testing.assert_allclose(y @ changed.swapaxes(-1, -2), y @ matrix.swapaxes(-1, -2), atol=1e-12)
    np.testing.assert_allclose(changed.sum(), matrix.sum(0), atol=1e-12)
    np.testing.assert_allclose(outer((x, y), like=W).dense(), outer((x, y), like=shared), atol=1e-12)


@few
@given(seeds, st.integers(0, 3), st.integers(1, 4), st.integers(1, 4), st.integers(0, 2), st.booleans())
def test_a_factored_matrix_in_arithmetic_is_the_matrix_it_stands_for(seed, T, d, e, pairs, shared):
    """With another, with arrays on either side, with numbers; T = 0: one task without a task axis."""
    rng, axis = np.random.default_rng(seed), (T,) * (T > 0)
    side = lambda k, width: rng.standard_normal((*axis, k, width))
    drawn = lambda pairs, shared: Factored(
        rng.standard_normal((d, e)) if shared or not pairs else None,
        tuple((side(k, d), side(k, e), rng.normal()) for k in range(1, pairs + 1)),
    )
    one, other, array = drawn(pairs, shared), drawn(1, not shared), rng.standard_normal((*axis, d, e))
    one_formed, other_formed = one.dense(), other.dense()
    formed = lambda value: value.dense() if isinstance(value, Factored) else value
    for operation in (operator.add, operator.sub, operator.mul):
        for mine, plain in (
            (operation(one, other), operation(one_formed, other_formed)),
            (operation(one, array), operation(one_formed, array)),
            (operation(array, one), operation(array, one_formed)),
        ):
            np.testing.assert_allclose(formed(mine), plain, atol=1e-12)
    np.testing.assert_allclose(formed(one * 0.7), one_formed * 0.7, atol=1e-12)


@examples(60)
@given(
    seed=st.integers(0, 2**32 - 1), T=st.integers(0, 3), n=st.integers(1, 4), d=st.integers(1, 2),
    e=st.integers(1, 5),
    own=st.lists(st.booleans(), min_size=1, max_size=3), row=st.sampled_from([None, "shared", "own"]),
    turned=st.booleans(),
    unreal=st.integers(0, 7),
)
def test_a_sum_of_products_is_that_sum(seed, T, n, d, e, own, row, turned, unreal):
    """Of one column and of more, shared matrices beside a task's own, complex numbers in any place; T = 0: no
    task axis.
    """
    rng, tasks = np.random.default_rng(seed), (T,) if T else ()

    def drawn(*shape):
        nonlocal unreal
        unreal -= 1
        return rng.standard_normal(shape) * (1j if unreal == 0 else 1)

    pairs = []
    for each in own:
        W = drawn(*(tasks if each else ()), *((e, d) if turned else (d, e)))
        pairs.append((drawn(*tasks, n, d), W.swapaxes(-1, -2) if turned else W))
    bias = None if row is None else drawn(*(tasks if row == "own" else ()), 1, e)
    expected = sum(a @ W for a, W in pairs) + (0 if bias is None else bias)
    found = sum_of_products(*pairs, bias=bias)
    assert found.shape == (*tasks, n, e) and found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, atol=1e-13)


def test_the_smaller_form_is_chosen_matrix_by_matrix():
    model = MLP([1, 40, 40, 1])
    theta = model.init(np.random.default_rng(0))
    kinds = {name: type(array) for name, array in model.fast_weights(theta, examples=10).items()}
    assert kinds == {
        "W1": np.ndarray,
        "b1": np.ndarray,
        "W2": Factored,
        "b2": np.ndarray,
        "W3": np.ndarray,
        "b3": np.ndarray,
    }
    assert not any(isinstance(array, Factored) for array in model.fast_weights(theta, examples=50).values())


@few
@given(seeds, st.integers(1, 4), st.integers(0, 3), st.integers(1, 4), st.booleans())
def test_adapt_in_either_form(seed, steps, tasks, shots, every):
    """Of some tasks, and (tasks = 0) of one without a task axis; what is chosen by size, and every matrix as
    factors.
    """
    rng, axis = np.random.default_rng(seed), (tasks,) * (tasks > 0)
    model = MLP([3, 9, 8, 1], "tanh")
    theta, x, y = (
        model.init(rng),
        rng.standard_normal((*axis, shots, 3)),
        rng.standard_normal((*axis, shots, 1)),
    )
    formed = adapt(model, theta, x, y, inner_lr=0.1, steps=steps, fast_weights=False)
    fast = adapt(
        model,
        model.fast_weights(theta) if every else theta,
        x,
        y,
        inner_lr=0.1,
        steps=steps,
        fast_weights=True,
    )
    for name, shape in model.shapes.items():
        factored = name in ("W1", "W2", "W3") and (every or shots * steps * sum(shape) < shape[0] * shape[1])
        assert isinstance(fast[name], Factored) == factored and isinstance(formed[name], np.ndarray)
        assert fast[name].shape == formed[name].shape == (*axis, *shape)
    np.testing.assert_allclose(fast.flat, formed.flat, atol=1e-12)
    np.testing.assert_allclose(model.predict(fast, x), model.predict(formed, x), atol=1e-12)
    here, there = (model.at(each, x, y) for each in (fast, formed))
    np.testing.assert_allclose(here.gradient.flat, there.gradient.flat, atol=1e-11)
    for v in (fast, formed):
        np.testing.assert_allclose(here.hvp(v).flat, there.hvp(formed).flat, atol=1e-11)


def test_many_steps_are_taken_in_the_form_whose_cost_does_not_grow():
    """Factors of 400 steps take 200 times the memory of the matrix, and the square of 400 in time."""
    rng, model = np.random.default_rng(0), MLP([1, 20, 20, 1])
    x, y = rng.standard_normal((2, 2, 10, 1))
    theta = adapt(model, model.init(rng), x, y, inner_lr=1e-3, steps=400, fast_weights=True)
    assert all(isinstance(array, np.ndarray) for array in theta.values())


def test_a_model_without_fast_weights_has_one_form():
    batch = linear_batch()
    for fast_weights in (True, False):
        meta = meta_gradient(
            Linear(), Parameters(w=np.ones((3, 1))), batch, inner_lr=0.1, fast_weights=fast_weights
        )
        assert isinstance(meta.u[0]["w"], np.ndarray)
    for call in (
        meta_gradient,
        lambda model, theta, batch, **o: adapt(model, theta, batch.x_support, batch.y_support, **o),
    ):
        with pytest.raises(TypeError, match=r"^fast_weights is None, expected True or False"):
            call(Linear(), Parameters(w=np.ones((3, 1))), batch, inner_lr=0.1, fast_weights=None)
