"""The network: gradient and Hessian-vector product against complex step, tasks against a loop, and what it
refuses.
"""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import SMOOTH, activations, problems, quick

from tinymaml import MLP, Parameters
from tinymaml.check import Problem, compare, complex_step, loss_gradient, relative_error
from tinymaml.check.mistakes import with_mistakes


def own_theta(problem: Problem) -> Parameters:
    """A theta of its own for each task."""
    rng = np.random.default_rng(problem.seed)
    return problem.theta.map(lambda array: array + 0.1 * rng.standard_normal((problem.tasks, *array.shape)))


@quick
@given(problems())
def test_gradient(problem):
    model, x, y = problem.model, problem.batch.x_support, problem.batch.y_support
    gradient = model.at(problem.theta, x, y).gradient
    for t in range(problem.tasks):
        compare(f"gradient of task {t}", gradient.task(t), loss_gradient(model, problem.theta, x[t], y[t]))


@quick
@given(problems(), st.booleans(), st.booleans())
def test_hessian_vector_product(problem, shared_theta, shared_v):
    """For theta and directions v that are shared by the tasks, or each task's own."""
    model, x, y = problem.model, problem.batch.x_support, problem.batch.y_support
    theta = problem.theta if shared_theta else own_theta(problem)
    v = problem.v if shared_v else own_theta(problem)
    point = theta if shared_v else theta + 0.0 * v  # what is moved has every axis of the direction
    compare(
        "hvp",
        model.at(theta, x, y).hvp(v),
        complex_step(lambda theta: model.at(theta, x, y).gradient, point, v),
    )


@quick
@given(problems(), st.booleans())
def test_a_batch_of_tasks_is_a_loop_over_tasks(problem, shared):
    model, theta, x, y = problem.model, problem.theta, problem.batch.x_support, problem.batch.y_support
    theta = theta if shared else own_theta(problem)
    here = model.at(theta, x, y)
    hvp = here.hvp(problem.v)
    for t in range(problem.tasks):
        there = model.at(theta if shared else theta.task(t), x[t], y[t])  # one task, without the axis
        compare("loss", here.loss[t], there.loss)
        compare("prediction", here.prediction[t], there.prediction)
        compare("gradient", here.gradient.task(t), there.gradient)
        compare("hvp", hvp.task(t), there.hvp(problem.v))


@quick
@given(problems())
def test_examples_do_not_depend_on_their_order(problem):
    model, x, y = problem.model, problem.batch.x_support, problem.batch.y_support
    here, turned = model.at(problem.theta, x, y), model.at(problem.theta, x[:, ::-1], y[:, ::-1])
    compare("gradient", turned.gradient, here.gradient)
    compare("hvp", turned.hvp(problem.v), here.hvp(problem.v))


@quick
@given(problems())
def test_hvp_is_symmetric_and_linear(problem):
    here, u, v = (
        problem.model.at(problem.theta, problem.batch.x_support[0], problem.batch.y_support[0]),
        problem.v,
        problem.theta,
    )
    compare("v.Hu = u.Hv", v.dot(here.hvp(u)), u.dot(here.hvp(v)), floor=1.0)
    compare("H(2u - 3v)", here.hvp(2 * u - 3 * v), 2 * here.hvp(u) - 3 * here.hvp(v), floor=1.0)


@quick
@given(problems())
def test_float32_agrees_with_float64_and_stays_float32(problem):
    x, y = problem.batch.x_support.astype("f"), problem.batch.y_support.astype("f")
    theta, v = problem.theta.astype("f"), problem.v.astype("f")
    here = problem.model.at(theta, x, y)
    there = problem.model.at(theta.astype("d"), x.astype("d"), y.astype("d"))
    assume(min(abs(z).min() for z in there.z.values()) > 1e-4)  # rounding must not carry a ReLU over its kink
    for name, mine, reference in [
        ("loss", here.loss, there.loss),
        ("gradient", here.gradient, there.gradient),
        ("hvp", here.hvp(v), there.hvp(v.astype("d"))),
    ]:
        assert mine.dtype == np.float32
        compare(name, mine, reference, tolerance=1e-4, floor=1e-3)


@quick
@given(problems())
def test_predict_is_what_the_loss_is_taken_of(problem):
    here = problem.model.at(problem.theta, problem.batch.x_support, problem.batch.y_support)
    np.testing.assert_array_equal(
        problem.model.predict(problem.theta, problem.batch.x_support), here.prediction
    )


@quick
@given(problems(loss=["squared_error"]))
def test_the_loss_is_the_mean_over_examples_of_the_sum_over_outputs(problem):
    model, x, y = problem.model, problem.batch.x_support, problem.batch.y_support
    error = model.predict(problem.theta, x) - y
    compare("loss", model.at(problem.theta, x, y).loss, (error**2).sum((-2, -1)) / problem.shots)


@quick
@given(problems())
def test_nothing_that_is_passed_in_is_changed(problem):
    x, y, theta, v = problem.batch.x_support, problem.batch.y_support, problem.theta, problem.v
    before = [x.copy(), y.copy(), theta.flat, v.flat]
    here = problem.model.at(theta, x, y)
    _ = here.loss, here.gradient, here.hvp(v)
    for was, is_now in zip(before, [x, y, theta.flat, v.flat], strict=True):
        np.testing.assert_array_equal(was, is_now)


