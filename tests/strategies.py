"""Hypothesis strategies for networks, batches and batches of tasks, drawn as a few numbers so that they shrink well."""

from collections.abc import Sequence

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tinymaml.check import Problem
from tinymaml.nn.activations import ACTIVATIONS
from tinymaml.nn.losses import LOSSES
from tinymaml.tasks import TaskBatch

SMOOTH = tuple(name for name, s in ACTIVATIONS.items() if s.curved)


def examples(number: int) -> settings:
    """So many examples, ten times as many in the soak, and no clock, since machines differ."""
    number = number * settings().max_examples // 100  # 100 unless a profile says more
    return settings(max_examples=number, deadline=None, suppress_health_check=[HealthCheck.too_slow])


quick, few = examples(40), examples(20)  # the whole suite is run often

activations = st.sampled_from(sorted(ACTIVATIONS))
losses = st.sampled_from(sorted(LOSSES))
seeds = st.integers(0, 2**32 - 1)


@st.composite
def widths(draw, depth: int | None = None, widest: int = 5) -> tuple[int, ...]:
    """d_0..d_L of a network of 1 to 3 layers."""
    layers = depth or draw(st.integers(1, 3), label="depth")
    return tuple(draw(st.lists(st.integers(1, widest), min_size=layers + 1, max_size=layers + 1), label="widths"))


@st.composite
def problems(
    draw,
    depth: int | None = None,
    activation: Sequence[str] = tuple(ACTIVATIONS),
    loss: Sequence[str] = tuple(LOSSES),
    tasks: int | None = None,
    shots: int | None = None,
) -> Problem:
    """A network, theta, a direction and a batch of tasks with 1 to 3 inner steps; what is given is not drawn."""
    return Problem(
        widths=draw(widths(depth)),
        activation=draw(st.sampled_from(list(activation)), label="activation"),
        loss=draw(st.sampled_from(list(loss)), label="loss"),
        tasks=tasks or draw(st.integers(1, 3), label="tasks"),
        shots=shots or draw(st.integers(1, 4), label="shots"),
        queries=draw(st.integers(1, 4), label="queries"),
        steps=draw(st.integers(1, 3), label="steps"),
        seed=draw(seeds, label="seed"),
    )


def linear_batch(seed: int = 0) -> TaskBatch:
    """Three tasks of a linear regression with three inputs."""
    rng = np.random.default_rng(seed)
    return TaskBatch(*(rng.standard_normal((3, n, d)) for n, d in ((4, 3), (4, 1), (5, 3), (5, 1))))
