"""The whole ladder of checks on random networks, from s' to the meta-gradient: `python -m tinymaml check`.

Every rung stands on the one below and is compared with values of that one only: s' with s, the gradient of a loss
with the loss, the Hessian-vector product with the gradient, the meta-gradient with the meta-loss.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tinymaml import validate
from tinymaml.activations import ACTIVATIONS
from tinymaml.check.compare import TOLERANCE, relative_error
from tinymaml.check.derivatives import complex_step
from tinymaml.check.golden import fixtures
from tinymaml.check.problem import Problem
from tinymaml.check.references import loss_gradient, meta_gradient_by_complex_step
from tinymaml.losses import LOSSES, Loss
from tinymaml.maml import adapt, meta_gradient
from tinymaml.parameters import Parameters
from tinymaml.tasks import TaskBatch

SMOOTH = [name for name, s in ACTIVATIONS.items() if s.curved]


@dataclass(frozen=True)
class Row:
    """One rung: the largest relative error in `cases` comparisons, and the error that is allowed."""

    name: str
    error: float
    tolerance: float
    cases: int
    precision: str = "float64"

    @property
    def right(self) -> bool:
        return self.error <= self.tolerance  # False for NaN


def run(seed: int = 0, networks: int = 50) -> int:
    """Print the table; 0 if every row is right, else 1: what the command exits with."""
    began = time.perf_counter()
    rows = ladder(seed, networks)
    print(table(rows))
    wrong = [row.name for row in rows if not row.right]
    print(f"\n{networks} random networks, seed {seed}, {time.perf_counter() - began:.1f} s: ", end="")
    print(f"WRONG: {', '.join(wrong)}" if wrong else "every derivative is right")
    return 1 if wrong else 0


def table(rows: list[Row]) -> str:
    """The rows, aligned."""
    lines = [f"{'checked against complex step':<44}precision  largest error  allowed  verdict"]
    for row in rows:
        verdict = "right" if row.right else "WRONG"
        lines.append(f"{row.name:<44}{row.precision:<9}  {row.error:<13.1e}  {row.tolerance:<7.0e}  {verdict}")
    return "\n".join(lines)


def ladder(seed: int = 0, networks: int = 50, tolerance: float = TOLERANCE) -> list[Row]:
    """Every rung on `networks` random networks, of all activations and losses in turn."""
    validate.count("networks", networks)
    rng = np.random.default_rng(validate.count("seed", seed, least=0))
    in_turn = lambda names, steps=1: [Problem.draw(rng, activation=names[i % len(names)], steps=steps) for i in range(networks)]
    everything, smooth, relu = in_turn(list(ACTIVATIONS)), in_turn(SMOOTH), in_turn(["relu"])

    def row(name: str, error: Callable, problems: list, allowed: float = tolerance, precision: str = "float64") -> Row:
        errors = [error(problem) for problem in problems]
        return Row(name, float(np.max(errors)), allowed, len(errors), precision)  # NaN if any is NaN

    rows = []
    for name, s in ACTIVATIONS.items():
        points = [rng.uniform(-6, 6, 20) for _ in range(networks)]
        rows.append(row(f"{name}: s'", lambda z, s=s: _slope(s.value, lambda z: s.first(z, s.value(z)), z), points))
        if s.curved:
            first, second = (lambda z, s=s: s.first(z, s.value(z))), (lambda z, s=s: s.second(z, s.value(z)))
            rows.append(row(f"{name}: s''", lambda z, first=first, second=second: _slope(first, second, z), points))
    for name, loss in LOSSES.items():
        triples = [_logits(name, rng) for _ in range(networks)]
        rows.append(row(f"{name}: dl/dz", lambda zyr, loss=loss: _loss_gradient(loss, *zyr), triples))
        rows.append(row(f"{name}: (d2l/dz2) r", lambda zyr, loss=loss: _loss_hvp(loss, *zyr), triples))
    for kind, problems in (("smooth", smooth), ("relu", relu)):
        rows.append(row(f"network gradient, {kind}", _gradient, problems))
        rows.append(row(f"network Hessian-vector product, {kind}", _hvp, problems))
    rows.append(row("a batch of tasks against a loop over tasks", _tasks, everything))
    for steps in (1, 2, 3):
        problems = in_turn(list(ACTIVATIONS), steps)
        rows.append(row(f"meta-gradient, {steps} inner step{'s' * (steps > 1)}", _meta, problems))
    two_steps = in_turn(list(ACTIVATIONS), 2)
    rows.append(row("the same in fast weights, 2 inner steps", lambda p: _meta(p, fast_weights=True), two_steps))
    rows.append(row("first-order meta-gradient, 2 inner steps", _first_order, two_steps))
    rows.append(row("the curvature term, 2 inner steps", _curvature, two_steps))
    for name, mine, whole in fixtures():
        rows.append(Row(f"whole numbers, {name}", float(np.max(np.abs(mine - whole))), 0.0, 1))
    rows.append(row("network gradient, smooth, against float64", lambda p: _single(p, "gradient"), smooth, 1e-4, "float32"))
    rows.append(row("network HVP, smooth, against float64", lambda p: _single(p, "hvp"), smooth, 1e-4, "float32"))
    rows.append(row("meta-gradient, smooth, against float64", lambda p: _single(p, "meta"), smooth, 1e-4, "float32"))
    return rows


# -- the relative error of one rung ---------------------------------------------------------------------------


def _slope(f: Callable, derivative: Callable, z: np.ndarray) -> float:
    return relative_error(derivative(z), complex_step(f, z, np.ones_like(z)))


def _logits(name: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions z, targets y and a direction r for a loss, each (3, 4)."""
    y = np.eye(4)[rng.integers(4, size=3)] if name == "cross_entropy" else rng.standard_normal((3, 4))
    return 2 * rng.standard_normal((3, 4)), y, rng.standard_normal((3, 4))


