"""BOIL, "body only inner loop": all layers below the head adapt (Oh, Yoo, Kim and Yun 2021, arXiv 2008.08882)."""

from __future__ import annotations

from functools import partial
from typing import Any

from tinymaml.methods.anil import has_body, head, start
from tinymaml.methods.maml import STEPS, gradient
from tinymaml.methods.method import Method
from tinymaml.settings import PlotStyle


def body(model: Any) -> list[str]:
    """The names of all parameters below the head; ValueError if there are none."""
    if names := [name for name in model.shapes if name not in head(model)]:
        return names
    raise ValueError("the network has no hidden layers, expected a body below the head: add a hidden layer")


METHOD = Method(
    "boil",
    "MAML whose inner loop adapts only the body, all layers below the head",
    PlotStyle("BOIL (body only)", "#661100", (0, (7, 1, 2, 1)), "X"),
    partial(gradient, names=body),
    start=partial(start, names=body),
    supports=has_body,
    options=(STEPS,),
    default=False,
)
