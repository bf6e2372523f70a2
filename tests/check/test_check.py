"""The numerical derivatives, the comparison, the golden fixture and the ladder accept what is right and reject the rest."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import few, problems, quick, seeds

from tinymaml import Parameters
from tinymaml.check import (
    Line,
    Problem,
    WrongAnswer,
    adaptive_difference,
    central_difference,
    compare,
    complex_step,
    complex_step_gradient,
    gradient_by_entries,
    relative_error,
)
from tinymaml.check import ladder as rungs
from tinymaml.check.compare import diagnose, mismatch
from tinymaml.check.derivatives import STENCILS, basis, on_a_kink
from tinymaml.check.golden import Linear, fixtures
from tinymaml.check.model_checks import CHECKS
from tinymaml.nn.activations import ACTIVATIONS
from tinymaml.nn.losses import LOSSES

# -- derivatives ----------------------------------------------------------------------------------------------


def wave(x: np.ndarray) -> np.ndarray:
    """A vector of two of three numbers: smooth, not even."""
    return np.array([np.sin(x[0]) * x[1] ** 3, np.exp(x[2]) / (1 + x[0] ** 2)])


def wave_slope(x: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The derivative of `wave` along v, by hand."""
    first = np.cos(x[0]) * x[1] ** 3 * v[0] + 3 * np.sin(x[0]) * x[1] ** 2 * v[1]
    second = np.exp(x[2]) * (v[2] / (1 + x[0] ** 2) - 2 * x[0] * v[0] / (1 + x[0] ** 2) ** 2)
    return np.array([first, second])


@quick
@given(seeds)
def test_each_derivative_is_as_good_as_it_says(seed):
    x, v = np.random.default_rng(seed).uniform(-1, 1, (2, 3))
    truth = wave_slope(x, v)
    error = lambda mine: relative_error(mine, truth, floor=1)  # the slope may be small by chance, its derivatives are not
    assert error(complex_step(wave, x, v)) < 1e-14
    assert error(adaptive_difference(wave, x, v)) < 1e-11
    assert error(central_difference(wave, x, v)) < 2e-9
    for points in STENCILS:
        assert error(central_difference(wave, x, v, h=1e-2, points=points)) < 2 * 0.02**points + 1e-12


@pytest.mark.parametrize("points", STENCILS)
def test_a_stencil_is_exact_for_polynomials_up_to_its_order(points):
    for power in range(points + 1):
        slope = central_difference(lambda x, power=power: x**power, np.array(1.0), np.array(1.0), h=0.25, points=points)
        assert slope == pytest.approx(power, rel=1e-12, abs=1e-12)
    beyond = central_difference(lambda x: x ** (points + 1), np.array(1.0), np.array(1.0), h=0.25, points=points)
    assert beyond != pytest.approx(points + 1)


def test_complex_step_does_not_cancel_where_differences_do():
    x, one = np.array(1.0), np.array(1.0)
    assert complex_step(np.exp, x, one) == pytest.approx(np.e, rel=1e-15)
    assert central_difference(np.exp, x, one, h=1e-12) != pytest.approx(np.e, rel=1e-6)  # rounding
    assert central_difference(np.exp, x, one, h=1e-1) != pytest.approx(np.e, rel=1e-6)  # truncation


def test_a_function_that_drops_the_imaginary_part_is_rejected():
    for f in (np.abs, np.real, lambda z: np.array([1.0, 2.0])):
        with pytest.raises(TypeError, match="f gave a real answer at a complex point"):
            complex_step(f, np.ones(2), np.ones(2))


def test_a_direction_of_another_shape_is_rejected():
    for derivative in (complex_step, central_difference, adaptive_difference):
        with pytest.raises(ValueError, match=r"the point has shape \(2, 1\) and the direction v \(2,\)"):
            derivative(np.sin, np.ones((2, 1)), np.ones(2))
        with pytest.raises(ValueError, match="w has shape"):
            derivative(lambda theta: theta, Parameters(w=np.ones((2, 1))), Parameters(w=np.ones(2)))


