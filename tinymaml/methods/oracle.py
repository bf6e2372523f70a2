"""The oracle: one network with the task parameters as additional inputs; it does not adapt."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tinymaml.methods.method import Method, Sample, Start, family_sampler
from tinymaml.methods.pretraining import gradient
from tinymaml.settings import PlotStyle, Settings
from tinymaml.tasks.family import Family, ModelSpec


def sizes(family: Family, settings: Settings) -> ModelSpec:
    """The network of the family, with additional inputs for the task parameters."""
    one = family.training(settings).sample(np.random.default_rng(0), tasks=1, shots=1, queries=1, dtype=settings.dtype)
    return replace(family.sizes(settings), inputs=family.with_task_params(one).x_support.shape[-1])


def sampler(family: Family, settings: Settings) -> Sample:
    """The family's tasks with their parameters appended to the inputs."""
    sample = family_sampler(family, settings)
    return lambda rng: family.with_task_params(sample(rng))


def start(family: Family, settings: Settings, trained: Start) -> Start:
    """The setup for new tasks: their parameters are appended to the inputs."""
    return replace(trained, batch=family.with_task_params(trained.batch))


METHOD = Method(
    "oracle",
    "one network with the task parameters as additional inputs; it does not adapt",
    PlotStyle("oracle (knows the task)", "#009E73", (0, (5, 1)), "D"),
    gradient,
    sizes=sizes,
    sampler=sampler,
    start=start,
    adapts=False,
    uses_inner_lr=lambda settings: False,
    unused=lambda settings: {"inner_lr": "for oracle, which does not adapt"},
    supports=lambda family: family.with_task_params is not None,
)
