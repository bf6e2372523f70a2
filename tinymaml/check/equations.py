"""The gradients of other methods, checked by the number of their equation: 19 to 22, and 27.

    check_equation(21, mine, model, theta, batch, inner_lr=0.1, weights=[0.5, 0.5])

The reference of eq. 19 uses only values of the loss, and so does that of eq. 27. Those of eqs. 20 to 22 differentiate the
objective of the method by complex step through the inner loop (eq. 22: through its minimum): they rely on the model's
gradient, but not on its Hessian.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from tinymaml import validate
from tinymaml.check.compare import Line, compare, diagnose, relative_error, tolerance_for
from tinymaml.check.derivatives import basis, complex_step, gradient_by_entries
from tinymaml.check.problem import Problem
from tinymaml.check.references import gradient_through, loss_gradient, query_losses
from tinymaml.maml import adapt, meta_gradient
from tinymaml.methods.imaml import flatten_tasks, implicit_gradient, unflatten_tasks
from tinymaml.methods.multi_step import multi_step_gradient
from tinymaml.methods.pretraining import all_points
from tinymaml.methods.prototypes import logits, prototype_gradient, prototypes
from tinymaml.methods.reptile import reptile_gradient
from tinymaml.nn.losses import cross_entropy
from tinymaml.parameters import Parameters
from tinymaml.tasks import TaskBatch


@dataclass(frozen=True)
class Given:
    """The problem on which an equation is checked.

    rates       the rates of eqs. 20 and 21, one per entry of theta; by default every rate is `inner_lr`
    weights     w_1..w_K of eq. 21; by default 1/K each, K = `steps`
    strength    lambda of eq. 22
    steps       the number of inner steps; eq. 22 is checked at theta*, the limit of the inner loop, for any number
    """

    model: Any
    theta: Parameters
    batch: TaskBatch
    inner_lr: float = 0.1
    steps: int = 1
    rates: Parameters | None = None
    weights: Sequence[float] | None = None
    strength: float = 2.0

    def __post_init__(self) -> None:
        validate.parameters("theta", self.theta)
        for name, check in (("inner_lr", validate.rate), ("strength", validate.rate), ("steps", validate.count)):
            object.__setattr__(self, name, check(name, getattr(self, name)))
        rates, weights = self.rates, self.weights
        if rates is None:
            rates = self.theta.map(lambda array: np.full_like(array, self.inner_lr))
        if weights is None:
            weights = [1 / self.steps] * self.steps
        validate.parameters("rates", rates)
        object.__setattr__(self, "rates", validate.rates("rates", rates, self.theta))
        object.__setattr__(self, "weights", validate.weights("weights", weights))


def _reptile(of: Given) -> Parameters:
    """Eq. 19, theta minus the mean of theta_K, with all gradients from values of the loss."""
    x, y = all_points(of.batch)
    ends = []
    for t in range(len(of.batch)):
        theta = of.theta
        for _ in range(of.steps):
            theta = theta - of.inner_lr * loss_gradient(of.model, theta, x[t], y[t])
        ends.append(theta)
    return of.theta - sum(ends) / len(ends)


def _rates(of: Given) -> Parameters:
    """Eq. 20, the derivative of the query loss with respect to the rates."""

    def losses(rates: Parameters, batch: TaskBatch) -> np.ndarray:
        thetas = of.theta.map(lambda array: np.broadcast_to(array, (len(batch), *array.shape)))
        return query_losses(of.model, thetas, batch, rates, of.steps)

    return gradient_through(losses, of.rates, of.batch)


def _multi_step(of: Given) -> Parameters:
    """Eq. 21, the derivative of the weighted query losses after every step."""

    def weighted(thetas: Parameters, batch: TaskBatch) -> np.ndarray:
        total = 0
        for w in of.weights:
            thetas = adapt(of.model, thetas, batch.x_support, batch.y_support, inner_lr=of.rates)
            total = total + w * of.model.at(thetas, batch.x_query, batch.y_query).loss
        return total

    return gradient_through(weighted, of.theta, of.batch)


def _slope(of: Given, star: Parameters, theta: Parameters, batch: TaskBatch) -> np.ndarray:
    """The gradient of L_S + lambda/2 |. - theta|^2 at star, (T, P): zero at theta*."""
    surface = of.model.at(star, batch.x_support, batch.y_support)
    return flatten_tasks(surface.gradient + of.strength * (star - theta))


def _hessian(of: Given, star: Parameters) -> np.ndarray:
    """The Hessian of L_S + lambda/2 |. - theta|^2, by complex step of the gradient, entry by entry: (T, P, P)."""
    slope, unit = lambda star: _slope(of, star, of.theta, of.batch), basis(of.theta)
    return np.stack([complex_step(slope, star, unit.task(p)) for p in range(of.theta.size)], axis=-1)


def _newton(of: Given, star: Parameters, slope: np.ndarray, H: np.ndarray) -> Parameters:
    """star - H^-1 slope, for each task."""
    return star - unflatten_tasks(np.linalg.solve(H, slope[..., None])[..., 0], of.theta)


def minimum(of: Given) -> tuple[Parameters, np.ndarray]:
    """theta* of each task, by gradient descent and then Newton's method, and the Hessian there (T, P, P).

    ValueError where this does not converge: the loop diverges, or alternates across a kink.
    """
    star = of.theta.map(lambda array: np.repeat(array[None], len(of.batch), axis=0))
    start = np.linalg.norm(_slope(of, star, of.theta, of.batch))
    with np.errstate(all="ignore"):
        for _ in range(2000):
            slope = _slope(of, star, of.theta, of.batch)
            if not np.linalg.norm(slope) > 1e-3 * start:
                break
            star = star - of.inner_lr * unflatten_tasks(slope, of.theta)
        for _ in range(20):
            slope, H = _slope(of, star, of.theta, of.batch), _hessian(of, star)
            if not np.isfinite(H).all() or not np.linalg.eigvalsh(H).min() > 0:
                break
            if np.linalg.norm(slope) <= 1e-13 * max(start, of.strength * np.linalg.norm(of.theta.flat)):
                return star, H
            star = _newton(of, star, slope, H)
    raise ValueError(
        f"the inner loop does not converge at inner_lr={of.inner_lr} and strength={of.strength}, as it diverges or alternates "
        "across a kink, where theta* has no derivative: take a smaller inner_lr or a larger strength"
    )


def _implicit(of: Given) -> Parameters:
    """Eq. 22 through theta* as a function of theta: at a complex theta, Newton's method starts from the real theta*."""
    star, H = minimum(of)

    def at_the_end(thetas: Parameters, batch: TaskBatch) -> np.ndarray:
        P = len(batch) // len(H)
        moved, H_of = star.map(lambda array: np.concatenate([array] * P)), np.concatenate([H] * P)
        for _ in range(3):
            moved = _newton(of, moved, _slope(of, moved, thetas, batch), H_of)
        return of.model.at(moved, batch.x_query, batch.y_query).loss

    return gradient_through(at_the_end, of.theta, of.batch)


