"""MAML: the meta-gradient against complex step, the golden fixture, tasks against a loop, and what it
refuses.
"""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import SMOOTH, problems, quick

from tinymaml import MLP, Parameters, adapt, meta_gradient
from tinymaml.check import (
    Problem,
    compare,
    complex_step,
    gradient_by_entries,
    loss_gradient,
    meta_gradient_by_complex_step,
    relative_error,
)
from tinymaml.check.golden import fixtures
from tinymaml.tasks import TaskBatch

GOOD = Problem((1, 3, 1))


def inner(problem: Problem) -> dict:
    return {"inner_lr": problem.inner_lr, "steps": problem.steps}


def of(problem: Problem, **options):
    """The meta-gradient of a problem."""
    return meta_gradient(problem.model, problem.theta, problem.batch, **inner(problem), **options)


def adapted(problem: Problem):
    return adapt(
        problem.model, problem.theta, problem.batch.x_support, problem.batch.y_support, **inner(problem)
    )


@quick
@given(problems())
def test_meta_gradient(problem):
    """The exact meta-gradient over 1 to 3 inner steps is the derivative of the meta-loss, in either form of
    the weights.
    """
    reference = meta_gradient_by_complex_step(problem.model, problem.theta, problem.batch, **inner(problem))
    for fast_weights in (False, True):
        compare("meta-gradient", of(problem, fast_weights=fast_weights).gradient, reference)
    factored = meta_gradient(
        problem.model, problem.model.fast_weights(problem.theta), problem.batch, **inner(problem)
    )
    compare("meta-gradient", factored.gradient, reference)


@quick
@given(problems())
def test_first_order_is_the_query_gradient_at_the_adapted_parameters(problem):
    """theta_K is a constant to it."""
    batch, theta_K = problem.batch, adapted(problem)
    of_tasks = [
        loss_gradient(problem.model, theta_K.task(t), batch.x_query[t], batch.y_query[t])
        for t in range(problem.tasks)
    ]
    compare("first-order", of(problem).first_order, sum(of_tasks[1:], start=of_tasks[0]) / problem.tasks)


@quick
@given(problems())
def test_gradient_is_first_order_less_curvature(problem):
    exact, first = of(problem), of(problem, first_order=True)
    compare("gradient", exact.gradient, exact.first_order - exact.curvature)
    compare("first-order alone", first.gradient, exact.first_order)
    assert first.curvature is None
    assert first.loss == exact.loss


@quick
@given(problems())
def test_the_meta_loss_is_the_mean_query_loss_at_the_adapted_parameters(problem):
    meta = of(problem)
    losses = problem.model.at(adapted(problem), problem.batch.x_query, problem.batch.y_query).loss
    compare("losses", meta.losses, losses)
    compare("loss", meta.loss, losses.mean())


@quick
@given(problems())
def test_a_batch_of_tasks_is_the_mean_of_a_loop_over_tasks(problem):
    meta, one = (
        of(problem),
        lambda t: meta_gradient(problem.model, problem.theta, problem.batch[t : t + 1], **inner(problem)),
    )
    one_by_one = [one(t) for t in range(problem.tasks)]
    for name in ("loss", "gradient", "first_order", "curvature"):
        of_tasks = [getattr(one, name) for one in one_by_one]
        compare(name, getattr(meta, name), sum(of_tasks[1:], start=of_tasks[0]) / problem.tasks)


@quick
@given(problems())
def test_adapting_k_steps_is_adapting_one_step_k_times(problem):
    theta, one = problem.theta, {"inner_lr": problem.inner_lr, "steps": 1}
    for _ in range(problem.steps):
        theta = adapt(problem.model, theta, problem.batch.x_support, problem.batch.y_support, **one)
    compare("theta_K", adapted(problem), theta)


@quick
@given(problems())
def test_float32_agrees_with_float64_and_stays_float32(problem):
    b, model, theta = problem.batch, problem.model, problem.theta.astype("f")
    arrays = [array.astype("f") for array in (b.x_support, b.y_support, b.x_query, b.y_query)]
    single = TaskBatch(*arrays)
    double = TaskBatch(*(array.astype("d") for array in arrays))
    path = theta.astype("d")  # rounding must not carry a ReLU over its kink, anywhere on the way
    for _ in range(problem.steps):
        assume(
            min(abs(z).min() for z in model.at(path, double.x_support, double.y_support).z.values()) > 1e-4
        )
        path = adapt(model, path, double.x_support, double.y_support, inner_lr=problem.inner_lr)
    assume(min(abs(z).min() for z in model.at(path, double.x_query, double.y_query).z.values()) > 1e-4)

    mine = meta_gradient(model, theta, single, **inner(problem))
    reference = meta_gradient(model, theta.astype("d"), double, **inner(problem))
    for name in ("loss", "gradient", "first_order", "curvature"):
        assert getattr(mine, name).dtype == np.float32
        compare(name, getattr(mine, name), getattr(reference, name), tolerance=1e-4, floor=1e-2)


# -- rates that are not one number ---------------------------------------------------------------------------


