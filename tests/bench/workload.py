"""What the libraries are timed on: the workload of `tinymaml bench`, and classification; a large matrix product beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from tinymaml import MLP, validate
from tinymaml.experiment import bench
from tinymaml.nn.layers import Affine
from tinymaml.tasks import TaskBatch

PRODUCT = 1024  # rows and columns of the large matrix product


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

    @property
    def multiply_adds(self) -> int:
        """The number of multiply-adds of one meta-gradient, those that every form needs.

        The product of m rows with a d x d' matrix takes m d d'. In every inner step each layer needs it for z, dL/da,
        the R of both (eqs. 1, 4, 5, 8) and two outer products (eq. 7); on the query set for z, dL/da and dW. Layer 1 needs
        no dL/da, and Ra_0 = 0. The kernels of eq. 14, or theta_K as an array, are additional and not counted.
        """
        batch, total = self.build()[1], 0
        n, q = batch.x_support.shape[1], batch.x_query.shape[1]
        for l, layer in enumerate(layer for layer in self.model.layers if isinstance(layer, Affine)):
            rows = 2 * n * self.steps + 2 * q if l == 0 else 6 * n * self.steps + 3 * q
            total += self.tasks * rows * layer.inputs * layer.outputs
        return total


def product(dtype: str) -> Callable[[], np.ndarray]:
    """The function to time for peak speed: the product of two large matrices, PRODUCT**3 multiply-adds."""
    A, B = np.random.default_rng(0).standard_normal((2, PRODUCT, PRODUCT)).astype(dtype)
    return partial(np.matmul, A, B, out=np.empty_like(A))


def efficiency(load: Workload, seconds: float, product_seconds: float) -> float:
    """The multiply-adds per second of a meta-gradient, as a fraction of those of a large matrix product."""
    return (load.multiply_adds / seconds) / (PRODUCT**3 / product_seconds)
