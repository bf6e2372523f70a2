"""Gradients of a task and of the meta-loss from values of the loss alone.

They call `model.at(theta, x, y).loss` with a task axis and complex theta, and rely on none of the model's derivatives
(only `meta_gradient_by_complex_step` relies on its gradient). Perturbing every entry costs P^2 for P parameters.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinymaml import validate
from tinymaml.check.compare import FLOOR
from tinymaml.check.derivatives import adaptive_difference, complex_step, complex_step_gradient
from tinymaml.maml import Model, Rates, adapt
from tinymaml.parameters import Parameters
from tinymaml.tasks import TaskBatch


def losses(model: Model, thetas: Parameters, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The loss of one task, x (n, ...) and y (n, ...), at each of C thetas (C, ...): (C,)."""
    copies = len(next(iter(thetas.values())))
    return model.at(thetas, *(np.broadcast_to(array, (copies, *array.shape)) for array in (x, y))).loss


def loss_gradient(model: Model, theta: Parameters, x: np.ndarray, y: np.ndarray) -> Parameters:
    """The gradient of the loss of one task by complex step, exact up to rounding."""
    validate.parameters("theta", theta)
    for name, array in (("x", x), ("y", y)):
        validate.floats(name, array)
    return complex_step_gradient(lambda thetas: losses(model, thetas, x, y), theta)


Loss = Callable[[Parameters], np.ndarray]
Slope = Callable[[Parameters], Parameters]


def certified(mine: Callable[[], Parameters], along: Loss, by_entries: Callable[[], Parameters]) -> Parameters:
    """`mine()` if its products with three random directions r equal `along(r)` to 1e-7; else `by_entries()`.

    So a model's own derivative is used only if values of its loss confirm it, at a cost independent of P.
    """
    rng = np.random.default_rng(0)
    try:
        found = mine()
        for _ in range(3):
            r = found.map(lambda array: rng.standard_normal(array.shape))
            if not abs(found.dot(r) - along(r)) <= 1e-7 * max(np.linalg.norm(found.flat), FLOOR):
                break
        else:
            return found
    except Exception:  # a wrong rule may raise anything
        pass
    return by_entries()


def certified_gradient(theta: Parameters, loss: Loss, own: Slope, by_entries: Slope) -> Parameters:
    """The gradient of `loss` at theta: own(theta) if the loss confirms it, else by_entries(theta)."""
    return certified(lambda: own(theta), lambda r: complex_step(loss, theta, r), lambda: by_entries(theta))


def certified_hvp(theta: Parameters, v: Parameters, loss: Loss, own: Slope, by_entries: Slope) -> Parameters:
    """The Hessian of `loss` times v: the complex step of `own` if the loss confirms it, else a difference of `by_entries`."""
    slope = lambda r: adaptive_difference(lambda theta: complex_step(loss, theta, r), theta, v)
    return certified(lambda: complex_step(own, theta, v), slope, lambda: adaptive_difference(by_entries, theta, v))


def of_task(model: Model, x: np.ndarray, y: np.ndarray) -> tuple[Loss, Slope, Slope]:
    """Functions of theta for one task, x (n, ...) and y (n, ...): the loss, the model's gradient, the gradient by entries."""
    loss = lambda theta: losses(model, theta.map(lambda array: array[None]), x, y)[0]
    own = lambda theta: model.at(theta, x[None], y[None]).gradient.task(0)
    return loss, own, lambda theta: loss_gradient(model, theta, x, y)


def meta_gradient_by_complex_step(
    model: Model, theta: Parameters, batch: TaskBatch, *, inner_lr: Rates, steps: int
) -> Parameters:
    """The gradient of the meta-loss by complex step, all entries of theta at once: eq. 13 up to rounding.

    It differentiates through `adapt`, and so relies on the model's gradient (check that first), but not on a Hessian or on
    eq. 12. theta must be shared by the tasks.
    """
    validate.parameters("theta", theta)
    return gradient_through(lambda thetas, batch: query_losses(model, thetas, batch, inner_lr, steps), theta, batch)


def query_losses(model: Model, theta: Parameters, batch: TaskBatch, inner_lr: Rates, steps: int) -> np.ndarray:
    """The query loss of each task after the inner loop, (T,)."""
    theta_K = adapt(model, theta, batch.x_support, batch.y_support, inner_lr=inner_lr, steps=steps)
    return model.at(theta_K, batch.x_query, batch.y_query).loss


def gradient_through(f: Callable[[Parameters, TaskBatch], np.ndarray], theta: Parameters, batch: TaskBatch) -> Parameters:
    """The gradient of the mean over tasks of f, by complex step, every entry of theta at once.

    f gets P T tasks and one theta for each, and returns one number per task. theta must be shared by the T tasks.
    """
    P, T = theta.size, len(batch)

    def means(thetas: Parameters) -> np.ndarray:
        """f at P thetas, (P,): each for all tasks, so there are P T tasks."""
        return f(thetas.map(lambda array: np.repeat(array, T, axis=0)), batch.repeat(P)).reshape(P, T).mean(1)

    return complex_step_gradient(means, theta)
