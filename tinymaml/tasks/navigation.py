"""Navigation in a plane: a task is an unobserved goal; the cost is the squared distance to it.

A linear-Gaussian policy steers a point that starts near the origin. The expected cost and its derivatives have a closed
form (`rl/exact.py`): reinforcement learning with exact expectations. The paper's version of the task (section 5.3.1), with
a neural policy and sampled episodes, is in `rl/sampled.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tinymaml import validate
from tinymaml.rl.exact import DIM, LinearPolicy
from tinymaml.settings import Option, PlotStyle
from tinymaml.tasks.batch import TaskBatch, TaskParams, checked, with_task_params
from tinymaml.tasks.family import Baseline, Family, adapted_by_steps, drawn_starts
from tinymaml.training.evaluation import Metric


@dataclass(frozen=True)
class Goal(TaskParams):
    """A task: be at `position` after each of `horizon` moves; position is (2,) for one task, (T, 1, 2) for T tasks."""

    position: np.ndarray
    horizon: int = LinearPolicy.horizon

    def __post_init__(self) -> None:
        validate.rows("position", self.position, (DIM,))
        validate.finite("position", self.position)
        validate.count("horizon", self.horizon)

    def append_to(self, x: np.ndarray) -> np.ndarray:
        """x with the goal, (T, n, 4)."""
        return np.concatenate([x, np.broadcast_to(self.position.astype(x.dtype), x.shape)], axis=-1)


@dataclass(frozen=True)
class Navigation:
    """The distribution over tasks: goals ~ U[-goal_range, goal_range]^2 and starts ~ U[-start_range, start_range]^2."""

    goal_range: float = 0.5
    start_range: float = 0.1
    horizon: int = LinearPolicy.horizon

    def __post_init__(self) -> None:
        validate.rate("goal_range", self.goal_range, 0.5)
        validate.deviation("start_range", self.start_range)
        validate.count("horizon", self.horizon)

    def sample(
        self, rng: np.random.Generator, *, tasks: int = 20, shots: int = 5, queries: int = 10, dtype: type = np.float64
    ) -> TaskBatch:
        """A batch of `tasks` tasks, with `shots` support and `queries` query starts each: x_support (tasks, shots, 2) ...

        y repeats the goal of a task for each of its starts. `task_params` is the `Goal` of the batch.
        """
        rng, dtype, tasks, shots, queries = checked(rng, dtype, tasks=tasks, shots=shots, queries=queries)
        goals = Goal(rng.uniform(-self.goal_range, self.goal_range, (tasks, 1, DIM)), self.horizon)
        x = rng.uniform(-self.start_range, self.start_range, (tasks, shots + queries, DIM)).astype(dtype, copy=False)
        y = np.repeat(goals.position.astype(dtype, copy=False), shots + queries, axis=1)
        return TaskBatch(x[:, :shots], y[:, :shots], x[:, shots:], y[:, shots:], task_params=goals)


def oracle_cost(batch: TaskBatch) -> np.ndarray:
    """The minimal expected cost of an episode, (T,): every move ends at the goal plus noise, which costs 2 sigma^2."""
    return np.full(len(batch), 2 * LinearPolicy.noise**2 * batch.task_params.horizon)


def unadapted_cost(batch: TaskBatch) -> np.ndarray:
    """The expected cost, (T,), of the best single policy for all goals: every move ends at their mean, the origin."""
    return oracle_cost(batch) + batch.task_params.horizon * (batch.task_params.position**2).sum((1, 2))


@dataclass(frozen=True)
class ModelSpec:
    """The number of inputs of a linear policy and its horizon."""

    inputs: int
    horizon: int

    def network(self, hidden: tuple[int, ...], activation: str) -> LinearPolicy:
        """The policy, which has no hidden layers."""
        if hidden:
            raise ValueError(f"hidden is {hidden}, expected no hidden layers, (): this policy is linear")
        return LinearPolicy(self.inputs, self.horizon)


def source(settings: Any) -> Navigation:
    """The distribution over tasks with the horizon of the settings."""
    return Navigation(horizon=settings.options["horizon"])


def figure(comparison: Any, tasks: int = 6) -> Any:
    """Noise-free trajectories to new goals after 0 to 3 steps."""
    from tinymaml.plot import policies as policy_plots

    trajectories, goals = {}, comparison.batch.task_params.position[:tasks, 0]
    for name, start in drawn_starts(comparison).items():
        x, thetas = comparison.batch.x_query[:tasks, :1], adapted_by_steps(start, tasks, 0, 1, 2, 3)
        trajectories[name] = {k: start.network.rollout(theta, x)[:, :, 0] for k, theta in thetas.items()}
    return policy_plots.trajectories(trajectories, goals, comparison.styles) if trajectories else None


FAMILY = Family(
    "navigation",
    "exact policy optimisation: steer a point to an unobserved goal",
    title=lambda settings: f"navigation, {settings.options['horizon']} moves",
    sizes=lambda settings: ModelSpec(DIM, settings.options["horizon"]),
    metric=Metric("minus the return", lambda here, y: here.cost, digits=3),
    training=source,
    testing=source,
    test_tasks=1000,
    test_queries=20,
    report_steps=(0, 1, 2, 3, 10),
    figures={"trajectories.png": figure},
    defaults={"inner_lr": 0.1, "outer_lr": 0.01, "hidden": (), "tasks": 20, "iterations": 2000},
    options=(Option("horizon", LinearPolicy.horizon, "moves per episode", partial(validate.count, most=1000)),),
    baselines=(
        Baseline("noise-alone", PlotStyle("goal known: noise alone", "#6699CC", (0, (4, 3, 1, 3, 1, 3))), oracle_cost),
        Baseline("at-origin", PlotStyle("best without the goal", "#AA3377", (0, (2, 3, 6, 3))), unadapted_cost),
    ),
    with_task_params=with_task_params,
)  # fmt: skip
