"""Parameters: vector arithmetic on named arrays, and what it refuses."""

import numpy as np
import pytest
from hypothesis import given
from strategies import problems, quick

from tinymaml import Parameters


@quick
@given(problems())
def test_arithmetic_is_that_of_one_long_vector(problem):
    theta, v = problem.theta, problem.v
    np.testing.assert_array_equal((theta - 0.1 * v).flat, theta.flat - 0.1 * v.flat)
    np.testing.assert_array_equal((theta + v).flat, theta.flat + v.flat)
    np.testing.assert_array_equal(sum([theta, v, v]).flat, theta.flat + v.flat + v.flat)
    np.testing.assert_array_equal((-theta).flat, -theta.flat)
    np.testing.assert_allclose((theta / 4).flat, theta.flat / 4)
    np.testing.assert_allclose(theta.dot(v), theta.flat @ v.flat)


@quick
@given(problems())
def test_flat_and_unflatten_are_inverse(problem):
    theta = problem.theta
    back = theta.unflatten(theta.flat)
    assert list(back) == list(theta)
    for name in theta:
        np.testing.assert_array_equal(back[name], theta[name])


def test_a_leading_task_axis_may_meet_shared_parameters():
    shared, own = Parameters(w=np.ones((2, 3))), Parameters(w=np.arange(24.0).reshape(4, 2, 3))
    assert (shared - own)["w"].shape == (4, 2, 3)
    np.testing.assert_array_equal(own.mean()["w"], own["w"].mean(0))
    np.testing.assert_array_equal(own.task(2)["w"], own["w"][2])


@pytest.mark.parametrize("scalar", [2, 2.0, np.float64(2), 2j, np.complex128(2)])
def test_a_scalar_may_stand_on_either_side(scalar):
    theta = Parameters(w=np.array([1.0, 2.0]))
    np.testing.assert_array_equal((scalar * theta)["w"], scalar * theta["w"])
    np.testing.assert_array_equal((theta * scalar)["w"], scalar * theta["w"])


def test_float32_stays_float32():
    theta = Parameters(w=np.ones(2, np.float32))
    assert (theta - 0.1 * theta).dtype == (theta / 3).dtype == (-theta).dtype == np.float32
    assert theta.astype(np.float64).dtype == np.float64


@pytest.mark.parametrize(
    "array", [np.array([1, 2]), np.array([None]), np.array(["a"]), np.array([True]), [1.0], 1.0]
)
def test_only_arrays_of_floating_point_numbers_are_parameters(array):
    with pytest.raises(TypeError, match=r"^w (has dtype|is a) .*expected .*: use "):
        Parameters(w=array)


def test_other_names_or_shapes_are_refused_and_nothing_is_broadcast():
    theta = Parameters(w=np.ones((2, 3)))
    with pytest.raises(ValueError, match="the names differ"):
        theta + Parameters(b=np.ones((2, 3)))
    for shape in [(1, 3), (2, 1), (2, 2), (4, 1, 3)]:
        with pytest.raises(
            ValueError, match=r"w has shapes \(2, 3\) and .*, which may differ only by a leading"
        ):
            theta - Parameters(w=np.ones(shape))
    for stranger in (np.ones((2, 3)), "theta", None, [1.0]):
        with pytest.raises(TypeError):
            theta + stranger
        with pytest.raises(TypeError):
            theta * stranger
    with pytest.raises(ValueError, match=r"w has shapes \(2, 3\) and .*, which may differ only by a leading"):
        theta * Parameters(w=np.ones((1, 3)))
    for factors in ({}, {"w": 1.0, "b": 2.0}, {"w": np.ones(3)}, {"v": 1.0}):
        with pytest.raises(ValueError, match="expected one number for each of w"):
            factors * theta
    with pytest.raises(ValueError, match=r"the vector has shape \(5,\), expected \(6,\)"):
        theta.unflatten(np.ones(5))
    with pytest.raises(KeyError, match="there are w"):
        theta["W1"]


def test_products_are_taken_entry_by_entry_or_name_by_name():
    theta, tasks = (
        Parameters(w=np.array([[1.0, 2.0]]), b=np.ones((1, 1))),
        Parameters(w=np.ones((3, 1, 2)), b=np.ones((3, 1, 1))),
    )
    np.testing.assert_array_equal((theta * theta)["w"], [[1.0, 4.0]])
    assert (theta * tasks)["w"].shape == (3, 1, 2)
    scaled = {"w": 2.0, "b": 0.0} * theta
    assert scaled["w"].tolist() == [[2.0, 4.0]]
    assert scaled["b"].tolist() == [[0.0]]
    assert ({"w": 2.0, "b": 0.5} * theta.astype("f")).dtype == np.float32


def test_a_printed_theta_shows_names_and_shapes():
    assert repr(Parameters(W1=np.ones((1, 40)), b1=np.ones((1, 40)))) == (
        "Parameters(W1 (1, 40), b1 (1, 40); 80 numbers, float64)"
    )


def test_parameters_cannot_be_assigned_to():
    theta = Parameters(w=np.ones(2))
    with pytest.raises(TypeError):
        theta["w"] = np.zeros(2)


def test_a_number_is_not_spread_over_a_row():
    with pytest.raises(ValueError, match="only by a leading task axis"):
        Parameters(b=np.zeros((1, 3))) - Parameters(b=np.array(2.0))
