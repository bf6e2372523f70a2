"""Two tasks that are parabolas, h/2 (t - c)^2: where each method ends is a formula, and none ends where another does.

In every method a task pulls t towards its centre c with a weight that hangs on its curvature h, so that t comes to rest at
sum w c / sum w. Pre-training listens to the steep task; MAML, to which a steep task is one that adapts well, to the flat one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tinymaml import validate
from tinymaml.parameters import Parameters
from tinymaml.tasks import TaskBatch

CURVATURES, CENTRES = (1.0, 9.0), (-1.0, 1.0)

# the weight of a task of curvature h after K inner steps at alpha, or with the spring lambda, by the name of the method
WEIGHTS: dict[str, Callable[[np.ndarray, float, int, float], np.ndarray]] = {
    "pretraining": lambda h, alpha, K, spring: h,
    "maml": lambda h, alpha, K, spring: h * (1 - alpha * h) ** (2 * K),
    "first-order": lambda h, alpha, K, spring: h * (1 - alpha * h) ** K,
    "reptile": lambda h, alpha, K, spring: 1 - (1 - alpha * h) ** K,
    "imaml": lambda h, alpha, K, spring: h * (spring / (spring + h)) ** 2,
}


def weights(method: str, alpha: float, *, steps: int = 1, strength: float = 1.0) -> np.ndarray:
    """What each of the two tasks counts with in a method. strength: lambda of eq. 22."""
    validate.one_of("method", method, WEIGHTS)
    alpha, strength = validate.rate("alpha", alpha, 0.1), validate.rate("strength", strength)
    return WEIGHTS[method](np.array(CURVATURES), alpha, validate.count("steps", steps), strength)


def fixed_point(method: str, alpha: float, *, steps: int = 1, strength: float = 1.0) -> float:
    """Where theta comes to rest: sum w c / sum w. It is stable if the sum of the weights is above zero."""
    w = weights(method, alpha, steps=steps, strength=strength)
    return float(w @ np.array(CENTRES) / w.sum())


def tasks() -> TaskBatch:
    """The two tasks, each with itself for support and for query set: x is h and y is c, (2, 1, 1)."""
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
        """The parabolas seen from t; TypeError or ValueError if x, y and theta do not fit."""
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
