"""iMAML: the implicit meta-gradient, eq. 22 (Rajeswaran, Finn, Kakade and Levine 2019, arXiv 1909.04630).

The inner loop ends at theta* = argmin L_S + lambda/2 |. - theta|^2. The meta-gradient depends only on theta*, not on the
path: it solves one linear system per task and stores no inner steps. It is as accurate as theta* and the linear solve; both
residuals are reported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from tinymaml import validate
from tinymaml.maml import Model, Rates, Surface, adapt
from tinymaml.methods.maml import STEPS
from tinymaml.methods.method import Gradient, Method, OuterGradient, Start, WrappedSurface
from tinymaml.parameters import Parameters
from tinymaml.settings import Option, PlotStyle, Settings
from tinymaml.tasks.batch import TaskBatch
from tinymaml.tasks.family import Family

CONVERGED = 0.1  # the inner loop has converged to theta* if the norm of its gradient fell to this fraction


@dataclass(frozen=True)
class Proximal:
    """A model with a proximal term: gradient and hvp belong to L + lambda/2 |. - centre|^2, the loss is L alone.

    `adapt` with this model runs the inner loop of eq. 22; reported losses are those of the task.
    """

    model: Model
    centre: Parameters
    strength: float  # lambda

    def __post_init__(self) -> None:
        validate.model(self.model)
        validate.parameters("centre", self.centre)
        object.__setattr__(self, "strength", validate.rate("strength", self.strength, 2.0))

    def at(self, theta: Parameters, x: np.ndarray, y: np.ndarray) -> ProximalSurface:
        """The loss surface of T tasks, x (T, n, ...) and y (T, n, ...), at theta."""
        return ProximalSurface(self.model.at(theta, x, y), theta - self.centre, self.strength)


@dataclass(frozen=True)
class ProximalSurface(WrappedSurface):
    """The surface of a `Proximal` model; displacement is theta - centre. The loss is without the proximal term."""

    surface: Surface
    displacement: Parameters
    strength: float

    @property
    def gradient(self) -> Parameters:
        """The gradient of L + lambda/2 |. - centre|^2."""
        return self.surface.gradient + self.strength * self.displacement

    def hvp(self, v: Parameters) -> Parameters:
        """(H + lambda I) v."""
        return self.surface.hvp(v) + self.strength * v


@dataclass(frozen=True)
class CGResult:
    """The result of `conjugate_gradients` for T systems.

    x                     (T, P)
    residual              |b - A x| / |b|, (T,)
    negative_curvature    whether the iteration stopped at a direction with p.Ap <= 0: A is not positive definite, (T,)
    """

    x: np.ndarray
    residual: np.ndarray
    negative_curvature: np.ndarray


def conjugate_gradients(
    product: Callable[[np.ndarray], np.ndarray], b: np.ndarray, *, steps: int, tolerance: float = 0.0
) -> CGResult:
    """Solve A x = b for T symmetric systems at once, from x = 0 (Hestenes and Stiefel 1952).

    product(p) is A p; b and p are (T, P). A system stops when |b - A x| <= tolerance |b|, or on negative curvature; on
    negative curvature at the first step the result is b.
    """
    if validate.floats("b", b).ndim != 2:
        raise ValueError(f"b has shape {b.shape}, expected (systems, numbers): one row for each system")
    steps = validate.count("steps", steps)
    tolerance = validate.tolerance("tolerance", tolerance, most=0.9)  # with 1 the result would be x = 0
    dot = lambda u, v: (u * v).sum(-1, keepdims=True)  # (T, 1), without a complex conjugate
    x, r, p = 0 * b, b, b
    rr = bb = dot(b, b)
    negative = np.zeros(bb.shape, bool)
    for k in range(steps):
        active = (rr.real > tolerance**2 * bb.real) & ~negative  # (T, 1): the systems that have not stopped
        if not active.any():
            break
        Ap = product(p)
        pAp = dot(p, Ap)
        negative |= active & (pAp.real <= 0)
        if k == 0:
            x = np.where(negative, b, x)
        active &= ~negative
        alpha = _ratio(rr, pAp, active)  # the step length; 0 for a system that has stopped
        x, r = x + alpha * p, r - alpha * Ap
        rr, rr_before = dot(r, r), rr
        beta = _ratio(rr, rr_before, active)  # the next direction is conjugate to this one
        p = r + beta * p
    return CGResult(x, _relative_norm(b - product(x), b), negative[:, 0])


def _ratio(a: np.ndarray, b: np.ndarray, active: np.ndarray) -> np.ndarray:
    """a / b where active, else 0."""
    return np.where(active, a, 0) / np.where(active, b, 1)


@dataclass(frozen=True)
class ImplicitGradient(OuterGradient):
    """The implicit meta-gradient of one batch, and per task, (T,), how exact it is.

    inner_residual        |gradient| at the end of the inner loop / at its start: 0 at theta*, where eq. 22 is exact
    residual              |A u_0 - grad L_Q| / |grad L_Q| of the linear system
    negative_curvature    whether conjugate gradients met negative curvature, which a minimum does not have
    """

    inner_residual: np.ndarray
    residual: np.ndarray
    negative_curvature: np.ndarray

    @property
    def diagnosis(self) -> str:
        """Convergence warnings, or ""."""
        warnings = {
            "the inner loop has not converged in {} of {} tasks": ~(self.inner_residual <= CONVERGED),
            "conjugate gradients met negative curvature in {} of {} tasks": self.negative_curvature,
        }
        return " and ".join(text.format(np.count_nonzero(where), len(where)) for text, where in warnings.items() if where.any())


def implicit_gradient(
    model: Model, theta: Parameters, batch: TaskBatch, *,
    strength: float, inner_lr: Rates, steps: int, cg_steps: int = 5, tolerance: float = 1e-10, damping: float = 0.0,
) -> ImplicitGradient:  # fmt: skip
    """The gradient with respect to theta of the query loss at theta*, a function of theta (eq. 22).

    strength is lambda. The inner loop is `steps` steps of gradient descent at rate `inner_lr`. The system
    (I + H/lambda) u_0 = grad L_Q is solved by at most `cg_steps` steps of conjugate gradients, or to a relative residual of
    `tolerance`; `damping` is added to its diagonal.
    """
    damping = validate.tolerance("damping", damping)
    proximal, x, y = Proximal(model, theta, strength), batch.x_support, batch.y_support
    star = adapt(proximal, theta, x, y, inner_lr=inner_lr, steps=steps)  # theta*
    here, query = proximal.at(star, x, y), model.at(star, batch.x_query, batch.y_query)
    validate.shared(theta, query.gradient)

    def product(p: np.ndarray) -> np.ndarray:
        return flatten_tasks(here.hvp(unflatten_tasks(p, theta))) / proximal.strength + damping * p  # (I + H/lambda) p

    solved = conjugate_gradients(product, flatten_tasks(query.gradient), steps=cg_steps, tolerance=tolerance)
    inner_residual = _relative_norm(flatten_tasks(here.gradient), flatten_tasks(proximal.at(theta, x, y).gradient))
    u = unflatten_tasks(solved.x, theta)
    return ImplicitGradient(query.loss.mean(), u.mean(), inner_residual, solved.residual, solved.negative_curvature)


def _relative_norm(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """|part| / |whole| of each row, (T,); 0 / 0 is 0."""
    part, whole = (np.sqrt((rows * rows).sum(1).real) for rows in (part, whole))
    return part / np.maximum(whole, np.finfo(whole.dtype).tiny)


def flatten_tasks(params: Parameters) -> np.ndarray:
    """(T, P): one row per task with all its parameters."""
    return np.concatenate([array.reshape(len(array), -1) for array in params.dense().values()], axis=1)


def unflatten_tasks(rows: np.ndarray, theta: Parameters) -> Parameters:
    """The inverse of `flatten_tasks`, with the names and shapes of theta."""
    ends = np.cumsum([array.size for array in theta.values()])
    parts = np.split(rows, ends[:-1], axis=1)
    return Parameters.unchecked({
        name: part.reshape(-1, *array.shape) for part, (name, array) in zip(parts, theta.items(), strict=True)
    })


OPTIONS = (
    replace(STEPS, default=16),
    Option("strength", 2.0, "proximal weight lambda", partial(validate.rate, such=2.0, most=1e6)),
    Option("cg_steps", 5, "maximum number of conjugate-gradient (CG) steps", partial(validate.count, most=1000)),
    Option("tolerance", 1e-10, "relative residual at which CG stops", partial(validate.tolerance, most=0.9)),
    Option("damping", 0.0, "number added to the diagonal of the linear system", partial(validate.tolerance, most=1e6)),
)


def gradient(model: Any, settings: Settings) -> Gradient:
    """`implicit_gradient` with the options of the settings."""
    given = {option.name: settings.options[option.name] for option in OPTIONS} | {"inner_lr": settings.inner_lr}
    return lambda theta, batch, iteration: implicit_gradient(model, theta, batch, **given)


def start(family: Family, settings: Settings, trained: Start) -> Start:
    """The setup for new tasks: they adapt with the proximal term."""
    return replace(trained, model=Proximal(trained.model, trained.theta, settings.options["strength"]))


METHOD = Method(
    "imaml",
    "MAML by the implicit function theorem: a proximal inner loop, and conjugate gradients instead of eq. 12",
    PlotStyle("iMAML (implicit)", "#222255", (0, (1, 2)), "d"),
    gradient,
    start=start,
    copies=lambda settings: 1,
    options=OPTIONS,
    default=False,
)