@quick
@given(problems())
def test_gradients_by_entries_and_at_once_are_those_of_a_quadratic(problem):
    """f = theta.theta + v.theta, so the gradient is 2 theta + v."""
    theta, v = problem.theta, problem.v
    truth = 2 * theta + v
    f = lambda theta: theta.dot(theta) + v.dot(theta)
    compare("by entries", gradient_by_entries(f, theta), truth)
    compare("by differences", gradient_by_entries(f, theta, derivative=central_difference), truth, tolerance=1e-6)
    at_once = lambda thetas: np.array([f(thetas.task(p)) for p in range(theta.size)])
    compare("at once", complex_step_gradient(at_once, theta), truth)


def test_gradients_of_arrays_have_their_shape():
    x = np.arange(6.0).reshape(2, 3)
    np.testing.assert_allclose(gradient_by_entries(lambda x: (x**2).sum(), x), 2 * x)
    np.testing.assert_allclose(complex_step_gradient(lambda x: (x**2).sum((-2, -1)), x), 2 * x)
    assert basis(x).shape == (6, 2, 3)


def test_the_adaptive_difference_steps_inside_the_kinks():
    relu = lambda z: z * (z > 0)
    z = np.array([1e-6, -1e-5, 0.3, 2.0])
    assert relative_error(adaptive_difference(relu, z, np.ones(4)), np.array([1.0, 0, 1, 1])) < 1e-8


@quick
@given(seeds, st.floats(10, 25))
def test_a_loss_near_zero_is_no_kink(seed, logit):
    """p - y is rounding where a cross-entropy is near zero."""
    rng = np.random.default_rng(seed)
    y, z, v = np.eye(3)[[0]], np.array([[logit, 0.0, 0.0]]), rng.standard_normal((1, 3))
    loss = LOSSES["cross_entropy"]
    assert not on_a_kink(lambda z: loss.gradient(z, y), z, v)
    assert not on_a_kink(lambda z: loss.value(z, y), z, v)


@quick
@given(seeds, st.floats(1e-3, 1e3))
def test_a_kink_is_distinguished_from_curvature(seed, bend):
    rng = np.random.default_rng(seed)
    point, v = rng.standard_normal((2, 3))
    smooth = lambda x: np.sin(x).sum() + bend * (x**2).sum()
    kinked = lambda x: smooth(x) + 0.01 * bend * np.abs(x[1] - point[1])
    assert not on_a_kink(smooth, point, v)
    assert on_a_kink(kinked, point, np.array([0.3, 1.0, -0.2]))
    assert not on_a_kink(kinked, point + 0.1, v)


def test_a_derivative_of_zero_is_not_lost_in_rounding():
    f = lambda x: np.array([3 * x[0] - 3 * x[0], 7.0]) + 0 * x.sum()
    assert np.abs(adaptive_difference(f, np.array([0.3, 0.7]), np.ones(2))).max() < 1e-12


@few
@given(problems())
def test_the_adaptive_difference_of_a_network_is_good_to_ten_digits(problem):
    gradient = lambda theta: problem.model.at(theta, problem.batch.x_support, problem.batch.y_support).gradient
    along = problem.theta, problem.v
    compare("hvp", adaptive_difference(gradient, *along), complex_step(gradient, *along), tolerance=1e-8)


# -- compare --------------------------------------------------------------------------------------------------


def test_a_right_answer_gives_one_aligned_line():
    lines: list[str] = [compare("dW[1]", np.ones((40, 40)), np.ones((40, 40))), compare("loss", 1.0, 1.0)]
    lines.append(compare("u[0]", {"w": np.ones(3)}, Parameters(w=np.ones(3))))
    assert lines[0] == "dW[1]         (40, 40)      relative error 0.0e+00   right"
    assert len({line.index("relative error") for line in lines}) == 1
    assert "3 numbers" in lines[2]


@given(st.floats(1e-9, 1e-1), seeds)
@quick
def test_the_error_is_the_distance_over_the_larger_norm(size, seed):
    reference = 1 + np.random.default_rng(seed).random((2, 3))
    mine = reference * (1 + size)
    assert relative_error(mine, reference) == pytest.approx(size / (1 + size), rel=1e-5)
    assert relative_error(mine, reference) == relative_error(reference, mine)
    sentence = "error is .*, where 1e-10 would pass" if size > 2e-5 else "digits are right and the others are lost.*"
    with pytest.raises(WrongAnswer, match=(sentence if not 5e-6 < size < 2e-5 else "") + r".*\nx .* wrong \(beyond 1e-10\)"):
        compare("x", mine, reference)


