"""ES-MAML: theta moves along what values say of the loss after adaptation, without any derivative of it (Song et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinymaml import validate
from tinymaml.evolution import Blind, MetaEstimate, meta_estimate
from tinymaml.look import Look
from tinymaml.methods.method import Gradient, Method, Sample, Start, tasks_of_family
from tinymaml.option import Option, one_of
from tinymaml.parameters import Parameters
from tinymaml.settings import Settings
from tinymaml.tasks.batch import TaskBatch
from tinymaml.tasks.family import Family

LEAST = 1e-6  # closer to theta float32 has no other points


def distance(name: str, value: object) -> float:
    """How far a point is from theta, per entry; ValueError where the two cannot be told apart."""
    if (found := validate.rate(name, value, 0.05)) < LEAST:
        raise ValueError(f"{name} is {found:g}, expected at least {LEAST:g}: closer points cannot be told apart, try 0.05")
    return found


PAIRS = Option("pairs", 20, "pairs of points around theta in an outer step", validate.count)
SIGMA = Option("sigma", 0.05, "how far these points are from theta, per entry", distance)
INSIDE = Option(
    "inside", "gradient", "what adapts: the gradient, evolution (es), or climb, the best of the tries",
    one_of("gradient", "es", "climb"),
)  # fmt: skip
TRIES = Option("tries", 10, "points (pairs of them for es) that an inner step tries where it has no gradient", validate.count)
REACH = Option("reach", 0.1, "how far these are, per entry", distance)


@dataclass(frozen=True)
class Seeded(TaskBatch):
    """A batch of tasks and the seed of all chance that is left, drawn by the run's own generator: so a run can be resumed."""

    seed: int = 0


def shown(family: Family, settings: Settings) -> Sample:
    """The family's tasks, with a seed."""
    sample = tasks_of_family(family, settings)

    def seeded(rng: np.random.Generator) -> Seeded:
        batch = sample(rng)
        arrays = (batch.x_support, batch.y_support, batch.x_query, batch.y_query)
        return Seeded(*arrays, batch.hidden, int(rng.integers(2**63)))

    return seeded


def within(model: Any, settings: Settings, seed: int = 0) -> tuple[Any, float]:
    """The model as adaptation sees it, and the rate: itself, or blind."""
    options = settings.options
    if options["inside"] == "gradient":
        return model, settings.inner_lr
    climb = options["inside"] == "climb"
    return Blind(model, options["tries"], options["reach"], climb, seed), 1.0 if climb else settings.inner_lr


def gradient(model: Any, settings: Settings) -> Gradient:
    """Eq. 26 of the query loss after one step."""
    options = settings.options

    def estimate(theta: Parameters, batch: Seeded) -> MetaEstimate:
        rng = np.random.default_rng(batch.seed)
        inner, rate = within(model, settings, int(rng.integers(2**63)))
        return meta_estimate(
            inner, theta, batch, rng, inner_lr=rate, pairs=options["pairs"], sigma=options["sigma"], normalised=True
        )

    return estimate


def start(family: Family, settings: Settings, trained: Start) -> Start:
    """New tasks are adapted to as in training."""
    model, rate = within(trained.model, replace(settings, inner_lr=trained.inner_lr))
    return replace(trained, model=model, inner_lr=rate)


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
    Look("ES-MAML", "#9966CC", (0, (1, 1, 4, 1)), "X"),
    gradient,
    shown=shown,
    start=start,
    copies=lambda settings: 2 * settings.options["pairs"],
    rated=lambda settings: settings.options["inside"] != "climb",
    options=(PAIRS, SIGMA, INSIDE, TRIES, REACH),
    unused=unused,
    compared=False,
)