def drawn_rates(problem: Problem, kind: str):
    """One rate a name, with one name left out and one that is zero; or one an entry, of either sign."""
    rng = np.random.default_rng(problem.seed)
    if kind == "entry":
        return problem.theta.map(lambda array: rng.uniform(-0.1, 0.2, array.shape))
    first, *names = problem.theta
    return {first: 0.0} | {name: float(rng.uniform(0.01, 0.2)) for name in names[:-1]}


@quick
@given(problems(), st.sampled_from(["name", "entry"]))
def test_meta_gradient_with_any_rates(problem, kind):
    rates = drawn_rates(problem, kind)
    inner = {"inner_lr": rates, "steps": problem.steps}
    reference = meta_gradient_by_complex_step(problem.model, problem.theta, problem.batch, **inner)
    for fast_weights in (False, True):
        meta = meta_gradient(problem.model, problem.theta, problem.batch, **inner, fast_weights=fast_weights)
        compare("meta-gradient", meta.gradient, reference)
        compare("its parts", meta.gradient, meta.first_order - meta.curvature)


@quick
@given(problems(), st.floats(-0.2, 0.2))
def test_one_rate_is_the_same_rate_for_every_name_and_entry(problem, rate):
    """Of either sign, and zero: a learned rate may be any."""
    forms = (
        rate,
        dict.fromkeys(problem.theta, rate),
        problem.theta.map(lambda array: np.full_like(array, rate)),
    )
    x, y = problem.batch.x_support, problem.batch.y_support
    adapted = [adapt(problem.model, problem.theta, x, y, inner_lr=form, steps=2) for form in forms]
    metas = [
        meta_gradient(problem.model, problem.theta, problem.batch, inner_lr=form, steps=2).gradient
        for form in forms
    ]
    for one, *others in (adapted, metas):
        for other in others:
            compare("every form of the rate", other, one)


@quick
@given(problems(), st.sampled_from(["name", "entry"]))
def test_the_derivative_in_the_rates(problem, kind):
    """Eq. 20, every entry of every rate, by complex step through the meta-loss."""
    rates = drawn_rates(problem, kind)
    each = (
        rates
        if kind == "entry"
        else problem.theta.map(np.ones_like) * {name: rates.get(name, 0.0) for name in problem.theta}
    )
    mine = meta_gradient(
        problem.model, problem.theta, problem.batch, inner_lr=rates, steps=problem.steps
    ).rates_gradient
    of_rates = lambda rates: np.asarray(
        meta_gradient(
            problem.model, problem.theta, problem.batch, inner_lr=rates, steps=problem.steps, first_order=True
        ).loss
    )
    compare("d loss / d alpha", mine, gradient_by_entries(of_rates, each))


@quick
@given(problems())
def test_three_ways_to_say_one_rate(problem):
    lr = problem.inner_lr
    for rates in (dict.fromkeys(problem.theta, lr), problem.theta.map(lambda array: np.full_like(array, lr))):
        other = meta_gradient(
            problem.model, problem.theta, problem.batch, inner_lr=rates, steps=problem.steps
        )
        compare("gradient", other.gradient, of(problem).gradient)
    total = sum(array.sum() for array in of(problem).rates_gradient.values())
    loss = lambda lr: meta_gradient(
        problem.model, problem.theta, problem.batch, inner_lr=dict.fromkeys(problem.theta, complex(lr)),
        steps=problem.steps
    ).losses.mean()
    compare("d loss / d one rate", total, complex_step(loss, np.array(lr), np.array(1.0)))


def test_a_name_that_is_left_out_does_not_move():
    b = GOOD.batch
    theta = adapt(GOOD.model, GOOD.theta, b.x_support, b.y_support, inner_lr={"W2": 0.1}, steps=3)
    for name, array in theta.items():
        moved = np.abs(array - GOOD.theta[name]).max()
        assert moved > 1e-3 if name == "W2" else moved == 0


def test_first_order_keeps_no_tapes_and_says_nothing_of_rates():
    first = of(GOOD, first_order=True)
    assert first.curvature_terms is first.support_gradients is first.curvature is first.rates_gradient is None
    assert len(first.u) == 1


def test_a_theta_that_comes_factored_stays_so_but_for_rates_of_entries():
    b, fast = GOOD.batch, GOOD.model.fast_weights(GOOD.theta)
    inner = {"inner_lr": 0.1, "steps": 2}
    for rates in (0.1, GOOD.theta.map(lambda array: np.full_like(array, 0.1))):
        formed = adapt(GOOD.model, GOOD.theta, b.x_support, b.y_support, inner_lr=rates, steps=2)
        for fast_weights in (True, False):
            kept = adapt(
                GOOD.model, fast, b.x_support, b.y_support, inner_lr=rates, steps=2, fast_weights=fast_weights
            )
            assert isinstance(kept["W1"], np.ndarray) == isinstance(rates, Parameters)
            compare("theta_K", kept.dense(), formed)
    mine, other = (meta_gradient(GOOD.model, theta, b, **inner) for theta in (fast, GOOD.theta))
    compare("gradient", mine.gradient, other.gradient)