@given(activation=activations, dtype=st.sampled_from([np.float32, np.float64]))
@quick
def test_init_makes_a_theta_that_fits(activation, dtype):
    model = MLP([3, 400, 2], activation=activation)
    theta = model.init(np.random.default_rng(0), dtype)
    assert {name: array.shape for name, array in theta.items()} == model.shapes
    assert theta.dtype == dtype
    assert 0.5 < theta["W2"].std() * np.sqrt(400) < 2  # signals keep their size
    assert np.isfinite(model.predict(theta, np.ones((5, 3), dtype))).all()


# -- what is refused, with one clear sentence ----------------------------------------------------------------

MODEL = MLP([2, 3, 1], activation="tanh")
THETA = MODEL.init(np.random.default_rng(0))
X, Y = np.linspace(-1, 1, 10).reshape(5, 2), np.linspace(0, 1, 5).reshape(5, 1)


@pytest.mark.parametrize(
    ("x", "y", "error", "sentence"),
    [
        (X, Y[:, 0], ValueError, r"y has shape \(5,\), expected \(5, 1\): use y\[:, None\]"),
        (X, Y[:4], ValueError, r"y has shape \(4, 1\), expected \(5, 1\): "),
        (X, Y[:1], ValueError, r"y has shape \(1, 1\), expected \(5, 1\): "),
        (X, np.hstack([Y, Y]), ValueError, r"y has shape \(5, 2\), expected \(5, 1\): "),
        (X, Y[None], ValueError, r"y has shape \(1, 5, 1\), expected \(5, 1\): "),
        (X[0], Y, ValueError, r"x has shape \(2,\), expected \(n, 2\) or \(tasks, n, 2\): "),
        (X[:, :1], Y, ValueError, r"x has shape \(5, 1\), expected \(n, 2\) or \(tasks, n, 2\): "),
        (X[:0], Y[:0], ValueError, r"x has shape \(0, 2\), expected \(n, 2\) or \(tasks, n, 2\): "),
        (X.astype(int), Y, TypeError, "x has dtype int64, expected float64 or float32: use "),
        (X, Y.astype(int), TypeError, "y has dtype int64, expected float64 or float32: use "),
        (X.astype(object), Y, TypeError, "x has dtype object, expected float64 or float32: use "),
        (X.tolist(), Y, TypeError, "x is a list, expected a NumPy array: use "),
        (X.astype("f"), Y, TypeError, "y is float64 and x is float32: use .astype to make them the same"),
        (X.astype("f"), Y.astype("f"), TypeError, "W1 of theta is float64 and x is float32: use .astype"),
        (np.where(X > 0.5, np.nan, X), Y, ValueError,
         "x holds 3 values that are NaN or infinite out of 10, expected "),
        (X, np.where(Y > 0.5, np.inf, Y), ValueError,
         "y holds 2 values that are NaN or infinite out of 5, expected "),
    ],
)
def test_bad_data(x, y, error, sentence):
    with pytest.raises(error, match=f"^{sentence}"):
        MODEL.at(THETA, x, y)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda theta: {"W1": theta["W1"], "b1": theta["b1"]},
         r"\['W1', 'b1'\], expected \['W1', 'b1', 'W2', 'b2'\]: "),
        (lambda theta: {**theta, "W1": theta["W1"].T}, r"W1 of \w+ has shape \(3, 2\), expected \(2, 3\)"),
        (lambda theta: {**theta, "b1": theta["b1"][0]}, r"b1 of \w+ has shape \(3,\), expected \(1, 3\)"),
        (lambda theta: {**theta, "b1": theta["b1"][:, :1]},
         r"b1 of \w+ has shape \(1, 1\), expected \(1, 3\)"),
        (lambda theta: {**theta, "W1": np.stack([theta["W1"]] * 4)},
         r"W1 of \w+ has shape \(4, 2, 3\), expected .*\(2, 2, 3\)"),
    ],
)
def test_parameters_and_directions_that_do_not_fit(change, sentence):
    x, y = np.stack([X, X]), np.stack([Y, Y])
    with pytest.raises(ValueError, match=sentence):
        MODEL.at(Parameters(change(THETA)), x, y)
    with pytest.raises(ValueError, match=sentence):
        MODEL.at(THETA, x, y).hvp(Parameters(change(THETA)))


def test_labels_instead_of_one_hot_targets_are_refused():
    model = MLP([2, 3, 3], loss="cross_entropy")
    theta = model.init(np.random.default_rng(0))
    with pytest.raises(
        ValueError, match=r"y has shape \(5,\) and dtype float64, expected one-hot .*np.eye\(3\)\[labels\]"
    ):
        model.at(theta, X, np.array([0.0, 1, 2, 0, 1]))
    with pytest.raises(ValueError, match="not probabilities: cross_entropy expects one-hot targets"):
        model.at(theta, X, 2 * np.eye(3)[[0, 1, 2, 0, 1]])


def test_the_s_second_term_is_what_makes_a_smooth_network_differ_from_its_gauss_newton_part():
    """Symmetry and linearity cannot see a lost s'' (NUMBERS.md): the property tests above must."""
    for activation in SMOOTH:
        problem = Problem((2, 4, 1), activation=activation, shots=4)
        at = problem.theta, problem.batch.x_support, problem.batch.y_support
        hvp = problem.model.at(*at).hvp(problem.v)
        assert relative_error(with_mistakes(problem.model, ["s''"]).at(*at).hvp(problem.v), hvp) > 1e-3
