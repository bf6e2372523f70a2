"""s, s', s'': each against the complex step of the one before it, and at the far ends."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from strategies import SMOOTH, quick

from tinymaml.check import compare, complex_step
from tinymaml.nn.activations import ACTIVATIONS

values = arrays(float, (3, 2), elements=st.floats(-30, 30).filter(lambda z: z == 0 or abs(z) > 1e-6))


@pytest.mark.parametrize("name", ACTIVATIONS)
@quick
@given(z=values)
def test_first_and_second_derivative(name, z):
    s, ones = ACTIVATIONS[name], np.ones_like(z)
    compare("s'", s.first(z, s.value(z)), complex_step(s.value, z, ones))
    if s.curved:
        compare("s''", s.second(z, s.value(z)), complex_step(lambda z: s.first(z, s.value(z)), z, ones))
    else:
        assert not s.second(z, s.value(z)).any()


@pytest.mark.parametrize("name", ACTIVATIONS)
@quick
@given(z=values)
def test_real_numbers_give_what_complex_ones_give(name, z):
    """What the complex step proves of one it proves of the other."""
    s, c = ACTIVATIONS[name], z.astype(complex)
    # of softplus: log1p rounds so
    close = lambda mine, other: np.testing.assert_allclose(mine, other, rtol=1e-13, atol=4e-15)
    close(s.value(z), s.value(c))
    close(s.first(z, s.value(z)), s.first(c, s.value(c)))


def test_only_relu_is_not_curved():
    assert set(ACTIVATIONS) - set(SMOOTH) == {"relu"}


def test_at_its_kink_relu_has_slope_zero():
    zero = np.zeros(1)
    assert ACTIVATIONS["relu"].first(zero, zero) == 0


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept_and_nothing_overflows(name, dtype):
    s, z = ACTIVATIONS[name], np.array([-1e4, -800, -1, 0, 1, 800, 1e4], dtype)
    for value in (s.value(z), s.first(z, s.value(z)), s.second(z, s.value(z))):
        assert value.dtype == dtype
        assert np.isfinite(value).all()
    assert (np.diff(s.value(z)) >= 0).all()


def test_known_values():
    at_one = {
        "relu": 1,
        "tanh": 0.7615941559557649,
        "sigmoid": 1 / (1 + np.exp(-1)),
        "softplus": np.log(1 + np.e),
    }
    for name, s in ACTIVATIONS.items():
        assert s.value(np.array([1.0]))[0] == pytest.approx(at_one[name], rel=1e-14)
