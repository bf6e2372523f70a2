"""What the libraries are timed on: the workload of `tinymaml bench`, and classification."""

from dataclasses import dataclass

import numpy as np

from tinymaml import MLP, validate
from tinymaml.experiment import bench
from tinymaml.tasks import TaskBatch


@dataclass(frozen=True)
class Workload(bench.Workload):
    """regression: that of the package. classification: 5-way 1-shot, 20-w-w-5, 5 support and 25 query examples a task."""

    kind: str = "regression"

    def __post_init__(self) -> None:
        validate.one_of("kind", self.kind, ("regression", "classification"))
        validate.one_of("dtype", self.dtype, ("float64", "float32"))
        for name in ("width", "steps", "tasks"):
            validate.count(name, getattr(self, name))

    @property
    def inner_lr(self) -> float:
        return 0.01 if self.kind == "regression" else 0.1

    @property
    def model(self):
        if self.kind == "regression":
            return super().model
        return MLP((20, self.width, self.width, 5), "relu", "cross_entropy")

    def build(self):
        """theta and a batch, the same every time; no relu is so near its kink that rounding turns it.

        With seed 0 one is (classification, width 400): there a float32 gradient may differ by 1e-3 and not be wrong.
        """
        if self.kind == "regression":
            return super().build()
        rng = np.random.default_rng(1)
        theta = self.model.init(rng, self.dtype)
        x = rng.standard_normal((self.tasks, 30, 20)).astype(self.dtype)
        y = np.eye(5, dtype=self.dtype)[np.arange(30) % 5] + np.zeros_like(x[..., :1])
        return theta, TaskBatch(x[:, :5], y[:, :5], x[:, 5:], y[:, 5:])
