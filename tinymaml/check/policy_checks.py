"""A linear-Gaussian policy against what needs none of its rules: every episode there can be, and the complex step.

    policy_errors(LinearPolicy(), rng)      # {"cost": 1e-16, "gradient": ..., "hvp": ...}

A cost that is quadratic cannot tell a normal e from a coin that shows +1 or -1, as both have mean 0 and variance 1. So the
mean over all throws of the coin is the expected cost, without chance, of walks that know nothing of moments.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from tinymaml import validate
from tinymaml.check.compare import relative_error
from tinymaml.check.derivatives import complex_step
from tinymaml.parameters import Parameters
from tinymaml.policy import PLANE, LinearPolicy


def coins(horizon: int, like: np.ndarray) -> np.ndarray:
    """Every way in which the coins of an episode can fall, each for all rows: (horizon, ways, n, 2), for like (n, ...)."""
    e = np.array(list(product((1.0, -1.0), repeat=horizon * PLANE))).reshape(-1, horizon, 1, PLANE)
    return np.repeat(e, len(like), axis=2).swapaxes(0, 1)


def expected_cost(policy: LinearPolicy, theta: Parameters, x: np.ndarray, y: np.ndarray) -> float:
    """The loss of one task, x (n, inputs) and y (n, 2), as the mean over all ways in which the coins can fall."""
    e = coins(policy.horizon, x)
    many = lambda array: np.broadcast_to(array, (e.shape[1], *array.shape))
    off = policy.walk(theta, many(x), e)[1:] - y
    of_times = (off * off).sum(-1).mean((1, 2))  # (horizon,)
    return sum(policy.discount ** (t - 1) * cost for t, cost in enumerate(of_times, start=1)) / policy.horizon


def policy_errors(policy: LinearPolicy, rng: np.random.Generator, rows: int = 2) -> dict[str, float]:
    """The relative errors of the expected cost, its gradient and its Hessian-vector product, at a random theta and task."""
    validate.generator(rng)
    normal = lambda array: rng.standard_normal(array.shape)
    theta = policy.init(rng).map(lambda array: array + 0.3 * normal(array))
    u, v = theta.map(normal), theta.map(normal)
    x, y = rng.standard_normal((rows, policy.inputs)), rng.standard_normal((rows, PLANE))
    here = policy.at(theta, x, y)
    found = {"cost": relative_error(here.loss, expected_cost(policy, theta, x, y))}
    slope = complex_step(lambda theta: policy.at(theta, x, y).loss, theta, u)
    found["gradient"] = relative_error(here.gradient.dot(u), slope)
    found["hvp"] = relative_error(here.hvp(v), complex_step(lambda theta: policy.at(theta, x, y).gradient, theta, v))
    return found