def _loss_gradient(loss: Loss, z: np.ndarray, y: np.ndarray, r: np.ndarray) -> float:
    return relative_error((loss.gradient(z, y) * r).sum(-1), complex_step(lambda z: loss.value(z, y), z, r))


def _loss_hvp(loss: Loss, z: np.ndarray, y: np.ndarray, r: np.ndarray) -> float:
    return relative_error(loss.hvp(z, y, r), complex_step(lambda z: loss.gradient(z, y), z, r))


def _support(p: Problem) -> tuple[np.ndarray, np.ndarray]:
    return p.batch.x_support, p.batch.y_support


def _gradient(p: Problem) -> float:
    x, y = _support(p)
    return relative_error(p.model.at(p.theta, x, y).gradient.task(0), loss_gradient(p.model, p.theta, x[0], y[0]))


def _hvp(p: Problem) -> float:
    gradient = lambda theta: p.model.at(theta, *_support(p)).gradient
    return relative_error(p.model.at(p.theta, *_support(p)).hvp(p.v), complex_step(gradient, p.theta, p.v))


def _tasks(p: Problem) -> float:
    x, y = _support(p)
    here, alone = p.model.at(p.theta, x, y), [p.model.at(p.theta, x[t], y[t]) for t in range(p.tasks)]
    gradients = [relative_error(here.gradient.task(t), alone[t].gradient) for t in range(p.tasks)]
    hvps = [relative_error(here.hvp(p.v).task(t), alone[t].hvp(p.v)) for t in range(p.tasks)]
    return max(gradients + hvps)


def _meta(p: Problem, fast_weights: bool = False) -> float:
    inner = {"inner_lr": p.inner_lr, "steps": p.steps}
    mine = meta_gradient(p.model, p.theta, p.batch, **inner, fast_weights=fast_weights).gradient
    return relative_error(mine, meta_gradient_by_complex_step(p.model, p.theta, p.batch, **inner))


def _first_order(p: Problem) -> float:
    """theta_K is held fixed: the gradient is that of the query loss at the adapted copy, the mean over tasks."""
    inner, b = {"inner_lr": p.inner_lr, "steps": p.steps}, p.batch
    mine = meta_gradient(p.model, p.theta, b, **inner, first_order=True).gradient
    theta_K = adapt(p.model, p.theta, b.x_support, b.y_support, **inner)
    of_tasks = [loss_gradient(p.model, theta_K.task(t), b.x_query[t], b.y_query[t]) for t in range(p.tasks)]
    return relative_error(mine, sum(of_tasks[1:], start=of_tasks[0]) / p.tasks)


def _curvature(p: Problem) -> float:
    """The sum over the steps of alpha H_S(theta_k) u_{k+1}, gathered one step at a time (eq. 12)."""
    inner, b = {"inner_lr": p.inner_lr}, p.batch
    mine = meta_gradient(p.model, p.theta, b, **inner, steps=p.steps).curvature
    copies = [p.theta, *(adapt(p.model, p.theta, b.x_support, b.y_support, **inner, steps=k) for k in range(1, p.steps + 1))]
    u = p.model.at(copies.pop(), b.x_query, b.y_query).gradient
    terms = []
    while copies:
        terms.append(p.inner_lr * p.model.at(copies.pop(), b.x_support, b.y_support).hvp(u))
        u = u - terms[-1]
    return relative_error(mine, sum(terms[1:], start=terms[0]).mean())


def _single(p: Problem, what: str) -> float:
    """float32 against float64 at the same numbers; infinite if the answer is not in float32."""
    single = lambda thing: thing.astype(np.float32)
    b = p.batch
    low = [single(thing) for thing in (p.theta, p.v, b.x_support, b.y_support, b.x_query, b.y_query)]
    high = [thing.astype(np.float64) for thing in low]

    def value(theta: Parameters, v: Parameters, *arrays: np.ndarray) -> Parameters:
        if what == "meta":
            return meta_gradient(p.model, theta, TaskBatch(*arrays), inner_lr=p.inner_lr).gradient
        here = p.model.at(theta, *arrays[:2])
        return here.gradient if what == "gradient" else here.hvp(v)

    mine = value(*low)
    return relative_error(mine, value(*high)) if mine.dtype == np.float32 else np.inf
