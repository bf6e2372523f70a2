"""Meta-SGD: a learning rate for every entry of theta, trained beside it (Li, Zhou, Chen and Li 2017, arXiv 1707.09835), eq. 20.

What is trained holds the rate of W1 under the name "rate W1". The outer optimiser moves it as it moves theta, by `outer_lr`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinymaml.maml import meta_gradient
from tinymaml.methods.maml import STEPS
from tinymaml.methods.method import Gradient, Method, Start
from tinymaml.parameters import Parameters
from tinymaml.settings import PlotStyle, Settings
from tinymaml.tasks.batch import TaskBatch
from tinymaml.tasks.family import Family

RATE = "rate "


@dataclass(frozen=True)
class LearnedGradient:
    """The meta-loss, and its gradient in theta and in the rates."""

    loss: float
    gradient: Parameters


def merge(theta: Parameters, rates: Parameters) -> Parameters:
    """theta and what is of its rates, in one."""
    return Parameters({**theta, **{RATE + name: array for name, array in rates.items()}})


def split(trained: Parameters) -> tuple[Parameters, Parameters]:
    """The two again."""
    theta = Parameters({name: array for name, array in trained.items() if not name.startswith(RATE)})
    return theta, Parameters({name: trained[RATE + name] for name in theta})


def initial(model: Any, settings: Settings, rng: np.random.Generator) -> Parameters:
    """A random theta, with every rate at `inner_lr`."""
    theta = model.init(rng, settings.dtype)
    return merge(theta, theta.map(lambda array: np.full_like(array, settings.inner_lr)))


def gradient(model: Any, settings: Settings) -> Gradient:
    """The meta-gradient, and the derivative in every rate."""

    def gradient(trained: Parameters, batch: TaskBatch, iteration: int) -> LearnedGradient:
        theta, rates = split(trained)
        meta = meta_gradient(model, theta, batch, inner_lr=rates, steps=settings.options["steps"])
        return LearnedGradient(meta.loss, merge(meta.gradient, meta.rates_gradient))

    return gradient


def start(family: Family, settings: Settings, trained: Start) -> Start:
    """The trained network with the trained rates."""
    theta, rates = split(trained.theta)
    return replace(trained, theta=theta, inner_lr=rates)


METHOD = Method(
    "meta-sgd",
    "MAML that trains a rate of the inner loop for every entry, each started at inner-lr",
    PlotStyle("Meta-SGD (a rate an entry)", "#DDCC77", (0, (4, 1, 4, 1, 1, 1)), "p"),
    gradient,
    initial=initial,
    start=start,
    copies=lambda settings: settings.options["steps"],
    uses_inner_lr=lambda settings: False,
    options=(STEPS,),
    default=False,
)
