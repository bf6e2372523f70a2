"""Exact policy optimisation: a linear-Gaussian policy and its expected cost in closed form (eqs. 23 and 24).

The policy steers a point; the state s is its position in the plane. An episode has `horizon` moves s' = s + a
with a = A [x; 1] + sigma e, e ~ N(0, I). The observation x is s, optionally followed by constants. The cost
after every move is the squared distance to the goal y. The dynamics are linear and the cost is quadratic, so
the expected cost depends only on the second moments of z = [x; 1; y], which F = I + E A propagates (A with zero
columns for y).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tinymaml import validate
from tinymaml.nn.fast_weights import transpose
from tinymaml.parameters import Parameters

DIM = 2  # the dimension of s, of a and of a goal


@dataclass(frozen=True)
class LinearPolicy:
    """theta is W1 (inputs, 2) and b1 (1, 2), as in `MLP([inputs, 2])`: A = [W1^T, b1^T].

    inputs      the dimension of an observation: 2 for the position, plus the number of constants
    horizon     the number of moves in an episode
    noise       sigma, the standard deviation of each coordinate of a move
    discount    g: the cost after move t has the weight g^(t-1)
    The loss is the expected cost of an episode divided by the horizon: with discount 1, the mean cost per
    move. It is computed from second moments of positions: in float32 keep starts and goals near the origin
    (at 100 the error of the cost is 1e-3).
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

    # -- the four rules: moments forward in time, cost to go backward, and R of both

    def forward(self, F, M, E):
        """M_0..M_horizon from M_0: E[z z^T] at every time.   F, M_0 (T, d, d); E (d, 2)"""
        moments = [M]
        for _ in range(self.horizon):
            moments.append(F @ moments[-1] @ transpose(F) + self.noise**2 * (E @ E.T))  # eq. 23
        return np.stack(moments)  # (horizon + 1, T, d, d)

    def backward(self, F, M, E, C):
        """P_1..P_horizon, the quadratic cost to go, and dL/dA.   C (d, d): the cost at one time"""
        cost_to_go = [self.discount ** (self.horizon - 1) * (C + 0 * F)]
        for t in range(self.horizon - 1, 0, -1):
            cost_to_go.append(self.discount ** (t - 1) * C + transpose(F) @ cost_to_go[-1] @ F)  # eq. 23
        P = np.stack(cost_to_go[::-1])
        return P, 2 * (E.T @ P @ F @ M[:-1]).sum(0)  # eq. 23   (T, 2, d)

    def R_forward(self, F, RF, M):
        """R of the moments; R of M_0 is zero."""
        FT, RFT, moments = transpose(F), transpose(RF), [0 * M[0]]
        for M_t in M[:-1]:
            RM_t = moments[-1]
            moments.append(RF @ M_t @ FT + F @ RM_t @ FT + F @ M_t @ RFT)  # eq. 24
        return np.stack(moments)

    def R_backward(self, F, RF, M, RM, P, E):
        """R of dL/dA, from R of the cost to go; R of C is zero."""
        FT, RFT, cost_to_go = transpose(F), transpose(RF), [0 * (P[-1] + RF)]
        for P_t in P[:0:-1]:
            RP_t = cost_to_go[-1]
            cost_to_go.append(RFT @ P_t @ F + FT @ RP_t @ F + FT @ P_t @ RF)  # eq. 24
        RP, M, RM = np.stack(cost_to_go[::-1]), M[:-1], RM[:-1]
        return 2 * (E.T @ (RP @ F @ M + P @ RF @ M + P @ F @ RM)).sum(0)  # eq. 24   (T, 2, d)

    # -- a model

    outputs = DIM

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """The shape of every parameter by name."""
        return {"W1": (self.inputs, DIM), "b1": (1, DIM)}

    def init(self, rng: np.random.Generator, dtype: type = np.float64) -> Parameters:
        """A random theta near W1 = -I, the policy that returns to the origin in one move.

        F must be stable, and with a purely random A it is not.
        """
        rng, dtype = validate.generator(rng), validate.precision(dtype)
        origin = Parameters(W1=-np.eye(self.inputs, DIM), b1=np.zeros((1, DIM)))
        return origin.map(lambda array: (array + rng.uniform(-0.1, 0.1, array.shape)).astype(dtype))

    def at(self, theta: Parameters, x: np.ndarray, y: np.ndarray) -> Surface:
        """The loss surface at theta, for starts x (..., n, inputs) and goals y (..., n, 2), one per row.

        TypeError or ValueError if shapes or precisions do not fit, or if x or y are not finite floats.
        """
        validate.examples(x, validate.floats("y", y), self.inputs, DIM)
        validate.fitting("theta", theta, self.shapes, x)
        return Surface(self, theta, x, y)

    def rollout(self, theta: Parameters, x: np.ndarray, e: np.ndarray | None = None) -> np.ndarray:
        """The positions in an episode (horizon + 1, ..., n, 2); e (horizon, ..., n, 2) or no noise."""
        validate.examples(x, None, self.inputs)
        validate.fitting("theta", theta, self.shapes, x)
        wanted = (self.horizon, *x.shape[:-1], DIM)
        if e is not None and validate.finite("e", validate.floats("e", e)).shape != wanted:
            raise ValueError(f"e has shape {e.shape}, expected {wanted}: two numbers per move and row")
        positions = [x[..., :DIM]]
        for t in range(self.horizon):
            observation = np.concatenate([positions[-1], x[..., DIM:]], axis=-1)
            move = observation @ theta["W1"] + theta["b1"]
            positions.append(positions[-1] + move + (0 if e is None else self.noise * e[t]))
        return np.stack(positions)


