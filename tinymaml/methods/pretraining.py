"""Pre-training: one network for all tasks, trained to minimise the loss before adaptation."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinymaml import validate
from tinymaml.methods.method import Gradient, Method, OuterGradient
from tinymaml.parameters import Parameters
from tinymaml.settings import PlotStyle, Settings
from tinymaml.tasks.batch import TaskBatch


def pretraining_gradient(model: Any, theta: Parameters, batch: TaskBatch) -> OuterGradient:
    """The gradient of the mean loss of theta on all examples of all tasks.

    It uses the same examples as MAML, the support and query sets (T, K + Q, ...), as one set of T (K + Q) examples.
    """
    validate.parameters("theta", theta)
    x, y = all_points(batch)
    here = model.at(theta, x.reshape(-1, *x.shape[2:]), y.reshape(-1, *y.shape[2:]))
    return OuterGradient(here.loss, here.gradient)


def all_points(batch: TaskBatch) -> tuple[np.ndarray, np.ndarray]:
    """x and y of the support and query sets, concatenated: (T, K + Q, ...)."""
    x = np.concatenate([batch.x_support, batch.x_query], axis=1)
    return x, np.concatenate([batch.y_support, batch.y_query], axis=1)


def gradient(model: Any, settings: Settings) -> Gradient:
    """`pretraining_gradient`, which needs no settings."""
    return lambda theta, batch, iteration: pretraining_gradient(model, theta, batch)


METHOD = Method(
    "pretraining",
    "one network trained on the examples of all tasks, then fine-tuned on the support set of each new task",
    PlotStyle("pre-trained", "#D55E00", "-.", "^"),
    gradient,
)
