"""ES-MAML: theta moves along what values say of the loss after adaptation, without any derivative of it (Song et al. 2020)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from tinymaml import validate
from tinymaml.methods.evolution import Blind, MetaEstimate, meta_estimate
from tinymaml.methods.method import Gradient, Method, Start
from tinymaml.parameters import Parameters
from tinymaml.settings import Option, PlotStyle, Settings, one_of, rng_for
from tinymaml.tasks.batch import TaskBatch
from tinymaml.tasks.family import Family

DISTANCE = partial(validate.rate, such=0.05, least=1e-6, most=10)  # closer to theta float32 has no other points
PAIRS = Option("pairs", 20, "pairs of points around theta in an outer step", partial(validate.count, most=10_000))
SIGMA = Option("sigma", 0.05, "how far these points are from theta, per entry", DISTANCE)
INSIDE = Option(
    "inside", "gradient", "what adapts: the gradient, evolution (es), or climb, the best of the tries",
    one_of("gradient", "es", "climb"),
)  # fmt: skip
TRIES = Option(
    "tries", 10, "points (pairs of them for es) that an inner step tries where it has no gradient",
    partial(validate.count, most=200),
)  # fmt: skip
REACH = Option("reach", 0.1, "how far these are, per entry", DISTANCE)


def within(model: Any, settings: Settings, seed: int = 0) -> tuple[Any, float]:
    """The model as adaptation sees it, and the rate: itself, or blind."""
    options = settings.options
    if options["inside"] == "gradient":
        return model, settings.inner_lr
    climb = options["inside"] == "climb"
    return Blind(model, options["tries"], options["reach"], climb, seed), 1.0 if climb else settings.inner_lr


def gradient(model: Any, settings: Settings) -> Gradient:
    """Eq. 26 of the query loss after one step. Its noise is of the run's seed and the iteration, so that a run can be resumed."""
    options = settings.options

    def estimate(theta: Parameters, batch: TaskBatch, iteration: int) -> MetaEstimate:
        rng = rng_for(settings.seed, "perturbations", iteration)
        inner, rate = within(model, settings, int(rng.integers(2**63)))
        return meta_estimate(
            inner, theta, batch, rng, inner_lr=rate, pairs=options["pairs"], sigma=options["sigma"], normalised=True
        )

    return estimate


def start(family: Family, settings: Settings, trained: Start) -> Start:
    """New tasks are adapted to as in training."""
    model, rate = within(trained.model, replace(settings, inner_lr=trained.inner_lr))
    return replace(trained, model=model, inner_lr=rate)


def copies(settings: Settings) -> int:
    """One for each pair, whose points keep half of what an adapted copy does; with `es` inside both points of every try."""
    tried = 2 * settings.options["tries"] if settings.options["inside"] == "es" else 1
    return settings.options["pairs"] * tried


def unused(settings: Settings) -> dict[str, str]:
    """What has no part in the way of adapting that was chosen."""
    return {
        "gradient": {name: "for es that adapts by the gradient (--inside gradient)" for name in ("tries", "reach")},
        "es": {},
        "climb": {"inner_lr": "for es that adapts by climbing (--inside climb)"},
    }[settings.options["inside"]]


METHOD = Method(
    "es",
    "MAML without a gradient outside, and without one inside if asked: evolution strategies",
    PlotStyle("ES-MAML", "#9966CC", (0, (1, 1, 4, 1)), "X"),
    gradient,
    start=start,
    copies=copies,
    rated=lambda settings: settings.options["inside"] != "climb",
    options=(PAIRS, SIGMA, INSIDE, TRIES, REACH),
    unused=unused,
    compared=False,
)
