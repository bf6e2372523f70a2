"""Reptile: theta moves towards the adapted parameters, eq. 19 (Nichol, Achiam and Schulman 2018, arXiv 1803.02999)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tinymaml.maml import Rates, adapt
from tinymaml.methods.maml import STEPS
from tinymaml.methods.method import Gradient, Method, OuterGradient
from tinymaml.methods.pretraining import all_points
from tinymaml.parameters import Parameters
from tinymaml.settings import PlotStyle, Settings
from tinymaml.tasks.batch import TaskBatch


def reptile_gradient(model: Any, theta: Parameters, batch: TaskBatch, *, inner_lr: Rates, steps: int = 1) -> OuterGradient:
    """theta minus the mean over tasks of theta_K, after `steps` inner steps on all examples, (T, K + Q, ...).

    In general this is not the gradient of any loss; `loss` is the loss of theta_K on the examples used for adaptation.
    `inner_lr` is alpha, as in `adapt`. With one step the result is alpha times the pre-training gradient.
    """
    x, y = all_points(batch)
    theta_K = adapt(model, theta, x, y, inner_lr=inner_lr, steps=steps)
    return OuterGradient(model.at(theta_K, x, y).loss.mean(), theta - theta_K.dense().mean())  # eq. 19


def gradient(model: Any, settings: Settings) -> Gradient:
    """`reptile_gradient` with the rate and the steps of the settings."""
    given = {"inner_lr": settings.inner_lr, "steps": settings.options["steps"]}
    return lambda theta, batch, iteration: reptile_gradient(model, theta, batch, **given)


METHOD = Method(
    "reptile",
    "moves theta towards the parameters adapted to all examples; no Hessian and no query loss",
    PlotStyle("Reptile", "#117733", (0, (6, 2, 1, 2)), "<"),
    gradient,
    copies=lambda settings: 1,
    options=(replace(STEPS, default=10),),
    default=False,
)
