"""LSLR: one learning rate per array of theta, trained with theta (MAML++, Antoniou, Edwards and Storkey 2019), eq. 20.

The original trains one rate per layer and step. Here a rate belongs to a parameter name and is the same in every step, so
that new tasks can take any number of steps.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from tinymaml.methods.maml import STEPS
from tinymaml.methods.meta_sgd import gradient, merge, start
from tinymaml.methods.method import Method
from tinymaml.parameters import Parameters
from tinymaml.settings import PlotStyle, Settings


def initial(model: Any, settings: Settings, rng: np.random.Generator) -> Parameters:
    """A random theta; the rate of every name starts at `inner_lr`."""
    theta = model.init(rng, settings.dtype)
    return merge(theta, theta.map(lambda array: np.full(1, settings.inner_lr, array.dtype)))


def inner_lr(rates: Parameters) -> dict[str, float]:
    """The rates as `adapt` takes them: {parameter name: number}."""
    return {name: array.item() for name, array in rates.items()}


def total(gradient: Parameters) -> Parameters:
    """The derivative with respect to the rate of each array: the sum over the entries that share it."""
    return gradient.map(lambda array: array.sum(keepdims=True).reshape(1))


METHOD = Method(
    "lslr",
    "MAML with a learned inner rate per parameter array, initialised to inner-lr",
    PlotStyle("LSLR (per-array rates)", "#AAAA00", (0, (2, 1)), "*"),
    partial(gradient, inner_lr=inner_lr, reduce=total),
    initial=initial,
    start=partial(start, inner_lr=inner_lr),
    uses_inner_lr=lambda settings: False,
    options=(STEPS,),
    default=False,
)
