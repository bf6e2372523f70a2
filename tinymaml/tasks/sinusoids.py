"""The paper's regression tasks: sine waves of random amplitude and phase (section 5.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinymaml import validate
from tinymaml.settings import PlotStyle
from tinymaml.tasks.batch import TaskBatch, TaskParams, checked, with_task_params
from tinymaml.tasks.family import Baseline, Family, ModelSpec, Published, adapted_by_steps, drawn_starts
from tinymaml.training.evaluation import Metric, loss

DRAWS = 100  # attempts to draw query points that differ from the support points


@dataclass(frozen=True)
class Sinusoid(TaskParams):
    """The task y = A sin(x - phi), with two numbers for one task, two arrays (T, 1, 1) for T tasks.

    >>> float(Sinusoid(amplitude=2.0, phase=0.0)(np.pi / 2))
    2.0
    """

    amplitude: float | np.ndarray
    phase: float | np.ndarray

    def __post_init__(self) -> None:
        for name in ("amplitude", "phase"):
            if isinstance(getattr(self, name), np.ndarray):
                validate.floats(name, getattr(self, name))
            else:
                validate.number(name, getattr(self, name), 1.0)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """y at x: (T, n, 1) for T tasks."""
        validate.number("x", x) if np.ndim(x) == 0 and not isinstance(x, np.ndarray) else validate.floats("x", x)
        return self.amplitude * np.sin(x - self.phase)

    def append_to(self, x: np.ndarray) -> np.ndarray:
        """x with amplitude and phase, (T, n, 3)."""
        params = np.concatenate([self.amplitude, self.phase], axis=-1).astype(x.dtype)  # (T, 1, 2)
        return np.concatenate([x, np.broadcast_to(params, (*x.shape[:2], 2))], axis=-1)


@dataclass(frozen=True)
class Sinusoids:
    """The distribution over tasks: A ~ U[0.1, 5], phi ~ U[0, pi] and x ~ U[-5, 5], as in the paper.

    Each field is (lowest, highest).
    """

    amplitude: tuple[float, float] = (0.1, 5.0)
    phase: tuple[float, float] = (0.0, np.pi)
    x: tuple[float, float] = (-5.0, 5.0)

    def __post_init__(self) -> None:
        for name in ("amplitude", "phase", "x"):
            validate.interval(name, getattr(self, name))

    def sample(
        self, rng: np.random.Generator, *, tasks: int = 25, shots: int = 10, queries: int = 10, dtype: type = np.float64
    ) -> TaskBatch:
        """A batch of `tasks` tasks, with `shots` support and `queries` query points each: x_support (tasks, shots, 1) ...

        A query point is never a support point of the same task. `task_params` is the `Sinusoid` of the batch.
        """
        rng, dtype, tasks, shots, queries = checked(rng, dtype, tasks=tasks, shots=shots, queries=queries)
        waves = Sinusoid(rng.uniform(*self.amplitude, (tasks, 1, 1)), rng.uniform(*self.phase, (tasks, 1, 1)))
        points = lambda shape: rng.uniform(*self.x, shape).astype(dtype, copy=False)
        x = points((tasks, shots + queries, 1))
        for _ in range(DRAWS):
            if not (taken := _taken(x, shots)).any():
                break
            x[taken] = points(np.count_nonzero(taken))
        else:
            raise ValueError(
                f"x is {self.x}, which has too few {dtype} numbers for {shots} support points and others to query: "
                "widen it or ask for fewer shots"
            )
        y = waves(x).astype(dtype, copy=False)
        return TaskBatch(x[:, :shots], y[:, :shots], x[:, shots:], y[:, shots:], task_params=waves)


def _taken(x: np.ndarray, shots: int) -> np.ndarray:
    """The mask of the query points in x (T, n, 1) that equal a support point of their task, which happens in float32."""
    taken, in_order = np.zeros(x.shape, bool), np.sort(x[..., 0], axis=1)
    equal = in_order[:, 1:] == in_order[:, :-1]
    for t in np.flatnonzero(equal.any(1)):
        taken[t, shots:] = np.isin(x[t, shots:], x[t, :shots])
    return taken


def task_blind(tasks: Sinusoids, x: np.ndarray) -> np.ndarray:
    """E[y | x], the best prediction without knowing the task: for the paper's ranges -(2/pi) E[A] cos x = -1.623 cos x.

    E[A sin(x - phi)] = E[A] (cos(x - phi_high) - cos(x - phi_low)) / (phi_high - phi_low), as A and phi are
    independent and uniform. Pre-training converges to it.
    """
    validate.floats("x", x)
    low, high = tasks.phase
    mean_wave = (np.cos(x - high) - np.cos(x - low)) / (high - low) if high > low else np.sin(x - low)
    return np.mean(tasks.amplitude) * mean_wave


def figure(comparison: Any, tasks: int = 3) -> Any:
    """Fits of new sinusoids after 0, 1 and 10 steps."""
    from tinymaml import plot

    batch = comparison.batch
    x = np.linspace(-5, 5, 200, dtype=batch.x_query.dtype)
    panels = {}
    for name, start in drawn_starts(comparison).items():
        points = np.broadcast_to(x[:, None], (len(start.batch[:tasks]), len(x), 1))
        fits = {k: start.network.predict(theta, points) for k, theta in adapted_by_steps(start, tasks, 0, 1, 10).items()}
        panels[name] = [
            (x, batch.task_params[t](x), {k: fit[t, :, 0] for k, fit in fits.items()},
             (batch.x_support[t, :, 0], batch.y_support[t, :, 0]))
            for t in range(len(points))
        ]  # fmt: skip
    return plot.fits_of_tasks(panels, comparison.styles) if panels else None


FAMILY = Family(
    "sinusoids",
    "regression of sine waves of unknown amplitude and phase, as in the paper",
    title=lambda settings: f"{settings.shots}-shot sinusoids",
    sizes=lambda settings: ModelSpec(1, 1, "squared_error"),
    metric=Metric("mean squared error", loss),
    training=lambda settings: Sinusoids(),
    testing=lambda settings: Sinusoids(),
    test_tasks=1000,
    test_queries=100,
    figures={"fits.png": figure},
    baselines=(
        Baseline(
            "task-blind",
            PlotStyle("task-blind optimum", "#CC79A7", (0, (3, 1, 1, 1))),
            lambda batch: ((task_blind(Sinusoids(), batch.x_query) - batch.y_query) ** 2).mean((1, 2)),
        ),
    ),
    paper=tuple(
        Published({"method": method, "shots": 5, "hidden": (40, 40), "activation": "relu"}, values)
        for method, values in {"maml": {1: 0.67, 5: 0.38, 10: 0.35}, "pretraining": {1: 2.41, 5: 2.23, 10: 2.19}}.items()
    ),
    with_task_params=with_task_params,
)
