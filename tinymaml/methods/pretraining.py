"""Pre-training: one network for every task, trained to be good now and not after adaptation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinymaml import validate
from tinymaml.methods.method import Gradient, Method
from tinymaml.parameters import Parameters
from tinymaml.settings import PlotStyle, Settings
from tinymaml.tasks.batch import TaskBatch


@dataclass(frozen=True)
class PretrainingGradient:
    """The loss now, without adaptation, and its gradient at theta."""

    loss: float
    gradient: Parameters


def pretraining_gradient(model: Any, theta: Parameters, batch: TaskBatch) -> PretrainingGradient:
    """The gradient of the mean loss of theta itself on all points of all tasks: one network for every task.

    It sees the same points as MAML, support and query (T, K + Q, ...), as one set of T (K + Q) examples.
    """
    validate.parameters("theta", theta)
    x, y = all_points(batch)
    here = model.at(theta, x.reshape(-1, *x.shape[2:]), y.reshape(-1, *y.shape[2:]))
    return PretrainingGradient(here.loss, here.gradient)


def all_points(batch: TaskBatch) -> tuple[np.ndarray, np.ndarray]:
    """x and y of support and query sets in one, (T, K + Q, ...)."""
    x = np.concatenate([batch.x_support, batch.x_query], axis=1)
    return x, np.concatenate([batch.y_support, batch.y_query], axis=1)


def gradient(model: Any, settings: Settings) -> Gradient:
    """That gradient, for which nothing can be set."""
    return lambda theta, batch, iteration: pretraining_gradient(model, theta, batch)


METHOD = Method(
    "pretraining",
    "one network for all tasks, on support and query sets alike, fine-tuned on the support set of a new task",
    PlotStyle("pre-trained", "#D55E00", "-.", "^"),
    gradient,
)
