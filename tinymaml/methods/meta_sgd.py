"""Meta-SGD: one learning rate per entry of theta, trained with theta (Li, Zhou, Chen and Li 2017, arXiv 1707.09835), eq. 20.

The trained parameters store the rates of W1 under the name "rate W1". The outer optimiser updates them like theta, with
learning rate `outer_lr`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tinymaml.maml import Rates, meta_gradient
from tinymaml.methods.maml import STEPS
from tinymaml.methods.method import Gradient, Method, OuterGradient, Start
from tinymaml.parameters import Parameters
from tinymaml.settings import PlotStyle, Settings
from tinymaml.tasks.batch import TaskBatch
from tinymaml.tasks.family import Family

RATE = "rate "


def merge(theta: Parameters, rates: Parameters) -> Parameters:
    """theta and its rates, or the gradients of both, in one `Parameters`."""
    return Parameters({**theta, **{RATE + name: array for name, array in rates.items()}})


def split(trained: Parameters) -> tuple[Parameters, Parameters]:
    """theta and its rates: the inverse of `merge`."""
    theta = Parameters({name: array for name, array in trained.items() if not name.startswith(RATE)})
    return theta, Parameters({name: trained[RATE + name] for name in theta})


def initial(model: Any, settings: Settings, rng: np.random.Generator, shared: bool = False) -> Parameters:
    """A random theta; every rate starts at `inner_lr`. There is one per entry of theta or, if shared, one per array."""
    theta = model.init(rng, settings.dtype)
    return merge(theta, theta.map(lambda array: np.full(1 if shared else array.shape, settings.inner_lr, array.dtype)))


def inner_lr(rates: Parameters, shared: bool) -> Rates:
    """The trained rates as `adapt` takes them: {parameter name: number} if shared."""
    return {name: array.item() for name, array in rates.items()} if shared else rates


def gradient(model: Any, settings: Settings, shared: bool = False) -> Gradient:
    """The meta-gradient with respect to theta and the rates."""

    def gradient(trained: Parameters, batch: TaskBatch, iteration: int) -> OuterGradient:
        theta, rates = split(trained)
        meta = meta_gradient(model, theta, batch, inner_lr=inner_lr(rates, shared), steps=settings.options["steps"])
        rates_gradient = meta.rates_gradient  # with respect to one rate per entry
        if shared:  # the sum over the entries that share a rate
            rates_gradient = rates_gradient.map(lambda array: array.sum().reshape(1))
        return OuterGradient(meta.loss, merge(meta.gradient, rates_gradient))

    return gradient


def start(family: Family, settings: Settings, trained: Start, shared: bool = False) -> Start:
    """The setup for new tasks: the trained network with the trained rates."""
    theta, rates = split(trained.theta)
    return replace(trained, theta=theta, inner_lr=inner_lr(rates, shared))


METHOD = Method(
    "meta-sgd",
    "MAML with a learned inner rate per entry of theta, initialised to inner-lr",
    PlotStyle("Meta-SGD (per-entry rates)", "#DDCC77", (0, (4, 1, 4, 1, 1, 1)), "p"),
    gradient,
    initial=initial,
    start=start,
    uses_inner_lr=lambda settings: False,
    options=(STEPS,),
    default=False,
)
