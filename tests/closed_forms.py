"""Two tasks whose losses are parabolas, h/2 (t - c)^2: the fixed point of each method is a formula, and all differ.

In every method a task pulls t towards its centre c with a weight w that depends on its curvature h, so the fixed point is
sum w c / sum w. Pre-training follows the steep task; MAML follows the flat one, since a steep task adapts well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tinymaml import validate
from tinymaml.parameters import Parameters
from tinymaml.tasks import TaskBatch

CURVATURES, CENTRES = (1.0, 9.0), (-1.0, 1.0)

# the weight of a task of curvature h after K inner steps at alpha, or with the proximal weight lambda, by method
WEIGHTS: dict[str, Callable[[np.ndarray, float, int, float], np.ndarray]] = {
    "pretraining": lambda h, alpha, K, lam: h,
    "maml": lambda h, alpha, K, lam: h * (1 - alpha * h) ** (2 * K),
    "first-order": lambda h, alpha, K, lam: h * (1 - alpha * h) ** K,
    "reptile": lambda h, alpha, K, lam: 1 - (1 - alpha * h) ** K,
    "imaml": lambda h, alpha, K, lam: h * (lam / (lam + h)) ** 2,
}


def weights(method: str, alpha: float, *, steps: int = 1, strength: float = 1.0) -> np.ndarray:
    """The weights of the two tasks in a method. strength: lambda of eq. 22."""
    validate.one_of("method", method, WEIGHTS)
    alpha, strength = validate.rate("alpha", alpha, 0.1), validate.rate("strength", strength)
    return WEIGHTS[method](np.array(CURVATURES), alpha, validate.count("steps", steps), strength)


def fixed_point(method: str, alpha: float, *, steps: int = 1, strength: float = 1.0) -> float:
    """The fixed point of theta, sum w c / sum w: stable if the sum of the weights is positive."""
    w = weights(method, alpha, steps=steps, strength=strength)
    return float(w @ np.array(CENTRES) / w.sum())


def tasks() -> TaskBatch:
    """The two tasks, with the same support and query set: x is h and y is c, (2, 1, 1)."""
    h, c = (np.array(values)[:, None, None] for values in (CURVATURES, CENTRES))
    return TaskBatch(h, c, h, c)


@dataclass(frozen=True)
class Parabola:
    """loss = mean over the n examples of h/2 (t - c)^2 with the single number t (1, 1); h = x and c = y, both (..., n, 1)."""

    def init(self, rng: np.random.Generator, dtype: type = np.float64) -> Parameters:
        """A random t."""
        rng, dtype = validate.generator(rng), validate.precision(dtype)
        return Parameters(t=rng.standard_normal((1, 1)).astype(dtype))

    def at(self, theta: Parameters, x: np.ndarray, y: np.ndarray) -> Slope:
        """The parabolas at t; TypeError or ValueError if x, y and theta do not fit."""
        validate.examples(x, validate.floats("y", y), 1)
        validate.fitting("theta", theta, {"t": (1, 1)}, x)
        return Slope(theta["t"], x.copy(), y)


class Slope:
    """loss, gradient and hvp of `Parabola`."""

    def __init__(self, t: np.ndarray, h: np.ndarray, c: np.ndarray):
        self.h = h
        self.loss = (h / 2 * (t - c) ** 2).mean((-2, -1))  # (T,)
        self.gradient = self._mean(h * (t - c))

    def hvp(self, v: Parameters) -> Parameters:
        """H v, with H the mean of h."""
        return self._mean(self.h * v["t"])

    def _mean(self, of_examples: np.ndarray) -> Parameters:
        return Parameters(t=of_examples.mean(-2, keepdims=True))  # (T, 1, 1)
