"""A batch of tasks: each with its support set, to adapt on, and its query set, to be judged on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinymaml import validate


@dataclass(frozen=True)
class TaskBatch:
    """T tasks. Axis 0 is the task and axis 1 the example, in all four arrays.

    x_support (T, K, ...), y_support (T, K, ...)    what a task adapts on
    x_query   (T, Q, ...), y_query   (T, Q, ...)    what the adapted parameters are judged on
    hidden    what the tasks were made from, such as a `Sinusoid`; never shown to a learner
    """

    x_support: np.ndarray
    y_support: np.ndarray
    x_query: np.ndarray
    y_query: np.ndarray
    hidden: Any = None

    def __post_init__(self) -> None:
        for name in ("x_support", "y_support", "x_query", "y_query"):
            array = validate.floats(name, getattr(self, name))
            if array.ndim < 3:
                raise ValueError(f"{name} has shape {array.shape}, expected (tasks, examples, ...): one task is {name}[None]")
            if array.size == 0:
                raise ValueError(f"{name} has shape {array.shape}, expected one task and one example at least: none is empty")
        for part in ("support", "query"):
            x, y = getattr(self, f"x_{part}"), getattr(self, f"y_{part}")
            if x.shape[:2] != y.shape[:2]:
                raise ValueError(
                    f"x_{part} has {x.shape[0]} tasks of {x.shape[1]} examples and y_{part} {y.shape[0]} of {y.shape[1]}: "
                    "every example needs its target"
                )
        if len(self.x_support) != len(self.x_query):
            raise ValueError(f"{len(self.x_support)} tasks have a support and {len(self.x_query)} a query set: each needs both")

    def __len__(self) -> int:
        """T, the number of tasks."""
        return len(self.x_support)

    def __getitem__(self, tasks: slice) -> TaskBatch:
        """Some of the tasks: `batch[3:4]` is a batch of one."""
        if not isinstance(tasks, slice):
            raise TypeError(f"a batch is cut with a slice, not with {validate.brief(tasks)}: use batch[3:4] for one task")
        hidden = self.hidden[tasks] if self.hidden is not None else None
        return TaskBatch(self.x_support[tasks], self.y_support[tasks], self.x_query[tasks], self.y_query[tasks], hidden)
