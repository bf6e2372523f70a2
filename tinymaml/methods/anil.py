"""ANIL, "almost no inner loop": only the head adapts (Raghu, Raghu, Bengio and Vinyals 2020, arXiv 1909.09157)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tinymaml.maml import meta_gradient
from tinymaml.methods.maml import STEPS
from tinymaml.methods.method import Gradient, Method, Start
from tinymaml.nn.layers import parameter_names
from tinymaml.settings import PlotStyle, Settings
from tinymaml.tasks.family import Family


def head(model: Any) -> list[str]:
    """The parameter names of the last layer with parameters."""
    return [list(parameter_names(layer).values()) for layer in model.layers if parameter_names(layer)][-1]


def gradient(model: Any, settings: Settings, names: Callable[[Any], list[str]] = head) -> Gradient:
    """The meta-gradient with respect to all parameters, if only those in names(model) adapt: the others have no rate."""
    given = {"inner_lr": dict.fromkeys(names(model), settings.inner_lr), "steps": settings.options["steps"]}
    return lambda theta, batch, iteration: meta_gradient(model, theta, batch, **given)


def start(family: Family, settings: Settings, trained: Start, names: Callable[[Any], list[str]] = head) -> Start:
    """The setup for new tasks: the same parameters adapt as in training."""
    return replace(trained, inner_lr=dict.fromkeys(names(trained.model), settings.inner_lr))


def has_body(family: Family) -> bool:
    """Whether the networks of the family have a body below the head."""
    return family.defaults.get("hidden") != ()


METHOD = Method(
    "anil",
    "MAML whose inner loop adapts only the head, the last layer",
    PlotStyle("ANIL (head only)", "#AA4499", (0, (1, 1)), ">"),
    gradient,
    start=start,
    supports=has_body,
    options=(STEPS,),
    default=False,
)
