"""A policy whose loss is a cost to go, without a sample: a linear-Gaussian policy that steers a point, eqs. 23 and 24.

The point stands at s, a plane's two coordinates, and moves `horizon` times, s' = s + a with a = A [x; 1] + sigma e and
e ~ N(0, I). What the policy sees, x, is s and behind it, if it is told more, numbers that stand still. After every move it
pays its squared distance from the goal y. All of that is linear with a quadratic cost, so the expected cost of every
episode there can be is in the second moments of z = [x; 1; y], which F = I + E A carries from one time to the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tinymaml import validate
from tinymaml.parameters import Parameters

DIM = 2  # the coordinates of s, of a and of a goal


@dataclass(frozen=True)
class LinearPolicy:
    """theta is W1 (inputs, 2) and b1 (1, 2), those of `MLP([inputs, 2])`: A = [W1^T, b1^T].

    inputs      how many numbers the policy sees: 2, the position, or more
    horizon     moves of an episode
    noise       sigma, the standard deviation of either coordinate of a move
    discount    g: the cost after move t counts g^(t-1)
    The loss is the expected cost of an episode divided by the horizon, which of discount 1 is the mean over its moves. It is made
    of squares of places, not of distances: in float32 keep starts and goals near the origin (at 100 the cost is off by 1e-3).
    """

    inputs: int = DIM
    horizon: int = 20
    noise: float = 0.05
    discount: float = 1.0

    def __post_init__(self) -> None:
        validate.count("inputs", self.inputs, least=DIM)
        validate.count("horizon", self.horizon)
        validate.deviation("noise", self.noise)
        validate.discount("discount", self.discount)

    # -- the four rules: the moments forward in time, the cost to go backward, and R of both -------------------------------

    def forward(self, F, M, E):
        """M_0..M_horizon from M_0: E[z z^T] at every time.   F, M_0 (T, d, d); E (d, 2)"""
        moments = [M]
        for _ in range(self.horizon):
            moments.append(F @ moments[-1] @ transpose(F) + self.noise**2 * (E @ E.T))  # eq. 23
        return np.stack(moments)  # (horizon + 1, T, d, d)

    def backward(self, F, M, E, C):
        """P_1..P_horizon, the quadratic cost to go, and dL/dA.   C (d, d): the cost of one time"""
        togo = [self.discount ** (self.horizon - 1) * (C + 0 * F)]
        for t in range(self.horizon - 1, 0, -1):
            togo.append(self.discount ** (t - 1) * C + transpose(F) @ togo[-1] @ F)  # eq. 23
        P = np.stack(togo[::-1])
        return P, 2 * (E.T @ P @ F @ M[:-1]).sum(0)  # eq. 23   (T, 2, d)

    def R_forward(self, F, RF, M):
        """R of the moments; M_0 does not move."""
        moments = [0 * M[0]]
        for M_t in M[:-1]:
            RM_t = moments[-1]
            moments.append(RF @ M_t @ transpose(F) + F @ RM_t @ transpose(F) + F @ M_t @ transpose(RF))  # eq. 24
        return np.stack(moments)

    def R_backward(self, F, RF, M, RM, P, E):
        """R of dL/dA, from R of the cost to go; the cost of one time does not move."""
        togo = [0 * (P[-1] + RF)]
        for P_t in P[:0:-1]:
            RP_t = togo[-1]
            togo.append(transpose(RF) @ P_t @ F + transpose(F) @ RP_t @ F + transpose(F) @ P_t @ RF)  # eq. 24
        RP, M, RM = np.stack(togo[::-1]), M[:-1], RM[:-1]
        return 2 * (E.T @ (RP @ F @ M + P @ RF @ M + P @ F @ RM)).sum(0)  # eq. 24   (T, 2, d)

    # -- what is asked of a model ----------------------------------------------------------------------------------------

    outputs = DIM
    shapes = property(lambda self: {"W1": (self.inputs, DIM), "b1": (1, DIM)})

    def init(self, rng: np.random.Generator, dtype: type = np.float64) -> Parameters:
        """About W1 = -I: from everywhere back to the origin in one move. A random policy would run off (F must be stable)."""
        rng, dtype = validate.generator(rng), validate.precision(dtype)
        home = {"W1": -np.eye(self.inputs, DIM), "b1": np.zeros((1, DIM))}
        return Parameters({name: (array + rng.uniform(-0.1, 0.1, array.shape)).astype(dtype) for name, array in home.items()})

    def at(self, theta: Parameters, x: np.ndarray, y: np.ndarray) -> Surface:
        """The loss surface seen from theta, for starts x (..., n, inputs) and goals y (..., n, 2), each row with its own.

        TypeError or ValueError if they do not fit, or are not finite floats.
        """
        validate.examples(x, validate.floats("y", y), self.inputs, DIM)
        validate.fitting("theta", theta, self.shapes, x)
        return Surface(self, theta, x, y)

    def rollout(self, theta: Parameters, x: np.ndarray, e: np.ndarray | None = None) -> np.ndarray:
        """Where the point is from start to end, (horizon + 1, ..., n, 2): with the noise e (horizon, ..., n, 2), or without."""
        validate.examples(x, None, self.inputs)
        validate.fitting("theta", theta, self.shapes, x)
        wanted = (self.horizon, *x.shape[:-1], DIM)
        if e is not None and validate.finite("e", validate.floats("e", e)).shape != wanted:
            raise ValueError(f"e has shape {e.shape}, expected {wanted}: two numbers for each move of each row")
        places = [x[..., :DIM]]
        for t in range(self.horizon):
            seen = np.concatenate([places[-1], x[..., DIM:]], axis=-1)
            move = seen @ theta["W1"] + theta["b1"]
            places.append(places[-1] + move + (0 if e is None else self.noise * e[t]))
        return np.stack(places)


class Surface:
    """The expected cost of one policy at (theta, x, y), and its derivatives.

    M (horizon + 1, T, d, d)    the moments of z = [x; 1; y] at every time, the mean over the rows of a task
    P (horizon, T, d, d)        the cost to go from every time but the start
    """

    def __init__(self, policy: LinearPolicy, theta: Parameters, x: np.ndarray, y: np.ndarray):
        self.policy, self.y = policy, y
        z = np.concatenate([x, np.ones((*x.shape[:-1], 1), x.dtype), y], axis=-1)  # (T, n, d)
        self.I = np.eye(z.shape[-1], dtype=x.real.dtype)
        self.E = self.I[:, :DIM]
        off = self.E - self.I[:, -DIM:]  # z^T off = s - goal
        self.C = off @ off.T / policy.horizon
        self.F = self.I + self._moved(theta)
        self.M = policy.forward(self.F, transpose(z) @ z / x.shape[-2], self.E)

    @cached_property
    def loss(self) -> np.ndarray:
        """The cost of an episode divided by the horizon: the mean over a task's rows, (T,)."""
        of_each = (self.C * self.M[1:]).sum((-2, -1))  # tr(C M_t)   (horizon, T)
        return sum(self.policy.discount**t * cost for t, cost in enumerate(of_each))  # eq. 23

    @property
    def cost(self) -> np.ndarray:
        """The expected cost of an episode, minus the return: (T,)."""
        return self.policy.horizon * self.loss

    @cached_property
    def _back(self) -> tuple[np.ndarray, np.ndarray]:
        return self.policy.backward(self.F, self.M, self.E, self.C)

    P = property(lambda self: self._back[0])

    @property
    def gradient(self) -> Parameters:
        """dL/dtheta of each task."""
        return self._named(self._back[1])

    def hvp(self, v: Parameters) -> Parameters:
        """The Hessian of each task's loss times v."""
        validate.fitting("v", v, self.policy.shapes, self.y)
        RF = self._moved(v)
        RM = self.policy.R_forward(self.F, RF, self.M)
        return self._named(self.policy.R_backward(self.F, RF, self.M, RM, self.P, self.E))

    def _moved(self, p: Parameters) -> np.ndarray:
        """E A, (T, d, d), with zeros where A does not look: at the goal."""
        A = transpose(np.concatenate([p["W1"], p["b1"]], axis=-2))  # (T, 2, inputs + 1), or one for all
        A = A.reshape(*[1] * (self.y.ndim - A.ndim), *A.shape)
        return self.E @ A @ self.I[:A.shape[-1]]

    def _named(self, dA: np.ndarray) -> Parameters:
        inputs = self.policy.inputs
        return Parameters.unchecked({"W1": transpose(dA[..., :inputs]), "b1": transpose(dA[..., inputs:inputs + 1])})


def transpose(matrix: np.ndarray) -> np.ndarray:
    """Each matrix transposed."""
    return matrix.swapaxes(-1, -2)
