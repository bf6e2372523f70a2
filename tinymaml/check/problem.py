"""Small random networks with data, as problems for the checks; a few numbers determine each problem."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tinymaml import validate
from tinymaml.nn.activations import ACTIVATIONS
from tinymaml.nn.losses import LOSSES
from tinymaml.nn.models import MLP
from tinymaml.nn.network import Network
from tinymaml.parameters import Parameters
from tinymaml.tasks import TaskBatch


@dataclass(frozen=True)
class Problem:
    """A network, theta, a direction v and a batch of tasks; all random numbers come from `seed`.

    All numbers are of order one, biases included, and inner_lr is large enough for the curvature to matter.
    """

    widths: tuple[int, ...] = (2, 3, 2)
    activation: str = "tanh"
    loss: str = "squared_error"
    tasks: int = 2
    shots: int = 3
    queries: int = 2
    steps: int = 1
    seed: int = 0
    inner_lr: float = 0.1

    def __post_init__(self) -> None:
        for name in ("tasks", "shots", "queries", "steps"):
            validate.count(name, getattr(self, name))
        validate.count("seed", self.seed, least=0)
        validate.rate("inner_lr", self.inner_lr)
        _ = self.model  # checks the widths and names

    @classmethod
    def draw(cls, rng: np.random.Generator, *, activation: str | None = None, steps: int = 1) -> Problem:
        """A random problem with two or three layers of at most five units."""
        validate.generator(rng)
        whole = lambda low, high: int(rng.integers(low, high + 1))
        loss = str(rng.choice(list(LOSSES)))
        widths = [whole(1, 5) for _ in range(whole(3, 4))]
        if loss == "cross_entropy":
            widths[-1] = whole(2, 5)
        return cls(
            tuple(widths), str(rng.choice(list(ACTIVATIONS))) if activation is None else activation, loss,
            whole(1, 3), whole(1, 4), whole(1, 4), steps, whole(0, 2**31),
        )  # fmt: skip

    @property
    def model(self) -> Network:
        return MLP(self.widths, activation=self.activation, loss=self.loss)

    @cached_property
    def theta(self) -> Parameters:
        """The model's initialisation plus noise, so that nothing is zero."""
        rng = np.random.default_rng([self.seed, 1])
        return self.model.init(rng).map(lambda array: array + 0.3 * rng.standard_normal(array.shape))

    @cached_property
    def v(self) -> Parameters:
        """A direction in the space of theta."""
        rng = np.random.default_rng([self.seed, 2])
        return self.theta.map(lambda array: rng.standard_normal(array.shape))

    @cached_property
    def batch(self) -> TaskBatch:
        """x ~ N(0, 1) and targets that fit the loss: N(0, 1), or one-hot."""
        rng = np.random.default_rng([self.seed, 3])
        return random_batch(self.model, rng, tasks=self.tasks, shots=self.shots, queries=self.queries)


def random_batch(model: Network, rng: np.random.Generator, *, tasks: int, shots: int, queries: int) -> TaskBatch:
    """Random data for a network: x (tasks, shots, d_0), y (tasks, shots, d_L), and query sets likewise."""

    def examples(n: int) -> tuple[np.ndarray, np.ndarray]:
        d, d_out = model.inputs, model.outputs
        x = rng.standard_normal((tasks, n, d))
        if model.example_loss.name == "cross_entropy":
            return x, np.eye(d_out)[rng.integers(d_out, size=(tasks, n))]
        return x, rng.standard_normal((tasks, n, d_out))

    return TaskBatch(*examples(shots), *examples(queries))
