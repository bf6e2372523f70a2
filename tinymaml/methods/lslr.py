"""LSLR: a learning rate for every array of theta, trained beside it (MAML++, Antoniou, Edwards and Storkey 2019), eq. 20.

Theirs are one a layer and step; these are one a parameter name, and the same for every step, so that any number of steps can be
taken on new tasks.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tinymaml.maml import meta_gradient
from tinymaml.methods.maml import STEPS
from tinymaml.methods.meta_sgd import LearnedGradient, merge, split
from tinymaml.methods.method import Gradient, Method, Start
from tinymaml.parameters import Parameters
from tinymaml.settings import PlotStyle, Settings
from tinymaml.tasks.batch import TaskBatch
from tinymaml.tasks.family import Family


def initial(model: Any, settings: Settings, rng: np.random.Generator) -> Parameters:
    """A random theta, with the rate of every name at `inner_lr`."""
    theta = model.init(rng, settings.dtype)
    return merge(theta, theta.map(lambda array: np.full(1, settings.inner_lr, array.dtype)))


def inner_lr(rates: Parameters) -> dict[str, float]:
    """One number a name, as `adapt` takes them."""
    return {name: array.item() for name, array in rates.items()}


def gradient(model: Any, settings: Settings) -> Gradient:
    """The meta-gradient, and the derivative in every rate: that of all its entries together."""

    def gradient(trained: Parameters, batch: TaskBatch, iteration: int) -> LearnedGradient:
        theta, rates = split(trained)
        meta = meta_gradient(model, theta, batch, inner_lr=inner_lr(rates), steps=settings.options["steps"])
        of_names = meta.rates_gradient.map(lambda array: array.sum(keepdims=True).reshape(1))
        return LearnedGradient(meta.loss, merge(meta.gradient, of_names))

    return gradient


def start(family: Family, settings: Settings, trained: Start) -> Start:
    """The trained network with the trained rates."""
    theta, rates = split(trained.theta)
    return replace(trained, theta=theta, inner_lr=inner_lr(rates))


METHOD = Method(
    "lslr",
    "MAML that trains a rate of the inner loop for every parameter name, each started at inner-lr",
    PlotStyle("LSLR (a rate a name)", "#AAAA00", (0, (2, 1)), "*"),
    gradient,
    initial=initial,
    start=start,
    copies=lambda settings: settings.options["steps"],
    uses_inner_lr=lambda settings: False,
    options=(STEPS,),
    default=False,
)
