"""First-order MAML: the query gradient at the adapted parameters replaces the meta-gradient; eq. 12 loses its Hessians."""

from __future__ import annotations

from typing import Any

from tinymaml.maml import meta_gradient
from tinymaml.methods.maml import STEPS
from tinymaml.methods.method import Gradient, Method
from tinymaml.settings import PlotStyle, Settings


def gradient(model: Any, settings: Settings) -> Gradient:
    """The mean over tasks of u_K (the paper's section 5.2)."""
    given = {"inner_lr": settings.inner_lr, "steps": settings.options["steps"], "first_order": True}
    return lambda theta, batch, iteration: meta_gradient(model, theta, batch, **given)


METHOD = Method(
    "first-order",
    "MAML without second derivatives: the gradient of the query loss at the adapted parameters",
    PlotStyle("first-order MAML", "#56B4E9", "--", "s"),
    gradient,
    copies=lambda settings: 1,
    options=(STEPS,),
)