@pytest.mark.parametrize("form", [lambda array: array, lambda array: {"w": array}, lambda array: Parameters(w=array)])
def test_the_error_of_two_shapes_with_equally_many_numbers_is_refused(form):
    with pytest.raises(ValueError, match=r"mine has shape \(3,\), reference \(3, 1\): compare arrays of one shape"):
        relative_error(form(np.ones(3)), form(np.ones((3, 1))))


def test_an_answer_with_few_right_digits_is_named():
    with pytest.raises(WrongAnswer, match="about 8 digits are right and the others are lost"):
        compare("x", np.float32(np.arange(9) / 7), np.arange(9) / 7)


def test_rounding_around_zero_is_measured_against_the_floor():
    compare("zero", np.array([1e-17]), np.zeros(1))
    with pytest.raises(WrongAnswer):
        compare("zero", np.array([1e-17]), np.zeros(1), floor=1e-12)
    with pytest.raises(WrongAnswer):
        compare("small, but wrong", np.array([1e-6]), np.array([2e-6]))


@pytest.mark.parametrize(
    ("mine", "sentence"),
    [
        (np.zeros((4, 3)), r"the answer has shape \(4, 3\), expected \(3, 4\)$"),
        (np.arange(12.0).reshape(3, 4).T, r"the answer has shape \(4, 3\), expected \(3, 4\): it is transposed"),
        (np.arange(12.0), r"the answer has shape \(12,\), expected \(3, 4\): the numbers are right, keep the axis"),
        (np.zeros((1, 4)), r"the answer has shape \(1, 4\), expected \(3, 4\)$"),
        (0.0, r"the answer has shape \(\), expected \(3, 4\)$"),
        (np.arange(12.0)[:, None, None] * np.ones((1, 1, 1)), "the numbers are right, and an axis is too many: remove it"),
        (np.arange(12.0).reshape(2, 6), r"the numbers are right, in another shape: .reshape\(3, 4\)"),
        (np.stack([np.arange(12.0).reshape(3, 4) / 5] * 5, axis=1), "the right numbers appear when it is summed over axis 1"),
        (np.arange(12.0).reshape(3, 4).tolist(), r"the answer is a list of 3, expected an array of shape \(3, 4\): np.array"),
        ((np.arange(12.0).reshape(3, 4),), "the answer is a tuple of 1, expected an array .*: a comma at the end of the return"),
        (np.array([[None]]), "expected numbers of shape"),
        ("text", "the answer is 'text', expected numbers of shape"),
    ],
)
def test_other_shapes_are_rejected_not_broadcast(mine, sentence):
    with pytest.raises(WrongAnswer, match=sentence) as caught:
        compare("dW", mine, np.arange(12.0).reshape(3, 4))
    assert caught.value.error == np.inf


@pytest.mark.parametrize(
    ("factor", "name"),
    [(2.0, "2"), (-0.5, "-0.5"), (1 / 7, "0.142857"), (1.5, "1.5"), (64.0, "64"), (0.999838, ""), (1.7345, ""), (1.01, "")],
)
def test_only_a_simple_factor_is_named(factor, name):
    sentence = diagnose(factor * 3.1, 3.1, [], tolerance=1e-6)
    assert sentence == (f"every number is {name} times the right one" if name else "")


@pytest.mark.parametrize(
    ("mine", "reference", "sentence"),
    [
        (np.full((1, 1), 3.1), 3.1, "an axis is too many: remove it"),
        (np.array([3.0, 0.1]), 3.1, "summed over axis 0"),
        ([3.1], 3.1, "the answer is a list of 1, expected one number"),
        (np.arange(4.0) * np.ones((3, 1)) / 3, np.arange(4.0), "summed over axis 0"),
    ],
)
def test_the_hint_says_how_to_remove_an_axis(mine, reference, sentence):
    assert sentence in mismatch(mine, reference)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_wrong_on_either_side(bad):
    good, spoilt = np.ones(2), np.array([1.0, bad])
    for mine, reference in [(spoilt, good), (good, spoilt), (spoilt, spoilt)]:
        with pytest.raises(WrongAnswer, match="NaN or infinite"):
            compare("x", mine, reference)


