"""MAML: theta is trained by the exact gradient of the loss after adaptation, eqs. 11-13."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from tinymaml import validate
from tinymaml.maml import meta_gradient
from tinymaml.methods.method import Gradient, Method
from tinymaml.settings import Option, PlotStyle, Settings

MOST = 10_000  # the maximum number of inner steps: more would run for days
STEPS = Option("steps", 1, "inner-loop gradient steps in training", partial(validate.count, most=MOST))


def gradient(
    model: Any, settings: Settings, first_order: bool = False, names: Callable[[Any], list[str]] | None = None
) -> Gradient:
    """The meta-gradient: exact, or first-order, the mean over tasks of u_K (the paper's section 5.2).

    names(model) are the parameters that adapt, by default all; the gradient is with respect to all in any case.
    """
    rates = dict.fromkeys(names(model), settings.inner_lr) if names else settings.inner_lr
    given = {"inner_lr": rates, "steps": settings.options["steps"], "first_order": first_order}
    return lambda theta, batch, iteration: meta_gradient(model, theta, batch, **given)


METHOD = Method(
    "maml",
    "the exact gradient of the query loss after adaptation to the support set",
    PlotStyle("MAML", "#0072B2", "-", "o"),
    gradient,
    options=(STEPS,),
)
