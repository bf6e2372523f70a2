"""l, dl/dz, (d2l/dz2) r: each against the complex step of the one before it, and for large logits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import quick, seeds

from tinymaml.check import compare, complex_step
from tinymaml.nn.losses import LOSSES, softmax


def example(
    name: str, seed: int, n: int, d: int, size: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """z, y and a direction r, each (n, d)."""
    rng = np.random.default_rng(seed)
    y = rng.dirichlet(np.ones(d), n) if name == "cross_entropy" else rng.standard_normal((n, d))
    return size * rng.standard_normal((n, d)), y, rng.standard_normal((n, d))


@pytest.mark.parametrize("name", LOSSES)
@quick
@given(seed=seeds, n=st.integers(1, 4), d=st.integers(1, 5))
def test_gradient_and_hessian_vector_product(name, seed, n, d):
    loss, (z, y, r) = LOSSES[name], example(name, seed, n, d)
    compare("dl/dz . r", (loss.gradient(z, y) * r).sum(-1), complex_step(lambda z: loss.value(z, y), z, r))
    compare("(d2l/dz2) r", loss.hvp(z, y, r), complex_step(lambda z: loss.gradient(z, y), z, r))


@quick
@given(seed=seeds, off=st.floats(-9e-5, 9e-5))
def test_targets_whose_sum_is_1_but_for_rounding_have_their_own_gradient(seed, off):
    """What `check` lets pass is differentiated as it is: dl/dz = sum(y) p - y."""
    loss, (z, y, r) = LOSSES["cross_entropy"], example("cross_entropy", seed, 3, 4)
    y = y * (1 + off)
    loss.check(y)
    compare("l", loss.value(z, y), -(y * np.log(softmax(z))).sum(-1))
    compare(
        "dl/dz . r",
        (loss.gradient(z, y) * r).sum(-1),
        complex_step(lambda z: -(y * np.log(softmax(z))).sum(-1), z, r),
    )
    compare("(d2l/dz2) r", loss.hvp(z, y, r), complex_step(lambda z: loss.gradient(z, y), z, r))


def test_squared_error_sums_over_outputs_and_has_no_half():
    assert LOSSES["squared_error"].value(np.array([[3.0, 5.0]]), np.array([[1.0, 2.0]])) == 13


def test_cross_entropy_of_even_logits_is_the_log_of_the_number_of_classes():
    value = LOSSES["cross_entropy"].value(np.full((1, 5), 7.0), np.eye(5)[[2]])
    assert value[0] == pytest.approx(np.log(5), rel=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_logits_do_not_overflow(dtype):
    loss = LOSSES["cross_entropy"]
    z, y = np.array([[1e4, 0, -1e4]], dtype), np.eye(3, dtype=dtype)[[2]]
    assert loss.value(z, y)[0] == 2e4
    np.testing.assert_array_equal(loss.gradient(z, y), [[1, 0, -1]])
    for value in (loss.value(z, y), loss.gradient(z, y), loss.hvp(z, y, z), softmax(z)):
        assert value.dtype == dtype
        assert np.isfinite(value).all()


@pytest.mark.parametrize("y", [[[0.0, 2.0]], [[1.0, 1.0]], [[-0.5, 1.5]], [[0.0, 0.0]]])
def test_targets_that_are_no_probabilities_are_refused(y):
    with pytest.raises(ValueError, match=r"not probabilities: .*one-hot"):
        LOSSES["cross_entropy"].check(np.array(y))
