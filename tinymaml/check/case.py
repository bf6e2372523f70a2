"""One example on which a model is checked, and the comparison of a result with its reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from tinymaml.check.compare import FLOOR, diagnose, flatten, relative_error, wrong_arrays
from tinymaml.check.derivatives import complex_step
from tinymaml.check.layer_checks import wrong_rules
from tinymaml.check.policy_checks import surrogate_loss
from tinymaml.nn.network import Network
from tinymaml.parameters import Parameters
from tinymaml.rl.sampled import SampledPolicy
from tinymaml.tasks import TaskBatch

SINGLE = 1e-3  # tolerance in float32


@dataclass(frozen=True)
class Case:
    """One example on which a model is checked: theta, directions u and v, and a small batch of tasks.

    derivative    `complex_step`, or `adaptive_difference` for a model that rejects complex numbers
    """

    model: Any
    theta: Parameters
    u: Parameters
    v: Parameters
    batch: TaskBatch
    inner_lr: float
    tolerance: float
    derivative: Callable = complex_step

    @property
    def x(self) -> np.ndarray:
        return self.batch.x_support

    @property
    def y(self) -> np.ndarray:
        return self.batch.y_support

    def at(self, theta: Parameters) -> Any:
        return self.model.at(theta, self.x, self.y)

    @cached_property
    def loss(self) -> Callable[[Parameters], np.ndarray]:
        """The loss (T,) whose derivatives are gradient and hvp: for a sampled policy, the surrogate loss of fixed episodes."""
        if isinstance(self.model, SampledPolicy):
            return surrogate_loss(self.model, self.theta, self.x, self.y)
        return lambda theta: self.at(theta).loss

    @cached_property
    def here(self) -> Any:
        return self.at(self.theta)

    @cached_property
    def directions(self) -> dict[str, Parameters]:
        """{name: v with all other arrays zero} for each array of theta."""
        only = lambda name: Parameters({other: array if other == name else 0 * array for other, array in self.v.items()})
        return {name: only(name) for name in self.theta}

    def slopes(self, f: Callable[[Parameters], np.ndarray], point: Parameters) -> Parameters:
        """The derivatives of f at `point` along each of the directions, by name."""
        return Parameters({name: np.atleast_1d(self.derivative(f, point, v)) for name, v in self.directions.items()})

    def products(self, *gradients: Parameters) -> Parameters:
        """The products of gradients (one for each task, or one) with each of the directions, by name."""
        return Parameters({name: np.array([one.dot(v) for one in gradients]) for name, v in self.directions.items()})

    def __str__(self) -> str:
        return f"{len(self.batch)} task{'s' * (len(self.batch) > 1)} of {self.x.shape[1]}, {self.theta!r}"


class Off(AssertionError):
    """A result is wrong: its relative error, the tolerance, and the difference entry by entry."""

    def __init__(self, sentence: str, error: float, tolerance: float, difference: np.ndarray):
        super().__init__(sentence)
        self.error, self.tolerance, self.difference = error, tolerance, difference


def same(
    mine: object, reference: object, sentence: str, *, tolerance: float = 1e-9, floor: float = FLOOR, cause: Callable = str
) -> float:
    """The relative error; `Off` with the sentence, the error and its `cause()` if it exceeds the tolerance."""
    error = relative_error(mine, reference, floor=floor)
    if error <= tolerance:
        return error
    why = cause()
    sentence = f"{sentence}: relative error {error:.1e}{why and f'; {why}'}"
    raise Off(sentence, error, tolerance, flatten(mine) - flatten(reference))


def judge(case: Case, sentence: str, mine: Parameters, reference: Parameters, hint: str = "") -> float:
    """`same` with a cause: wrong rules of layers, a factor, or the arrays that are wrong and the hint."""

    def cause() -> str:
        if isinstance(case.model, Network) and case.derivative is complex_step:
            rules = "; ".join(wrong_rules(case.model, case.theta, case.x[0], case.y[0]))
            if rules:
                return rules
        n = case.x.shape[1]
        factors = [
            (f"every number is {n} times the right one for n = {n} examples: a factor 1/n is missing", n * reference),
            ("it is divided by n twice", 1 / n * reference),
        ]
        where = "; ".join(filter(None, (wrong_arrays(mine, reference, case.tolerance), hint)))
        return diagnose(mine, reference, factors, tolerance=1e-6) or where

    return same(mine, reference, sentence, tolerance=case.tolerance, cause=cause)


def is_rounding(off: Off, check: Callable[[Case], float], case: Case) -> bool:
    """Whether a tiny change of theta changes the difference: a mistake depends smoothly on theta, rounding does not.

    Some models amplify rounding, such as the layer norm of a few features by 10^4 and more.
    """
    most, size = (0.3, 1e-5) if off.tolerance >= SINGLE else (1e-3, 1e-12)
    if not off.error < most:
        return False
    rng = np.random.default_rng(0)
    for _ in range(3):
        nearby = case.theta.map(lambda array: array * (1 + size * rng.standard_normal(array.shape)))
        try:
            check(replace(case, theta=nearby))
            return True
        except Off as again:
            a, b = off.difference, again.difference
            if a.shape != b.shape or np.linalg.norm(a - b) > 0.3 * np.linalg.norm(a):
                return True
        except Exception:
            return False
    return False
