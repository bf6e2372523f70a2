"""Benchmark of the meta-gradient: dense and factored adapted weights, and a training iteration.

Times are medians over interleaved rounds, so that other load on the machine affects all measurements alike.
`tests/bench/` compares the same measurements with other libraries.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

import numpy as np

from tinymaml import __version__
from tinymaml.maml import MetaGradient, meta_gradient
from tinymaml.nn.models import MLP
from tinymaml.nn.network import Network
from tinymaml.parameters import Parameters
from tinymaml.tasks import Sinusoids, TaskBatch
from tinymaml.training.loop import initial_state, train
from tinymaml.training.optimizers import Adam

FORMS = ("chosen", "formed", "factored")  # adapted matrices: the form chosen by size, all dense arrays, all factored
ITERATIONS = 5  # training iterations per timed call, so that set-up costs are negligible


@dataclass(frozen=True)
class Workload:
    """A meta-gradient of a ReLU network 1-w-w-1 on sinusoids, with 10 support and 10 query points per task."""

    width: int = 40
    steps: int = 1
    dtype: str = "float64"
    tasks: int = 25

    inner_lr = 0.01

    @property
    def model(self) -> Network:
        return MLP((1, self.width, self.width, 1))

    def build(self) -> tuple[Parameters, TaskBatch]:
        """theta and a batch of tasks, from a fixed seed."""
        rng = np.random.default_rng(1)
        return self.model.init(rng, self.dtype), Sinusoids().sample(rng, tasks=self.tasks, dtype=self.dtype)

    def meta_gradient(self, form: str = "chosen") -> Callable[[], MetaGradient]:
        """The function to time: it computes one meta-gradient with adapted weights in this form."""
        model, (theta, batch) = self.model, self.build()
        inner = {"inner_lr": self.inner_lr, "steps": self.steps, "fast_weights": form != "formed"}
        theta = model.fast_weights(theta) if form == "factored" else theta

        def call() -> MetaGradient:
            found = meta_gradient(model, theta, batch, **inner)
            _ = found.gradient  # a lazy property
            return found

        return call

    def training(self, iterations: int) -> Callable:
        """The function to time for training: `iterations` outer steps with sampling, gradient, Adam and history."""
        adam, inner = Adam(), {"inner_lr": self.inner_lr, "steps": self.steps}
        gradient = lambda theta, batch, iteration: meta_gradient(self.model, theta, batch, **inner)
        sample = partial(Sinusoids().sample, tasks=self.tasks, dtype=self.dtype)
        start = initial_state(self.build()[0], adam, np.random.default_rng(0))
        return partial(train, gradient, sample, start, optimizer=adam, iterations=iterations)


def time_call(call: Callable[[], object], least: float = 0.02) -> float:
    """Seconds per call: the median over calls within `least` seconds, without the first, which warms the caches."""
    times, now = [], time.perf_counter
    began = end = now()
    while end - began < least:
        start = end
        call()
        end = now()
        times.append(end - start)
    return median(times[1:] or times)


def medians(timers: Mapping[str, Callable[[], float]], *, rounds: int, seconds: float) -> dict[str, float]:
    """The median of the results of each function in `timers` over `rounds` interleaved rounds.

    A function that has used up its part of the `seconds` skips the remaining rounds; each is called at least once.
    """
    found, left = {name: [] for name in timers}, dict.fromkeys(timers, seconds / len(timers))
    for _ in range(rounds):
        for name, timer in timers.items():
            if left[name] > 0 or not found[name]:
                began = time.perf_counter()
                found[name].append(timer())
                left[name] -= time.perf_counter() - began
    return {name: median(times) for name, times in found.items()}


def run(*, widths: Sequence[int] = (40, 128, 400), tasks: int = 25, seconds: float = 1.5) -> int:
    """Measure, about `seconds` per line, and print a table; returns the exit status, 0."""
    print(
        f"tinymaml {__version__}, NumPy {np.__version__}, {os.cpu_count()} cores\n\n"
        f"Milliseconds per meta-gradient of a ReLU network 1-w-w-1, with {tasks} tasks of 10 support and 10 query\n"
        "points and 1 inner step. Adapted weights are dense arrays (formed), factored, or in the form chosen by size.\n"
        "iteration: milliseconds per training iteration with the chosen form.\n\n"
        "    w  dtype      formed  factored  chosen  iteration"
    )
    for dtype in ("float64", "float32"):
        for width in widths:
            load = Workload(width=width, dtype=dtype, tasks=tasks)
            calls = {form: load.meta_gradient(form) for form in FORMS} | {"iteration": load.training(ITERATIONS)}
            for call in calls.values():
                call()  # the first call is slower
            found = medians({name: partial(time_call, call) for name, call in calls.items()}, rounds=25, seconds=seconds)
            found["iteration"] /= ITERATIONS
            ms = {name: f"{1000 * value:.3g}" for name, value in found.items()}
            row = f"{width:>5}  {dtype:<8} {ms['formed']:>8}  {ms['factored']:>8}  {ms['chosen']:>6}  {ms['iteration']:>9}"
            print(row, flush=True)
    return 0
