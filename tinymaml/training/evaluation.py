"""How good an initialisation is after 0, 1, 2, ... steps on new tasks: means, intervals, medians, diverged tasks."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinymaml import validate
from tinymaml.maml import adapt, at_step, represent
from tinymaml.nn.layers import rows_out
from tinymaml.parameters import Parameters

CHUNK, CHUNK_BYTES = 100, 2**26  # tasks that are adapted at a time, at most, and the bytes that they make on their way
DIVERGENCE_FACTOR = 10.0  # a task whose loss is this many times the loss before adaptation has diverged


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
    def diverged_count(self) -> np.ndarray:
        """(S + 1,) how many tasks have diverged."""
        return self.diverged.sum(1)

    def _over_tasks(self, statistic: Callable[[np.ndarray], float]) -> np.ndarray:
        rows = zip(self.values, self.diverged, strict=True)
        return np.array([statistic(row[~lost]) if not lost.all() else np.nan for row, lost in rows])


def format_number(value: float, digits: int = 3) -> str:
    """A statistic as a table has it: with so many digits behind the point, or as 1.2e+34 where they would be a long row."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"value is {validate.brief(value)}, expected a number: NaN and infinity are some too")
    digits = validate.count("digits", digits, least=0)
    return f"{value:.1e}" if 1e5 <= value < np.inf else f"{value:.{digits}f}"


def loss(here: Any, y: np.ndarray) -> np.ndarray:
    """The loss of each task, (T,)."""
    return here.loss


def accuracy(here: Any, y: np.ndarray) -> np.ndarray:
    """The part of each task's examples whose largest logit is that of their class, (T,); not finite is wrong."""
    right = here.prediction.argmax(-1) == y.argmax(-1)
    return (right & np.isfinite(here.prediction).all(-1)).mean(-1)


@dataclass(frozen=True)
class Metric:
    """What new tasks are judged by.

    name        in tables, in figures and in results.json
    value       value(here, y): one number for each task, (T,), from what the model sees on the query sets, and the targets
    percent     whether tables show it times 100, as a percentage
    digits      behind the point, in tables
    diverges    whether a task can be lost: see `Curve`. An accuracy is a number from 0 to 1 whatever happens
    log         whether a figure is best drawn on a log axis
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
    """`metric` on every task's query set after 0..steps steps of `adapt` on its support set; batch is a `TaskBatch`.

    inner_lr is whatever `adapt` takes for one. `chunk` tasks are adapted at a time, fewer of a large model by default, which
    bounds the memory and changes no number.
    """
    validate.parameters("theta", theta)
    steps, rows = validate.count("steps", steps), max(batch.x_support.shape[1], batch.x_query.shape[1])
    chunk = chunk_size(model, rows, batch.x_query.dtype) if chunk is None else validate.count("chunk", chunk)
    if not isinstance(metric, Metric):
        raise TypeError(f"metric is {validate.brief(metric)}, expected a Metric: use LOSS or ACCURACY")
    columns = []
    with np.errstate(all="ignore"):  # a task that overflows is counted
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
    """How many tasks of so many examples to adapt at a time, so that memory does not grow with the size of the model."""
    shapes = getattr(model, "shapes", {}).values()
    one = np.dtype(dtype).itemsize * (rows * width(model) + sum(map(math.prod, shapes)))
    return max(1, min(CHUNK, int(CHUNK_BYTES // max(1, one))))


def width(model: Any) -> float:
    """The numbers that all layers together make of one row, 0 for a model without layers."""
    total, outputs, rows = 0, getattr(model, "inputs", 0), 1
    for layer in _flat(getattr(model, "layers", ())):
        outputs, rows = getattr(layer, "outputs", None) or outputs, rows_out(layer, rows)
        total += outputs * rows
    return total


def _flat(layers: Sequence[Any]) -> list[Any]:
    return [each for layer in layers for each in (_flat(layer.layers) if hasattr(layer, "layers") else [layer])]


def curve(values: np.ndarray, *, diverges: bool = True) -> Curve:
    """The curve of `values` (S + 1, T), losses if tasks can diverge; then those that have are marked."""
    if validate.floats("values", values).ndim != 2 or not len(values):
        raise ValueError(f"values has shape {values.shape}, expected (steps + 1, tasks): one row for each number of steps")
    if not validate.flag("diverges", diverges):
        return Curve(values, np.zeros(values.shape, bool))
    return Curve(values, ~(np.isfinite(values) & (values <= DIVERGENCE_FACTOR * values[0])))


def constant(values: np.ndarray, steps: int, *, diverges: bool = True) -> Curve:
    """The curve of a predictor that does not adapt: the same `values` (T,) after any number of steps."""
    steps, values = validate.count("steps", steps, least=0), validate.floats("values", values)
    return curve(np.repeat(values[None], steps + 1, axis=0), diverges=diverges)
