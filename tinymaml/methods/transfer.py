"""Transfer: one classifier of all training classes, with a new head for every new task.

It uses global class labels, which MAML does not see.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from tinymaml.methods.method import Method, Sample, Start
from tinymaml.methods.pretraining import gradient
from tinymaml.parameters import Parameters
from tinymaml.settings import PlotStyle, Settings
from tinymaml.tasks.batch import TaskBatch
from tinymaml.tasks.family import Family, ModelSpec


def sizes(family: Family, settings: Settings) -> ModelSpec:
    """One output for each training class."""
    return replace(family.sizes(settings), outputs=len(family.classes(settings)))


def sampler(family: Family, settings: Settings) -> Sample:
    """Batches of one task: `tasks` * N labelled examples of all classes in each of the support and query sets."""
    return partial(labelled_batch, family.classes(settings), settings.tasks * family.sizes(settings).outputs, settings.dtype)


def labelled_batch(classes: np.ndarray, count: int, dtype: str, rng: np.random.Generator) -> TaskBatch:
    """One task of `count` support and `count` query examples of all classes (C, examples, ...)."""
    parts = []
    for _ in range(2):
        label, which = (rng.integers(below, size=count) for below in classes.shape[:2])
        x = classes[label, which]
        x = np.multiply(x, 1 / 255, dtype=dtype) if x.dtype == np.uint8 else x.astype(dtype)
        y = np.zeros((1, count, len(classes)), dtype)
        y[0, np.arange(count), label] = 1
        parts += [x[None], y]
    return TaskBatch(*parts)


def start(family: Family, settings: Settings, trained: Start) -> Start:
    """The setup for new tasks: a new linear head, initialised to zero, on the features of the trained network."""
    features = lambda x: trained.model.features(trained.theta, x)  # (T, n, d_{L-1})
    batch = replace(trained.batch, x_support=features(trained.batch.x_support), x_query=features(trained.batch.x_query))
    head = replace(family.sizes(settings), inputs=batch.x_support.shape[-1]).network((), settings.activation)
    zeros = Parameters({name: np.zeros(shape, settings.dtype) for name, shape in head.shapes.items()})
    return replace(trained, model=head, theta=zeros, batch=batch)


METHOD = Method(
    "transfer",
    "one classifier of all training classes; each new task gets a new head, initialised to zero",
    PlotStyle("transfer, new head", "#E69F00", (0, (3, 1, 1, 1, 1, 1)), "P"),
    gradient,
    sizes=sizes,
    sampler=sampler,
    start=start,
    unused=lambda settings: dict.fromkeys(("queries", "fixed_labels"), "for transfer, which is not trained on tasks"),
    supports=lambda family: family.classes is not None,
)
