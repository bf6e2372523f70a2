"""A batch of tasks: each with a support set to adapt on and a query set to be evaluated on."""

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

    x_support (T, K, ...), y_support (T, K, ...)    the examples to adapt on
    x_query   (T, Q, ...), y_query   (T, Q, ...)    the examples to evaluate the adapted parameters on
    task_params    what the tasks were made from, such as a `Sinusoid`; no learner sees it
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
                raise ValueError(f"{name} has shape {shape}, expected one task and one example at least: none is empty")
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
        """Some of the tasks: `batch[3:4]` is a batch of one."""
        if not isinstance(tasks, slice):
            raise TypeError(f"a batch is cut with a slice, not with {validate.brief(tasks)}: use batch[3:4] for one task")
        params = None if self.task_params is None else self.task_params[tasks]
        return TaskBatch(*(getattr(self, name)[tasks] for name in ARRAYS), params)

    def map(self, f: Callable[[np.ndarray], np.ndarray]) -> TaskBatch:
        """The batch of f of each of the four arrays, without `task_params`."""
        return TaskBatch(*(f(getattr(self, name)) for name in ARRAYS))

    def repeat(self, copies: int) -> TaskBatch:
        """All tasks, then all tasks again: copies * T tasks."""
        return self.map(lambda array: np.concatenate([array] * copies))


def select(tasks: slice | int, *params: np.ndarray) -> list[np.ndarray]:
    """Task parameters (T, 1, ...) of some tasks, or with an index those of one task, (...)."""
    if np.ndim(params[0]) < 2:
        raise TypeError("these are the parameters of one task, which have no task axis: use them as they are")
    if isinstance(tasks, slice):
        return [array[tasks] for array in params]
    if not validate.count("task", tasks, least=0) < len(params[0]):
        raise IndexError(f"task is {tasks}, expected less than {len(params[0])}, the number of tasks")
    return [array[tasks, 0] for array in params]


def map_inputs(batch: TaskBatch, params: type, f: Callable[[np.ndarray], np.ndarray]) -> TaskBatch:
    """The batch with the inputs f(x_support) and f(x_query); TypeError unless its `task_params` are of this type."""
    if not isinstance(batch.task_params, params):
        got = validate.brief(batch.task_params)
        raise TypeError(f"task_params of the batch is {got}, expected a {params.__name__}: sample from its own family")
    return replace(batch, x_support=f(batch.x_support), x_query=f(batch.x_query))