def _prototypes(of: Given) -> Parameters:
    """Eq. 27, from values of the loss of the queries."""

    def loss(theta: Parameters) -> complex:
        m = prototypes(of.model.predict(theta, of.batch.x_support), of.batch.y_support)
        o = logits(of.model.predict(theta, of.batch.x_query), m)
        return cross_entropy.value(o, of.batch.y_query).mean()

    return gradient_by_entries(loss, of.theta)


class Equation(NamedTuple):
    """The gradient of the library and the reference, as functions of the problem."""

    name: str
    mine: Callable[[Given], Parameters]
    reference: Callable[[Given], Parameters]


EQUATIONS = {
    19: Equation("Reptile", lambda of: reptile_gradient(
        of.model, of.theta, of.batch, inner_lr=of.inner_lr, steps=of.steps).gradient, _reptile),
    20: Equation("rates", lambda of: meta_gradient(
        of.model, of.theta, of.batch, inner_lr=of.rates, steps=of.steps).rates_gradient, _rates),
    21: Equation("multi-step loss", lambda of: multi_step_gradient(
        of.model, of.theta, of.batch, inner_lr=of.rates, weights=of.weights).gradient, _multi_step),
    22: Equation("implicit gradient", lambda of: implicit_gradient(
        of.model, of.theta, of.batch, strength=of.strength, inner_lr=of.inner_lr, steps=of.steps,
        cg_steps=2 * of.theta.size, tolerance=1e-14).gradient, _implicit),
    27: Equation("prototypes", lambda of: prototype_gradient(of.model, of.theta, of.batch).gradient, _prototypes),
}  # fmt: skip


