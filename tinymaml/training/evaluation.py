"""Evaluation on new tasks after 0, 1, 2, ... steps: means, confidence intervals, medians, diverged tasks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinymaml import validate
from tinymaml.maml import adapt, at_step, represent
from tinymaml.nn.layers import rows_out
from tinymaml.parameters import Parameters

CHUNK, CHUNK_BYTES = 100, 2**26  # the maximum number of tasks adapted at a time, and of bytes for them
DIVERGENCE_FACTOR = 10.0  # a task whose loss is this many times the loss before adaptation has diverged


@dataclass(frozen=True)
class Curve:
    """One number per task after 0 to S steps: `values` (S + 1, T).

    diverged (S + 1, T) marks tasks whose loss is not finite, or more than ten times the loss before
    adaptation. The mean and its interval exclude them; the median, which is robust, includes them.
    """

    values: np.ndarray
    diverged: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """(S + 1,) over the tasks that have not diverged; NaN if all have."""
        return self._over_tasks(np.mean)

    @property
    def interval(self) -> np.ndarray:
        """(S + 1,) half the width of the 95 % confidence interval of the mean: 1.96 standard errors."""
        return self._over_tasks(lambda row: 1.96 * np.std(row, ddof=1) / np.sqrt(len(row)) if len(row) > 1 else np.nan)

    @property
    def median(self) -> np.ndarray:
        """(S + 1,) over all tasks; NaN counts as infinity."""
        return np.median(np.where(np.isfinite(self.values), self.values, np.inf), axis=1)

    @property
    def diverged_count(self) -> np.ndarray:
        """(S + 1,) the number of diverged tasks."""
        return self.diverged.sum(1)

    def _over_tasks(self, statistic: Callable[[np.ndarray], float]) -> np.ndarray:
        rows = zip(self.values, self.diverged, strict=True)
        return np.array([statistic(row[~diverged]) if not diverged.all() else np.nan for row, diverged in rows])


def format_number(value: float, digits: int = 3) -> str:
    """A number for a table: `digits` decimals, or 1.2e+34 if it is large."""
    return f"{value:.1e}" if 1e5 <= abs(value) < np.inf else f"{value:.{digits}f}"


def format_interval(mean: float, interval: float, digits: int = 3) -> str:
    """A mean and the half width of its interval for a table; the mean alone if there is no interval, as for one task."""
    shown = format_number(mean, digits)
    return shown if np.isnan(interval) else f"{shown} +- {format_number(interval, digits)}"


def loss(here: Any, y: np.ndarray) -> np.ndarray:
    """The loss of each task, (T,)."""
    return here.loss


def accuracy(here: Any, y: np.ndarray) -> np.ndarray:
    """The fraction of correctly classified examples of each task, (T,); NaN and infinite logits are wrong."""
    correct = here.prediction.argmax(-1) == y.argmax(-1)
    return (correct & np.isfinite(here.prediction).all(-1)).mean(-1)


@dataclass(frozen=True)
class Metric:
    """A metric for evaluation on new tasks.

    name        its name in tables, figures and results.json
    value       value(here, y): one number per task, (T,), from the loss surface and targets of the query sets
    percent     whether tables show a percentage
    digits      the number of decimals in tables
    diverges    whether tasks can diverge, see `Curve`; False for an accuracy
    log         whether figures use a log axis
    """

    name: str
    value: Callable[[Any, np.ndarray], np.ndarray]
    percent: bool = False
    digits: int = 2
    diverges: bool = True
    log: bool = True


LOSS = Metric("loss", loss)
ACCURACY = Metric("accuracy", accuracy, percent=True, digits=1, diverges=False, log=False)


def evaluate(
    model: Any, theta: Parameters, batch: Any, *, inner_lr: Any, steps: int, metric: Metric = LOSS, chunk: int | None = None
) -> Curve:
    """`metric` on the query set of every task after 0..steps steps of `adapt` on its support set.

    batch is a `TaskBatch`; inner_lr is as in `adapt`. `chunk` tasks are adapted at a time, by default fewer
    for a larger model: this bounds the memory and does not change the result.
    """
    validate.parameters("theta", theta)
    steps, rows = validate.count("steps", steps), max(batch.x_support.shape[1], batch.x_query.shape[1])
    chunk = chunk_size(model, rows, batch.x_query.dtype) if chunk is None else validate.count("chunk", chunk)
    validate.require(isinstance(metric, Metric), "metric", metric, "a Metric: use LOSS or ACCURACY")
    columns = []
    with np.errstate(all="ignore"):  # overflow is counted as divergence
        for start in range(0, len(batch), chunk):
            part = batch[start:start + chunk]
            theta_k = represent(model, theta, steps * part.x_support.shape[1])
            values = []
            for k in range(steps + 1):
                values.append(metric.value(model.at(theta_k, part.x_query, part.y_query), part.y_query))
                if k < steps:
                    theta_k = adapt(at_step(model, k), theta_k, part.x_support, part.y_support, inner_lr=inner_lr)
            columns.append(np.array(values))
    values = np.concatenate(columns, axis=1).astype(float)
    return curve(values, diverges=metric.diverges)


def chunk_size(model: Any, rows: int, dtype: Any) -> int:
    """The number of tasks to adapt at a time, of `rows` examples each, so that memory stays bounded."""
    shapes = getattr(model, "shapes", {}).values()
    one = np.dtype(dtype).itemsize * (rows * width(model) + sum(map(math.prod, shapes)))
    return max(1, min(CHUNK, int(CHUNK_BYTES // max(1, one))))


def width(model: Any) -> int:
    """The total number of outputs of all layers for one row of x; 0 for a model without layers."""
    total, outputs, rows = 0, getattr(model, "inputs", 0), 1
    for layer in _flat(getattr(model, "layers", ())):
        outputs, rows = getattr(layer, "outputs", None) or outputs, rows_out(layer, rows)
        total += outputs * rows
    return total


def _flat(layers: Sequence[Any]) -> list[Any]:
    return [each for layer in layers for each in (_flat(layer.layers) if hasattr(layer, "layers") else [layer])]


def curve(values: np.ndarray, *, diverges: bool = True) -> Curve:
    """The curve of `values` (S + 1, T); if `diverges`, the values are losses, and diverged tasks are marked."""
    if validate.floats("values", values).ndim != 2 or not len(values):
        raise ValueError(f"values has shape {values.shape}, expected (steps + 1, tasks): one row for each number of steps")
    if not validate.flag("diverges", diverges):
        return Curve(values, np.zeros(values.shape, bool))
    return Curve(values, ~(np.isfinite(values) & (values <= DIVERGENCE_FACTOR * values[0])))


def constant(values: np.ndarray, steps: int, *, diverges: bool = True) -> Curve:
    """The curve of a predictor that does not adapt: the same `values` (T,) after every number of steps."""
    steps, values = validate.count("steps", steps, least=0), validate.floats("values", values)
    return curve(np.repeat(values[None], steps + 1, axis=0), diverges=diverges)
