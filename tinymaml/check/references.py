"""Gradients of a task, of a query loss through the inner loop and of the meta-loss, from values of the loss alone.

They ask a model for `at(theta, x, y).loss` with a task axis and complex theta, and trust none of its derivatives
(`meta_gradient_by_complex_step` alone trusts its gradient). All are for small models: the cost grows with P, the
number of parameters, or with its square.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinymaml import validate
from tinymaml.check.compare import close
from tinymaml.check.derivatives import STENCILS, STEP, entries, gradient_at_once, spread, steady_step
from tinymaml.maml import Model, Rates, adapt
from tinymaml.parameters import Parameters
from tinymaml.tasks import TaskBatch

Examples = tuple[np.ndarray, np.ndarray]  # x (n, ...), y (n, ...): one task, no task axis


def losses(model: Model, thetas: Parameters, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The loss of one task, x (n, ...) and y (n, ...), at each of C thetas (C, ...): (C,)."""
    copies = len(next(iter(thetas.values())))
    return model.at(thetas, *(np.broadcast_to(array, (copies, *array.shape)) for array in (x, y))).loss


def loss_gradient(model: Model, theta: Parameters, x: np.ndarray, y: np.ndarray) -> Parameters:
    """The gradient of one task's loss by complex step, to rounding."""
    validate.model(model)
    validate.parameters("theta", theta)
    for name, array in (("x", x), ("y", y)):
        validate.floats(name, array)
    return gradient_at_once(lambda thetas: losses(model, thetas, x, y), theta)


def query_gradient(
    model: Model, theta: Parameters, support: Examples, query: Examples, *, inner_lr: Rates, steps: int
) -> Parameters:
    """The derivative of one task's query loss after `steps` inner steps from theta: u_k of eq. 12 has steps = K - k left.

    The outer derivative is a complex step, entry by entry; the gradients inside are 8-point differences, which remain
    valid at complex theta. Relative error 1e-10 or better; P^2 values of the loss for each step.
    """

    stencil = entries(theta).map(lambda unit: np.concatenate([k * unit for k in (1, -1, 2, -2, 3, -3, 4, -4)]))  # (8 P, ...)
    weights = np.array([sign * weight for weight in STENCILS[8] for sign in (1, -1)])  # (8,)

    def gradient(theta: Parameters, h: float) -> Parameters:
        """Of the support loss: 8 values for each entry."""
        values = losses(model, theta + h * stencil, *support).reshape(8, -1)  # (8, P)
        return theta.unflatten(weights @ values / h)

    sizes, path = [], theta  # a step h for each inner step, found on the real path
    for _ in range(steps):
        sizes.append(steady_step(lambda h, here=path: gradient(here, h)))
        slope = loss_gradient(model, path, *support)
        if not close(gradient(path, sizes[-1]), slope):
            raise ValueError(
                "theta stands on a kink (a pre-activation of relu is zero, as with x = 0 and zero biases), so there is no "
                "second derivative to compare with: move x or the biases a little"
            )
        path = path - inner_lr * slope

    def query_losses(thetas: Parameters) -> np.ndarray:
        ends = []
        for entry in range(theta.size):
            moved = thetas.task(entry)
            for h in sizes:
                moved = moved - inner_lr * gradient(moved, h)
            ends.append(losses(model, moved.map(lambda array: array[None]), *query)[0])
        return np.array(ends)

    return gradient_at_once(query_losses, theta)


def meta_gradient_by_complex_step(
    model: Model, theta: Parameters, batch: TaskBatch, *, inner_lr: Rates, steps: int
) -> Parameters:
    """The gradient of the meta-loss, every entry of theta at once: what eq. 13 should give, to rounding.

    It differentiates the inner loop as it runs, `adapt`, and so trusts the model's gradient (check that first), but no
    Hessian and nothing of eq. 12. theta must be shared by the tasks.
    """
    validate.model(model)
    validate.parameters("theta", theta)
    validate.batch(batch)

    def query_losses(thetas: Parameters, batch: TaskBatch) -> np.ndarray:
        theta_K = adapt(model, thetas, batch.x_support, batch.y_support, inner_lr=inner_lr, steps=steps)
        return model.at(theta_K, batch.x_query, batch.y_query).loss

    return gradient_through(query_losses, theta, batch)


def gradient_through(f: Callable[[Parameters, TaskBatch], np.ndarray], theta: Parameters, batch: TaskBatch) -> Parameters:
    """The gradient of the mean over tasks of f, by complex step, every entry of theta at once.

    f gets P T thetas, each task's own, and as many tasks, and returns a number for each. theta must be shared by the T tasks.
    """
    P, T = theta.size, len(batch)
    copies = (spread(theta) + (1j * STEP) * entries(theta)).map(lambda array: np.repeat(array, T, axis=0))  # (P T, ...)
    many = lambda array: np.tile(array, (P, *[1] * (array.ndim - 1)))  # all tasks, then all tasks again: (P T, n, ...)
    tasks = TaskBatch(*(many(getattr(batch, name)) for name in ("x_support", "y_support", "x_query", "y_query")))
    return theta.unflatten(f(copies, tasks).reshape(P, T).mean(1).imag / STEP)
