"""A linear-Gaussian policy, exactly: against every episode there can be, the battery, Newton's step; its
mistakes are named.
"""

from functools import partial

import numpy as np
import pytest
from check.mutants.policies import IN_POLICIES
from hypothesis import given
from hypothesis import strategies as st
from strategies import quick, seeds

from tinymaml import Parameters, adapt, meta_gradient
from tinymaml.check import ModelRejected, check_model, complex_step
from tinymaml.check.ladder import POLICIES
from tinymaml.check.mistakes import with_rules
from tinymaml.check.policy_checks import policy_errors
from tinymaml.nn.models import MLP
from tinymaml.rl.exact import LinearPolicy
from tinymaml.tasks import Navigation, TaskBatch


def some_tasks(rng, inputs=2, tasks=3, shots=4, queries=4):
    """Every row of a task with a goal of its own, which navigation never has."""
    some = lambda n: (rng.standard_normal((tasks, n, inputs)), rng.standard_normal((tasks, n, 2)))
    return TaskBatch(*some(shots), *some(queries))


@quick
@given(
    seeds,
    st.integers(2, 4),
    st.integers(1, 3),
    st.sampled_from([0.0, 0.3, 2.0]),
    st.sampled_from([1.0, 0.9, 0.1]),
)
def test_the_cost_is_that_of_all_episodes_and_its_derivatives_are_right(
    seed, inputs, horizon, noise, discount
):
    errors = policy_errors(LinearPolicy(inputs, horizon, noise, discount), np.random.default_rng(seed))
    assert max(errors.values()) < 1e-11, errors


@pytest.mark.parametrize(
    "policy", [*POLICIES, LinearPolicy(horizon=5), LinearPolicy(3, 4, 0.0, 0.9)], ids=str
)
def test_it_passes_the_battery_of_any_model(policy):
    rng = np.random.default_rng(0)
    assert "note" not in check_model(policy, rng, batch=some_tasks(rng, policy.inputs))


def test_sampled_episodes_cost_what_is_expected():
    """20 000 walks; their standard error is below 0.4 % (seeds 0..9: off by 0.3 % at most)."""
    rng = np.random.default_rng(0)
    policy, x, y = (
        LinearPolicy(horizon=8, noise=0.3),
        0.3 * np.ones((20_000, 2)),
        np.tile([0.5, -0.2], (20_000, 1)),
    )
    theta = Parameters(W1=np.array([[-0.4, 0.1], [0.2, -0.6]]), b1=np.array([[0.1, -0.1]]))
    walked = policy.rollout(theta, x, rng.standard_normal((8, 20_000, 2)))
    assert walked.shape == (9, 20_000, 2)
    assert ((walked[1:] - y) ** 2).sum((0, 2)).mean() == pytest.approx(
        policy.at(theta, x[:1], y[:1]).cost, rel=0.02
    )


def test_theta_is_that_of_a_network_without_hidden_layers():
    rng = np.random.default_rng(1)
    policy, network = LinearPolicy(horizon=1, noise=0), MLP([2, 2])
    theta, x, y = network.init(rng), rng.standard_normal((3, 5, 2)), rng.standard_normal((3, 5, 2))
    # one move without noise: the squared error of x + network(x) against the goal
    one, other = policy.at(theta, x, y), network.at(theta, x, y - x)
    np.testing.assert_allclose(one.loss, other.loss)
    np.testing.assert_allclose(one.gradient.flat, other.gradient.flat, atol=1e-14)
    np.testing.assert_allclose(one.hvp(theta).flat, other.hvp(theta).flat, atol=1e-14)


def test_one_newton_step_of_the_constant_part_brings_it_home():
    """The cost is a parabola in b1; where the noise is zero, alpha times its curvature 1 leaves the least
    there can be.
    """
    policy, y = LinearPolicy(horizon=10, noise=0), np.array([[[0.3, -0.4]]])
    theta = Parameters(W1=-0.5 * np.eye(2), b1=np.zeros((1, 2)))
    only = lambda b: Parameters(W1=np.zeros((2, 2)), b1=np.array([b]))
    curvature = policy.at(theta, 0 * y, y).hvp(only([1.0, 0.0]))["b1"]
    reached = (1 - 0.5 ** np.arange(1, 11)) / 0.5  # of b, after each move
    np.testing.assert_allclose(curvature[0, 0], [2 * (reached**2).mean(), 0], atol=1e-15)
    there = adapt(policy, theta, 0 * y, y, inner_lr={"b1": float(1 / curvature[0, 0, 0])})
    np.testing.assert_allclose(policy.at(there, 0 * y, y).gradient["b1"], 0, atol=1e-15)


def test_where_alpha_times_the_curvature_is_above_one_first_order_maml_goes_the_wrong_way():
    """There the adapted copy is beyond the goal, and the gradient at it points away from where the
    meta-gradient does.
    """
    policy, batch = LinearPolicy(horizon=20), Navigation().sample(np.random.default_rng(0), tasks=50)
    bent = Parameters(W1=np.zeros((2, 2)), b1=np.array([[1.0, 0.0]]))
    for k, over in ((0.25, True), (0.9, False)):
        theta = Parameters(W1=-k * np.eye(2), b1=np.full((1, 2), 0.3))
        curvature = policy.at(theta, batch.x_support, batch.y_support).hvp(bent)["b1"][0, 0, 0]
        assert (0.1 * curvature > 1) == over
        meta = meta_gradient(policy, theta, batch, inner_lr={"b1": 0.1})  # the cost is a parabola in b1
        np.testing.assert_allclose(
            meta.gradient["b1"], (1 - 0.1 * curvature) * meta.first_order["b1"], rtol=1e-12
        )


