"""Batch and layer norm: mean 0 and variance 1 of what they are for, blind to shift and scale, and no row sees
too much.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import few, seeds

from tinymaml.check import relative_error
from tinymaml.check.layer_checks import layer_errors
from tinymaml.nn.models import MLP
from tinymaml.nn.normalisation import EPS, BatchNorm, LayerNorm

NORMS = {"batch": (BatchNorm(4), -2), "layer": (LayerNorm(4), -1)}  # and the axis that each is over
Z = 3 + 2 * np.random.default_rng(0).standard_normal((2, 5, 4))


def normed(layer, z, p=None):
    return layer.forward(layer.init(np.random.default_rng(0)) if p is None else p, z)[0]


@few
@given(seeds, st.sampled_from([BatchNorm, LayerNorm]), st.integers(2, 5), st.integers(2, 5))
def test_the_rules_of_norms_of_any_size(seed, kind, width, rows):
    # two rows, or two features, are h = +-1 whatever z is: eps alone has a slope there, and many digits go
    allowed = 1e-12 if (rows if kind is BatchNorm else width) > 2 else 1e-6
    assert (
        max(layer_errors(kind(width), np.random.default_rng(seed), width=width, rows=rows).values()) < allowed
    )


@pytest.mark.parametrize("name", NORMS)
def test_mean_0_and_variance_1(name):
    layer, axis = NORMS[name]
    h = normed(layer, Z)
    np.testing.assert_allclose(h.mean(axis), 0, atol=1e-14)
    np.testing.assert_allclose((h**2).mean(axis), Z.var(axis) / (Z.var(axis) + EPS), rtol=1e-12)


@pytest.mark.parametrize("name", NORMS)
def test_blind_to_shift_and_scale(name):
    layer, axis = NORMS[name]
    shift = np.random.default_rng(1).standard_normal(Z.mean(axis, keepdims=True).shape)
    assert relative_error(normed(layer, Z + shift), normed(layer, Z)) < 1e-12
    assert relative_error(normed(layer, 10 * Z), normed(layer, Z)) < 1e-4  # but for eps


@few
@given(
    seeds,
    st.sampled_from([BatchNorm, LayerNorm]),
    st.integers(2, 9),
    st.integers(2, 9),
    st.sampled_from("fd"),
)
def test_of_a_constant_nothing_is_left(seed, kind, width, rows, dtype):
    """Wherever it lies: z, and R of z, less a rounded mean would be its rounding error, divided by the root
    of eps.
    """
    rng, layer = np.random.default_rng(seed), kind(width)
    p = {name: rng.standard_normal(shape).astype(dtype) for name, shape in layer.shapes.items()}
    z = np.full((2, rows, width), 10 ** rng.uniform(-3, 6), dtype)
    a, tape = layer.forward(p, z)
    np.testing.assert_array_equal(a, np.broadcast_to(p[layer.beta], z.shape))
    Ra, _ = layer.R_forward(p, {name: 0 * array for name, array in p.items()}, tape, z)
    np.testing.assert_array_equal(Ra, 0)
    near = rng.integers(-8, 9, z.shape).astype(dtype)  # whole numbers, exact in either precision
    np.testing.assert_allclose(
        layer.forward(p, near + 2.0**17)[0], layer.forward(p, near)[0], rtol=0, atol=1e-4
    )


@pytest.mark.parametrize("name", NORMS)
def test_scale_and_shift_are_learned(name):
    layer, _ = NORMS[name]
    p = {layer.gamma: np.array([[1.0, 2, 3, 4]]), layer.beta: np.array([[5.0, 6, 7, 8]])}
    np.testing.assert_allclose(normed(layer, Z, p), [1, 2, 3, 4] * normed(layer, Z) + [5, 6, 7, 8])


def test_batch_norm_keeps_tasks_apart_and_layer_norm_rows():
    for task in range(2):
        np.testing.assert_array_equal(normed(BatchNorm(4), Z)[task], normed(BatchNorm(4), Z[task]))
    for row in range(5):
        np.testing.assert_allclose(
            normed(LayerNorm(4), Z)[0, row : row + 1], normed(LayerNorm(4), Z[0, row : row + 1])
        )
    np.testing.assert_allclose(
        normed(BatchNorm(4), Z.swapaxes(1, 2)[:, :, :4])[0], normed(LayerNorm(4), Z[0, :4]).T
    )


def test_nothing_is_remembered():
    layer = BatchNorm(4)
    first = normed(layer, Z)
    normed(layer, 100 + Z)
    np.testing.assert_array_equal(normed(layer, Z), first)


@pytest.mark.parametrize("name", NORMS)
def test_a_bias_under_batch_norm_does_nothing(name):
    """The mean takes it away again; a row's mean takes away what all features share only."""
    model, rng = MLP([2, 4, 1], "tanh", norm=name), np.random.default_rng(0)
    here = model.at(model.init(rng), rng.standard_normal((5, 2)), rng.standard_normal((5, 1)))
    assert (np.abs(here.db[1]).max() < 1e-15) == (name == "batch")


def test_one_row_is_too_few_for_batch_norm():
    with pytest.raises(
        ValueError, match=r"^batch norm got a single row of a task, expected two or more: give more"
    ):
        normed(BatchNorm(4), Z[:, :1])
    model = MLP([2, 3, 1], norm="batch")
    theta = model.init(np.random.default_rng(0))
    with pytest.raises(ValueError, match="batch norm got a single row"):
        model.at(theta, np.ones((2, 1, 2)), np.ones((2, 1, 1)))
    normed(LayerNorm(4), Z[:, :1])


def test_widths_that_leave_nothing():
    with pytest.raises(ValueError, match="width is 1, expected at least 2"):
        LayerNorm(1)
    with pytest.raises(ValueError, match="width is 0, expected at least 1"):
        BatchNorm(0)


def test_two_norms_are_two_things():
    assert BatchNorm(3) != LayerNorm(3)
    assert BatchNorm(3) == BatchNorm(3)
    assert repr(LayerNorm(3, "a")) == "LayerNorm(width=3, name='a')"
