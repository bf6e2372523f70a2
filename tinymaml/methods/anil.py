"""ANIL, "almost no inner loop": only the head adapts (Raghu, Raghu, Bengio and Vinyals 2020, arXiv 1909.09157)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from tinymaml.methods.maml import STEPS, gradient
from tinymaml.methods.method import Method, Start
from tinymaml.nn.layers import parameter_names
from tinymaml.settings import PlotStyle, Settings
from tinymaml.tasks.family import Family


def head(model: Any) -> list[str]:
    """The parameter names of the last layer with parameters."""
    return [list(parameter_names(layer).values()) for layer in model.layers if parameter_names(layer)][-1]


def start(family: Family, settings: Settings, trained: Start, names: Callable[[Any], list[str]]) -> Start:
    """The setup for new tasks: the same parameters adapt as in training."""
    return replace(trained, inner_lr=dict.fromkeys(names(trained.model), settings.inner_lr))


def has_body(family: Family) -> bool:
    """Whether the networks of the family have a body below the head."""
    return family.defaults.get("hidden") != ()


METHOD = Method(
    "anil",
    "MAML whose inner loop adapts only the head, the last layer",
    PlotStyle("ANIL (head only)", "#AA4499", (0, (1, 1)), ">"),
    partial(gradient, names=head),
    start=partial(start, names=head),
    supports=has_body,
    options=(STEPS,),
    default=False,
)
