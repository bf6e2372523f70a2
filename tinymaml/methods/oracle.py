"""The oracle: one network that is told which task it is, at its inputs, and so has nothing to adapt to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tinymaml.methods.method import Method, Sample, Start, family_sampler
from tinymaml.methods.pretraining import gradient
from tinymaml.settings import PlotStyle, Settings
from tinymaml.tasks.family import Family, ModelSpec


def sizes(family: Family, settings: Settings) -> ModelSpec:
    """The family's, with room for the answer beside the inputs."""
    one = family.training(settings).sample(np.random.default_rng(0), tasks=1, shots=1, queries=1, dtype=settings.dtype)
    return replace(family.sizes(settings), inputs=family.with_task_params(one).x_support.shape[-1])


def sampler(family: Family, settings: Settings) -> Sample:
    """The family's tasks, each with its answer."""
    sample = family_sampler(family, settings)
    return lambda rng: family.with_task_params(sample(rng))


def start(family: Family, settings: Settings, trained: Start) -> Start:
    """The trained network, which is told its task here too."""
    return replace(trained, batch=family.with_task_params(trained.batch))


METHOD = Method(
    "oracle",
    "one network that is told at its inputs which task it is; it does not adapt",
    PlotStyle("oracle (told the task)", "#009E73", (0, (5, 1)), "D"),
    gradient,
    sizes=sizes,
    sampler=sampler,
    start=start,
    adapts=False,
    uses_inner_lr=lambda settings: False,
    unused=lambda settings: {"inner_lr": "for oracle, which does not adapt"},
    supports=lambda family: family.with_task_params is not None,
)
