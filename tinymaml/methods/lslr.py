"""LSLR: a learning rate for every array of theta, trained with it (MAML++, Antoniou, Edwards and Storkey 2019), eq. 20.

Theirs are one a layer and step; these are one a parameter name, the same for every step, so that new tasks can take any number
of steps.
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
    """One number a name, as `adapt` takes them."""
    return {name: array.item() for name, array in rates.items()}


def total(gradient: Parameters) -> Parameters:
    """The derivative with respect to the rate of a name: the sum over the entries that share it."""
    return gradient.map(lambda array: array.sum(keepdims=True).reshape(1))


METHOD = Method(
    "lslr",
    "MAML with a trained inner rate for every parameter name, initially inner-lr",
    PlotStyle("LSLR (a rate a name)", "#AAAA00", (0, (2, 1)), "*"),
    partial(gradient, inner_lr=inner_lr, reduce=total),
    initial=initial,
    start=partial(start, inner_lr=inner_lr),
    copies=lambda settings: settings.options["steps"],
    uses_inner_lr=lambda settings: False,
    options=(STEPS,),
    default=False,
)
