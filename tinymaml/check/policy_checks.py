"""Checks of policies by enumerating all episodes, and by complex step. The references involve no random sampling.

    policy_errors(LinearPolicy(), rng)      # {"cost": 1e-16, "gradient": ..., "hvp": ...}
    sample_errors(rng)                      # {"gradient": 1e-16, "dice": ..., ...}

A quadratic cost has the same mean for normal noise e and for e = +1 or -1 with equal probability (Rademacher noise), since
mean and variance agree: the mean over all sign patterns is the expected cost, without moments. A sampled Hessian is a
polynomial of degree four in each e, so its mean is exact for the 6 equally likely values 0, 0, 0, 0, sqrt 3, -sqrt 3, whose
first five moments are those of a standard normal variable (Gauss-Hermite quadrature).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np

from tinymaml import validate
from tinymaml.check.compare import relative_error
from tinymaml.check.derivatives import complex_step
from tinymaml.nn.models import MLP
from tinymaml.parameters import Parameters
from tinymaml.rl.exact import DIM, LinearPolicy
from tinymaml.rl.sampled import SampledPolicy

QUADRATURE = (0.0, 0.0, 0.0, 0.0, 3**0.5, -(3**0.5))  # equally likely; their moments up to order 5 are those of N(0, 1)


def rademacher_noise(horizon: int, like: np.ndarray) -> np.ndarray:
    """All sign patterns of the noise of an episode, repeated for the n rows of `like`: (horizon, patterns, n, 2)."""
    e = np.array(list(product((1.0, -1.0), repeat=horizon * DIM))).reshape(-1, horizon, 1, DIM)
    return np.repeat(e, len(like), axis=2).swapaxes(0, 1)


def expected_cost(policy: LinearPolicy, theta: Parameters, x: np.ndarray, y: np.ndarray) -> float:
    """The loss of one task, x (n, inputs) and y (n, 2), as the mean over all sign patterns of the noise."""
    e = rademacher_noise(policy.horizon, x)
    tile = lambda array: np.broadcast_to(array, (e.shape[1], *array.shape))
    error = policy.rollout(theta, tile(x), e)[1:] - y
    costs = (error * error).sum(-1).mean((1, 2))  # (horizon,)
    return sum(policy.discount ** (t - 1) * cost for t, cost in enumerate(costs, start=1)) / policy.horizon


def policy_errors(policy: LinearPolicy, rng: np.random.Generator, rows: int = 2) -> dict[str, float]:
    """The relative errors of the expected cost, its gradient and its Hessian-vector product, at a random theta and task."""
    validate.generator(rng)
    normal = lambda array: rng.standard_normal(array.shape)
    theta = policy.init(rng).map(lambda array: array + 0.3 * normal(array))
    u, v = theta.map(normal), theta.map(normal)
    x, y = rng.standard_normal((rows, policy.inputs)), rng.standard_normal((rows, DIM))
    here = policy.at(theta, x, y)
    found = {"cost": relative_error(here.loss, expected_cost(policy, theta, x, y))}
    slope = complex_step(lambda theta: policy.at(theta, x, y).loss, theta, u)
    found["gradient"] = relative_error(here.gradient.dot(u), slope)
    found["hvp"] = relative_error(here.hvp(v), complex_step(lambda theta: policy.at(theta, x, y).gradient, theta, v))
    return found


def surrogate_loss(policy: SampledPolicy, theta: Parameters, x: np.ndarray, y: np.ndarray) -> Callable[[Parameters], np.ndarray]:
    """The surrogate loss (T,), a function of other parameters; its derivatives at theta are the estimates of `policy`.

    The episodes drawn at theta are fixed. The weight of a move depends on the ratio of its probabilities under the other
    parameters and under theta: the logarithm of the ratio (surrogate), the ratio (lvc), or the product of the ratios up to
    this move (dice).
    """
    here = policy.at(theta, x, y)
    observations = here.positions[..., :-1, :]
    mean = lambda theta: policy.network.predict(theta, observations.reshape(*x.shape[:-2], -1, DIM)).reshape(here.e.shape)
    moves = mean(theta) + policy.noise * here.e

    def loss(other: Parameters) -> np.ndarray:
        deviation = (moves - mean(other)) / policy.noise
        ratio = (here.e**2 - deviation**2).sum(-1) / 2  # log pi(a | s) minus its value at theta, (T, n, horizon)
        if policy.hessian == "dice":
            terms = here.c * np.exp(np.cumsum(ratio, axis=-1)) - here.b * np.exp(ratio)
        else:
            terms = (here.C - here.b) * (np.exp(ratio) if policy.hessian == "lvc" else ratio)
        return terms.sum(-1).mean(-1) / policy.horizon

    return loss


def quadrature_points(horizon: int, start: np.ndarray, goal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x (1, 36^horizon, 2 + 2 horizon) and y (1, ..., 2) for a `SampledPolicy`: one task, each combination of noise once."""
    noise = np.array(list(product(QUADRATURE, repeat=horizon * DIM)))
    repeat = lambda position: np.broadcast_to(position, (len(noise), DIM))
    return np.concatenate([repeat(start), noise], axis=-1)[None], np.array(repeat(goal))[None]


def sample_errors(rng: np.random.Generator) -> dict[str, float]:
    """The relative errors of the means of the estimators, at a random theta, start, goal and baseline.

    gradient, dice    against `LinearPolicy`, over two moves
    lvc               against `LinearPolicy`, over one move, where it is unbiased
    surrogate         against -E c / sigma^2 z z^T, over one move
    """
    validate.generator(rng)
    network = MLP([DIM, DIM])
    theta = network.init(rng)
    v, start, goal = theta.map(lambda array: rng.standard_normal(array.shape)), *rng.standard_normal((2, DIM))
    slope = rng.standard_normal((DIM, 1))
    baseline = lambda C, observations, y: 1 + (observations @ slope)[..., 0]  # depends only on the state before the move
    found = {}
    for horizon in (1, 2):
        exact = LinearPolicy(DIM, horizon, 0.5, 0.8).at(theta, start[None, None], goal[None, None])
        policy = SampledPolicy(network, horizon, 0.5, 0.8, baseline=baseline)
        x, y = quadrature_points(horizon, start, goal)
        at = lambda policy, x=x, y=y: policy.at(theta, x, y)
        if horizon == 2:
            found["gradient"] = relative_error(at(policy).gradient, exact.gradient)
            found["dice"] = relative_error(at(policy).hvp(v), exact.hvp(v))
        else:
            found["lvc"] = relative_error(at(replace(policy, hessian="lvc")).hvp(v), exact.hvp(v))
            z = np.append(start, 1)
            H_v = -exact.loss / 0.5**2 * np.outer(z, z @ np.concatenate([v["W1"], v["b1"]]))
            mine = at(replace(policy, hessian="surrogate", baseline=None)).hvp(v)
            found["surrogate"] = relative_error(mine, Parameters(W1=H_v[None, :2], b1=H_v[None, 2:]))
    return found
