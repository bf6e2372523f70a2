"""What the tests draw: the strategies of the package, and how many examples of them."""

import numpy as np
from hypothesis import HealthCheck, settings

from tinymaml.check.strategies import SMOOTH, activations, batches, directions, losses, networks, problems, seeds, thetas, widths
from tinymaml.tasks import TaskBatch

__all__ = ["SMOOTH", "activations", "batches", "directions", "examples", "few", "linear_batch", "losses", "networks", "problems",
           "quick", "seeds", "thetas", "widths"]  # fmt: skip


def examples(number: int) -> settings:
    """So many examples, ten times as many in the soak, and no clock, since machines differ."""
    number = number * settings().max_examples // 100  # 100 unless a profile says more
    return settings(max_examples=number, deadline=None, suppress_health_check=[HealthCheck.too_slow])


quick, few = examples(40), examples(20)  # the whole suite is run often


def linear_batch(seed: int = 0) -> TaskBatch:
    """Three tasks of a linear regression with three inputs."""
    rng = np.random.default_rng(seed)
    return TaskBatch(*(rng.standard_normal((3, n, d)) for n, d in ((4, 3), (4, 1), (5, 3), (5, 1))))
