"""Model-agnostic meta-learning, gradient by gradient: eqs. 11-13 and 20.

The paper is Finn, Abbeel, Levine 2017, arXiv 1703.03400. Model-agnostic: this module calls only `model.at`,
and uses only `loss`, `gradient` and `hvp` of the result (see `Model` and `Surface` below).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from tinymaml import validate
from tinymaml.parameters import Parameters

Rates = float | Mapping[str, float] | Parameters  # alpha: one number, one per name, or one per entry


class Surface(Protocol):
    """The losses of T tasks at theta, and their derivatives."""

    @property
    def loss(self) -> np.ndarray:
        """The loss of each task, (T,)."""

    @property
    def gradient(self) -> Parameters:
        """dL/dtheta of each task, with a leading task axis."""

    def hvp(self, v: Parameters) -> Parameters:
        """The Hessian of each task's loss times v, with a leading task axis."""


class Model(Protocol):
    """A model that can be meta-trained."""

    def at(self, theta: Parameters, x: np.ndarray, y: np.ndarray) -> Surface:
        """The loss surface of T tasks at theta, shared or one per task; x (T, n, ...) and y (T, n, ...)."""


def adapt(
    model: Model, theta: Parameters, x: np.ndarray, y: np.ndarray, *,
    inner_lr: Rates, steps: int = 1, fast_weights: bool = False,
) -> Parameters:  # fmt: skip
    """The inner loop: `steps` steps of gradient descent on each task's examples (eq. 11; the paper's eq. 1).

    x (T, n, ...) and y (T, n, ...) are the support sets; theta is shared or one per task. `inner_lr` is
    alpha: a number, a mapping from parameter names to numbers (absent names stay fixed), or `Parameters` with
    a rate per entry; rates may be negative. Returns theta_K, one per task; with `fast_weights`, some of its
    matrices are factored, as in `meta_gradient`. ValueError for steps below 1 and for rates that do not fit
    theta.
    """
    validate.parameters("theta", theta)
    alpha = validate.rates("inner_lr", inner_lr, theta)
    validate.flag("fast_weights", fast_weights)
    n = np.shape(x)[-2] if fast_weights and np.ndim(x) > 1 else 0
    theta = represent(model, theta, validate.count("steps", steps) * n, fast_weights, alpha)
    for k in range(steps):
        theta = theta - alpha * at_step(model, k).at(theta, x, y).gradient  # eq. 11
    return theta


@dataclass(frozen=True)
class MetaGradient:
    """The meta-gradient of one batch and its parts.

    losses               the query loss of each task at its adapted parameters, (T,)
    u                    u_0..u_K of eq. 12, one per task; first-order MAML has only u_K and uses it as u_0
    curvature_terms      H_S(theta_k) (alpha o u_{k+1}) for k = 0..K-1, see eq. 12; None if first-order
    support_gradients    grad L_S(theta_k) for k = 0..K-1; None if first-order
    """

    losses: np.ndarray
    u: tuple[Parameters, ...]
    curvature_terms: tuple[Parameters, ...] | None = None
    support_gradients: tuple[Parameters, ...] | None = None

    @property
    def loss(self) -> float:
        """The meta-loss: the mean over tasks."""
        return self.losses.mean()

    @cached_property
    def gradient(self) -> Parameters:
        """d loss / d theta, the mean over tasks of u_0 (eq. 13): first_order - curvature."""
        return self.u[0].mean()

    @cached_property
    def first_order(self) -> Parameters:
        """The mean over tasks of u_K = grad L_Q(theta_K), the gradient at the adapted parameters."""
        return self.u[-1].mean()

    @cached_property
    def curvature(self) -> Parameters | None:
        """The mean over tasks of the sum of the curvature terms; None if first-order."""
        return None if self.curvature_terms is None else sum(self.curvature_terms).mean()

    @cached_property
    def rates_gradient(self) -> Parameters | None:
        """d loss / d alpha per entry: minus the mean over tasks of sum_k u_{k+1} o grad L_S(theta_k), eq. 20.

        None if first-order.
        """
        if self.support_gradients is None:
            return None
        return -sum(u * g for u, g in zip(self.u[1:], self.support_gradients, strict=True)).mean()


def meta_gradient(
    model: Model, theta: Parameters, batch: Any, *,
    inner_lr: Rates, steps: int = 1, first_order: bool = False, fast_weights: bool = True,
) -> MetaGradient:  # fmt: skip
    """The gradient of the meta-loss with respect to the initialisation, exact or first-order (eqs. 11-13).

    batch: x_support, y_support, x_query, y_query, each with a leading task axis. The query losses are
    evaluated at the adapted parameters theta_K; the gradient is with respect to the original theta. `inner_lr`
    is alpha, as in `adapt`. `first_order=True` drops every Hessian term of eq. 12 (the paper's section 5.2).
    Memory grows with K: the intermediates of each inner step are kept until the backward recursion (eq. 12)
    has used them; first-order MAML keeps none.

    `fast_weights` does not change the result: adapted matrices are stored as factors where the factors are
    smaller (eqs. 14 and 15). Matrices that are already factored in theta stay factored. With one rate per
    entry all matrices are dense.
    """
    validate.parameters("theta", theta)
    validate.flag("first_order", first_order)
    validate.flag("fast_weights", fast_weights)
    x, y = batch.x_support, batch.y_support
    alpha = validate.rates("inner_lr", inner_lr, theta)
    theta_k = represent(model, theta, validate.count("steps", steps) * x.shape[1], fast_weights, alpha)
    surfaces = []
    for k in range(steps):  # k = 0..K-1
        here = at_step(model, k).at(theta_k, x, y)
        theta_k = theta_k - alpha * here.gradient  # theta_{k+1} = theta_k - alpha o grad L_S(theta_k), eq. 11
        if not first_order:
            surfaces.append(here)
    query = model.at(theta_k, batch.x_query, batch.y_query)
    losses, u = query.loss, [query.gradient]  # u_K = grad L_Q(theta_K), eq. 12
    validate.shared(theta, u[0])
    if first_order:
        return MetaGradient(losses, tuple(u))
    del query, here, theta_k  # frees their memory

    support_gradients, curvature_terms = [here.gradient for here in surfaces], []
    while surfaces:  # k = K-1..0
        curvature_terms.append(surfaces.pop().hvp(alpha * u[-1]))
        u.append(u[-1] - curvature_terms[-1])  # u_k = u_{k+1} - H_S(theta_k) (alpha o u_{k+1}), eq. 12
    return MetaGradient(losses, tuple(u[::-1]), tuple(curvature_terms[::-1]), tuple(support_gradients))


def represent(
    model: Model, theta: Parameters, examples: int, fast_weights: bool = True, alpha: Rates = 1.0
) -> Parameters:
    """theta with its matrices dense or factored, as in the inner loop: see `fast_weights` of `meta_gradient`.

    examples: the number of support examples per task times the number of steps. For a model without a method
    `fast_weights` theta is returned unchanged.
    """
    if isinstance(alpha, Parameters):
        return theta.dense()
    return model.fast_weights(theta, examples) if fast_weights and hasattr(model, "fast_weights") else theta


def at_step(model: Model, k: int) -> Model:
    """The model at inner step k: `model.at_step(k)` if its gradient is random, else the model itself."""
    return model.at_step(k) if hasattr(model, "at_step") else model
