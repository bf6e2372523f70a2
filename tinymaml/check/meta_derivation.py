"""The meta-gradient of any model, checked part by part: eqs. 11-13, and known mistakes in them.

    derivation = MetaDerivation(model, theta, batch, inner_lr=0.1, steps=2)
    derivation.check("gradient", mine)

References come from values of the loss (`references.py`): the model's own gradient is used only where these confirm it. Its
Hessian is used only to find a mistake that explains a wrong answer.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import combinations
from typing import Any

import numpy as np

from tinymaml import validate
from tinymaml.check.compare import Line, compare, diagnose, tolerance_for
from tinymaml.check.derivatives import complex_step, on_a_kink
from tinymaml.check.references import Loss, Slope, certified_gradient, certified_hvp, of_task
from tinymaml.maml import Model, Rates
from tinymaml.parameters import Parameters
from tinymaml.tasks import TaskBatch

MISTAKES = {
    "first-order": "this is first-order MAML: the curvature term is missing (eq. 12)",
    "sign": "the curvature term has the wrong sign: eq. 12 subtracts it",
    "added": "the curvature term has the wrong sign: eq. 12 subtracts it",
    "alpha": "the inner learning rate is missing before the curvature term (eq. 12)",
    "outside": "alpha is outside the product: eq. 12 has H (alpha o u), which is not alpha o (H u)",
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

    theta[0]..theta[K], u[0]..u[K]                   for each task (T, ...), eqs. 11 and 12
    loss, gradient, first_order, curvature           means over the tasks, as in `MetaGradient`, eq. 13

    References are computed in float64, with a relative error of at most 1e-10.
    """

    def __init__(self, model: Model, theta: Parameters, batch: TaskBatch, *, inner_lr: Rates, steps: int = 1):
        validate.model(model)
        validate.parameters("theta", theta)
        double = lambda array: array.astype(np.float64)
        self.model, self.theta, self.batch = model, theta.map(double), batch.map(double)
        self.inner_lr, self.steps = validate.rates("inner_lr", inner_lr, self.theta), validate.count("steps", steps)
        self._known: dict[str, Any] = {}

    @property
    def names(self) -> list[str]:
        """The names of all quantities."""
        of_tasks = [f"{name}[{k}]" for name in ("theta", "u") for k in range(self.steps + 1)]
        return [*of_tasks, "loss", "gradient", "first_order", "curvature"]

    def reference(self, name: str) -> Any:
        """The reference value of one quantity: a number, or `Parameters`."""
        if validate.text("name", name) not in self.names:
            raise ValueError(f"there is no quantity {name!r}: choose one of {', '.join(self.names)}")
        if name not in self._known:
            self._known[name] = self._value(name)
        return self._known[name]

    def check(self, name: str, mine: Any, *, tolerance: float = 1e-8) -> Line:
        """Compare `mine` with the reference; print and return the line. `WrongAnswer`, with a diagnosis, if it is wrong."""
        validate.tolerance("tolerance", tolerance)
        diagnosis = lambda closeness: self._diagnosis(name, mine, closeness)
        return compare(name, mine, self.reference(name), tolerance=tolerance_for(mine, tolerance), diagnosis=diagnosis)

    def _diagnosis(self, name: str, mine: Any, tolerance: float) -> str:
        """The sentence of a known mistake that leads to `mine`; "" if there is none."""
        problem = self.model, self.theta, self.batch, self.inner_lr, self.steps
        one = ((sentence, outer_loop(*problem, [key])[name]) for key, sentence in MISTAKES.items())
        others = ((f"this is {other}, not {name}", self.reference(other)) for other in self.names if other != name)
        pairs = combinations(MISTAKES, 2)
        two = (("; and ".join(MISTAKES[key] for key in both), outer_loop(*problem, both)[name]) for both in pairs)
        return diagnose(mine, self.reference(name), one, others, two, tolerance=tolerance)

    def _value(self, name: str) -> Any:
        if name == "loss":
            theta_K = self.reference(f"theta[{self.steps}]")
            return np.mean([self._query(t)[0](theta_K.task(t)) for t in range(len(self.batch))])
        if name == "gradient":
            return self.reference("u[0]").mean()
        if name == "first_order":
            return self.reference(f"u[{self.steps}]").mean()
        if name == "curvature":
            return self.reference("first_order") - self.reference("gradient")
        value, k = (self._theta if name.startswith("theta") else self._u), int(name[:-1].split("[")[1])
        of_tasks = [value(t, k) for t in range(len(self.batch))]
        return Parameters({name: np.stack([one[name] for one in of_tasks]) for name in self.theta})

    def _support(self, t: int) -> tuple[Loss, Slope, Slope]:
        return of_task(self.model, self.batch.x_support[t], self.batch.y_support[t])

    def _query(self, t: int) -> tuple[Loss, Slope, Slope]:
        return of_task(self.model, self.batch.x_query[t], self.batch.y_query[t])

    def _theta(self, t: int, k: int) -> Parameters:
        """theta_k of task t, eq. 11."""
        if k == 0:
            return self.theta
        before = self.reference(f"theta[{k - 1}]").task(t)
        return before - self.inner_lr * certified_gradient(before, *self._support(t))

    def _u(self, t: int, k: int) -> Parameters:
        """u_k of task t, eq. 12, with gradients and products that values of the loss confirm."""
        theta_k = self.reference(f"theta[{k}]").task(t)
        if k == self.steps:
            return certified_gradient(theta_k, *self._query(t))
        u, support = self.reference(f"u[{k + 1}]").task(t), self._support(t)
        v = self.inner_lr * u
        r = v.unflatten(np.random.default_rng(0).standard_normal(v.size))
        slope = lambda theta: complex_step(support[0], theta, r)
        if on_a_kink(support[0], theta_k, v) or on_a_kink(slope, theta_k, v):
            raise ValueError(
                "theta is on a kink (a pre-activation of relu is zero, as with x = 0 and zero biases), so there is no "
                "second derivative to compare with: change x or the biases a little"
            )
        return u - certified_hvp(theta_k, v, *support)


