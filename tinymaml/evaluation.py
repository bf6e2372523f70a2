"""How good an initialisation is after 0, 1, 2, ... steps on new tasks: means, intervals, medians, diverged tasks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinymaml import validate
from tinymaml.maml import adapt
from tinymaml.parameters import Parameters
from tinymaml.tasks import TaskBatch

WORSE = 10.0  # a task whose loss is this many times the loss before adaptation has diverged


@dataclass(frozen=True)
class Curve:
    """One number a task, after each number of steps: `values` (S + 1, T), from 0 to S steps.

    diverged (S + 1, T) marks tasks whose loss is not finite, or worse than ten times what it was before adaptation.
    They are counted, left out of the mean and its interval, and kept in the median, which they cannot spoil.
    """

    values: np.ndarray
    diverged: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """(S + 1,) over the tasks that have not diverged; NaN where none is left."""
        return self._over_tasks(np.mean)

    @property
    def interval(self) -> np.ndarray:
        """(S + 1,) half the 95 % interval of the mean: 1.96 standard errors."""
        return self._over_tasks(lambda kept: 1.96 * np.std(kept, ddof=1) / np.sqrt(len(kept)) if len(kept) > 1 else np.nan)

    @property
    def median(self) -> np.ndarray:
        """(S + 1,) over all tasks; a value that is not finite counts as the worst."""
        return np.median(np.where(np.isfinite(self.values), self.values, np.inf), axis=1)

    @property
    def count(self) -> np.ndarray:
        """(S + 1,) how many tasks have diverged."""
        return self.diverged.sum(1)

    def _over_tasks(self, statistic: Callable[[np.ndarray], float]) -> np.ndarray:
        rows = zip(self.values, self.diverged, strict=True)
        return np.array([statistic(row[~lost]) if not lost.all() else np.nan for row, lost in rows])


def evaluate(
    model: Any, theta: Parameters, batch: TaskBatch, *, inner_lr: float, steps: int, chunk: int = 100
) -> Curve:
    """The query loss of every task after 0..steps steps of `adapt` on its support set.

    `chunk` tasks are adapted at a time, which bounds the memory and changes no number.
    """
    steps = validate.count("steps", steps)
    columns = []
    with np.errstate(all="ignore"):  # a task that overflows is counted
        for start in range(0, len(batch), chunk):
            part = batch[start:start + chunk]
            adapted, losses = theta, []
            for k in range(steps + 1):
                losses.append(model.at(adapted, part.x_query, part.y_query).loss)
                if k < steps:
                    adapted = adapt(model, adapted, part.x_support, part.y_support, inner_lr=inner_lr)
            columns.append(np.array(losses))
    return curve(np.concatenate(columns, axis=1).astype(float))


def curve(losses: np.ndarray) -> Curve:
    """The curve of losses (S + 1, T), with the diverged tasks marked."""
    return Curve(losses, ~(np.isfinite(losses) & (losses <= WORSE * losses[0])))


def flat(losses: np.ndarray, steps: int) -> Curve:
    """The curve of a predictor that does not adapt: losses (T,) after any number of steps."""
    return curve(np.repeat(losses[None], steps + 1, axis=0))