@pytest.mark.parametrize(("mine", "whole"), [pytest.param(*rest, id=name) for name, *rest in fixtures()])
def test_the_golden_fixture_comes_out_in_whole_numbers(mine, whole):
    assert mine.tolist() == whole


@pytest.mark.parametrize("activation", ["relu", *SMOOTH])
def test_first_order_is_not_exact_relu_included(activation):
    """That ReLU networks have no curvature is false: the loss has."""
    meta = of(Problem((2, 8, 1), activation=activation, shots=5, queries=5))
    assert relative_error(meta.first_order, meta.gradient) > 0.01


@quick
@given(problems())
def test_nothing_that_is_passed_in_is_changed(problem):
    b, theta = problem.batch, problem.theta
    before = [a.copy() for a in (b.x_support, b.y_support, b.x_query, b.y_query, theta.flat)]
    of(problem)
    for was, is_now in zip(before, (b.x_support, b.y_support, b.x_query, b.y_query, theta.flat), strict=True):
        np.testing.assert_array_equal(was, is_now)


# -- what is refused, with one clear sentence ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"inner_lr": np.nan}, ValueError, "inner_lr is nan, expected a finite number: try 0.01"),
        ({"inner_lr": np.inf}, ValueError, "inner_lr is inf, expected a finite number: try 0.01"),
        ({"inner_lr": "0.1"}, TypeError, "inner_lr is '0.1', expected a number"),
        ({"inner_lr": None}, TypeError, "inner_lr is None, expected a number"),
        ({"inner_lr": {"W9": 0.1}}, ValueError, "inner_lr has a rate for 'W9', expected names of theta: choose among W1, b1, W2"),
        ({"inner_lr": {"W1": "0.1"}}, TypeError, "inner_lr of W1 is '0.1', expected a number: pass a float such as"),
        ({"inner_lr": {"W1": np.nan}}, ValueError, "inner_lr of W1 is nan, expected a finite number"),
        ({"inner_lr": Parameters(W1=np.ones((1, 3)))}, ValueError,
         "inner_lr has no rates for b1: give one rate per entry, 0"),
        ({"inner_lr": GOOD.theta.map(lambda a: a[:, :1])}, ValueError,
         r"inner_lr of W1 has shape \(1, 1\), expected \(1, 3\)"),
        ({"inner_lr": GOOD.theta.map(lambda a: a + np.inf)}, ValueError,
         "inner_lr of W1 holds 3 values that are NaN or inf"),
        ({"inner_lr": GOOD.theta.astype("f")}, TypeError,
         "inner_lr of W1 is float32 and theta is float64: use .astype"),
        ({"inner_lr": 0.1, "steps": 0}, ValueError, "steps is 0, expected at least 1"),
        ({"inner_lr": 0.1, "steps": -1}, ValueError, "steps is -1, expected at least 1"),
        ({"inner_lr": 0.1, "steps": 1.0}, TypeError, "steps is 1.0, expected a whole number"),
        ({"inner_lr": 0.1, "steps": True}, TypeError, "steps is True, expected a whole number"),
    ],
)
def test_rates_and_steps(options, error, sentence):
    with pytest.raises(error, match=f"^{sentence}"):
        meta_gradient(GOOD.model, GOOD.theta, GOOD.batch, **options)
    with pytest.raises(error, match=f"^{sentence}"):
        adapt(GOOD.model, GOOD.theta, GOOD.batch.x_support, GOOD.batch.y_support, **options)


@pytest.mark.parametrize(
    ("part", "change", "error", "sentence"),
    [
        ("y_support", lambda y: y[..., 0], ValueError,
         r"y_support has shape \(2, 3\), expected \(tasks, examples, ...\)"),
        ("y_query", lambda y: y[:, :1], ValueError, "x_query has 2 tasks of 2 examples and y_query 2 of 1"),
        ("x_support", lambda x: x[:1], ValueError,
         "x_support has 1 tasks of 3 examples and y_support 2 of 3"),
        ("x_query", lambda x: x.astype(int), TypeError,
         "x_query has dtype int64, expected float64 or float32"),
        ("y_query", lambda y: y.astype(object), TypeError,
         "y_query has dtype object, expected float64 or float32"),
        ("x_support", lambda x: x + np.nan, ValueError, "x holds 6 values that are NaN or infinite out of 6"),
        ("y_query", lambda y: y + np.inf, ValueError, "y holds 4 values that are NaN or infinite out of 4"),
    ],
)
def test_bad_tasks(part, change, error, sentence):
    arrays = {name: getattr(GOOD.batch, name) for name in ("x_support", "y_support", "x_query", "y_query")}
    arrays[part] = change(arrays[part])
    with pytest.raises(error, match=f"^{sentence}"):
        meta_gradient(GOOD.model, GOOD.theta, TaskBatch(**arrays), inner_lr=0.1)


def test_theta_of_another_network_is_refused():
    with pytest.raises(ValueError, match=r"theta holds \['W1', 'b1'\], expected"):
        meta_gradient(GOOD.model, MLP([1, 1]).init(np.random.default_rng(0)), GOOD.batch, inner_lr=0.1)
