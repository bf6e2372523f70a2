"""The outer loop: one batch of tasks, one gradient, one step of theta; with progress, history and a clean stop."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinymaml import validate
from tinymaml.parameters import Parameters
from tinymaml.training.progress import progress


class Diverged(ArithmeticError):
    """The loss or its gradient is no longer finite; `iteration` says when, counted from 1."""

    def __init__(self, iteration: int, what: str):
        super().__init__(f"training diverged at iteration {iteration}: {what}")
        self.iteration, self.what = iteration, what

    def __reduce__(self) -> tuple:
        return Diverged, (self.iteration, self.what)  # for pickle: a process pool hands exceptions back


@dataclass(frozen=True)
class TrainingState:
    """Everything that the rest of a run depends on, after `iteration` whole iterations.

    optimizer    the optimiser's own state, a dict of arrays
    generator    `rng.bit_generator.state`: where the stream of tasks stands
    losses       (iteration,) the history: the meta-loss of every batch, before its step
    seconds      that all these iterations took, on which nothing depends
    """

    iteration: int
    theta: Parameters
    optimizer: dict[str, np.ndarray]
    generator: dict[str, Any]
    losses: np.ndarray
    seconds: float = 0.0


def begin(theta: Parameters, optimizer: Any, rng: np.random.Generator) -> TrainingState:
    """The state before the first iteration."""
    validate.parameters("theta", theta)
    validate.generator(rng)
    return TrainingState(0, theta, optimizer.start(theta), rng.bit_generator.state, np.empty(0))


def train(
    gradient: Callable[[Parameters, Any, int], Any],
    sample: Callable[[np.random.Generator], Any],
    state: TrainingState,
    *,
    optimizer: Any,
    iterations: int,
    save: Callable[[TrainingState], None] = lambda state: None,
    save_every: int = 1000,
    save_seconds: float = 30.0,
    label: str | None = None,
) -> TrainingState:
    """Train from `state` until `iterations` iterations are done in all, and return the state then.

    gradient(theta, batch, iteration)    an object with `loss` and `gradient`; `iteration` is the number of whole iterations
                     done before, from 0. `lambda theta, batch, iteration: meta_gradient(model, theta, batch, inner_lr=0.01)`
                     is one. A `diagnosis` of that object, a sentence, is told when training diverges, and in a warning at the end
    sample(rng)      the next batch of tasks
    save(state)      called every `save_every` iterations, and when the last time is `save_seconds` ago; at the end; and
                     before any exception leaves here
    label            shows progress under this name, a bar or lines in a log; None shows none

    A run that is stopped and goes on from its saved state does bit for bit what it would have done unstopped.
    Raises Diverged, with the last good state saved, and never steps along a gradient that is not finite.
    """
    iterations, save_every = validate.count("iterations", iterations), validate.count("save_every", save_every)
    if state.iteration > iterations:
        raise ValueError(f"{state.iteration} iterations are done already, {iterations} were asked: ask for more")
    rng = np.random.default_rng()
    rng.bit_generator.state = state.generator
    losses = np.concatenate([state.losses, np.empty(iterations - state.iteration)])
    began = saved = time.monotonic()
    done = (state.iteration, state.theta, state.optimizer, state.generator)  # replaced whole, so never half-finished

    def now() -> TrainingState:
        return TrainingState(*done, losses[:done[0]].copy(), state.seconds + time.monotonic() - began)

    bar, doubtful, doubt = progress(label, iterations, state.iteration), 0, ""
    try:
        with np.errstate(all="ignore"):  # overflow is looked for, and reported, below
            for i in range(state.iteration, iterations):
                _, theta, moments, _ = done
                found = gradient(theta, sample(rng), i)
                losses[i] = found.loss
                if not np.isfinite(found.loss):
                    raise Diverged(i + 1, f"the loss is {found.loss}{_why(found)}")
                if not np.isfinite(found.gradient.flat ** 2).all():  # Adam keeps the squares
                    raise Diverged(i + 1, f"the gradient is not finite, or its square is not{_why(found)}")
                if why := _why(found):
                    doubtful, doubt = doubtful + 1, why
                theta, moments = optimizer.step(theta, found.gradient, moments)
                done = (i + 1, theta, moments, rng.bit_generator.state)
                del found  # the next gradient is computed in its memory
                if (i + 1) % 100 == 0:
                    bar.set_postfix({"meta-loss": f"{losses[max(0, i - 99):i + 1].mean():.3f}"}, refresh=False)
                bar.update()
                due = (i + 1) % save_every == 0 or time.monotonic() - saved >= save_seconds
                if due and i + 1 < iterations:
                    save(now())
                    saved = time.monotonic()
    finally:
        save(now())
        bar.close()
    if doubtful:
        which = f"{doubtful} of {iterations - state.iteration} iterations"
        warnings.warn(f"the gradient is in doubt in {which}, the last of them{doubt}", stacklevel=2)
    return now()


def _why(found: Any) -> str:
    diagnosis = getattr(found, "diagnosis", "")
    return f" ({diagnosis})" if diagnosis else ""
