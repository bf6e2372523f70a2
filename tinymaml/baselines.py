"""What MAML is compared with: pre-training, an oracle, and the best predictor that does not know its task.

The fourth baseline, training from scratch, needs no code: it is `adapt` from a fresh `model.init(rng)`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinymaml.parameters import Parameters
from tinymaml.tasks import Sinusoids, TaskBatch


@dataclass(frozen=True)
class PretrainingGradient:
    """The loss now, without adaptation, and its gradient at theta."""

    loss: float
    gradient: Parameters


def pretraining_gradient(model: Any, theta: Parameters, batch: TaskBatch) -> PretrainingGradient:
    """The gradient of the mean loss of theta itself on all points of all tasks: one network for every task.

    It sees the same points as MAML, support and query (T, K + Q, ...), as one set of T (K + Q) examples.
    """
    x = np.concatenate([batch.x_support, batch.x_query], axis=1)
    y = np.concatenate([batch.y_support, batch.y_query], axis=1)
    here = model.at(theta, x.reshape(-1, *x.shape[2:]), y.reshape(-1, *y.shape[2:]))
    return PretrainingGradient(here.loss, here.gradient)


def told(batch: TaskBatch) -> TaskBatch:
    """The oracle's view of sinusoid tasks: amplitude and phase stand beside x, which becomes (T, n, 3)."""

    def with_task(x: np.ndarray) -> np.ndarray:
        facts = np.concatenate([batch.hidden.amplitude, batch.hidden.phase], axis=-1).astype(x.dtype)  # (T, 1, 2)
        return np.concatenate([x, np.broadcast_to(facts, (*x.shape[:2], 2))], axis=-1)

    return replace(batch, x_support=with_task(batch.x_support), x_query=with_task(batch.x_query))


def task_blind(tasks: Sinusoids, x: np.ndarray) -> np.ndarray:
    """E[y | x], the best prediction without knowing the task: for the paper's ranges -(2/pi) E[A] cos x = -1.623 cos x.

    E[A sin(x - phi)] = E[A] (cos(x - phi_high) - cos(x - phi_low)) / (phi_high - phi_low), as A and phi are
    independent and uniform. It is what pre-training converges to.
    """
    low, high = tasks.phase
    mean_wave = (np.cos(x - high) - np.cos(x - low)) / (high - low) if high > low else np.sin(x - low)
    return np.mean(tasks.amplitude) * mean_wave


def nearest_neighbour(batch: TaskBatch) -> np.ndarray:
    """The target of the nearest support example of each query example, one-hot (T, N * Q, N) like y_query.

    Nearest in Euclidean distance of the inputs; of equally near ones the first. It learns nothing. The accuracy is
    that of any prediction: `(prediction.argmax(-1) == batch.y_query.argmax(-1)).mean()`.
    """
    tasks = len(batch)
    support, query = (x.reshape(tasks, x.shape[1], -1) for x in (batch.x_support, batch.x_query))
    # |q - s|^2 without |q|^2, which is the same for every s
    distance = (support**2).sum(-1)[:, None] - 2 * query @ support.swapaxes(-1, -2)  # (T, N * Q, N * K)
    return np.take_along_axis(batch.y_support, distance.argmin(-1)[..., None], axis=1)
