"""The gradients of other methods, checked by the number of their equation, 19 to 22, and the known mistakes in them.

    check_equation(21, mine, model, theta, batch, inner_lr=0.1, weights=[0.5, 0.5])

The true value of eq. 19 comes from values of the loss alone. Those of eqs. 20 to 22 are what the method minimises, differentiated
by complex step through the inner loop (eq. 22: its minimum), which trusts the model's gradient. Its Hessian only helps to name
a mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinymaml import validate
from tinymaml.check.compare import Line, attainable, compare, diagnose, relative_error
from tinymaml.check.derivatives import STEP, entries
from tinymaml.check.problem import Problem
from tinymaml.check.references import gradient_through, loss_gradient
from tinymaml.maml import adapt, meta_gradient
from tinymaml.methods.implicit import Proximal, conjugate_gradients, implicit_gradient, parameters_of, rows_of
from tinymaml.methods.multi_step import multi_step_gradient
from tinymaml.methods.pretraining import all_points
from tinymaml.methods.reptile import reptile_gradient
from tinymaml.parameters import Parameters
from tinymaml.tasks import TaskBatch


@dataclass(frozen=True)
class Given:
    """What an equation is asked for.

    rates       of eqs. 20 and 21, one an entry; every one `inner_lr` if there are none
    weights     w_1..w_K of eq. 21; all alike for `steps` steps if there are none
    strength    lambda of eq. 22
    steps       of the inner loop; eq. 22 is judged at the end of its loop, however many steps lead there
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
        equal, everywhere = [1 / self.steps] * self.steps, self.theta.map(lambda array: np.full_like(array, self.inner_lr))
        object.__setattr__(self, "weights", validate.weights("weights", equal if self.weights is None else self.weights))
        validate.parameters("rates", everywhere if self.rates is None else self.rates)
        object.__setattr__(self, "rates", validate.rates("rates", everywhere if self.rates is None else self.rates, self.theta))

    @property
    def support(self) -> tuple[np.ndarray, np.ndarray]:
        return self.batch.x_support, self.batch.y_support

    @property
    def query(self) -> tuple[np.ndarray, np.ndarray]:
        return self.batch.x_query, self.batch.y_query


# -- eq. 19: theta less the mean of theta_K ----------------------------------------------------------------------


def _reptile(of: Given) -> Parameters:
    """By definition, with every gradient from values of the loss."""
    x, y = all_points(of.batch)
    ends = []
    for t in range(len(of.batch)):
        theta = of.theta
        for _ in range(of.steps):
            theta = theta - of.inner_lr * loss_gradient(of.model, theta, x[t], y[t])
        ends.append(theta)
    return of.theta - sum(ends[1:], start=ends[0]) / len(ends)


def _wrong_reptile(of: Given, made: Collection[str]) -> Parameters:
    x, y = of.support if "support" in made else all_points(of.batch)
    theta_K = adapt(of.model, of.theta, x, y, inner_lr=of.inner_lr, steps=1 if "one step" in made else of.steps)
    if "gradient" in made:
        return of.model.at(theta_K, x, y).gradient.mean()
    way = of.theta - theta_K.formed().mean()
    return (-1.0 if "sign" in made else 1.0) * (len(of.batch) if "sum" in made else 1.0) * way


# -- eq. 20: the derivative of the meta-loss in the rates -----------------------------------------------------------


def _rates(of: Given) -> Parameters:
    def query_losses(rates: Parameters, batch: TaskBatch) -> np.ndarray:
        thetas = of.theta.map(lambda array: np.broadcast_to(array, (len(batch), *array.shape)))
        theta_K = adapt(of.model, thetas, batch.x_support, batch.y_support, inner_lr=rates, steps=of.steps)
        return of.model.at(theta_K, batch.x_query, batch.y_query).loss

    return gradient_through(query_losses, of.rates, of.batch)


