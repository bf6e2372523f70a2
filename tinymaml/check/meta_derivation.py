"""The meta-gradient, checked part by part, on any model: eqs. 11-13, and the known mistakes in them.

    derivation = MetaDerivation(model, theta, batch, inner_lr=0.1, steps=2)
    derivation.check("gradient", mine)

The true values come from values of the loss (`references.py`): a gradient of the model's own is taken only where they agree.
Its Hessian is used only to find out which mistake gives a wrong answer's numbers.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import combinations
from typing import Any

import numpy as np

from tinymaml import validate
from tinymaml.check.compare import Line, attainable, compare, diagnose
from tinymaml.check.references import certified_gradient, losses, of_task, query_gradient
from tinymaml.maml import Model, Rates
from tinymaml.parameters import Parameters
from tinymaml.tasks import TaskBatch

SLIPS = {
    "first-order": "this is first-order MAML: the curvature term is missing (eq. 12)",
    "sign": "the curvature term has the wrong sign: eq. 12 subtracts it",
    "added": "the curvature term has the wrong sign: eq. 12 subtracts it",
    "alpha": "the inner learning rate is missing before the curvature term (eq. 12)",
    "outside": "alpha stands outside the product: eq. 12 has H (alpha o u), which is not alpha o (H u)",
    "at theta": "the gradient is taken at theta, not at theta'",
    "support": "this is the support gradient: u_K is the gradient of the query loss (eq. 12)",
    "H of query": "the Hessian is that of the query loss: eq. 12 has the support loss",
    "H at theta'": "the Hessian is taken at theta_{k+1}, not at theta_k (eq. 12)",
    "H at theta": "every Hessian is taken at theta, not at theta_k (eq. 12)",
    "not carried": "every Hessian is applied to u_K: eq. 12 applies it to u_{k+1}",
    "last step": "only the last inner step is differentiated: eq. 12 goes back to k = 0",
    "uphill": "the inner step goes uphill: eq. 11 subtracts the gradient",
    "support 1/n": "a factor 1/n is missing in the support loss",
    "query 1/n": "a factor 1/n is missing in the query loss",
    "sum over tasks": "it is the sum over the tasks: eq. 13 takes the mean",
    "alone": "this is the curvature term alone: the meta-gradient is the first-order part minus it",
}


class MetaDerivation:
    """The quantities of eqs. 11-13 for any model and a batch of T tasks, by name.

    theta[0]..theta[K], u[0]..u[K]                   of each task (T, ...), eqs. 11 and 12
    loss, gradient, first_order, curvature           means over the tasks, as in `MetaGradient`, eq. 13

    References are computed in float64, to a relative 1e-10 or better.
    """

    def __init__(self, model: Model, theta: Parameters, batch: TaskBatch, *, inner_lr: Rates, steps: int = 1):
        validate.model(model)
        validate.parameters("theta", theta)
        double = lambda array: array.astype(np.float64)
        self.model, self.theta = model, theta.map(double)
        self.batch = TaskBatch(*(double(getattr(batch, name)) for name in ("x_support", "y_support", "x_query", "y_query")))
        self.inner_lr, self.steps = validate.rates("inner_lr", inner_lr, self.theta), validate.count("steps", steps)
        self._known: dict[str, Any] = {}

    @property
    def names(self) -> list[str]:
        """Everything that can be asked for."""
        of_tasks = [f"{name}[{k}]" for name in ("theta", "u") for k in range(self.steps + 1)]
        return [*of_tasks, "loss", "gradient", "first_order", "curvature"]

    def reference(self, name: str) -> Any:
        """The true value of one quantity: a number, or `Parameters`."""
        if validate.text("name", name) not in self.names:
            raise ValueError(f"nothing here is named {name!r}: there are {', '.join(self.names)}")
        if name not in self._known:
            self._known[name] = self._value(name)
        return self._known[name]

    def check(self, name: str, mine: Any, *, tolerance: float = 1e-8) -> Line:
        """Prints and returns the line of a right answer; `WrongAnswer` with error and diagnosis for a wrong one."""
        validate.tolerance("tolerance", tolerance)
        diagnosis = lambda closeness: self.diagnosis(name, mine, closeness)
        return compare(name, mine, self.reference(name), tolerance=attainable(mine, tolerance), diagnosis=diagnosis)

    def diagnosis(self, name: str, mine: Any, tolerance: float, *, one_task: bool = False) -> str:
        """The known mistake that gives these numbers, as a sentence; "" if none does."""
        pick = lambda value: value.task(0) if one_task else value
        wrong = lambda made: pick(outer_loop(self.model, self.theta, self.batch, self.inner_lr, self.steps, made)[name])
        one = ((sentence, wrong([key])) for key, sentence in SLIPS.items())
        known = [other for other in self.names if other != name and (not one_task or "[" in other)]
        others = ((f"this is {other}, not {name}", pick(self.reference(other))) for other in known)
        two = (("; and ".join(SLIPS[key] for key in both), wrong(both)) for both in combinations(SLIPS, 2))
        return diagnose(mine, pick(self.reference(name)), one, others, two, tolerance=tolerance)

    def _value(self, name: str) -> Any:
        tasks = range(len(self.batch))
        if name == "loss":
            end = lambda t: self._theta(t, self.steps).map(lambda array: array[None])  # theta_K
            return np.mean([losses(self.model, end(t), *self._query(t)) for t in tasks])
        if name == "gradient":
            return self.reference("u[0]").mean()
        if name == "first_order":
            return self.reference(f"u[{self.steps}]").mean()
        if name == "curvature":
            return self.reference("first_order") - self.reference("gradient")
        value, k = (self._theta if name.startswith("theta") else self._u), int(name[:-1].split("[")[1])
        return _stack([value(t, k) for t in tasks])

    def _support(self, t: int) -> tuple[np.ndarray, np.ndarray]:
        return self.batch.x_support[t], self.batch.y_support[t]

    def _query(self, t: int) -> tuple[np.ndarray, np.ndarray]:
        return self.batch.x_query[t], self.batch.y_query[t]

    def _theta(self, t: int, k: int) -> Parameters:
        """theta_k of task t."""
        theta = self.theta
        for _ in range(k):
            theta = theta - self.inner_lr * certified_gradient(theta, *of_task(self.model, *self._support(t)))
        return theta

    def _u(self, t: int, k: int) -> Parameters:
        """d L_Q(theta_K) / d theta_k of task t."""
        inner = {"inner_lr": self.inner_lr, "steps": self.steps - k}
        return query_gradient(self.model, self._theta(t, k), self._support(t), self._query(t), **inner)


def outer_loop(
    model: Model, theta: Parameters, batch: TaskBatch, inner_lr: Rates, steps: int, made: Collection[str] = ()
) -> dict[str, Any]:
    """Eqs. 11-13 with the mistakes `made`, from the model's own gradient and Hessian-vector product."""
    slip = lambda key: key in made
    alpha = validate.rates("inner_lr", inner_lr, theta)
    S = batch.x_support.shape[1] if slip("support 1/n") else 1
    Q = batch.x_query.shape[1] if slip("query 1/n") else 1
    support = lambda theta: model.at(theta, batch.x_support, batch.y_support)
    query = lambda theta: model.at(theta, batch.x_query, batch.y_query)

    thetas = {0: theta}
    for k in range(steps):  # eq. 11
        thetas[k + 1] = thetas[k] - (S * (-1 if slip("uphill") else 1)) * (alpha * support(thetas[k]).gradient)
    end = (support if slip("support") else query)(theta if slip("at theta") else thetas[steps])
    u = {steps: end.gradient * Q}
    for k in reversed(range(steps)):  # eq. 12
        here = (query if slip("H of query") else support)(
            theta if slip("H at theta") else thetas[k + 1] if slip("H at theta'") else thetas[k]
        )
        v = u[steps] if slip("not carried") else u[k + 1]
        turn = here.hvp(v) if slip("alpha") else alpha * here.hvp(v) if slip("outside") else here.hvp(alpha * v)
        dropped = slip("first-order") or (slip("last step") and k < steps - 1)
        u[k] = u[k + 1] - (0 if dropped else S * (-1 if slip("sign") else 1)) * turn

    if slip("alone") or slip("added"):
        u = {k: (u[steps] - u[k]) + (u[steps] if slip("added") else 0 * u[k]) for k in u}

    mean = lambda of_tasks: of_tasks.mean() * (len(batch) if slip("sum over tasks") else 1)  # eq. 13
    first, gradient = mean(u[steps]), mean(u[0])
    return {
        **{f"theta[{k}]": thetas[k] for k in thetas},
        **{f"u[{k}]": u[k] for k in u},
        "loss": mean(end.loss) * Q,
        "gradient": gradient,
        "first_order": first,
        "curvature": first - gradient,
    }


def _stack(of_tasks: list[Parameters]) -> Parameters:
    return Parameters({name: np.stack([one[name] for one in of_tasks]) for name in of_tasks[0]})
