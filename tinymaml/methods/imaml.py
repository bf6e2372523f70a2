"""iMAML, implicit MAML: the gradient through the end of an inner loop that is held to theta, whatever the way there, eq. 22."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from tinymaml import validate
from tinymaml.methods.implicit import Proximal, implicit_gradient
from tinymaml.methods.maml import STEPS
from tinymaml.methods.method import Gradient, Method, Start
from tinymaml.settings import Option, PlotStyle, Settings
from tinymaml.tasks.family import Family

STRENGTH = Option(
    "strength", 2.0, "of the spring that holds the inner loop to the initialisation, lambda",
    partial(validate.rate, such=2.0, most=1e6),
)  # fmt: skip
CG_STEPS = Option("cg_steps", 5, "steps of conjugate gradients, at most", partial(validate.count, most=1000))
TOLERANCE = Option(
    "tolerance", 1e-10, "relative residual at which conjugate gradients rest", partial(validate.tolerance, most=0.9)
)
DAMPENING = Option(
    "dampening", 0.0, "added to the diagonal of the system that conjugate gradients solve", partial(validate.tolerance, most=1e6)
)


def gradient(model: Any, settings: Settings) -> Gradient:
    """The implicit meta-gradient."""
    given = {option.name: settings.options[option.name] for option in METHOD.options} | {"inner_lr": settings.inner_lr}
    return lambda theta, batch, iteration: implicit_gradient(model, theta, batch, **given)


def start(family: Family, settings: Settings, trained: Start) -> Start:
    """On new tasks the spring holds as well."""
    return replace(trained, model=Proximal(trained.model, trained.theta, settings.options["strength"]))


METHOD = Method(
    "imaml",
    "MAML by the implicit function theorem: inner loop to a proximal point, conjugate gradients in place of a way back",
    PlotStyle("iMAML (implicit)", "#222255", (0, (1, 2)), "d"),
    gradient,
    start=start,
    copies=lambda settings: 1,
    rate="inner_lr",
    options=(replace(STEPS, default=16), STRENGTH, CG_STEPS, TOLERANCE, DAMPENING),
    compared=False,
)
