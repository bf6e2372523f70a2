"""Model-agnostic meta-learning, gradient by gradient: eqs. 11-13 (Finn, Abbeel, Levine 2017, arXiv 1703.03400).

Nothing here knows what a model is made of. A model answers `model.at(theta, x, y)` with an object that has

    loss        the loss of each task, (T,)
    gradient    dL/dtheta of each task, `Parameters` with a leading task axis
    hvp(v)      the Hessian of each task's loss times v, likewise

and that is all that is asked of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tinymaml import validate
from tinymaml.parameters import Parameters


def adapt(
    model: Any, theta: Parameters, x: np.ndarray, y: np.ndarray, *, inner_lr: float, steps: int = 1, fast_weights: bool = False
) -> Parameters:
    """The inner loop: `steps` steps of gradient descent on every task's own examples (eq. 11; the paper's eq. 1).

    x (T, n, ...) and y (T, n, ...) are support sets; theta is shared or one for each task; `inner_lr` is alpha.
    Returns theta_K, one for each task. With `fast_weights` the matrices of a shared theta are kept as factors
    (eq. 14), which is for large models. ValueError for steps below 1 or a rate that is not above zero.
    """
    return _inner_loop(model, in_form(model, theta, 0, fast_weights), x, y, inner_lr, steps)[0]


@dataclass(frozen=True)
class MetaGradient:
    """What one batch of tasks says about the initialisation theta.

    loss          the meta-loss: the mean over tasks of the query loss at the adapted parameters
    losses        the same for each task, (T,)
    gradient      d loss / d theta = first_order - curvature
    first_order   the mean over tasks of u_K = grad L_Q(theta_K): taken at the adapted copy
    curvature     the mean over tasks of sum_k alpha H_S(theta_k) u_{k+1}, which is what `gradient` takes off
                  `first_order`; None if every Hessian was dropped
    u_K           what `first_order` is the mean of, each task's own; `exact` is whether the Hessians were kept
    """

    loss: float
    losses: np.ndarray
    gradient: Parameters
    u_K: Parameters
    exact: bool = True

    @cached_property
    def first_order(self) -> Parameters:
        return self.u_K.mean()

    @cached_property
    def curvature(self) -> Parameters | None:
        return self.first_order - self.gradient if self.exact else None


def meta_gradient(
    model: Any,
    theta: Parameters,
    batch: Any,
    *,
    inner_lr: float,
    steps: int = 1,
    first_order: bool = False,
    fast_weights: bool | None = None,
) -> MetaGradient:
    """The gradient of the meta-loss with respect to the initialisation theta, exact or first-order (eqs. 11-13).

    batch: x_support, y_support, x_query, y_query, each with a leading task axis. The gradient is taken at the adapted
    copies theta_K; what it moves is the original theta. `first_order=True` drops every Hessian term of eq. 12
    (the paper's section 5.2). The memory of K steps is K tapes: each inner step keeps its adapted parameters and
    every intermediate of its forward and backward sweep until eq. 12 has passed it on the way back.

    `fast_weights` chooses between two forms of the same numbers: True keeps adapted matrices as factors (eqs. 14
    and 15), False forms them, None takes for each matrix what is smaller.
    """
    start = in_form(model, theta, validate.count("steps", steps) * batch.x_support.shape[1], fast_weights)
    theta_K, tapes = _inner_loop(model, start, batch.x_support, batch.y_support, inner_lr, steps)
    query = model.at(theta_K, batch.x_query, batch.y_query)
    losses, u_K = query.loss, query.gradient  # u_K = grad L_Q(theta_K), eq. 12
    del query, theta_K  # so that the memory of these sweeps is used again

    u = u_K
    while tapes and not first_order:  # k = K-1..0
        u = u - inner_lr * tapes.pop().hvp(u)  # u_k = u_{k+1} - alpha H_S(theta_k) u_{k+1}, eq. 12
    return MetaGradient(losses.mean(), losses, u.mean(), u_K, exact=not first_order)  # the mean over tasks of u_0, eq. 13


def _inner_loop(
    model: Any, theta: Parameters, x: np.ndarray, y: np.ndarray, inner_lr: float, steps: int
) -> tuple[Parameters, list]:
    """theta_K, and the tape of every step: what `model.at` saw at theta_0..theta_{K-1}."""
    inner_lr, steps = validate.rate("inner_lr", inner_lr), validate.count("steps", steps)
    tapes = []
    for _ in range(steps):
        here = model.at(theta, x, y)
        theta = theta - inner_lr * here.gradient  # theta_{k+1} = theta_k - alpha grad L_S(theta_k), eq. 11
        tapes.append(here)
    return theta, tapes


def in_form(model: Any, theta: Parameters, examples: int, fast_weights: bool | None = None) -> Parameters:
    """A shared theta in the form in which its adapted copies will be kept: see `fast_weights` of `meta_gradient`.

    examples: how many a task adapts on, counted once a step. A model without fast weights has one form only.
    """
    if fast_weights and not hasattr(model, "fast_weights"):
        raise ValueError(f"a {type(model).__name__} has no fast weights: leave fast_weights out")
    if fast_weights is False or not hasattr(model, "fast_weights"):
        return theta
    return model.fast_weights(theta, 0 if fast_weights else examples)
