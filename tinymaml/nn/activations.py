"""Activations s, each with its first and second derivative, s' and s''.

Every function takes z; the derivatives also take a = s(z), and most are polynomials in a. All functions also
work on complex numbers: masks use the real part.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Activation:
    """An elementwise nonlinearity: `value(z)` = s(z), `first(z, a)` = s'(z), `second(z, a)` = s''(z).

    `curved` is False if s'' is zero everywhere; the s'' term of eq. 8 is then skipped.
    """

    name: str
    value: Callable[[np.ndarray], np.ndarray]
    first: Callable[[np.ndarray, np.ndarray], np.ndarray]
    second: Callable[[np.ndarray, np.ndarray], np.ndarray]
    curved: bool = True


def _sigmoid(z: np.ndarray) -> np.ndarray:
    t = np.exp(np.where(z.real > 0, -z, z))  # at most 1: no overflow
    return np.where(z.real > 0, 1, t) / (1 + t)


def _softplus(z: np.ndarray) -> np.ndarray:
    return np.where(z.real > 0, z, 0) + np.log1p(np.exp(np.where(z.real > 0, -z, z)))


# s = max(z, 0), with s' = 0 at the kink z = 0, as in most libraries;
# for complex numbers a mask of the real part, since np.maximum orders them differently
relu = Activation(
    "relu",
    value=lambda z: np.maximum(z, 0) if z.dtype.kind == "f" else z * (z.real > 0),
    first=lambda z, a: (z.real > 0).astype(z.real.dtype),
    second=lambda z, a: np.zeros_like(z.real),
    curved=False,
)

tanh = Activation(
    "tanh",
    value=np.tanh,
    first=lambda z, a: 1 - a * a,  # s' = 1 - s^2
    second=lambda z, a: -2 * a * (1 - a * a),  # s'' = -2 s s'
)

sigmoid = Activation(
    "sigmoid",
    value=_sigmoid,
    first=lambda z, a: a * (1 - a),  # s' = s (1 - s)
    second=lambda z, a: a * (1 - a) * (1 - 2 * a),  # s'' = s' (1 - 2 s)
)

softplus = Activation(
    "softplus",  # s = log(1 + e^z)
    value=_softplus,
    first=lambda z, a: _sigmoid(z),  # s' = sigmoid
    second=lambda z, a: _sigmoid(z) * (1 - _sigmoid(z)),  # s'' = sigmoid'
)

ACTIVATIONS = {s.name: s for s in (relu, tanh, sigmoid, softplus)}
