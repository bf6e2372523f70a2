"""Golden fixtures: integer examples on a minimal model, which can be worked by hand and must match exactly.

The model is linear without bias and the loss is 1/2 (x.w - y)^2, so its Hessian is x x^T. It shares no code with the
networks: `maml.py` is model-agnostic if it gives these integers. (They do not test the curvature of activations.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tinymaml import validate
from tinymaml.maml import adapt, meta_gradient
from tinymaml.parameters import Parameters
from tinymaml.tasks import TaskBatch


@dataclass(frozen=True)
class Linear:
    """prediction = x w with w (d, 1); loss = mean over the n examples of 1/2 (x w - y)^2, y (..., n, 1)."""

    inputs: int = 3

    def init(self, rng: np.random.Generator, dtype: type = np.float64) -> Parameters:
        """A random w."""
        rng, dtype = validate.generator(rng), validate.precision(dtype)
        return Parameters(w=rng.standard_normal((self.inputs, 1)).astype(dtype))

    def at(self, theta: Parameters, x: np.ndarray, y: np.ndarray) -> LinearSurface:
        """The loss surface at theta; TypeError or ValueError if x, y and theta do not fit."""
        validate.examples(x, validate.floats("y", y), self.inputs)
        validate.fitting("theta", theta, {"w": (self.inputs, 1)}, x)
        return LinearSurface(theta["w"], x.copy(), y)


class LinearSurface:
    """loss, gradient and hvp of `Linear`; the loss is quadratic, with the Hessian x^T x / n."""

    def __init__(self, w: np.ndarray, x: np.ndarray, y: np.ndarray):
        self.x, self.prediction = x, x @ w  # (T, n, 1)
        error = self.prediction - y
        self.loss = (error * error / 2).mean((-2, -1))  # (T,)
        self.gradient = self._back(error)

    def hvp(self, v: Parameters) -> Parameters:
        """H v = x^T (x v) / n."""
        return self._back(self.x @ v["w"])

    def _back(self, error: np.ndarray) -> Parameters:
        return Parameters(w=self.x.swapaxes(-1, -2) @ error / self.x.shape[-2])  # (T, d, 1)


W, SUPPORT, QUERY = [2, 3, 5], [1, 2, 3], [4, 5, 6]

# one step with alpha = 0.5 from w, both losses 1/2 (w.x)^2
ONE_STEP_RATE = 0.5
ONE_STEP_ADAPTED = [-9.5, -20, -29.5]
ONE_STEP_FIRST_ORDER = [-1260, -1575, -1890]  # the exact meta-gradient has the opposite sign
ONE_STEP_META_GRADIENT = [3780, 8505, 13230]

# three steps with alpha = 1, query loss w'''.x
THREE_STEP_RATE = 1.0
THREE_STEP_ADAPTED = [-3609, -7219, -10828]
THREE_STEP_VALUE = -115499
THREE_STEP_META_GRADIENT = [-5020, -10043, -15066]


def fixtures() -> Iterator[tuple[str, np.ndarray, list]]:
    """(name, the result of `maml.py`, the expected integers), to compare with ==."""
    model, theta = Linear(), Parameters(w=np.array(W, float)[:, None])
    row = lambda numbers: np.array(numbers, float).reshape(1, 1, -1)  # one task, one example
    zero, flat = row([0]), lambda parameters: parameters["w"].ravel()

    inner = {"inner_lr": ONE_STEP_RATE, "steps": 1}
    meta = meta_gradient(model, theta, TaskBatch(row(SUPPORT), zero, row(QUERY), zero), **inner)
    yield "one step: w'", flat(adapt(model, theta, row(SUPPORT), zero, **inner)), ONE_STEP_ADAPTED
    yield "one step: first-order", flat(meta.first_order), ONE_STEP_FIRST_ORDER
    yield "one step: meta-gradient", flat(meta.gradient), ONE_STEP_META_GRADIENT

    # with a target of prediction - 1, the gradient of 1/2 (w.x - y)^2 is x
    inner = {"inner_lr": THREE_STEP_RATE, "steps": 3}
    adapted = adapt(model, theta, row(SUPPORT), zero, **inner)
    value = row(QUERY) @ adapted["w"]
    meta = meta_gradient(model, theta, TaskBatch(row(SUPPORT), zero, row(QUERY), value - 1), **inner)
    yield "three steps: w'''", flat(adapted), THREE_STEP_ADAPTED
    yield "three steps: w'''.x", value.ravel(), [THREE_STEP_VALUE]
    yield "three steps: meta-gradient", flat(meta.gradient), THREE_STEP_META_GRADIENT