def check_equation(
    number: int,
    mine: Any,
    model: Any,
    theta: Parameters,
    batch: TaskBatch,
    *,
    inner_lr: float = 0.1,
    steps: int = 1,
    rates: Parameters | None = None,
    weights: Sequence[float] | None = None,
    strength: float = 2.0,
    tolerance: float = 1e-8,
) -> Line:
    """Compare `mine` with the reference of one of eqs. 19 to 22 or 27; print and return the line. `WrongAnswer` if it is wrong.

    `mine` is a mean over tasks, `Parameters`; rates, weights and strength are as in `Given`. For small models.
    """
    if not isinstance(number, int) or number not in EQUATIONS:
        raise ValueError(f"there is no equation {validate.brief(number)} here: choose one of {', '.join(map(str, EQUATIONS))}")
    tolerance = validate.tolerance("tolerance", tolerance)
    of, equation = Given(model, theta, batch, inner_lr, steps, rates, weights, strength), EQUATIONS[number]
    reference = equation.reference(of)
    diagnosis = lambda closeness: diagnose(mine, reference, tolerance=closeness)
    return compare(f"eq. {number}", mine, reference, tolerance=tolerance_for(mine, tolerance), diagnosis=diagnosis)


def labelled(problem: Problem) -> TaskBatch:
    """A batch with the problem's kind of inputs and three classes, of which one has more support examples than the others."""
    rng, tasks, d = np.random.default_rng(problem.seed), len(problem.batch), problem.widths[0]
    labels = [np.stack([rng.permutation(row) for _ in range(tasks)]) for row in ([0, 1, 2, 0], [0, 1, 2, 2, 1])]
    x = [rng.standard_normal((*label.shape, d)) for label in labels]
    return TaskBatch(x[0], np.eye(3)[labels[0]], x[1], np.eye(3)[labels[1]])


def equation_errors(problem: Problem, steps: int = 3) -> dict[str, float]:
    """The relative errors of the library in eqs. 19 to 22, and in eq. 27 with three classes of different sizes."""
    own = (problem.model, problem.theta, problem.batch)
    weights = [k / (steps * (steps + 1) / 2) for k in range(1, steps + 1)]
    of = Given(*own, problem.inner_lr, steps, problem.inner_lr * problem.v, weights)
    error = lambda number, of: relative_error(EQUATIONS[number].mine(of), EQUATIONS[number].reference(of))
    with np.errstate(all="ignore"):  # an overflow gives NaN, which is wrong
        errors = {number: error(number, of) for number in (19, 20, 21)}
        errors[27] = error(27, replace(of, batch=labelled(problem)))
        curvature = np.linalg.norm(_hessian(replace(of, strength=1e-9), problem.theta), axis=(1, 2)).max()
        strength = max(1e3, 100 * curvature)  # so large that 15 steps reach theta*
        near = replace(of, inner_lr=1 / strength, steps=15, strength=strength, rates=None, weights=None)
        try:
            errors[22] = error(22, near)
        except ValueError:  # theta* is on a kink
            errors[22] = 0.0
    return {f"{EQUATIONS[number].name}, eq. {number}": error for number, error in errors.items()}
