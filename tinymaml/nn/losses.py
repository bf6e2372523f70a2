"""Losses l of one example, with gradient dl/dz and Hessian-vector product (d2l/dz2) r.

z are the predictions and y the targets, both (..., n, d); the losses of n examples are (..., n). The network
takes the mean over examples (eq. 2). All functions also work on complex numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Loss:
    """A loss of one example: `value(z, y)` = l, `gradient(z, y)` = dl/dz, `hvp(z, y, r)` = (d2l/dz2) r.

    `check(y)`, if given, raises ValueError for targets outside the domain of the formulas.
    """

    name: str
    value: Callable[[np.ndarray, np.ndarray], np.ndarray]
    gradient: Callable[[np.ndarray, np.ndarray], np.ndarray]
    hvp: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    check: Callable[[np.ndarray], None] | None = None


def _squared_error(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    return ((z - y) ** 2).sum(-1)


def _squared_error_gradient(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    return 2 * (z - y)


def _squared_error_hvp(z: np.ndarray, y: np.ndarray, r: np.ndarray) -> np.ndarray:
    return 2 * r


# eq. 9: summed over the outputs of an example, without a factor 1/2
squared_error = Loss("squared_error", _squared_error, _squared_error_gradient, _squared_error_hvp)


def softmax(z: np.ndarray) -> np.ndarray:
    """p = e^z / sum e^z over the last axis; z is shifted to avoid overflow."""
    e = np.exp(z - z.real.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _cross_entropy(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    shifted = z - z.real.max(-1, keepdims=True)
    return y.sum(-1) * np.log(np.exp(shifted).sum(-1)) - (y * shifted).sum(-1)


def _cross_entropy_gradient(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    return y.sum(-1, keepdims=True) * softmax(z) - y


def _cross_entropy_hvp(z: np.ndarray, y: np.ndarray, r: np.ndarray) -> np.ndarray:
    p = softmax(z)
    return y.sum(-1, keepdims=True) * p * (r - (p * r).sum(-1, keepdims=True))


def _check_probabilities(y: np.ndarray) -> None:
    if not ((y.real >= 0).all() and (np.abs(y.sum(-1) - 1) <= 1e-4).all()):  # also refuses NaN
        raise ValueError(
            "the rows of y are not probabilities: cross_entropy expects one-hot targets, np.eye(ways)[labels]"
        )


# eq. 10: y holds class probabilities, usually one-hot; their sum, 1 up to rounding, stays in the formulas to
# make the derivatives exact
cross_entropy = Loss(
    "cross_entropy", _cross_entropy, _cross_entropy_gradient, _cross_entropy_hvp, check=_check_probabilities
)

LOSSES = {loss.name: loss for loss in (squared_error, cross_entropy)}
