"""Sampled policies: what each estimator has for its mean, by every throw of the dice; a bandit in closed
form; a neural one.
"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import few, seeds

from tinymaml import MLP, Parameters, adapt, meta_gradient
from tinymaml.check import complex_step, relative_error
from tinymaml.check.policy_checks import QUADRATURE, quadrature_points, sample_errors
from tinymaml.nn.chain import Chain
from tinymaml.nn.convolution import FixedLinear
from tinymaml.nn.layers import Affine, Elementwise
from tinymaml.nn.network import Network
from tinymaml.nn.normalisation import BatchNorm
from tinymaml.nn.recurrent import Recurrent
from tinymaml.rl.exact import LinearPolicy
from tinymaml.rl.sampled import (
    COSTS,
    HESSIAN_ESTIMATORS,
    SampledPolicy,
    cost_to_go,
    leave_one_out_baseline,
    with_noise,
)
from tinymaml.tasks import Navigation, TaskBatch

LINEAR = MLP([2, 2])


def test_a_die_has_the_moments_of_a_normal_number():
    np.testing.assert_allclose(
        [np.mean(np.array(QUADRATURE) ** k) for k in range(6)], [1, 0, 1, 0, 3, 0], atol=1e-15
    )


@few
@given(seeds)
def test_the_gradient_and_the_hessian_of_dice_are_exact_in_the_mean(seed):
    assert max(sample_errors(np.random.default_rng(seed)).values()) < 1e-11


@pytest.mark.parametrize("key", ["lvc", "surrogate"])
def test_the_other_hessians_are_not_exact_over_two_moves(key):
    rng = np.random.default_rng(0)
    theta = LINEAR.init(rng)
    start, goal, v = (
        np.array([0.3, -0.2]),
        np.array([0.4, 0.5]),
        theta.map(lambda array: rng.standard_normal(array.shape)),
    )
    exact = LinearPolicy(horizon=2, noise=0.3).at(theta, start[None, None], goal[None, None]).hvp(v)
    mine = (
        SampledPolicy(LINEAR, 2, 0.3, hessian=key, baseline=None)
        .at(theta, *quadrature_points(2, start, goal))
        .hvp(v)
    )
    assert relative_error(mine, exact) > 0.1


# -- one move, from the origin: mu is b1, the cost |mu + sigma e - g|^2 --------------------------------------

SIGMA, ALPHA, GOAL = 0.3, 0.2, np.array([-0.3, -0.5])  # |mu - g|^2 = 0.34 at mu = 0


def bandit(hessian="dice", baseline=None, first_order=False):
    """The coefficient of the meta-gradient along mu - g, with every throw of the dice in the support and in
    the query set.
    """
    policy, theta = SampledPolicy(LINEAR, 1, SIGMA, hessian=hessian, baseline=baseline), Parameters(
        W1=np.zeros((2, 2)), b1=np.zeros((1, 2))
    )
    x, y = quadrature_points(1, np.zeros(2), GOAL)
    meta = meta_gradient(policy, theta, TaskBatch(x, y, x, y), inner_lr=ALPHA, first_order=first_order)
    along = -meta.gradient["b1"][0] / -GOAL
    assert along[0] == pytest.approx(along[1], rel=1e-12)
    return along[0]


def test_the_bandit_in_closed_form():
    assert bandit() == pytest.approx(-2 * (1 - 2 * ALPHA) ** 2, abs=1e-12) == pytest.approx(-0.72, abs=1e-12)
    # with a single move there is nothing that it leaves out
    assert bandit("lvc") == pytest.approx(-0.72, abs=1e-12)
    assert bandit(first_order=True) == pytest.approx(-1.2, abs=1e-12)
    paid = 0.34 + 2 * SIGMA**2
    assert bandit("surrogate") == pytest.approx(-1.2 * (1 + ALPHA * paid / SIGMA**2), abs=1e-12)
    assert bandit("surrogate") == pytest.approx(-2.587, abs=5e-4)
    # with the exact baseline, the mean cost, the surrogate's Hessian is zero in the mean: first-order MAML
    assert bandit("surrogate", baseline=lambda C, seen, y: paid + 0 * C) == pytest.approx(-1.2, abs=1e-12)


def test_the_bandit_with_the_expectation_over_support_sets_outside():
    """E-MAML (Stadie 2018): the noise of 20 samples' gradient makes the adapted mean uncertain, the more the
    farther the goal.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(8)
    e = np.stack(np.meshgrid(nodes, nodes), axis=-1).reshape(-1, 2)
    w = np.outer(weights, weights).ravel() / weights.sum() ** 2

    def meta_loss(mu):
        g_hat = (((mu + SIGMA * e - GOAL) ** 2).sum(-1) / SIGMA)[:, None] * e  # of one sample
        mean = w @ g_hat
        spread = w @ (g_hat**2).sum(-1) - (mean**2).sum()
        off = mu - ALPHA * mean - GOAL
        return (off**2).sum() + ALPHA**2 * spread / 20

    found = complex_step(meta_loss, np.zeros(2), np.array([1.0, 0.0]))
    assert -found / -GOAL[0] == pytest.approx(-0.892, abs=5e-4)