def test_a_line_is_shown_once_in_a_notebook():
    assert Line("x")._ipython_display_() is None


# -- the golden fixture and the ladder ------------------------------------------------------------------------


def test_the_linear_model_of_the_fixture_refuses_to_broadcast():
    with pytest.raises(ValueError, match=r"y has shape \(1, 3\), expected \(1, 3, 1\)"):
        Linear(2).at(Parameters(w=np.ones((2, 1))), np.ones((1, 3, 2)), np.ones((1, 3)))


def test_the_fixture_is_whole_numbers_of_the_text():
    """Once more by hand, in Python's whole numbers: alpha = 1, three steps; w' = (I - x x^T) w each."""
    w, x, q = [2, 3, 5], [1, 2, 3], [4, 5, 6]
    dot = lambda a, b: sum(i * j for i, j in zip(a, b, strict=True))
    u = q
    for _ in range(3):
        w, u = ([i - dot(a, x) * j for i, j in zip(a, x, strict=True)] for a in (w, u))
    expected = {name: whole for name, _, whole in fixtures()}
    assert (w, [dot(w, q)], u) == tuple(expected[f"three steps: {name}"] for name in ("w'''", "w'''.x", "meta-gradient"))


@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_every_rung_of_the_ladder_holds(seed):
    rows = rungs.ladder(seed, 20)
    for row in rows:
        assert row.right, row
        assert row.tolerance <= (1e-3 if "float32" in row.name else 1e-10)
    names = " ".join(row.name for row in rows)
    words = [*ACTIVATIONS, *LOSSES, *CHECKS, "affine", "chain", "four rules", "whole numbers"]
    for word in words:
        assert word in names


def test_the_table_and_the_exit_status(capsys):
    assert rungs.run(seed=0, networks=5) == 0
    out = capsys.readouterr().out
    assert "every derivative is right" in out
    assert out.count("float32 ") == 2  # in the name of a rung
    assert len({line.index("right") for line in out.splitlines()[1:-2]}) == 1


def test_one_wrong_rung_makes_the_ladder_fail(capsys, monkeypatch):
    monkeypatch.setattr(rungs, "_loss_errors", lambda loss, rng: {"(d2l/dz2) r": np.nan})
    assert rungs.run(seed=0, networks=3) == 1
    assert "WRONG: squared_error: (d2l/dz2) r, cross_entropy: (d2l/dz2) r\n" in capsys.readouterr().out


def test_one_wrong_check_of_the_battery_makes_the_ladder_fail(capsys, monkeypatch):
    def refuse(case):
        raise AssertionError("on purpose")

    monkeypatch.setitem(CHECKS, "hvp is linear", refuse)
    assert rungs.run(seed=0, networks=3) == 1
    assert "WRONG: networks, hvp is linear\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "error"), [({"networks": 0}, ValueError), ({"networks": 1.5}, TypeError), ({"seed": -1}, ValueError)]
)
def test_the_ladder_rejects_invalid_options(options, error):
    with pytest.raises(error, match=r"^(networks|seed) is "):
        rungs.run(**{"seed": 0, "networks": 5, **options})


def test_the_same_seed_draws_the_same_networks():
    first, again = (rungs.ladder(3, 5) for _ in range(2))
    assert first == again
    assert first != rungs.ladder(4, 5)


@quick
@given(seeds)
def test_drawn_problems_are_within_bounds_and_made_from_their_numbers(seed):
    problem = Problem.draw(np.random.default_rng(seed))
    again = eval(repr(problem))
    assert again == problem
    np.testing.assert_array_equal(again.theta.flat, problem.theta.flat)
    np.testing.assert_array_equal(again.batch.x_query, problem.batch.x_query)
    assert 3 <= len(problem.widths) <= 4
    assert max(problem.widths) <= 5
