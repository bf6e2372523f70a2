"""Where there is no gradient: directions from values of the loss alone, by evolution strategies, eq. 26 (Song et al. 2020).

A direction e is tried on both sides of theta, and what the two losses differ by says how far to go along it. All
candidates of all tasks are one batch for the model, which is asked for its loss only.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from tinymaml import validate
from tinymaml.maml import Model, Rates, adapt
from tinymaml.parameters import Parameters


def directions(theta: Parameters, rng: np.random.Generator, *counts: int) -> Parameters:
    """Directions e ~ N(0, I) in the space of a shared theta: (*counts, ...)."""
    return theta.map(lambda array: rng.standard_normal((*counts, *array.shape)).astype(array.dtype))


def both_sides(theta: Parameters, e: Parameters, sigma: float, tasks: int) -> Parameters:
    """theta + sigma e_i, and then theta - sigma e_i, for every task: (2 n T, ...), in the order (side, i, task).

    theta and e have a task axis, (T, ...) and (n, T, ...), which is of one where it is the same for all.
    """

    def candidates(here: np.ndarray, step: np.ndarray) -> np.ndarray:
        found = np.stack([here + step, here - step])  # (2, n, T or 1, ...)
        return np.broadcast_to(found, (*found.shape[:2], tasks, *found.shape[3:])).reshape(-1, *found.shape[3:])

    return Parameters({name: candidates(array, sigma * e[name]) for name, array in theta.items()})


def many(array: np.ndarray, copies: int) -> np.ndarray:
    """All tasks, then all tasks again: (copies T, ...)."""
    return np.broadcast_to(array, (copies, *array.shape)).reshape(-1, *array.shape[1:])


def along(e: Parameters, losses: np.ndarray, sigma: float) -> Parameters:
    """Eq. 26: 1 / (2 n sigma) sum_i (L(theta + sigma e_i) - L(theta - sigma e_i)) e_i, for e (n, T, ...) and losses (2, n, T)."""
    differences = (losses[0] - losses[1]) / (2 * losses.shape[1] * sigma)  # (n, T)
    weighed = lambda array: (differences.reshape(*differences.shape, *[1] * (array.ndim - 2)) * array).sum(0)
    return e.map(lambda array: weighed(array).astype(array.dtype))


@dataclass(frozen=True)
class MetaEstimate:
    """losses (2, n): the meta-loss at theta + sigma e_i and theta - sigma e_i; the gradient of its mean there, eq. 26."""

    losses: np.ndarray
    gradient: Parameters

    @property
    def loss(self) -> float:
        return self.losses.mean()


def meta_estimate(
    model: Model, theta: Parameters, batch: Any, rng: np.random.Generator, *,
    inner_lr: Rates, steps: int = 1, pairs: int = 20, sigma: float = 0.05, normalised: bool = False,
) -> MetaEstimate:  # fmt: skip
    """The meta-gradient from values: the query loss after adaptation, at `pairs` pairs of points around theta.

    sigma: how far the points are, per entry; what comes out is the exact meta-gradient for sigma to 0 and pairs to infinity.
    `normalised` divides the losses by their standard deviation, so that the length says nothing of the scale of a loss.
    """
    validate.parameters("theta", theta)
    validate.generator(rng)
    pairs, sigma = validate.count("pairs", pairs), validate.rate("sigma", sigma, 0.05)
    validate.flag("normalised", normalised)
    e, tasks = directions(theta, rng, pairs, 1), len(batch.x_support)  # the same for all tasks
    x, y, x_query, y_query = (
        many(getattr(batch, name), 2 * pairs) for name in ("x_support", "y_support", "x_query", "y_query")
    )  # fmt: skip
    shared = theta.map(lambda array: array[None])
    adapted = adapt(model, both_sides(shared, e, sigma, tasks), x, y, inner_lr=inner_lr, steps=steps)
    losses = model.at(adapted, x_query, y_query).loss.reshape(2, pairs, tasks).mean(-1)
    scale = losses.std() if normalised else 1.0
    return MetaEstimate(losses, along(e, losses[..., None] / (scale if scale > 0 else 1.0), sigma).task(0))


@dataclass(frozen=True)
class Blind:
    """A model of whose derivatives nothing is known: where `adapt` asks for the gradient it gets what values say of it.

    climb     the way to the best of `tries` steps, taken one after another where they go down: for an inner_lr of 1
    else      eq. 26 of `tries` pairs
    seed      of the directions, which are of (seed, step, a task's own examples): new ones for every task and every inner step,
              the same in every repetition, whatever other tasks stand beside it
    step      how many inner steps were taken before; `adapt` and `evaluate` count them by `at_step`
    """

    model: Any
    tries: int = 20
    sigma: float = 0.1
    climb: bool = False
    seed: int = 0
    step: int = 0

    def __post_init__(self) -> None:
        validate.model(self.model)
        validate.count("tries", self.tries)
        validate.rate("sigma", self.sigma, 0.1)
        validate.flag("climb", self.climb)
        validate.count("seed", self.seed, least=0)
        validate.count("step", self.step, least=0)

    def at_step(self, k: int) -> Blind:
        """The same model k inner steps later."""
        return replace(self, step=self.step + k)

    def __getattr__(self, name: str) -> Any:
        """All else is the model's own, but for fast weights, which are made of gradients."""
        if name in ("model", "fast_weights") or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.model, name)

    def at(self, theta: Parameters, x: np.ndarray, y: np.ndarray) -> Groping:
        """What is seen from theta, for T tasks: x (T, n, ...), y (T, n, ...)."""
        return Groping(self, theta, x, y)


