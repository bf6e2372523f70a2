"""A batch of tasks, each with a support set for adaptation and a query set for evaluation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinymaml import validate

ARRAYS = ("x_support", "y_support", "x_query", "y_query")


@dataclass(frozen=True)
class TaskBatch:
    """T tasks. Axis 0 is the task and axis 1 the example, in all four arrays.

    x_support (T, K, ...), y_support (T, K, ...)    the examples for adaptation
    x_query   (T, Q, ...), y_query   (T, Q, ...)    the examples for evaluating the adapted parameters
    task_params    the true parameters of the tasks, such as a `Sinusoid`, which learners do not see
    """

    x_support: np.ndarray
    y_support: np.ndarray
    x_query: np.ndarray
    y_query: np.ndarray
    task_params: Any = None

    def __post_init__(self) -> None:
        for name in ARRAYS:
            shape = validate.floats(name, getattr(self, name)).shape
            if len(shape) < 3:
                raise ValueError(f"{name} has shape {shape}, expected (tasks, examples, ...): one task is {name}[None]")
            if 0 in shape:
                raise ValueError(f"{name} has shape {shape}, expected at least one task and one example: leave none empty")
        for part in ("support", "query"):
            x, y = getattr(self, f"x_{part}"), getattr(self, f"y_{part}")
            if x.shape[:2] != y.shape[:2]:
                raise ValueError(
                    f"x_{part} has {x.shape[0]} tasks of {x.shape[1]} examples and y_{part} {y.shape[0]} of {y.shape[1]}: "
                    "every example needs its target"
                )
        if len(self.x_support) != len(self.x_query):
            raise ValueError(
                f"{len(self.x_support)} tasks have a support and {len(self.x_query)} a query set: each needs both"
            )

    def __len__(self) -> int:
        """T, the number of tasks."""
        return len(self.x_support)

    def __getitem__(self, tasks: slice) -> TaskBatch:
        """A slice of the tasks: `batch[3:4]` is a batch of one task."""
        if not isinstance(tasks, slice):
            raise TypeError(f"a batch is indexed with a slice, not with {validate.brief(tasks)}: use batch[3:4] for one task")
        params = None if self.task_params is None else self.task_params[tasks]
        return TaskBatch(*(getattr(self, name)[tasks] for name in ARRAYS), params)

    def map(self, f: Callable[[np.ndarray], np.ndarray]) -> TaskBatch:
        """A batch with f applied to each of the four arrays; `task_params` is dropped."""
        return TaskBatch(*(f(getattr(self, name)) for name in ARRAYS))

    def repeat(self, copies: int) -> TaskBatch:
        """The T tasks repeated `copies` times in sequence: copies * T tasks."""
        return self.map(lambda array: np.concatenate([array] * copies))


def checked(rng: np.random.Generator, dtype: type, **counts: int) -> list[Any]:
    """The arguments of a method `sample` in this order; TypeError or ValueError for a wrong one."""
    counted = (validate.count(name, value) for name, value in counts.items())
    return [validate.generator(rng), validate.precision(dtype), *counted]


class TaskParams:
    """The parameters of T tasks: a dataclass with arrays (T, 1, ...)."""

    def __getitem__(self, tasks: slice | int) -> Any:
        """A slice of the T tasks, or the one task with this index, which has arrays (...), or floats if each is one number."""
        arrays = {name: array for name, array in vars(self).items() if np.ndim(array) > 1}
        if not arrays:
            raise TypeError("these are the parameters of one task, which have no task axis: use them as they are")
        if isinstance(tasks, slice):
            return replace(self, **{name: array[tasks] for name, array in arrays.items()})
        one = {name: array[validate.count("task", tasks, least=0), 0] for name, array in arrays.items()}
        return replace(self, **{name: array.item() if array.size == 1 else array for name, array in one.items()})

    def append_to(self, x: np.ndarray) -> np.ndarray:
        """The inputs x (T, n, ...) with the parameters of their task appended to each."""
        raise NotImplementedError


def with_task_params(batch: TaskBatch) -> TaskBatch:
    """The batch with its task parameters appended to the inputs: what the oracle sees."""
    if not isinstance(batch.task_params, TaskParams):
        got = validate.brief(batch.task_params)
        raise TypeError(f"task_params of the batch is {got}, expected a Sinusoid, Filter or Goal: use the batch from sample")
    append_to = batch.task_params.append_to
    return replace(batch, x_support=append_to(batch.x_support), x_query=append_to(batch.x_query))
