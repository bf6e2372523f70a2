"""The paper's regression tasks: sine waves of random amplitude and phase (section 5.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinymaml import validate
from tinymaml.tasks.batch import TaskBatch


@dataclass(frozen=True)
class Sinusoid:
    """The task y = A sin(x - phi). One task from two numbers, T tasks from two arrays (T, 1, 1).

    >>> float(Sinusoid(amplitude=2.0, phase=0.0)(np.pi / 2))
    2.0
    """

    amplitude: float | np.ndarray
    phase: float | np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """y at x: (T, n, 1) for T tasks."""
        return self.amplitude * np.sin(x - self.phase)

    def __getitem__(self, tasks: slice | int) -> Sinusoid:
        """Some of the T tasks, or with an index the one task with its two numbers."""
        amplitude, phase = self.amplitude[tasks], self.phase[tasks]
        return Sinusoid(amplitude, phase) if isinstance(tasks, slice) else Sinusoid(amplitude.item(), phase.item())


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
            low, high = getattr(self, name)
            if not (np.isfinite(low) and np.isfinite(high) and low <= high):
                raise ValueError(f"{name} is ({low}, {high}), expected (lowest, highest), both finite")
        if self.x[0] == self.x[1]:
            raise ValueError(f"x is {self.x}, a single point: support and query need different points")

    def sample(
        self, rng: np.random.Generator, *, tasks: int = 25, shots: int = 10, queries: int = 10, dtype: type = np.float64
    ) -> TaskBatch:
        """`tasks` tasks at once, each with `shots` support and `queries` query points: x_support (tasks, shots, 1) ...

        A query point is never a support point of the same task. `hidden` is the `Sinusoid` that made the batch.
        """
        tasks, shots = validate.count("tasks", tasks), validate.count("shots", shots)
        queries = validate.count("queries", queries)
        waves = Sinusoid(rng.uniform(*self.amplitude, (tasks, 1, 1)), rng.uniform(*self.phase, (tasks, 1, 1)))
        x = self._points(rng, (tasks, shots + queries, 1), dtype)
        while (same := x[:, :shots] == x[:, None, shots:, 0]).any():  # (tasks, shots, queries); rounded to float32 it happens
            clash = same.any((1, 2))
            x[clash] = self._points(rng, (np.count_nonzero(clash), shots + queries, 1), dtype)
        y = waves(x).astype(dtype, copy=False)
        return TaskBatch(x[:, :shots], y[:, :shots], x[:, shots:], y[:, shots:], hidden=waves)

    def _points(self, rng: np.random.Generator, shape: tuple[int, ...], dtype: type) -> np.ndarray:
        return rng.uniform(*self.x, shape).astype(dtype, copy=False)
