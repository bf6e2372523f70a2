"""Hypothesis strategies for property tests of derivatives; needs hypothesis, which the extra `test` brings.

    @given(thetas(network), directions(network), batches(network))
    def test_my_network(theta, v, batch): ...

Everything is drawn as a few sizes and a seed, so that a failing example shrinks to the smallest network and batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tinymaml.check.problem import Problem
from tinymaml.nn.activations import ACTIVATIONS
from tinymaml.nn.losses import LOSSES
from tinymaml.nn.models import MLP
from tinymaml.nn.network import Network
from tinymaml.parameters import Parameters
from tinymaml.tasks import TaskBatch

SMOOTH = tuple(name for name, s in ACTIVATIONS.items() if s.curved)

activations = st.sampled_from(sorted(ACTIVATIONS))
losses = st.sampled_from(sorted(LOSSES))
seeds = st.integers(0, 2**32 - 1)


@st.composite
def widths(draw: Any, depth: int | None = None, widest: int = 5) -> tuple[int, ...]:
    """d_0..d_L of a network of 1 to 3 layers, or of `depth` layers."""
    layers = depth or draw(st.integers(1, 3), label="depth")
    return tuple(draw(st.lists(st.integers(1, widest), min_size=layers + 1, max_size=layers + 1), label="widths"))


@st.composite
def networks(
    draw: Any, depth: int | None = None, activation: Sequence[str] = tuple(ACTIVATIONS), loss: Sequence[str] = tuple(LOSSES)
) -> Network:
    """A multilayer perceptron of 1 to 3 layers; with the cross-entropy it has two outputs or more."""
    *inner, last = draw(widths(depth))
    chosen = draw(st.sampled_from(list(loss)), label="loss")
    outputs = max(last, 2) if chosen == "cross_entropy" else last
    return MLP([*inner, outputs], draw(st.sampled_from(list(activation)), label="activation"), chosen)


@st.composite
def thetas(draw: Any, model: Any, tasks: int | None = None, scale: float = 0.3) -> Parameters:
    """model.init plus normal noise of this scale, so that no bias is zero; with `tasks` a theta for each, (tasks, ...)."""
    rng = np.random.default_rng(draw(seeds, label="seed of theta"))
    theta = model.init(rng)
    size = () if tasks is None else (tasks,)
    return theta.map(lambda array: array + scale * rng.standard_normal((*size, *array.shape)))


@st.composite
def directions(draw: Any, model: Any) -> Parameters:
    """A direction in the space of theta: normal numbers."""
    rng = np.random.default_rng(draw(seeds, label="seed of v"))
    return model.init(rng).map(lambda array: rng.standard_normal(array.shape))


@st.composite
def batches(
    draw: Any, model: Any = None, *, inputs: int = 1, outputs: int = 1, one_hot: bool = False, tasks: int | None = None,
    least: int = 1,
) -> TaskBatch:  # fmt: skip
    """1 to 3 tasks with up to 4 support and query examples, at least `least`; x is normal, and so is y unless it is one-hot.

    The sizes are those of `model` if it is a `Network`, else `inputs` and `outputs`.
    """
    if isinstance(model, Network):
        inputs, outputs, one_hot = model.inputs, model.outputs, model.loss == "cross_entropy"
        least = max(least, model.min_examples)
    T = tasks or draw(st.integers(1, 3), label="tasks")
    sizes = [draw(st.integers(least, max(least, 4)), label=name) for name in ("shots", "queries")]
    rng, arrays = np.random.default_rng(draw(seeds, label="seed of the batch")), []
    for n in sizes:
        y = np.eye(outputs)[rng.integers(outputs, size=(T, n))] if one_hot else rng.standard_normal((T, n, outputs))
        arrays += [rng.standard_normal((T, n, inputs)), y]
    return TaskBatch(*arrays)


@st.composite
def problems(
    draw: Any, depth: int | None = None, activation: Sequence[str] = tuple(ACTIVATIONS), loss: Sequence[str] = tuple(LOSSES),
    tasks: int | None = None, shots: int | None = None,
) -> Problem:  # fmt: skip
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
