"""The implicit meta-gradient, eq. 22 (Rajeswaran, Finn, Kakade and Levine 2019, arXiv 1909.04630).

Where the inner loop ends at theta* = argmin L_S + lambda/2 |. - theta|^2, the meta-gradient hangs on that point alone and not on
the way there: one linear system a task, and no tape. It is as true as theta* and the solution are; both are reported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinymaml import validate
from tinymaml.maml import Here, Model, Rates, adapt
from tinymaml.parameters import Parameters

FAR = 0.1  # of the slope at theta: an inner loop that ends with more of it is far from theta*


@dataclass(frozen=True)
class Proximal:
    """A model held to `centre` by a spring: gradient and hvp are of L + lambda/2 |. - centre|^2, the loss is L alone.

    So `adapt` on it is the inner loop of eq. 22, and what is reported of a task is its own loss.
    """

    model: Model
    centre: Parameters
    strength: float  # lambda

    def __post_init__(self) -> None:
        validate.model(self.model)
        validate.parameters("centre", self.centre)
        object.__setattr__(self, "strength", validate.rate("strength", self.strength, 2.0))

    def at(self, theta: Parameters, x: np.ndarray, y: np.ndarray) -> Held:
        here = self.model.at(theta, x, y)
        return Held(here, theta - self.centre, self.strength)

    def predict(self, theta: Parameters, x: np.ndarray) -> np.ndarray:
        return self.model.predict(theta, x)


@dataclass(frozen=True)
class Held:
    """What a `Proximal` model sees; here: what the model itself does. away: theta less the centre."""

    here: Here
    away: Parameters
    strength: float

    gradient = property(lambda self: self.here.gradient + self.strength * self.away)

    def hvp(self, v: Parameters) -> Parameters:
        return self.here.hvp(v) + self.strength * v

    def __getattr__(self, name: str) -> Any:
        """The loss, and whatever else the model itself sees."""
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.here, name)


@dataclass(frozen=True)
class Solution:
    """What `conjugate_gradients` found for T systems.

    x           (T, P)
    residual    |b - A x| / |b| of each, (T,)
    negative    whether a direction with p.Ap <= 0 was met, at which a system stops: A is not positive definite, (T,)
    """

    x: np.ndarray
    residual: np.ndarray
    negative: np.ndarray


def conjugate_gradients(
    product: Callable[[np.ndarray], np.ndarray], b: np.ndarray, *, steps: int, tolerance: float = 0.0
) -> Solution:
    """A x = b for T symmetric systems at once, from x = 0 (Hestenes and Stiefel 1952). product(p) is A p, b and p are (T, P).

    A system rests once |b - A x| <= tolerance |b|. A start that meets negative curvature at once answers with b itself.
    """
    validate.function("product", product)
    if validate.floats("b", b).ndim != 2:
        raise ValueError(f"b has shape {b.shape}, expected (systems, numbers): one row for each system")
    steps = validate.count("steps", steps)
    tolerance = validate.tolerance("tolerance", tolerance, most=0.9)  # at 1 the answer is x = 0
    dot = lambda u, v: (u * v).sum(-1, keepdims=True)  # (T, 1), without a complex conjugate
    x, r, p = 0 * b, b, b
    rr = bb = dot(b, b)
    negative = np.zeros(bb.shape, bool)
    for k in range(steps):
        running = (rr.real > tolerance**2 * bb.real) & ~negative
        if not running.any():
            break
        Ap = product(p)
        pAp = dot(p, Ap)
        negative |= running & (pAp.real <= 0)
        if k == 0:
            x = np.where(negative, b, x)
        running &= ~negative
        step = np.where(running, rr, 0) / np.where(running, pAp, 1)
        x, r = x + step * p, r - step * Ap
        rr, before = dot(r, r), rr
        p = r + np.where(running, rr, 0) / np.where(running, before, 1) * p
    rest = b - product(x)
    return Solution(x, _part(rest, b), negative[:, 0])


@dataclass(frozen=True)
class ImplicitGradient:
    """What one batch of tasks says about theta by eq. 22.

    losses      the query loss of each task at its theta*, (T,)
    u           u_0, each task's own
    inner       what the inner loop has left of the slope that it began with, (T,): 0 at theta*, and only there eq. 22 holds
    residual    what conjugate gradients have left of each linear system, |A u_0 - grad L_Q| / |grad L_Q|, (T,)
    negative    whether they met negative curvature, of which there is none at a minimum, (T,)
    """

    losses: np.ndarray
    u: Parameters
    inner: np.ndarray
    residual: np.ndarray
    negative: np.ndarray

    @property
    def loss(self) -> float:
        """The mean over tasks."""
        return self.losses.mean()

    @property
    def gradient(self) -> Parameters:
        """The mean over tasks of u_0."""
        return self.u.mean()

    @property
    def diagnosis(self) -> str:
        """What keeps this from being the gradient of anything, as a sentence; "" if nothing does."""
        told = {
            "in {} of {} tasks the inner loop has not converged": ~(self.inner <= FAR),
            "in {} of {} conjugate gradients met negative curvature": self.negative,
        }
        return ", ".join(what.format(np.count_nonzero(where), len(where)) for what, where in told.items() if where.any())


def implicit_gradient(
    model: Model,
    theta: Parameters,
    batch: Any,
    *,
    strength: float,
    inner_lr: Rates,
    steps: int,
    cg_steps: int = 5,
    tolerance: float = 1e-10,
    dampening: float = 0.0,
) -> ImplicitGradient:
    """The gradient of the query loss at theta*, through theta* as a function of theta (eq. 22).

    strength is lambda. The inner loop is `steps` steps of gradient descent at rate `inner_lr`. The system (I + H/lambda) u_0 =
    grad L_Q is solved by at most `cg_steps` steps of conjugate gradients, or to `tolerance`; `dampening` is added to the 1s of I.
    """
    validate.parameters("theta", theta)
    strength, dampening = validate.rate("strength", strength, 2.0), validate.tolerance("dampening", dampening)
    held, x, y = Proximal(model, theta, strength), batch.x_support, batch.y_support
    star = adapt(held, theta, x, y, inner_lr=inner_lr, steps=steps)  # theta*
    here, query = held.at(star, x, y), model.at(star, batch.x_query, batch.y_query)
    validate.shared(theta, query.gradient)

    def product(p: np.ndarray) -> np.ndarray:
        return rows_of(here.hvp(parameters_of(p, theta))) / strength + dampening * p  # (I + H/lambda) p

    solved = conjugate_gradients(product, rows_of(query.gradient), steps=cg_steps, tolerance=tolerance)
    inner = _part(rows_of(here.gradient), rows_of(held.at(theta, x, y).gradient))
    return ImplicitGradient(query.loss, parameters_of(solved.x, theta), inner, solved.residual, solved.negative)


def _part(left: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """|left| / |whole| of each row, (T,); 0 of nothing."""
    left, whole = (np.sqrt((rows * rows).sum(1).real) for rows in (left, whole))
    return left / np.maximum(whole, np.finfo(whole.dtype).tiny)


def rows_of(of_tasks: Parameters) -> np.ndarray:
    """(T, P): the numbers of a task in a row."""
    return np.concatenate([array.reshape(len(array), -1) for array in of_tasks.formed().values()], axis=1)


def parameters_of(rows: np.ndarray, theta: Parameters) -> Parameters:
    """The inverse of `rows_of`, in the names and shapes of theta."""
    ends = np.cumsum([array.size for array in theta.values()])
    parts = np.split(rows, ends[:-1], axis=1)
    return Parameters.trusted({
        name: part.reshape(-1, *array.shape) for part, (name, array) in zip(parts, theta.items(), strict=True)
    })