# -- what is drawn -------------------------------------------------------------------------------------------


def some_episodes(horizon=5, shots=3, queries=4, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return with_noise(
        Navigation(horizon=horizon).sample(rng, tasks=2, shots=shots, queries=queries, dtype=dtype),
        rng,
        horizon,
    )


def test_the_same_dice_walk_the_same_way_in_both_forms_of_the_policy():
    batch, linear = some_episodes(), LinearPolicy(horizon=5)
    theta = linear.init(np.random.default_rng(1))
    here = SampledPolicy(LINEAR, 5).at(theta, batch.x_query, batch.y_query)
    dice = np.moveaxis(batch.x_query[..., 2:].reshape(2, 4, 5, 2), 2, 0)
    walked = linear.rollout(theta, batch.x_query[..., :2], dice)
    np.testing.assert_allclose(np.moveaxis(here.positions, 2, 0), walked, atol=1e-15)
    np.testing.assert_allclose(here.cost, ((walked[1:] - batch.y_query) ** 2).sum((0, 3)).mean(-1))


def test_the_adapted_policy_draws_episodes_of_its_own_with_the_same_dice():
    policy, batch = SampledPolicy(LINEAR, 5), some_episodes()
    theta = LinearPolicy().init(np.random.default_rng(1))
    adapted = adapt(policy, theta, batch.x_support, batch.y_support, inner_lr=0.01)
    one, other = (policy.at(each, batch.x_query, batch.y_query) for each in (theta, adapted))
    assert not np.allclose(one.positions, other.positions) and np.array_equal(one.e, other.e)
    again = adapt(policy, theta, batch.x_support, batch.y_support, inner_lr=0.01)
    np.testing.assert_array_equal(adapted.flat, again.flat)


def test_tasks_do_not_mix_and_float32_stays():
    policy, batch = SampledPolicy(MLP([2, 5, 2], "tanh"), 5, max_step=0.1, cost="distance"), some_episodes()
    theta = policy.init(np.random.default_rng(1))
    x, y, both = batch.x_support, batch.y_support, policy.at(theta, batch.x_support, batch.y_support)
    alone = policy.at(theta, x[1:], y[1:])
    for mine, other in ((both.gradient, alone.gradient), (both.hvp(theta), alone.hvp(theta))):
        np.testing.assert_allclose(mine.task(1).flat, other.task(0).flat, atol=1e-13)
    single = policy.at(theta.astype(np.float32), x.astype(np.float32), y.astype(np.float32))
    assert (
        single.loss.dtype == single.gradient.dtype == single.hvp(theta.astype(np.float32)).dtype == np.float32
    )
    np.testing.assert_allclose(single.gradient.flat, both.gradient.flat, rtol=1e-3, atol=1e-3)


def test_moves_are_cut_off_by_the_world_and_the_distance_is_paid():
    batch = some_episodes(horizon=50)
    policy = SampledPolicy(LINEAR, 50, 0.2, max_step=0.1, cost="distance")
    theta = LINEAR.init(np.random.default_rng(0))
    here = policy.at(theta, batch.x_query, batch.y_query)
    moves = np.diff(here.positions, axis=2)
    assert np.abs(moves).max() == pytest.approx(0.1) and (np.abs(np.abs(moves) - 0.1) < 1e-12).mean() > 0.1
    off = here.positions[:, :, 1:] - batch.y_query[:, :, None]
    np.testing.assert_allclose(here.c, np.hypot(off[..., 0], off[..., 1]))


def test_the_baseline_is_of_the_other_episodes():
    C = np.arange(6.0).reshape(1, 3, 2)
    np.testing.assert_array_equal(leave_one_out_baseline(C, None, None), [[[3, 4], [2, 3], [1, 2]]])
    np.testing.assert_array_equal(cost_to_go(np.array([1.0, 2.0, 4.0])), [7, 6, 4])


def test_every_estimate_of_a_hessian_is_symmetric():
    """S_t S_t^T of each time is, on every sample: u.Hv = v.Hu."""
    batch, rng = some_episodes(), np.random.default_rng(2)
    for hessian in HESSIAN_ESTIMATORS:
        policy = SampledPolicy(MLP([2, 4, 2], "tanh"), 5, hessian=hessian)
        theta = policy.init(rng)
        here = policy.at(theta, batch.x_support, batch.y_support)
        u, v = (theta.map(lambda array: rng.standard_normal(array.shape)) for _ in range(2))
        one, other = here.hvp(v).task(0).dot(u), here.hvp(u).task(0).dot(v)
        assert one == pytest.approx(other, rel=1e-9)


@few
@given(seeds, st.sampled_from(sorted(COSTS)))
def test_in_a_mirrored_world_the_point_walks_the_mirrored_way(seed, price):
    """With starts, dice, goals and the policy turned about the origin: whatever is cut off is cut off on both
    sides.
    """
    rng = np.random.default_rng(seed)
    policy = SampledPolicy(LINEAR, 8, 0.5, max_step=0.4, cost=price)
    theta = LINEAR.init(rng)
    x, y = rng.standard_normal((2, 6, 18)), rng.standard_normal((2, 6, 2))
    here, there = policy.at(theta, x, y), policy.at(Parameters(W1=theta["W1"], b1=-theta["b1"]), -x, -y)
    np.testing.assert_allclose(there.positions, -here.positions, atol=1e-12)
    np.testing.assert_allclose(there.c, here.c, atol=1e-12)
    wanted = here.positions[:, :, :-1] @ theta["W1"] + theta["b1"] + 0.5 * x[..., 2:].reshape(2, 6, 8, 2)
    cut = np.where(wanted > 0.4, 0.4, np.where(wanted < -0.4, -0.4, wanted))
    np.testing.assert_allclose(np.diff(here.positions, axis=2), cut, atol=1e-12)


@few
@given(seeds)
def test_what_every_distance_costs(seed):
    """A policy that stands still pays the same after every move."""
    rng = np.random.default_rng(seed)
    start, goal, still = rng.standard_normal((20, 2)), rng.standard_normal((20, 2)), LINEAR.init(rng) * 0.0
    d = np.hypot(*(start - goal).T)
    for price, paid in {"squared": d**2, "distance": d, "saturated": np.where(d < 2, d, 4)}.items():
        here = SampledPolicy(LINEAR, 3, cost=price).at(
            still, np.concatenate([start, np.zeros((20, 6))], axis=1), goal
        )
        np.testing.assert_allclose(here.c, paid[:, None] + np.zeros(3), rtol=1e-12)


# -- mistakes ------------------------------------------------------------------------------------------------


def test_a_baseline_that_depends_on_the_action_has_another_mean():
    """Half of the own cost to go, say: half of the gradient is gone. One of what was known before the move
    changes nothing.
    """
    theta, start, goal = LINEAR.init(np.random.default_rng(1)), np.array([0.1, 0.2]), np.array([0.4, -0.3])
    exact = LinearPolicy(horizon=2, noise=0.3).at(theta, start[None, None], goal[None, None]).gradient
    x, y = quadrature_points(2, start, goal)
    with_baseline = lambda b: SampledPolicy(LINEAR, 2, 0.3, baseline=b).at(theta, x, y).gradient
    assert relative_error(with_baseline(lambda C, seen, y: C / 2), 0.5 * exact) < 1e-12
    assert relative_error(with_baseline(lambda C, seen, y: np.cos(seen[..., 0])), exact) < 1e-11


# -- a neural policy -----------------------------------------------------------------------------------------


def test_a_neural_policy_is_adapted_by_the_same_lines():
    """Seeds 0 to 9: the cost falls in every task of the four."""
    rng = np.random.default_rng(0)
    policy = SampledPolicy(MLP([2, 16, 16, 2], "tanh"), 10, 0.1, max_step=0.1, cost="distance")
    theta = policy.init(rng) * 0.1
    batch = with_noise(Navigation(horizon=10).sample(rng, tasks=4, shots=200, queries=200), rng, 10)
    batch = replace(batch, y_support=0 * batch.y_support + 0.5, y_query=0 * batch.y_query + 0.5)
    before = policy.at(theta, batch.x_query, batch.y_query).cost
    adapted = adapt(policy, theta, batch.x_support, batch.y_support, inner_lr=0.5, steps=3)
    assert (policy.at(adapted, batch.x_query, batch.y_query).cost < before - 0.5).all()


# -- what makes no sense -------------------------------------------------------------------------------------


class Contrast(FixedLinear):
    """A layer of a user's own: each row less the mean of all."""

    def forward(self, p, a):
        return a - a.mean(-2, keepdims=True), None

    def backward(self, p, tape, D):
        return D - D.mean(-2, keepdims=True), {}


NORMED = [Affine(2, 3, 1), BatchNorm(3, 1), Elementwise("relu", 1), Affine(3, 2, 2)]
LOOKING_ASIDE = [
    MLP([2, 3, 2], norm="batch"), MLP([2, 1, 1, 2], "relu", norm="batch"), Network([Chain([Chain(NORMED)])]),
    Network([Affine(2, 2), Contrast()]), Network([Contrast(), Affine(2, 2)]),
    Network([Recurrent(Chain([Affine(4, 2, "h"), BatchNorm(2, "h")]), 1)]),
]  # fmt: skip


def test_layer_norm_and_a_recurrent_cell_look_at_their_own_row_only():
    for network in (
        MLP([2, 3, 2], norm="layer"),
        Network([Recurrent(Chain([Affine(4, 2, "h"), Elementwise("tanh")]), 1)]),
    ):
        SampledPolicy(network)


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: SampledPolicy(LINEAR, horizon=0), ValueError, "horizon is 0, expected at least 1"),
        (lambda: SampledPolicy(LINEAR, discount=1.1), ValueError,
         "discount is 1.1, expected above 0 and at most 1"),
        (lambda: SampledPolicy(LINEAR, noise=0), ValueError,
         "noise is 0, expected a finite number above zero"),
        (lambda: SampledPolicy(MLP([3, 2])), ValueError,
         "the network has 3 inputs and 2 outputs, expected 2 and 2"),
        *((lambda network=network: SampledPolicy(network), ValueError,
         "the network's output for a row depends on the other")
          for network in LOOKING_ASIDE),
        (lambda: SampledPolicy(LINEAR, hessian="exact"), ValueError,
         "unknown hessian 'exact': choose one of surrogate, lvc"),
        (lambda: SampledPolicy(LINEAR, baseline=0), TypeError, "baseline is 0, expected a function"),
        (lambda: SampledPolicy(LINEAR, max_step=-1), ValueError,
         "max_step is -1, expected a finite number above zero"),
        (lambda: drawn(shots=1), ValueError, "there is 1 episode per task, expected 2 or more"),
        (lambda: drawn(horizon=4), ValueError, r"x has shape \(2, 3, 10\), expected \(n, 12\)"),
        (lambda: with_noise(some_episodes(), 0, 3), TypeError, "rng is 0, expected a NumPy Generator"),
        (lambda: with_noise(some_episodes(), np.random.default_rng(0), 0), ValueError,
         "horizon is 0, expected at least 1"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(call, error, sentence):
    with pytest.raises(error, match=f"^{sentence}"):
        call()


def drawn(horizon=5, **sizes):
    batch = some_episodes(horizon, **sizes)
    return (
        SampledPolicy(LINEAR, 5)
        .at(LINEAR.init(np.random.default_rng(0)), batch.x_support, batch.y_support)
        .gradient
    )
