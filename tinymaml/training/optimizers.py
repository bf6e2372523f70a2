"""Optimisers of the outer loop: SGD and Adam.

An optimiser is a pure function: `state = optimizer.start(theta)`, then
`theta, state = optimizer.step(theta, gradient, state)`. The state is a dict of arrays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinymaml import validate
from tinymaml.parameters import Parameters

State = dict[str, np.ndarray]


@dataclass(frozen=True)
class SGD:
    """theta <- theta - lr * gradient (eq. 13)."""

    lr: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "lr", validate.rate("lr", self.lr))  # a Python float: float32 stays float32

    def start(self, theta: Parameters) -> State:
        validate.parameters("theta", theta)
        return {}

    def step(self, theta: Parameters, gradient: Parameters, state: State) -> tuple[Parameters, State]:
        validate.parameters("theta", theta)
        validate.parameters("gradient", gradient)
        if not isinstance(state, dict) or state:
            raise ValueError(f"state is {validate.brief(state)}, expected that of SGD, which is empty: use sgd.start(theta)")
        return theta - self.lr * gradient, state


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015, algorithm 1): steps of about `lr` in every coordinate.

    The state holds flat vectors in the order of theta's names. With a `half_life` the learning rate halves
    every `half_life` steps; it depends only on the number of steps done, so a run can be extended.
    """

    lr: float = 0.001
    half_life: int = 0
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        object.__setattr__(self, "lr", validate.rate("lr", self.lr))  # a Python float: float32 stays float32
        validate.count("half_life", self.half_life, least=0)
        for name in ("beta1", "beta2"):
            object.__setattr__(self, name, validate.decay(name, getattr(self, name)))
        object.__setattr__(self, "epsilon", validate.rate("epsilon", self.epsilon, 1e-8))

    def start(self, theta: Parameters) -> State:
        validate.parameters("theta", theta)
        zeros = np.zeros_like(theta.flat)
        return {"t": np.array(0), "m": zeros, "v": zeros}

    def step(self, theta: Parameters, gradient: Parameters, state: State) -> tuple[Parameters, State]:
        validate.parameters("theta", theta)
        validate.parameters("gradient", gradient)
        g, vector = gradient.flat_like(theta), theta.flat
        for name, shape in (("t", ()), ("m", vector.shape), ("v", vector.shape)):
            if (got := getattr(state.get(name), "shape", None)) != shape:
                expected = f"expected {shape}: it belongs to another theta, use adam.start"
                raise ValueError(f"{name} of the state has shape {got}, {expected}")
        t = int(state["t"]) + 1
        m = self.beta1 * state["m"] + (1 - self.beta1) * g  # moving average of the gradient
        v = self.beta2 * state["v"] + (1 - self.beta2) * g * g  # moving average of its square
        m_hat = m / (1 - self.beta1**t)
        v_hat = v / (1 - self.beta2**t)
        lr = self.lr * 0.5 ** (t / self.half_life) if self.half_life else self.lr
        vector = vector - lr * m_hat / (np.sqrt(v_hat) + self.epsilon)
        return theta.unflatten(vector), {"t": np.array(t), "m": m, "v": v}