def _wrong_rates(of: Given, made: Collection[str]) -> Parameters:
    meta = meta_gradient(of.model, of.theta, of.batch, inner_lr=of.rates, steps=of.steps)
    u = meta.u[:-1] if "u_k" in made else meta.u[-1:] * of.steps if "not carried" in made else meta.u[1:]
    terms = [a.formed() * b.formed() for a, b in zip(u, meta.slopes, strict=True)]
    total = (sum(terms[1:], start=terms[0]) if "one step" not in made else terms[0]).mean()
    return (len(of.batch) if "sum" in made else 1.0) * (total if "sign" in made else -total)


# -- eq. 21: the query loss after every step ------------------------------------------------------------------------


def _multi_step(of: Given) -> Parameters:
    def weighted(thetas: Parameters, batch: TaskBatch) -> np.ndarray:
        total = 0
        for w in of.weights:
            thetas = adapt(of.model, thetas, batch.x_support, batch.y_support, inner_lr=of.rates)
            total = total + w * of.model.at(thetas, batch.x_query, batch.y_query).loss
        return total

    return gradient_through(weighted, of.theta, of.batch)


def _wrong_multi_step(of: Given, made: Collection[str]) -> Parameters:
    K, thetas = len(of.weights), [of.theta]
    w = [1.0 / K if "w_0" in made else 0.0, *((1.0,) * K if "sum to one" in made else of.weights)]
    for _ in range(K):
        thetas.append(adapt(of.model, thetas[-1], *of.support, inner_lr=of.rates))
    slope = lambda k: of.model.at(thetas[k], *of.query).gradient
    u = w[K] * slope(K)
    for k in reversed(range(K)):
        here = of.model.at(thetas[k], *of.support)
        turn = of.rates * here.hvp(u) if "outside" in made else here.hvp(u if "alpha" in made else of.rates * u)
        u = w[k] * slope(k) + (0 if "not carried" in made else 1) * (u - (0 if "first-order" in made else 1) * turn)
    return u.mean()


# -- eq. 22: through the minimum that the inner loop ends at --------------------------------------------------------