def test_at_rest_the_curvature_is_far_above_what_alpha_bears():
    """After t moves the point is t b away: 2 (1 + 4 + .. + 400) / 20 = 287."""
    policy, x = LinearPolicy(horizon=20), np.zeros((1, 1, 2))
    zeros = policy.init(np.random.default_rng(0)).map(np.zeros_like)
    bent = Parameters(W1=np.zeros((2, 2)), b1=np.array([[1.0, 0.0]]))
    np.testing.assert_allclose(policy.at(zeros, x, x).hvp(bent)["b1"], [[[287.0, 0.0]]], rtol=1e-12)


def test_a_goal_is_told_by_more_inputs_and_then_nothing_is_left_to_adapt():
    policy, rng = LinearPolicy(inputs=4, horizon=6), np.random.default_rng(2)
    x, y = rng.standard_normal((3, 4, 2)), rng.standard_normal((3, 4, 2))
    ideal = Parameters(W1=np.concatenate([-np.eye(2), np.eye(2)]), b1=np.zeros((1, 2)))
    here = policy.at(ideal, np.concatenate([x, y], axis=-1), y)
    np.testing.assert_allclose(here.cost, 6 * 2 * 0.05**2)
    np.testing.assert_allclose(here.gradient.flat, 0, atol=1e-15)


# -- mistakes ------------------------------------------------------------------------------------------------

HARD = LinearPolicy(2, 3, 0.3, 0.8)  # on which every mistake shows


def problem(seed=0):
    rng = np.random.default_rng(seed)
    theta = HARD.init(rng).map(lambda array: array + 0.3 * rng.standard_normal(array.shape))
    v = theta.map(lambda array: rng.standard_normal(array.shape))
    return theta, rng.standard_normal((4, 2)), rng.standard_normal((4, 2)), v


@pytest.mark.parametrize("key", IN_POLICIES)
def test_every_known_mistake_in_place_of_the_right_rule_dies(key, monkeypatch):
    for name, wrong in IN_POLICIES[key].rules[LinearPolicy].items():
        right = getattr(LinearPolicy, name)
        put = lambda self, *given, right=right, wrong=wrong: wrong(partial(right, self), self, *given)
        monkeypatch.setattr(LinearPolicy, name, put)
    errors = [policy_errors(policy, np.random.default_rng(0)) for policy in POLICIES]
    assert max(error for each in errors for error in each.values()) > 1e-3, (
        f"SURVIVOR: {IN_POLICIES[key].sentence}"
    )


@pytest.mark.parametrize(("key", "check"), [("discount", "gradient"), ("M RF", "hvp")])
def test_the_battery_rejects_a_policy_with_a_wrong_rule(key, check):
    rng = np.random.default_rng(0)
    with pytest.raises(ModelRejected) as caught:
        check_model(with_rules(HARD, IN_POLICIES[key].rules[LinearPolicy]), rng, batch=some_tasks(rng))
    assert check in caught.value.failures


def test_the_complex_step_passes_through():
    theta, x, y, v = problem()
    slope = complex_step(lambda theta: HARD.at(theta, x, y).loss, theta, v)
    assert HARD.at(theta, x, y).gradient.dot(v) == pytest.approx(slope, rel=1e-13)


# -- what makes no sense -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: LinearPolicy(horizon=0), ValueError, "horizon is 0, expected at least 1: ask for 1 or more"),
        (lambda: LinearPolicy(inputs=1), ValueError, "inputs is 1, expected at least 2"),
        (lambda: LinearPolicy(noise=-1), ValueError, "noise is -1, expected at least 0"),
        (lambda: LinearPolicy(discount=1.5), ValueError, "discount is 1.5, expected above 0 and at most 1: try 0.99"),
        (lambda: LinearPolicy(discount=0), ValueError, "discount is 0, expected above 0 and at most 1"),
        (lambda: LinearPolicy(discount="high"), TypeError, "discount is 'high', expected a number"),
        (lambda: at(y=np.ones((4, 3))), ValueError, r"y has shape \(4, 3\), expected \(4, 2\)"),
        (lambda: at(x=np.ones((4, 3))), ValueError, r"x has shape \(4, 3\), expected \(n, 2\)"),
        (lambda: at(theta=MLP([3, 2]).init(np.random.default_rng(0))), ValueError,
         r"W1 of theta has shape \(3, 2\), expected"),
        (lambda: at(theta=MLP([2, 4, 2]).init(np.random.default_rng(0))), ValueError,
         r"theta holds .*, expected \['W1', 'b1'\]"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(call, error, sentence):
    with pytest.raises(error, match=f"^{sentence}"):
        call()


def at(theta=None, x=None, y=None):
    right, x_right, y_right, _ = problem()
    HARD.at(
        *(
            given if given is not None else ours
            for given, ours in ((theta, right), (x, x_right), (y, y_right))
        )
    )
