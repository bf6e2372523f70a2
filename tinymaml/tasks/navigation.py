"""Navigation in a plane: a task is a goal that is never shown, and is felt only through the cost of being away from it.

A point starts near the origin and is steered by a linear-Gaussian policy, whose expected cost and its derivatives
are in closed form (`rl/exact.py`): reinforcement learning with everything but its chance. The paper's own form of the task
(section 5.3.1), with a neural policy and sampled episodes, is in `rl/sampled.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from tinymaml import validate
from tinymaml.maml import adapt
from tinymaml.rl.exact import DIM, LinearPolicy
from tinymaml.settings import Option, PlotStyle
from tinymaml.tasks.batch import TaskBatch, select
from tinymaml.tasks.family import Baseline, Family
from tinymaml.training.evaluation import Metric


@dataclass(frozen=True)
class Goal:
    """The task of being at `place`, (2,) for one task or (T, 1, 2) for T, at the end of every one of `horizon` moves."""

    place: np.ndarray
    horizon: int = LinearPolicy.horizon

    def __post_init__(self) -> None:
        if validate.floats("place", self.place).shape[-1:] != (DIM,):
            raise ValueError(f"place has shape {self.place.shape}, expected two numbers, (..., 2): a goal is a point of a plane")
        validate.finite("place", self.place)
        validate.count("horizon", self.horizon)

    def __getitem__(self, tasks: slice | int) -> Goal:
        """Some of the T tasks, or with an index the one task with its two numbers."""
        return Goal(*select(tasks, self.place), self.horizon)


@dataclass(frozen=True)
class Navigation:
    """The distribution over tasks: goals uniform in [-reach, reach]^2, and starts uniform in [-near, near]^2."""

    reach: float = 0.5
    near: float = 0.1
    horizon: int = LinearPolicy.horizon

    def __post_init__(self) -> None:
        validate.rate("reach", self.reach, 0.5)
        validate.deviation("near", self.near)
        validate.count("horizon", self.horizon)

    def sample(
        self, rng: np.random.Generator, *, tasks: int = 20, shots: int = 5, queries: int = 10, dtype: type = np.float64
    ) -> TaskBatch:
        """`tasks` tasks at once, with `shots` starts to adapt from and `queries` others: x_support (tasks, shots, 2) ...

        y repeats the goal of a task beside each of its starts. `task_params` is the `Goal` that made the batch.
        """
        rng, dtype = validate.generator(rng), validate.precision(dtype)
        tasks, shots = validate.count("tasks", tasks), validate.count("shots", shots)
        queries = validate.count("queries", queries)
        goals = Goal(rng.uniform(-self.reach, self.reach, (tasks, 1, DIM)), self.horizon)
        x = rng.uniform(-self.near, self.near, (tasks, shots + queries, DIM)).astype(dtype, copy=False)
        y = np.repeat(goals.place.astype(dtype, copy=False), shots + queries, axis=1)
        return TaskBatch(x[:, :shots], y[:, :shots], x[:, shots:], y[:, shots:], task_params=goals)


def with_task_params(batch: TaskBatch) -> TaskBatch:
    """The oracle's view of these tasks: the goal stands behind the position, and x becomes (T, n, 4)."""
    if not isinstance(batch.task_params, Goal):
        raise TypeError(
            f"task_params of the batch is {validate.brief(batch.task_params)}, "
            "expected a Goal: use Navigation().sample"
        )
    beside = lambda x, y: np.concatenate([x, y], axis=-1)
    return replace(
        batch, x_support=beside(batch.x_support, batch.y_support), x_query=beside(batch.x_query, batch.y_query)
    )  # fmt: skip


def best(batch: TaskBatch) -> np.ndarray:
    """The least cost of an episode, (T,): each move ends at the goal but for its noise, 2 sigma^2."""
    return np.full(len(batch), 2 * LinearPolicy.noise**2 * batch.task_params.horizon)


def best_unadapted(batch: TaskBatch) -> np.ndarray:
    """The least cost that one policy for all goals can expect, (T,): each move ends at their mean, the origin."""
    return best(batch) + batch.task_params.horizon * (batch.task_params.place**2).sum((1, 2))


@dataclass(frozen=True)
class ModelSpec:
    """What a policy must fit: how many numbers it sees, and the horizon. It is linear, and no loss can be chosen."""

    inputs: int
    horizon: int

    def network(self, hidden: tuple[int, ...], activation: str) -> LinearPolicy:
        """The policy of these sizes, which has no hidden layers."""
        if hidden:
            raise ValueError(f"hidden is {hidden}, expected no hidden layers, (): this policy is linear")
        return LinearPolicy(self.inputs, self.horizon)


def source(settings: Any) -> Navigation:
    """The tasks of these settings."""
    return Navigation(horizon=settings.options["horizon"])


def figure(found: Any, tasks: int = 6) -> Any:
    """The way to several new goals after 0 to 3 steps, without noise, for MAML and pre-training where both were compared."""
    from tinymaml.plot import policies as policy_plots

    wanted = [name for name in ("maml", "pretraining") if name in found.starts] or list(found.starts)[:2]
    ways = {}
    for name in wanted:
        start, batch = found.starts[name], found.batch[:tasks]
        x, theta = batch.x_query[:, :1], start.theta
        ways[name] = {0: start.model.rollout(theta, x)[:, :, 0]}
        for k in (1, 2, 3):
            adapted = adapt(start.model, theta, batch.x_support, batch.y_support, inner_lr=start.inner_lr, steps=k)
            ways[name][k] = start.model.rollout(adapted, x)[:, :, 0]
    return policy_plots.ways(ways, found.batch.task_params.place[:tasks, 0], found.styles) if ways else None


FAMILY = Family(
    "navigation",
    "reinforcement learning without its chance: a linear policy steers a point to a goal that it is not told",
    title=lambda settings: f"navigation, {settings.options['horizon']} moves",
    sizes=lambda settings: ModelSpec(DIM, settings.options["horizon"]),
    metric=Metric("minus the return", lambda here, y: here.cost, digits=3),
    training=source,
    testing=source,
    test_tasks=1000,
    test_queries=20,
    report_steps=(0, 1, 2, 3, 10),
    figures={"ways.png": figure},
    defaults={"inner_lr": 0.1, "outer_lr": 0.01, "hidden": (), "tasks": 20, "iterations": 2000},
    options=(Option("horizon", LinearPolicy.horizon, "moves of an episode", partial(validate.count, most=1000)),),
    baselines=(
        Baseline("noise-alone", PlotStyle("told the goal: noise alone", "#6699CC", (0, (4, 3, 1, 3, 1, 3))), best),
        Baseline("at-origin", PlotStyle("best without the goal", "#AA3377", (0, (2, 3, 6, 3))), best_unadapted),
    ),
    with_task_params=with_task_params,
)  # fmt: skip