def _slope(of: Given, star: Parameters, theta: Parameters, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The gradient of L_S + lambda/2 |. - theta|^2 at star, (T, P): what is zero at theta*."""
    return rows_of(of.model.at(star, x, y).gradient + of.strength * (star - theta))


def _hessian(of: Given, star: Parameters) -> np.ndarray:
    """That of L_S + lambda/2 |. - theta|^2, by complex step of the gradient, entry by entry: (T, P, P)."""
    moved = (star + 1j * STEP * entries(of.theta).task(p) for p in range(of.theta.size))
    return np.stack([_slope(of, point, of.theta, *of.support).imag / STEP for point in moved], axis=-1)


def minimum(of: Given) -> tuple[Parameters, np.ndarray]:
    """theta* of each task, from where gradient descent comes near it by Newton's method, and the Hessian there (T, P, P).

    ValueError where the loop does not end: it diverges, or goes to and fro across a kink.
    """
    star, theta = of.theta.map(lambda array: np.repeat(array[None], len(of.batch), axis=0)), of.theta
    start = np.linalg.norm(_slope(of, star, theta, *of.support))
    with np.errstate(all="ignore"):
        for _ in range(2000):
            slope = _slope(of, star, theta, *of.support)
            if not np.linalg.norm(slope) > 1e-3 * start:
                break
            star = star - of.inner_lr * parameters_of(slope, theta)
        for _ in range(20):
            slope, H = _slope(of, star, theta, *of.support), _hessian(of, star)
            if not np.isfinite(H).all() or not np.linalg.eigvalsh(H).min() > 0:
                break
            if np.linalg.norm(slope) <= 1e-13 * max(start, of.strength * np.linalg.norm(theta.flat)):
                return star, H
            star = star - parameters_of(np.linalg.solve(H, slope[..., None])[..., 0], theta)
    raise ValueError(
        f"the inner loop does not end at inner_lr={of.inner_lr} and strength={of.strength}: it diverges, or goes to and fro "
        "across a kink, where theta* has no derivative. Take a smaller inner_lr, or a larger strength"
    )


def _implicit(of: Given) -> Parameters:
    """theta* as a function of theta: at a complex theta, Newton's method goes on from the real one."""
    star, H = minimum(of)

    def at_the_end(thetas: Parameters, batch: TaskBatch) -> np.ndarray:
        P = len(batch) // len(H)
        moved, H_of = star.map(lambda array: np.concatenate([array] * P)), np.concatenate([H] * P)
        for _ in range(3):
            slope = _slope(of, moved, thetas, batch.x_support, batch.y_support)
            moved = moved - parameters_of(np.linalg.solve(H_of, slope[..., None])[..., 0], of.theta)
        return of.model.at(moved, batch.x_query, batch.y_query).loss

    return gradient_through(at_the_end, of.theta, of.batch)


def _wrong_implicit(of: Given, made: Collection[str]) -> Parameters:
    if {"no spring", "not ended"} & {*made}:
        loose = "no spring" in made  # which is felt from the second step on
        held = of.model if loose else Proximal(of.model, of.theta, of.strength)
        star = adapt(held, of.theta, *of.support, inner_lr=of.inner_lr, steps=max(of.steps, 2 if loose else 1))
    else:
        star, _ = minimum(of)
    b = rows_of(of.model.at(star, *of.query).gradient)
    H = of.model.at(of.theta if "H at theta" in made else star, *(of.query if "H of query" in made else of.support)).hvp
    factor = 1.0 if "no lambda" in made else of.strength if "times lambda" in made else 1 / of.strength

    def product(p: np.ndarray) -> np.ndarray:
        turn = factor * rows_of(H(parameters_of(p, of.theta)))
        return (0 if "no I" in made else 1) * p + (-1 if "minus" in made else 1) * turn

    if "product" in made:  # one application of the operator in place of its inverse
        b = product(b)
    elif "first-order" not in made:
        b = conjugate_gradients(product, b, steps=1 if "one step" in made else 2 * b.shape[1], tolerance=1e-14).x
    return of.theta.unflatten(b.mean(0))


@dataclass(frozen=True)
class Equation:
    """mine(given) is the library's answer, reference(given) the true one, wrong(given, made) one with mistakes made: `slips`."""

    name: str
    mine: Callable[[Given], Parameters]
    reference: Callable[[Given], Parameters]
    wrong: Callable[[Given, Collection[str]], Parameters]
    slips: Mapping[str, str]


EQUATIONS = {
    19: Equation(
        "way to theta_K",
        lambda of: reptile_gradient(of.model, of.theta, of.batch, inner_lr=of.inner_lr, steps=of.steps).gradient,
        _reptile, _wrong_reptile,
        {
            "sign": "this points from theta to theta_K: eq. 19 has theta less theta_K, which the outer loop subtracts",
            "sum": "it is the sum over the tasks: eq. 19 takes the mean",
            "support": "only the support set is adapted to: eq. 19 takes all points, support and query",
            "one step": "this is a single inner step, which is pre-training: eq. 19 goes on to theta_K",
            "gradient": "this is a gradient at theta_K: eq. 19 has the way there",
        },
    ),
    20: Equation(
        "rates",
        lambda of: meta_gradient(of.model, of.theta, of.batch, inner_lr=of.rates, steps=of.steps).rates,
        _rates, _wrong_rates,
        {
            "sign": "the sign is turned: a larger rate goes further down, so eq. 20 begins with a minus",
            "u_k": "u_k stands where eq. 20 has u_{k+1}, which the step with this rate ends at",
            "not carried": "every slope is multiplied with u_K: eq. 20 has u_{k+1}",
            "one step": "only the first inner step is there: eq. 20 is a sum over all",
            "sum": "it is the sum over the tasks: eq. 20 takes the mean",
        },
    ),
    21: Equation(
        "multi-step loss",
        lambda of: multi_step_gradient(of.model, of.theta, of.batch, inner_lr=of.rates, weights=of.weights).gradient,
        _multi_step, _wrong_multi_step,
        {
            "sum to one": "the weights do not sum to one: every step counts in full (eq. 21)",
            "w_0": "the loss before adaptation counts: in eq. 21 w_0 is 0",
            "not carried": "what comes from later steps is not carried back: eq. 21 adds u_{k+1}",
            "first-order": "the curvature term is missing: eq. 21 subtracts H_S(theta_k) (alpha o u_{k+1})",
            "alpha": "the inner learning rate is missing before the curvature term (eq. 21)",
            "outside": "alpha stands outside the product: eq. 21 has H (alpha o u), which is not alpha o (H u)",
        },
    ),
    22: Equation(
        "implicit gradient",
        lambda of: implicit_gradient(
            of.model, of.theta, of.batch, strength=of.strength, inner_lr=of.inner_lr, steps=of.steps,
            cg_steps=2 * of.theta.size, tolerance=1e-14,
        ).gradient,
        _implicit, _wrong_implicit,
        {
            "no lambda": "the operator is I + H: eq. 22 has H / lambda",
            "times lambda": "the operator is I + lambda H: eq. 22 has H / lambda",
            "minus": "the operator is I - H / lambda: eq. 22 adds",
            "no I": "the operator is H / lambda alone: eq. 22 has I + H / lambda",
            "product": "the operator is applied: eq. 22 solves with it",
            "H at theta": "the Hessian is taken at theta, not at theta* (eq. 22)",
            "H of query": "the Hessian is that of the query loss: eq. 22 has the support loss",
            "not ended": "the inner loop has not ended: eq. 22 holds at theta*, and takes as many steps as lead there",
            "no spring": "the inner loop has no spring: theta* of eq. 22 minimises L_S + lambda/2 |. - theta|^2",
            "one step": "conjugate gradients stopped after one step",
            "first-order": "this is the query gradient at theta*: eq. 22 solves a system with it",
        },
    ),
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
    """Prints and returns the line of a right answer to one of eqs. 19 to 22; `WrongAnswer` names the mistake in a wrong one.

    mine: `Parameters`, a mean over tasks. rates, weights and strength are as in `Given`. For small models.
    """
    if not isinstance(number, int) or number not in EQUATIONS:
        raise ValueError(f"there is no equation {validate.brief(number)} here: choose one of {', '.join(map(str, EQUATIONS))}")
    tolerance = validate.tolerance("tolerance", tolerance)
    of, equation = Given(model, theta, batch, inner_lr, steps, rates, weights, strength), EQUATIONS[number]
    reference = equation.reference(of)

    def diagnosis(closeness: float) -> str:
        wrong = ((sentence, equation.wrong(of, [key])) for key, sentence in equation.slips.items())
        return diagnose(mine, reference, wrong, tolerance=closeness)

    return compare(f"eq. {number}", mine, reference, tolerance=attainable(mine, tolerance), diagnosis=diagnosis)


def equation_errors(problem: Problem, steps: int = 3) -> dict[str, float]:
    """The relative error of the library in each of them."""
    own = (problem.model, problem.theta, problem.batch)
    weights = [k / (steps * (steps + 1) / 2) for k in range(1, steps + 1)]
    of = Given(*own, problem.inner_lr, steps, problem.inner_lr * problem.v, weights)
    found = {}
    with np.errstate(all="ignore"):  # what overflows is wrong
        for number in (19, 20, 21):
            found[f"{EQUATIONS[number].name}, eq. {number}"] = _library_error(number, of)
        bend = np.linalg.norm(_hessian(replace(of, strength=1e-9), problem.theta), axis=(1, 2)).max()
        strength = max(1e3, 100 * bend)  # held so closely that 15 steps are the end
        near = replace(of, inner_lr=1 / strength, steps=15, strength=strength, rates=None, weights=None)
        try:
            found["implicit gradient, eq. 22"] = _library_error(22, near)
        except ValueError:  # theta* stands on a kink
            found["implicit gradient, eq. 22"] = 0.0
    return found


def _library_error(number: int, of: Given) -> float:
    return relative_error(EQUATIONS[number].mine(of), EQUATIONS[number].reference(of))