def outer_loop(
    model: Model, theta: Parameters, batch: TaskBatch, inner_lr: Rates, steps: int, mistakes: Collection[str] = ()
) -> dict[str, Any]:
    """Eqs. 11-13 with these mistakes, from the model's own gradient and Hessian-vector product."""
    alpha = validate.rates("inner_lr", inner_lr, theta)
    S = batch.x_support.shape[1] if "support 1/n" in mistakes else 1
    Q = batch.x_query.shape[1] if "query 1/n" in mistakes else 1
    support = lambda theta: model.at(theta, batch.x_support, batch.y_support)
    query = lambda theta: model.at(theta, batch.x_query, batch.y_query)

    thetas = {0: theta}
    for k in range(steps):  # eq. 11
        step = S * (alpha * support(thetas[k]).gradient)
        thetas[k + 1] = thetas[k] + step if "uphill" in mistakes else thetas[k] - step
    end = (support if "support" in mistakes else query)(theta if "at theta" in mistakes else thetas[steps])

    def curvature_term(k: int) -> Parameters:
        """H_S(theta_k) (alpha o u_{k+1})."""
        point = theta if "H at theta" in mistakes else thetas[k + 1] if "H at theta'" in mistakes else thetas[k]
        hvp = (query if "H of query" in mistakes else support)(point).hvp
        v = u[steps] if "not carried" in mistakes else u[k + 1]
        return S * (hvp(v) if "alpha" in mistakes else alpha * hvp(v) if "outside" in mistakes else hvp(alpha * v))

    u = {steps: Q * end.gradient}
    for k in reversed(range(steps)):  # eq. 12
        u[k] = u[k + 1]
        if not ("first-order" in mistakes or ("last step" in mistakes and k < steps - 1)):
            u[k] = u[k] + curvature_term(k) if "sign" in mistakes else u[k] - curvature_term(k)
    if "added" in mistakes:
        u = {k: 2 * u[steps] - u[k] for k in u}
    if "alone" in mistakes:
        u = {k: u[steps] - u[k] for k in u}

    mean = lambda of_tasks: of_tasks.mean() * (len(batch) if "sum over tasks" in mistakes else 1)  # eq. 13
    first, gradient = mean(u[steps]), mean(u[0])
    return {
        **{f"theta[{k}]": thetas[k] for k in thetas},
        **{f"u[{k}]": u[k] for k in u},
        "loss": mean(end.loss) * Q,
        "gradient": gradient,
        "first_order": first,
        "curvature": first - gradient,
    }
