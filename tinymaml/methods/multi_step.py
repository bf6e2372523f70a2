"""Multi-step loss: a weighted sum of the query losses after every inner step (MAML++, Antoniou et al. 2019), eq. 21.

All steps have equal weight at first; over `anneal` iterations nearly all weight shifts to the last step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tinymaml import validate
from tinymaml.maml import Model, Rates, represent
from tinymaml.methods.maml import STEPS
from tinymaml.methods.method import Gradient, Method, OuterGradient
from tinymaml.parameters import Parameters
from tinymaml.settings import Option, PlotStyle, Settings
from tinymaml.tasks.batch import TaskBatch

ANNEAL = Option("anneal", 1000, "iterations over which the loss weights shift to the last inner step", validate.count)
LEAST = 0.03  # every step but the last keeps this fraction of its initial weight


def multi_step_gradient(
    model: Model, theta: Parameters, batch: TaskBatch, *, inner_lr: Rates, weights: Sequence[float]
) -> OuterGradient:
    """The gradient of sum_k w_k L_Q(theta_k), mean over tasks, with `weights` w_1..w_K (eq. 21).

    The other arguments are those of `meta_gradient`. It stores K query surfaces in addition to what `meta_gradient` stores.
    """
    validate.parameters("theta", theta)
    x, y = batch.x_support, batch.y_support
    alpha = validate.rates("inner_lr", inner_lr, theta)
    w = validate.weights("weights", weights)
    theta_k = represent(model, theta, len(w) * x.shape[1], alpha=alpha)
    surfaces, queries = [], []
    for _ in w:  # k = 0..K-1
        surfaces.append(model.at(theta_k, x, y))
        theta_k = theta_k - alpha * surfaces[-1].gradient  # eq. 11
        queries.append(model.at(theta_k, batch.x_query, batch.y_query))
    loss = sum(w_k * query.loss.mean() for w_k, query in zip(w, queries, strict=True))
    validate.shared(theta, queries[-1].gradient)

    u = w[-1] * queries.pop().gradient  # u_K, eq. 21
    while surfaces:  # k = K-1..0
        u = u - surfaces.pop().hvp(alpha * u)
        if queries:  # u_k = w_k grad L_Q(theta_k) + u_{k+1} - H_S(theta_k) (alpha o u_{k+1}), and w_0 = 0
            u = w[len(queries) - 1] * queries.pop().gradient + u
    return OuterGradient(loss, u.mean())


def step_weights(steps: int, progress: float) -> list[float]:
    """w_1..w_K, whose sum is 1: all 1/K at progress 0; from progress 1 on 0.03/K each, and the rest for the last step."""
    others = max(1 - progress, LEAST) / steps
    return [others] * (steps - 1) + [1 - (steps - 1) * others]


def gradient(model: Any, settings: Settings) -> Gradient:
    """The gradient of eq. 21 with the weights of the current iteration."""

    def gradient(theta: Parameters, batch: TaskBatch, iteration: int) -> OuterGradient:
        weights = step_weights(settings.options["steps"], iteration / settings.options["anneal"])
        return multi_step_gradient(model, theta, batch, inner_lr=settings.inner_lr, weights=weights)

    return gradient


METHOD = Method(
    "multi-step",
    "MAML with a weighted query loss after every inner step; the weights are annealed to the last step",
    PlotStyle("multi-step loss", "#EE6677", (0, (9, 2)), "h"),
    gradient,
    options=(replace(STEPS, default=5), ANNEAL),
    unused=lambda settings: {"anneal": "for multi-step with one step"} if settings.options["steps"] == 1 else {},
    default=False,
)