class Groping:
    """The loss, and a way down that was found by trying; all else is as the model itself sees it."""

    def __init__(self, blind: Blind, theta: Parameters, x: np.ndarray, y: np.ndarray):
        self.blind, self.here = blind, blind.model.at(theta, x, y)
        self.theta, self.x, self.y = theta.copy(), x.copy(), y.copy()  # as they are now, whatever becomes of the arrays
        self.loss, self.tasks = self.here.loss, len(x)

    def __getattr__(self, name: str) -> Any:
        if name == "here" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.here, name)

    def hvp(self, v: Parameters) -> Parameters:
        """There is none: ValueError."""
        raise ValueError("there is no Hessian where there is no gradient: ask for first_order=True")

    @cached_property
    def gradient(self) -> Parameters:
        """What `adapt` takes off, of each task: (T, ...)."""
        shapes = self.blind.model.shapes
        shared = all(array.shape == shapes[name] for name, array in self.theta.items())
        to_each = lambda array: np.broadcast_to(array, (self.tasks, *array.shape))
        theta = self.theta.map(to_each) if shared else self.theta
        return self._climbed(theta) if self.blind.climb else self._estimated(theta)

    def _directions(self, theta: Parameters) -> tuple[Parameters, np.ndarray]:
        """e ~ N(0, I) for U different tasks, (U, tries, ...), and which of them each task is, (T,)."""
        digests = [_digest(x, y) for x, y in zip(self.x, self.y, strict=True)]
        keys, which = np.unique(np.array(digests, np.uint64), return_inverse=True)
        one, seed = theta.map(lambda array: array[0]), (self.blind.seed, self.blind.step)
        drawn = [directions(one, np.random.default_rng([*seed, int(key)]), self.blind.tries) for key in keys]
        return Parameters({name: np.stack([e[name] for e in drawn]) for name in one}), which

    def _estimated(self, theta: Parameters) -> Parameters:
        tries, sigma, (e, which) = self.blind.tries, self.blind.sigma, self._directions(theta)
        e = e.map(lambda array: array[which].swapaxes(0, 1))  # (tries, T, ...)
        x, y = (many(array, 2 * tries) for array in (self.x, self.y))
        losses = self.blind.model.at(both_sides(theta, e, sigma, self.tasks), x, y).loss
        return along(e, losses.reshape(2, tries, self.tasks), sigma)

    def _climbed(self, theta: Parameters) -> Parameters:
        there, least, (e, which) = theta, self.loss, self._directions(theta)
        for i in range(self.blind.tries):
            candidate = there + self.blind.sigma * e.map(lambda array, i=i: array[which, i])
            loss = self.blind.model.at(candidate, self.x, self.y).loss
            there = chosen(loss < least, candidate, there)
            least = np.where(loss < least, loss, least)
        return theta - there


def _digest(*arrays: np.ndarray) -> int:
    """64 bits of a hash of the bytes of the arrays."""
    return int.from_bytes(hashlib.sha256(b"".join(array.tobytes() for array in arrays)).digest()[:8], "big")


def chosen(first: np.ndarray, one: Parameters, other: Parameters) -> Parameters:
    """The parameters of each task from one where `first` (T,) says so, else from the other."""
    pick = lambda a, b: np.where(first.reshape(-1, *[1] * (a.ndim - 1)), a, b)
    return Parameters({name: pick(array, other[name]) for name, array in one.items()})
