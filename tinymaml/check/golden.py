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


def fixtures() -> Iterator[tuple[str, np.ndarray, list]]:
    """(name, the result of `maml.py`, the expected integers), to compare with ==."""
    row = lambda *numbers: np.array(numbers, float).reshape(1, 1, -1)  # one task, one example
    flat = lambda parameters: parameters["w"].ravel()
    model, theta = Linear(), Parameters(w=np.array([[2.0], [3.0], [5.0]]))
    x, xq, zero = row(1, 2, 3), row(4, 5, 6), row(0)

    # one step with alpha = 0.5, both losses 1/2 (w.x)^2
    meta = meta_gradient(model, theta, TaskBatch(x, zero, xq, zero), inner_lr=0.5)
    yield "one step: w'", flat(adapt(model, theta, x, zero, inner_lr=0.5)), [-9.5, -20, -29.5]
    yield "one step: first-order", flat(meta.first_order), [-1260, -1575, -1890]
    yield "one step: meta-gradient", flat(meta.gradient), [3780, 8505, 13230]  # the opposite sign

    # three steps with alpha = 1, query loss w'''.x: with the target prediction - 1, the gradient of 1/2 (w.x - y)^2 is x
    adapted = adapt(model, theta, x, zero, inner_lr=1.0, steps=3)
    value = xq @ adapted["w"]
    meta = meta_gradient(model, theta, TaskBatch(x, zero, xq, value - 1), inner_lr=1.0, steps=3)
    yield "three steps: w'''", flat(adapted), [-3609, -7219, -10828]
    yield "three steps: w'''.x", value.ravel(), [-115499]
    yield "three steps: meta-gradient", flat(meta.gradient), [-5020, -10043, -15066]
