"""The checks of the battery: each function returns its error, or raises AssertionError with a sentence.

References are derivatives of the model's own loss or gradient, by complex step or by differences.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinymaml.check.case import SINGLE, Case, judge, same
from tinymaml.check.compare import flatten, relative_error
from tinymaml.check.derivatives import adaptive_difference
from tinymaml.check.references import query_losses
from tinymaml.maml import adapt, meta_gradient
from tinymaml.parameters import Parameters
from tinymaml.rl.sampled import SampledPolicy


def _surface(case: Case) -> float:
    here, tasks = case.here, len(case.batch)
    assert np.shape(here.loss) == (tasks,), f"the loss has shape {np.shape(here.loss)}, expected ({tasks},): one for each task"
    assert np.isfinite(here.loss).all(), "the loss is NaN or infinite"
    for what, value in (("gradient", here.gradient), ("hvp", here.hvp(case.v))):
        assert isinstance(value, Parameters), f"the {what} is a {type(value).__name__}, expected Parameters"
        assert value.keys() == case.theta.keys(), f"the {what} holds {list(value)}, expected {list(case.theta)}"
        for name, array in value.items():
            wanted = (tasks, *case.theta[name].shape)
            assert array.shape == wanted, f"{name} of the {what} has shape {array.shape}, expected {wanted}: one for each task"
            assert np.isfinite(array).all(), f"{name} of the {what} holds NaN or infinite numbers"
    return 0.0


def _of_tasks(case: Case, value: Parameters) -> list[Parameters]:
    return [value.task(t) for t in range(len(case.batch))]


def _gradient(case: Case) -> float:
    mine = case.products(*_of_tasks(case, case.here.gradient))
    return judge(case, "the gradient is not the derivative of the loss", mine, case.slopes(case.loss, case.theta))


def _hvp(case: Case) -> float:
    mine = case.here.hvp(case.v)
    if isinstance(case.model, SampledPolicy):  # its gradient has new episodes: differentiate the surrogate loss twice
        first = lambda theta: case.slopes(case.loss, theta)
        reference = adaptive_difference(first, case.theta, case.v)
        sentence = "hvp is not the second derivative of the surrogate loss"
        return judge(case, sentence, case.products(*_of_tasks(case, mine)), reference)
    reference = case.derivative(lambda theta: case.at(theta).gradient, case.theta, case.v)
    hint = "a term of the second derivative is missing or wrong; if an activation is curved, look at s'' in eq. 8"
    if not np.any(mine.flat):
        hint = "it is zero, which makes every meta-gradient first-order"
    return judge(case, "hvp is not the derivative of the gradient along v", mine, reference, hint)


def _linear(case: Case) -> float:
    hvp, u, v = case.here.hvp, case.u, case.v
    return same(hvp(2 * u - 3 * v), 2 * hvp(u) - 3 * hvp(v), "hvp(2u - 3v) is not 2 hvp(u) - 3 hvp(v)")


def _symmetric(case: Case) -> float:
    u_Hv = [case.u.dot(product) for product in _of_tasks(case, case.here.hvp(case.v))]
    v_Hu = [case.v.dot(product) for product in _of_tasks(case, case.here.hvp(case.u))]
    return same(u_Hv, v_Hu, "u.Hv is not v.Hu, so this is no Hessian")


def _values(model: Any, theta: Parameters, v: Parameters, x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    here = model.at(theta, x, y)
    return {"loss": here.loss, "gradient": here.gradient, "hvp": here.hvp(v)}


def _tasks(case: Case) -> float:
    """A batch of tasks gives the results of each task alone, for a shared theta and for one theta per task."""
    own = case.theta.map(lambda array: np.stack([array * (1 + 0.1 * t) for t in range(len(case.batch))]))
    pick = lambda value, t: value.task(t) if isinstance(value, Parameters) else value[t]
    errors = []
    for whose, theta in (("a shared theta", case.theta), ("a theta for each task", own)):
        batched = _values(case.model, theta, case.v, case.x, case.y)
        for t in range(len(case.batch)):
            theta_t = theta if theta is case.theta else theta.task(t)
            for what, alone in _values(case.model, theta_t, case.v, case.x[t:t + 1], case.y[t:t + 1]).items():
                sentence = f"with {whose}, the {what} of task {t} differs from its result alone"
                errors.append(same(pick(batched[what], t), pick(alone, 0), sentence))
    return max(errors)


def _broadcasting(case: Case) -> float:
    x, y = case.x, case.y
    if x.shape[1] == 1:
        return 0.0
    for bad in (y[:, :1], y[:, :, 0] if y.ndim == 3 else y[:, 1:]):
        try:
            loss = case.model.at(case.theta, x, bad).loss
        except Exception:  # rejected, as it should be
            continue
        raise AssertionError(
            f"y of shape {bad.shape} was accepted with x of shape {x.shape}, and the loss is {loss}: "
            f"compare the shapes first, and raise ValueError unless y is {y.shape}"
        )
    return 0.0


def _inputs(case: Case) -> float:
    things = {"theta": case.theta, "v": case.v, "x": case.x, "y": case.y}
    before = {name: thing.copy() for name, thing in things.items()}
    first, second = (_values(case.model, *things.values()) for _ in range(2))
    for name, thing in things.items():
        assert np.array_equal(flatten(thing), flatten(before[name])), f"{name} was changed: work on a copy"
    for what in first:
        assert relative_error(first[what], second[what]) == 0, f"the {what} differs in a second call"
    return 0.0


def _precision(case: Case) -> float:
    """float32 results against float64 results for the same inputs, which float32 represents exactly."""
    low = [thing.astype(np.float32) for thing in (case.theta, case.v, case.x, case.y)]
    single, double = (_values(case.model, *(thing.astype(dtype) for thing in low)) for dtype in (np.float32, np.float64))
    for what, value in single.items():
        assert value.dtype == np.float32, f"from float32 the {what} is returned as {value.dtype}: a cast or an array in float64?"
    size = max(0.1, np.max(np.abs(case.here.loss)))  # terms may cancel, but their rounding errors remain
    floors = {"loss": size, "gradient": size, "hvp": size * np.linalg.norm(case.v.flat)}
    sentence = "in float32 the {} is far from its value in float64"
    return max(
        same(single[what], double[what], sentence.format(what), tolerance=SINGLE, floor=floor) for what, floor in floors.items()
    )


RATES = {
    "one rate": lambda case: case.inner_lr,
    "one rate per name": lambda case: {name: case.inner_lr * (i % 3) for i, name in enumerate(case.theta)},
    "one rate per entry": lambda case: case.inner_lr * case.u,
}


def _meta(steps: int, rates: str = "one rate") -> Callable[[Case], float]:
    """The meta-gradient against the derivative of the meta-loss, with one rate, one per name or one per entry."""

    def check(case: Case) -> float:
        inner_lr = RATES[rates](case)
        mine = meta_gradient(case.model, case.theta, case.batch, inner_lr=inner_lr, steps=steps).gradient
        meta_loss = lambda theta: query_losses(case.model, theta, case.batch, inner_lr, steps).mean()
        sentence = f"the meta-gradient over {steps} inner step{'s' * (steps > 1)} is not the derivative of the meta-loss"
        return judge(case, sentence, case.products(mine), case.slopes(meta_loss, case.theta))

    return check


def _fast_weights(case: Case) -> float:
    """Factored against dense weights, if the model has both (eqs. 14 and 15)."""
    if not hasattr(case.model, "fast_weights"):
        return 0.0
    errors = []
    for rates in RATES.values():
        fast, dense = (
            meta_gradient(case.model, theta, case.batch, inner_lr=rates(case), steps=2, fast_weights=False)
            for theta in (case.model.fast_weights(case.theta), case.theta)
        )
        for what in ("gradient", "first_order", "curvature", "rates_gradient"):
            errors.append(same(getattr(fast, what), getattr(dense, what), f"the {what} is different in fast weights"))
    return max(errors)


def _first_order(case: Case) -> float:
    """The meta-gradient against eq. 12 written out for K = 2."""
    options = {"inner_lr": case.inner_lr, "steps": 2}
    exact = meta_gradient(case.model, case.theta, case.batch, **options)
    first = meta_gradient(case.model, case.theta, case.batch, **options, first_order=True).gradient
    theta_1, theta_2 = (adapt(case.model, case.theta, case.x, case.y, inner_lr=case.inner_lr, steps=k) for k in (1, 2))
    u_2 = case.model.at(theta_2, case.batch.x_query, case.batch.y_query).gradient
    term_1 = case.inner_lr * case.at(theta_1).hvp(u_2)
    term_0 = case.inner_lr * case.here.hvp(u_2 - term_1)
    curvature = (term_0 + term_1).mean()
    return max(
        same(first, u_2.mean(), "the first-order meta-gradient is not the query gradient at the adapted parameters"),
        same(exact.gradient, first - curvature, "the exact meta-gradient is not the first-order one minus the curvature term"),
        same(exact.curvature, curvature, "the curvature is not the sum of alpha H_S(theta_k) u_{k+1}"),
        same(exact.gradient, exact.first_order - exact.curvature, "the meta-gradient is not first_order minus curvature"),
    )


STRUCTURE = "at: names and shapes"  # no other check is made if this one fails
CHECKS = {
    STRUCTURE: _surface,
    "gradient": _gradient,
    "hvp": _hvp,
    "hvp is linear": _linear,
    "hvp is symmetric": _symmetric,
    "tasks do not mix": _tasks,
    "no broadcasting": _broadcasting,
    "inputs are untouched": _inputs,
    "float32 stays float32": _precision,
    "meta-gradient, 1 step": _meta(1),
    "meta-gradient, 2 steps": _meta(2),
    "meta-gradient, 3 steps": _meta(3),
    "one rate per name": _meta(2, "one rate per name"),
    "one rate per entry": _meta(2, "one rate per entry"),
    "fast weights": _fast_weights,
    "first-order": _first_order,
}
OF_META_LOSS = [name for name in CHECKS if name.startswith(("meta-gradient", "one rate"))]
# the checks that rely on others: if one of these fails, they are not made
RELY_ON = {"hvp": ("gradient",), **{name: ("gradient", "hvp") for name in [*OF_META_LOSS, "fast weights", "first-order"]}}
