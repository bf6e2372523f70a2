"""Model-agnostic meta-learning, gradient by gradient: eqs. 11-13 and 20 (Finn, Abbeel, Levine 2017, arXiv 1703.03400).

Nothing here knows what a model is made of: `Model` and `Here` below are all that is asked of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from tinymaml import validate
from tinymaml.parameters import Parameters

Rates = float | Mapping[str, float] | Parameters  # alpha: a number, one a name, or one an entry


class Here(Protocol):
    """What a model sees from one point theta, for T tasks."""

    @property
    def loss(self) -> np.ndarray:
        """The loss of each task, (T,)."""

    @property
    def gradient(self) -> Parameters:
        """dL/dtheta of each task, with a leading task axis."""

    def hvp(self, v: Parameters) -> Parameters:
        """The Hessian of each task's loss times v, likewise."""


class Model(Protocol):
    """What `maml.py` trains."""

    def at(self, theta: Parameters, x: np.ndarray, y: np.ndarray) -> Here:
        """The loss surface of T tasks, x (T, n, ...) and y (T, n, ...), seen from theta, which is shared or each task's own."""


def adapt(
    model: Model,
    theta: Parameters,
    x: np.ndarray,
    y: np.ndarray,
    *,
    inner_lr: Rates,
    steps: int = 1,
    fast_weights: bool = False,
) -> Parameters:
    """The inner loop: `steps` steps of gradient descent on every task's own examples (eq. 11; the paper's eq. 1).

    x (T, n, ...) and y (T, n, ...) are support sets; theta is shared or one for each task. `inner_lr` is alpha: a number,
    a mapping from names to numbers (a name left out does not move), or `Parameters` with a rate an entry; rates that are
    learned may be of either sign. Returns theta_K, one for each task. `fast_weights` is that of `meta_gradient`: theta_K
    then holds factors in place of arrays. ValueError for steps below 1 and rates that do not fit.
    """
    validate.parameters("theta", theta)
    alpha = validate.rates("inner_lr", inner_lr, theta)
    validate.flag("fast_weights", fast_weights)
    n = np.shape(x)[-2] if fast_weights and np.ndim(x) > 1 else 0
    theta = in_form(model, theta, validate.count("steps", steps) * n, fast_weights, alpha)
    for k in range(steps):
        theta = theta - alpha * at_step(model, k).at(theta, x, y).gradient  # eq. 11
    return theta


@dataclass(frozen=True)
class MetaGradient:
    """What one batch of tasks says about the initialisation theta: what was computed, and below it what follows from that.

    losses    the query loss of each task at its adapted parameters, (T,)
    u         u_0..u_K of eq. 12, each task's own; of first-order MAML u_K alone, which stands for u_0
    turns     H_S(theta_k) (alpha o u_{k+1}) for k = 0..K-1: what eq. 12 takes off on its way back; None without Hessians
    slopes    grad L_S(theta_k) for k = 0..K-1; None without Hessians
    """

    losses: np.ndarray
    u: tuple[Parameters, ...]
    turns: tuple[Parameters, ...] | None = None
    slopes: tuple[Parameters, ...] | None = None

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
        """The mean over tasks of u_K = grad L_Q(theta_K): taken at the adapted copy."""
        return self.u[-1].mean()

    @cached_property
    def curvature(self) -> Parameters | None:
        """The mean over tasks of the sum of the turns; None if every Hessian was dropped."""
        return None if self.turns is None else _sum(self.turns).mean()

    @cached_property
    def rates(self) -> Parameters | None:
        """d loss / d alpha, entry by entry: minus the mean over tasks of sum_k u_{k+1} o grad L_S(theta_k) (eq. 20)."""
        if self.slopes is None:
            return None
        return -_sum([u.formed() * slope.formed() for u, slope in zip(self.u[1:], self.slopes, strict=True)]).mean()


def meta_gradient(
    model: Model,
    theta: Parameters,
    batch: Any,
    *,
    inner_lr: Rates,
    steps: int = 1,
    first_order: bool = False,
    fast_weights: bool = True,
) -> MetaGradient:
    """The gradient of the meta-loss with respect to the initialisation theta, exact or first-order (eqs. 11-13).

    batch: x_support, y_support, x_query, y_query, each with a leading task axis. The gradient is taken at the adapted
    copies theta_K; what it moves is the original theta. `inner_lr` is alpha, as in `adapt`. `first_order=True` drops every
    Hessian term of eq. 12 (the paper's section 5.2). The memory of K steps is K tapes: each inner step keeps its adapted
    parameters and every intermediate of its sweeps until eq. 12 has passed it on the way back; first-order MAML keeps none.

    `fast_weights` changes no number: those adapted matrices that are smaller so are kept as factors (eqs. 14 and 15).
    Where theta has factors already they stay. One rate an entry forms them all.
    """
    validate.parameters("theta", theta)
    validate.flag("first_order", first_order)
    validate.flag("fast_weights", fast_weights)
    x, y = batch.x_support, batch.y_support
    alpha = validate.rates("inner_lr", inner_lr, theta)
    theta_k = in_form(model, theta, validate.count("steps", steps) * x.shape[1], fast_weights, alpha)
    tapes = []
    for k in range(steps):  # k = 0..K-1
        here = at_step(model, k).at(theta_k, x, y)
        theta_k = theta_k - alpha * here.gradient  # theta_{k+1} = theta_k - alpha o grad L_S(theta_k), eq. 11
        tapes += [] if first_order else [here]
    query = model.at(theta_k, batch.x_query, batch.y_query)
    losses, u = query.loss, [query.gradient]  # u_K = grad L_Q(theta_K), eq. 12
    validate.shared(theta, u[0])
    if first_order:
        return MetaGradient(losses, tuple(u))
    del query, here, theta_k  # so that the memory of these sweeps is used again

    slopes, turns = [tape.gradient for tape in tapes], []
    while tapes:  # k = K-1..0
        turns.append(tapes.pop().hvp(alpha * u[-1]))
        u.append(u[-1] - turns[-1])  # u_k = u_{k+1} - H_S(theta_k) (alpha o u_{k+1}), eq. 12
    return MetaGradient(losses, tuple(u[::-1]), tuple(turns[::-1]), tuple(slopes))


def in_form(
    model: Model, theta: Parameters, examples: int, fast_weights: bool = True, alpha: Rates = 1.0
) -> Parameters:
    """A theta in the form in which its adapted copies will be kept: see `fast_weights` of `meta_gradient`.

    examples: how many a task adapts on, counted once a step. A model without fast weights has one form only.
    """
    if isinstance(alpha, Parameters):
        return theta.formed()
    return model.fast_weights(theta, examples) if fast_weights and hasattr(model, "fast_weights") else theta


def at_step(model: Model, k: int) -> Model:
    """The model k inner steps later: the same, but for one whose gradient is random and which says so by a method `at_step`."""
    return model.at_step(k) if hasattr(model, "at_step") else model


def _sum(terms: Any) -> Parameters:
    return sum(terms[1:], start=terms[0])
