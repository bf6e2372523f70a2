"""The outer loop: one batch, one gradient and one step per iteration; progress, history, resumable states."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinymaml import validate
from tinymaml.nn.allocator import keep_freed_memory
from tinymaml.parameters import Parameters
from tinymaml.training.evaluation import format_number


class Diverged(ArithmeticError):
    """The loss or its gradient is not finite in iteration `iteration`, counted from 1."""

    def __init__(self, iteration: int, what: str):
        super().__init__(f"training diverged at iteration {iteration}: {what}")
        self.iteration, self.what = iteration, what

    def __reduce__(self) -> tuple:
        return Diverged, (self.iteration, self.what)  # for pickle: process pools return exceptions


@dataclass(frozen=True)
class TrainingState:
    """The state after `iteration` complete iterations: everything that the rest of the run depends on.

    optimizer    the state of the optimiser, a dict of arrays
    generator    `rng.bit_generator.state` of the generator that samples the tasks
    losses       (iteration,) the history: the loss of every batch, before the step on it
    seconds      the total time of these iterations, for information only
    """

    iteration: int
    theta: Parameters
    optimizer: dict[str, np.ndarray]
    generator: dict[str, Any]
    losses: np.ndarray
    seconds: float = 0.0


def initial_state(theta: Parameters, optimizer: Any, rng: np.random.Generator) -> TrainingState:
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
    """Train from `state` to a total of `iterations` iterations, and return the final state.

    gradient(theta, batch, iteration)
                     returns an object with `loss` and `gradient`; `iteration` counts from 0, for example
                     `lambda theta, batch, iteration: meta_gradient(model, theta, batch, inner_lr=0.01)`.
                     If it has a `diagnosis`, that is added to the message of Diverged and to a warning at the
                     end
    sample(rng)      returns the next batch of tasks
    save(state)      is called every `save_every` iterations, `save_seconds` after the last call, at the end, and
                     before an exception is raised; never without a new iteration
    label            the label of the progress bar, or of the lines in a log; None shows no progress

    A run resumed from a saved state equals an uninterrupted run bit for bit.
    Raises Diverged if a loss or gradient is not finite; the last finite state is saved first.
    """
    iterations, save_every = validate.count("iterations", iterations), validate.count("save_every", save_every)
    if state.iteration > iterations:
        raise ValueError(f"iterations is {iterations}, but {state.iteration} are already done: ask for more")
    rng = np.random.default_rng()
    rng.bit_generator.state = state.generator
    losses = np.concatenate([state.losses, np.empty(iterations - state.iteration)])
    keep_freed_memory()
    start = saved = now = time.monotonic()
    saved_iteration = state.iteration
    # always consistent, since one assignment replaces all of it
    done = (state.iteration, state.theta, state.optimizer, state.generator)

    def current() -> TrainingState:
        return TrainingState(*done, losses[:done[0]].copy(), state.seconds + now - start)

    bar, doubtful, doubt = _progress_bar(label, iterations, state.iteration), 0, ""
    try:
        with np.errstate(all="ignore"):  # overflow is detected and reported below
            for i in range(state.iteration, iterations):
                _, theta, moments, _ = done
                result = gradient(theta, sample(rng), i)
                validate.require(hasattr(result, "loss"), "the result of gradient", result, "an object with loss and gradient")
                losses[i] = result.loss
                if not np.isfinite(result.loss):
                    raise Diverged(i + 1, f"the loss is {result.loss}{_diagnosis(result)}")
                if not np.isfinite(result.gradient.flat ** 2).all():  # Adam keeps the squares
                    raise Diverged(i + 1, f"the gradient is not finite, or its square is not{_diagnosis(result)}")
                if why := getattr(result, "diagnosis", ""):
                    doubtful, doubt = doubtful + 1, why
                theta, moments = optimizer.step(theta, result.gradient, moments)
                done = (i + 1, theta, moments, rng.bit_generator.state)
                now = time.monotonic()
                del result  # the next gradient reuses its memory
                if (i + 1) % 100 == 0:
                    bar.set_postfix({"meta-loss": format_number(losses[max(0, i - 99):i + 1].mean())}, refresh=False)
                bar.update()
                if (i + 1) % save_every == 0 or now - saved >= save_seconds:
                    save(current())
                    saved, saved_iteration = now, i + 1
    finally:
        if done[0] > saved_iteration:
            save(current())
        bar.close()
    if doubtful:
        which = f"{doubtful} of {iterations - state.iteration} iterations"
        warnings.warn(f"the gradient may be inaccurate in {which}: in the last of these, {doubt}", stacklevel=2)
    return current()


def _diagnosis(result: Any) -> str:
    diagnosis = getattr(result, "diagnosis", "")
    return f" ({diagnosis})" if diagnosis else ""


class _Silence:
    """A bar that shows nothing."""

    set_postfix = update = close = lambda *arguments, **options: None


class _Log:
    """A log on standard error: each update of tqdm becomes a new line, where a bar would overwrite its line."""

    def write(self, text: str) -> None:
        if text.strip():
            print(text.strip(), file=sys.stderr, flush=True)

    def flush(self) -> None:
        pass


def _progress_bar(label: str | None, total: int, done: int) -> Any:
    """A bar in a terminal or notebook, a line every 30 s and at the end in a log, nothing without a label."""
    if label is None:
        return _Silence()
    from tqdm.auto import tqdm  # not at the start: a program that shows no bar need not wait for it

    class Bar(tqdm):
        monitor_interval = 0  # starts no monitor thread

    more = {"dynamic_ncols": True}
    notebook = any(base.__module__ == "tqdm.notebook" for base in tqdm.__mro__)
    if not (sys.stderr.isatty() or notebook):
        line = "{desc}: {n_fmt} of {total_fmt} iterations, {elapsed}{postfix}"
        more = {"file": _Log(), "mininterval": 30, "miniters": 1, "bar_format": line}
    return Bar(total=total, initial=done, desc=label, **more)