class Surface:
    """The expected cost of one policy at (theta, x, y), and its derivatives.

    M (horizon + 1, T, d, d)    second moments of z = [x; 1; y] at every time, averaged over a task's rows
    P (horizon, T, d, d)        quadratic cost to go at every time except the start
    """

    def __init__(self, policy: LinearPolicy, theta: Parameters, x: np.ndarray, y: np.ndarray):
        self.policy, self.y = policy, y
        z = np.concatenate([x, np.ones((*x.shape[:-1], 1), x.dtype), y], axis=-1)  # (T, n, d)
        self.I = np.eye(z.shape[-1], dtype=x.real.dtype)
        self.E = self.I[:, :DIM]
        error = self.E - self.I[:, -DIM:]  # z^T error = s - goal
        self.C = error @ error.T / policy.horizon
        self.F = self.I + self._closed_loop(theta)
        self.M = policy.forward(self.F, transpose(z) @ z / x.shape[-2], self.E)

    @cached_property
    def loss(self) -> np.ndarray:
        """The expected cost of an episode divided by the horizon, averaged over the rows of a task: (T,)."""
        costs = (self.C * self.M[1:]).sum((-2, -1))  # tr(C M_t)   (horizon, T)
        return sum(self.policy.discount**t * cost for t, cost in enumerate(costs))  # eq. 23

    @property
    def cost(self) -> np.ndarray:
        """The expected cost of an episode, which is minus the return: (T,)."""
        return self.policy.horizon * self.loss

    @cached_property
    def _backward(self) -> tuple[np.ndarray, np.ndarray]:
        return self.policy.backward(self.F, self.M, self.E, self.C)

    @property
    def P(self) -> np.ndarray:
        """The quadratic cost to go."""
        return self._backward[0]

    @property
    def gradient(self) -> Parameters:
        """dL/dtheta of each task."""
        return self._named(self._backward[1])

    def hvp(self, v: Parameters) -> Parameters:
        """The Hessian of each task's loss times v."""
        validate.fitting("v", v, self.policy.shapes, self.y)
        RF = self._closed_loop(v)
        RM = self.policy.R_forward(self.F, RF, self.M)
        return self._named(self.policy.R_backward(self.F, RF, self.M, RM, self.P, self.E))

    def _closed_loop(self, p: Parameters) -> np.ndarray:
        """E A, (T, d, d), with zero columns for the goal, which the policy does not observe."""
        A = transpose(np.concatenate([p["W1"], p["b1"]], axis=-2))  # (T, 2, inputs + 1), or without T for a shared theta
        A = A.reshape(*[1] * (self.y.ndim - A.ndim), *A.shape)
        return self.E @ A @ self.I[:A.shape[-1]]

    def _named(self, dA: np.ndarray) -> Parameters:
        d = self.policy.inputs
        return Parameters.unchecked({"W1": transpose(dA[..., :d]), "b1": transpose(dA[..., d:d + 1])})
