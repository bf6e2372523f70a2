"""Sequences filtered by an unknown filter: y_t = w_0 x_t + w_1 x_{t-1} + w_2 x_{t-2}, for a recurrent network.

A task is a filter, which the learner identifies from a few sequences. Prediction requires a memory of two steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinymaml import validate
from tinymaml.nn.models import RNN
from tinymaml.nn.network import Network
from tinymaml.settings import PlotStyle
from tinymaml.tasks.batch import TaskBatch, TaskParams, checked, with_task_params
from tinymaml.tasks.family import Baseline, Family, adapted_by_steps, drawn_starts
from tinymaml.training.evaluation import Metric, loss

TAPS = 3


def delayed(x: np.ndarray) -> np.ndarray:
    """x_t, x_{t-1} and x_{t-2} of sequences x (..., steps), padded with zeros: (..., steps, 3)."""
    if validate.floats("x", x).ndim == 0:
        raise ValueError("x is a single number, expected sequences (..., steps): use x[None] for a sequence of one step")
    padded = np.concatenate([np.zeros((*x.shape[:-1], TAPS - 1), x.dtype), x], axis=-1)
    return np.stack([padded[..., TAPS - 1 - k:padded.shape[-1] - k] for k in range(TAPS)], axis=-1)


@dataclass(frozen=True)
class Filter(TaskParams):
    """The task y_t = sum_k w_k x_{t-k}, with taps w (3,) for one task, (T, 1, 3) for T tasks.

    >>> Filter(np.array([1.0, 0.5, 0.0]))(np.array([2.0, 0.0, 4.0]))
    array([2., 1., 4.])
    """

    taps: np.ndarray

    def __post_init__(self) -> None:
        validate.rows("taps", self.taps, (TAPS,))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """y at x: (T, n, steps) for T tasks, (..., steps) for one."""
        return (delayed(x) @ self.taps[..., None])[..., 0]

    def append_to(self, x: np.ndarray) -> np.ndarray:
        """x with the three taps after every x_t, (T, n, 4 steps)."""
        taps = np.broadcast_to(self.taps[:, :, None].astype(x.dtype), (*x.shape, TAPS))  # (T, n, steps, 3)
        return np.concatenate([x[..., None], taps], axis=-1).reshape(*x.shape[:2], -1)


@dataclass(frozen=True)
class Filters:
    """The distribution over tasks: w ~ N(0, 1) for each tap, and sequences of `steps` steps x_t ~ N(0, 1)."""

    steps: int = 12

    def __post_init__(self) -> None:
        validate.count("steps", self.steps)

    def sample(
        self, rng: np.random.Generator, *, tasks: int = 25, shots: int = 5, queries: int = 10, dtype: type = np.float64
    ) -> TaskBatch:
        """A batch of `tasks` tasks, with `shots` support and `queries` query sequences each: x_support (tasks, shots, steps) ...

        `task_params` is the `Filter` of the batch.
        """
        rng, dtype, tasks, shots, queries = checked(rng, dtype, tasks=tasks, shots=shots, queries=queries)
        filters = Filter(rng.standard_normal((tasks, 1, TAPS)))
        x = rng.standard_normal((tasks, shots + queries, self.steps)).astype(dtype, copy=False)
        y = filters(x).astype(dtype, copy=False)
        return TaskBatch(x[:, :shots], y[:, :shots], x[:, shots:], y[:, shots:], task_params=filters)


def least_squares(batch: TaskBatch) -> Filter:
    """The least-squares filter of each support set: three taps from shots * steps equations."""
    rows, y = delayed(batch.x_support).astype(float), batch.y_support.astype(float)
    taps = [np.linalg.lstsq(a.reshape(-1, TAPS), b.ravel(), rcond=None)[0] for a, b in zip(rows, y, strict=True)]
    return Filter(np.stack(taps)[:, None])


@dataclass(frozen=True)
class ModelSpec:
    """The numbers of inputs and outputs of a network, over all steps, and the number of steps."""

    inputs: int
    outputs: int
    steps: int

    def network(self, hidden: tuple[int, ...], activation: str) -> Network:
        """The recurrent network with `hidden` units: one width."""
        if len(hidden) != 1:
            raise ValueError(f"hidden is {hidden}, expected one width, since a recurrent network has one layer: try (20,)")
        return RNN(self.inputs // self.steps, hidden[0], self.outputs // self.steps, self.steps, activation=activation)


def figure(comparison: Any, tasks: int = 3) -> Any:
    """One query sequence of each of the first `tasks` new tasks, with predictions before and after one step."""
    from tinymaml import plot

    y, panels = comparison.batch.y_query[:tasks, 0], {}
    for name, start in drawn_starts(comparison).items():
        x, thetas = start.batch.x_query[:tasks, :1], adapted_by_steps(start, tasks, 0, 1)
        fits = {k: start.network.predict(theta, x)[:, 0] for k, theta in thetas.items()}
        panels[name] = [(np.arange(1, 1 + len(y[t])), y[t], {k: fit[t] for k, fit in fits.items()}) for t in range(len(y))]
    return plot.fits_of_tasks(panels, comparison.styles, "step of the sequence") if panels else None


FAMILY = Family(
    "sequences",
    "regression with a recurrent network: sequences filtered by an unknown three-tap filter",
    title=lambda settings: f"{settings.shots}-shot sequences",
    sizes=lambda settings: ModelSpec(Filters().steps, Filters().steps, Filters().steps),
    metric=Metric("mean squared error per step", lambda here, y: loss(here, y) / y.shape[-1], digits=3),
    training=lambda settings: Filters(),
    testing=lambda settings: Filters(),
    test_tasks=1000,
    test_queries=20,
    figures={"sequence.png": figure},
    defaults={
        "inner_lr": 0.004, "outer_lr": 0.003, "hidden": (20,), "activation": "tanh", "iterations": 1000, "dtype": "float32",
    },
    baselines=(
        Baseline(
            "least-squares",
            PlotStyle("least squares", "#882255", (0, (4, 3, 1, 3))),
            lambda batch: ((least_squares(batch)(batch.x_query) - batch.y_query) ** 2).mean((1, 2)),
        ),
        Baseline(  # E[y | x], as the taps are symmetric about 0: the limit of pre-training
            "zero",
            PlotStyle("task-blind optimum: zero", "#999933", (0, (2, 5))),
            lambda batch: (batch.y_query**2).mean((1, 2)),
        ),
    ),
    with_task_params=with_task_params,
)  # fmt: skip
