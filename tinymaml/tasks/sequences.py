"""Sequences that an unknown filter makes of noise: y_t = w_0 x_t + w_1 x_{t-1} + w_2 x_{t-2}.

A task is a filter, to be found from a few sequences, and the memory that it needs is of two steps: small work for a
recurrent network, which here learns to become any of these filters in one step of gradient descent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinymaml import validate
from tinymaml.maml import adapt
from tinymaml.nn.models import RNN
from tinymaml.nn.network import Network
from tinymaml.settings import PlotStyle
from tinymaml.tasks.batch import TaskBatch, select
from tinymaml.tasks.family import Baseline, Family
from tinymaml.training.evaluation import Metric, loss

TAPS = 3


def delayed(x: np.ndarray) -> np.ndarray:
    """x_t, x_{t-1} and x_{t-2} side by side, (..., steps, 3), for sequences x (..., steps); before the start all is 0."""
    if validate.floats("x", x).ndim == 0:
        raise ValueError("x is a single number, expected sequences (..., steps): use x[None] for a sequence of one step")
    padded = np.concatenate([np.zeros((*x.shape[:-1], TAPS - 1), x.dtype), x], axis=-1)
    return np.stack([padded[..., TAPS - 1 - k:padded.shape[-1] - k] for k in range(TAPS)], axis=-1)


@dataclass(frozen=True)
class Filter:
    """The task y_t = sum_k w_k x_{t-k}. One task from its taps w (3,), T tasks from an array (T, 1, 3).

    >>> Filter(np.array([1.0, 0.5, 0.0]))(np.array([2.0, 0.0, 4.0]))
    array([2., 1., 4.])
    """

    taps: np.ndarray

    def __post_init__(self) -> None:
        validate.rows("taps", self.taps, (TAPS,))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """y at x: (T, n, steps) for T tasks, (..., steps) for one."""
        return (delayed(x) @ self.taps[..., None])[..., 0]

    def __getitem__(self, tasks: slice | int) -> Filter:
        """Some of the T tasks, or with an index the one task with its three taps."""
        return Filter(*select(tasks, self.taps))


@dataclass(frozen=True)
class Filters:
    """The distribution over tasks: w ~ N(0, 1) for each tap, and sequences of `steps` steps x_t ~ N(0, 1)."""

    steps: int = 12

    def __post_init__(self) -> None:
        validate.count("steps", self.steps)

    def sample(
        self, rng: np.random.Generator, *, tasks: int = 25, shots: int = 5, queries: int = 10, dtype: type = np.float64
    ) -> TaskBatch:
        """`tasks` tasks at once, each with `shots` support and `queries` query sequences: x_support (tasks, shots, steps) ...

        `task_params` is the `Filter` that made the batch.
        """
        rng, dtype = validate.generator(rng), validate.precision(dtype)
        tasks, shots = validate.count("tasks", tasks), validate.count("shots", shots)
        queries = validate.count("queries", queries)
        filters = Filter(rng.standard_normal((tasks, 1, TAPS)))
        x = rng.standard_normal((tasks, shots + queries, self.steps)).astype(dtype, copy=False)
        y = filters(x).astype(dtype, copy=False)
        return TaskBatch(x[:, :shots], y[:, :shots], x[:, shots:], y[:, shots:], task_params=filters)


def with_task_params(batch: TaskBatch) -> TaskBatch:
    """The oracle's view of these tasks: the three taps stand beside x at every step, and x becomes (T, n, 4 steps)."""
    if not isinstance(batch.task_params, Filter):
        raise TypeError(
            f"task_params of the batch is {validate.brief(batch.task_params)}, "
            "expected a Filter: use Filters().sample"
        )

    def with_task(x: np.ndarray) -> np.ndarray:
        taps = np.broadcast_to(batch.task_params.taps[:, :, None].astype(x.dtype), (*x.shape, TAPS))  # (T, n, steps, 3)
        return np.concatenate([x[..., None], taps], axis=-1).reshape(*x.shape[:2], -1)

    return replace(batch, x_support=with_task(batch.x_support), x_query=with_task(batch.x_query))


def least_squares(batch: TaskBatch) -> Filter:
    """The filters that explain the support sets best: three taps a task, from its shots * steps equations, by no network."""
    rows, y = delayed(batch.x_support).astype(float), batch.y_support.astype(float)
    taps = [np.linalg.lstsq(a.reshape(-1, TAPS), b.ravel(), rcond=None)[0] for a, b in zip(rows, y, strict=True)]
    return Filter(np.stack(taps)[:, None])


@dataclass(frozen=True)
class ModelSpec:
    """What a network must fit: the width of its inputs and outputs, all steps counted, and the number of steps."""

    inputs: int
    outputs: int
    steps: int

    def network(self, hidden: tuple[int, ...], activation: str) -> Network:
        """The recurrent network of these sizes with as many units as `hidden`, one width, says."""
        if len(hidden) != 1:
            raise ValueError(f"hidden is {hidden}, expected one width: a recurrent network has one layer, of 20 units say")
        return RNN(self.inputs // self.steps, hidden[0], self.outputs // self.steps, self.steps, activation=activation)


def figure(found: Any) -> Any:
    """One sequence of the first new task before and after one step, for MAML and for pre-training where both were compared."""
    from tinymaml import plot

    wanted = [name for name in ("maml", "pretraining") if name in found.starts] or list(found.starts)[:2]
    predictions = {}
    for name in wanted:
        start = found.starts[name]
        one = start.batch[:1]
        adapted = adapt(start.model, start.theta, one.x_support, one.y_support, inner_lr=start.inner_lr)
        thetas = {0: start.theta, 1: adapted.task(0)}
        predictions[name] = {k: start.model.predict(theta, one.x_query[0, :1])[0] for k, theta in thetas.items()}
    return plot.sequence(found.batch.y_query[0, 0], predictions, found.styles) if predictions else None


FAMILY = Family(
    "sequences",
    "regression of sequences that an unknown filter of three taps has made, for a recurrent network",
    title=lambda settings: f"{settings.shots}-shot sequences",
    sizes=lambda settings: ModelSpec(Filters().steps, Filters().steps, Filters().steps),
    metric=Metric("mean squared error a step", lambda here, y: loss(here, y) / y.shape[-1], digits=3),
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
        Baseline(  # E[y | x], as the taps are of either sign alike: what pre-training converges to
            "zero",
            PlotStyle("task-blind optimum: zero", "#999933", (0, (2, 5))),
            lambda batch: (batch.y_query**2).mean((1, 2)),
        ),
    ),
    with_task_params=with_task_params,
)  # fmt: skip
