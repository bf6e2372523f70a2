"""REINFORCE gradients from sampled episodes, and several published Hessian estimators (eq. 25).

A Gaussian policy moves a point in the plane; its mean is a network of the position, a = mu(s) + sigma e. The
environment is not differentiated: only log pi(a | s) = -|a - mu(s)|^2 / (2 sigma^2) has a gradient. The noise
e is part of x, so every theta gets its own episodes from the same noise, runs are reproducible, and `maml.py`
trains this policy without changes.

Three surrogate losses have this gradient and differ in their Hessians, see `surrogate`, `lvc` and `dice`;
only dice is an unbiased estimator of the Hessian of the expected cost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from tinymaml import validate
from tinymaml.nn.chain import Tape
from tinymaml.nn.layers import derive
from tinymaml.nn.network import Network
from tinymaml.nn.surface import in_order
from tinymaml.parameters import Parameters
from tinymaml.rl.exact import DIM

# -- the weight of each move's score in H v (the term S S^T); `hvp` adds the Hessians of the log-probabilities
#    c the cost after the move, C the cost to go, b the baseline, q = v . grad log pi; all (T, n, horizon)


def surrogate(c: np.ndarray, C: np.ndarray, b: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Zero: ignores that the sampling distribution depends on theta, like many implementations (Finn 2017)."""
    return 0 * q


def lvc(c: np.ndarray, C: np.ndarray, b: np.ndarray, q: np.ndarray) -> np.ndarray:
    """(C_t - b_t) q_t, low variance curvature: only the part of S S^T within single moves (Rothfuss 2019)."""
    return (C - b) * q


def dice(c: np.ndarray, C: np.ndarray, b: np.ndarray, q: np.ndarray) -> np.ndarray:
    """sum_{s>=t} c_s (q_1 + ... + q_s) - b_t q_t: all of S S^T, S_s . v in eq. 25 (DiCE, Foerster 2018)."""
    return cost_to_go(c * np.cumsum(q, axis=-1)) - b * q


HESSIAN_ESTIMATORS: dict[str, Callable] = {"surrogate": surrogate, "lvc": lvc, "dice": dice}

COSTS: dict[str, Callable] = {  # the cost of a move from the squared distance to the goal
    "squared": lambda d2: d2,
    "distance": np.sqrt,
    "saturated": lambda d2: np.where(d2 < 4, np.sqrt(d2), 4.0),  # the distance up to 2, and 4 beyond
}


def cost_to_go(c: np.ndarray) -> np.ndarray:
    """c_t + c_{t+1} + ... along the last axis: the reverse cumulative sum."""
    return np.flip(np.cumsum(np.flip(c, -1), axis=-1), -1)


def leave_one_out_baseline(C: np.ndarray, observations: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The mean cost to go of the other episodes at the same move: independent of the episode's own actions."""
    n = C.shape[-2]
    if n < 2:
        raise ValueError("there is 1 episode per task, expected 2 or more: the baseline is the mean over the others")
    return (C.sum(-2, keepdims=True) - C) / (n - 1)


def _couples_rows(network: Network) -> bool:
    """Whether predictions depend on other rows: those for 16 rows change when 16 others are added."""
    rng = np.random.default_rng(0)
    x, theta = rng.standard_normal((32, DIM)), network.init(rng)
    theta = theta.map(lambda array: array + 0.1 * rng.standard_normal(array.shape))  # a layer may start at 0
    return not np.allclose(network.predict(theta, x)[:16], network.predict(theta, x[:16]))


@dataclass(frozen=True)
class SampledPolicy:
    """A Gaussian policy whose mean is a network; its loss is the mean cost of sampled episodes.

    network     from a position to the mean of a move, 2 numbers each; rows must be independent: no batch norm
    horizon     the number of moves in an episode
    noise       sigma, the standard deviation of each coordinate of a move
    discount    g: the cost after move t has the weight g^(t-1)
    hessian     one of HESSIAN_ESTIMATORS
    baseline    baseline(C, observations, y), (T, n, horizon), is subtracted from the cost to go C of moves
                made at the observations (T, n, horizon, 2); it leaves expectations unchanged if it is
                independent of the move. None for no baseline
    max_step    the environment clips each coordinate of a move to +- max_step. None for no clipping
    cost        the cost of a move, one of COSTS; "squared" as in `LinearPolicy`
    Derived: `inputs`, the width of a row of x, and `min_examples`, the minimum number of episodes per task.
    """

    network: Network
    horizon: int = 20
    noise: float = 0.05
    discount: float = 1.0
    hessian: str = "dice"
    baseline: Callable | None = leave_one_out_baseline
    max_step: float | None = None
    cost: str = "squared"

    def __post_init__(self) -> None:
        network = self.network
        if (network.inputs, network.outputs) != (DIM, DIM):
            got = f"the network has {network.inputs} inputs and {network.outputs} outputs"
            raise ValueError(f"{got}, expected {DIM} and {DIM}: from a position to the mean of a move")
        if _couples_rows(network):
            raise ValueError(
                "the network's output for a row depends on the other rows, as with batch norm: in an episode "
                "the policy observes one position at a time, so use layer norm or none"
            )
        validate.count("horizon", self.horizon)
        validate.rate("noise", self.noise, 0.1)
        validate.discount("discount", self.discount)
        validate.one_of("hessian", self.hessian, HESSIAN_ESTIMATORS)
        if self.baseline is not None:
            validate.function("baseline", self.baseline)
        if self.max_step is not None:
            validate.rate("max_step", self.max_step, 0.1)
        validate.one_of("cost", self.cost, COSTS)
        derive(self, shapes=network.shapes, inputs=DIM * (1 + self.horizon))
        derive(self, min_examples=1 if self.baseline is None else 2)

    def init(self, rng: np.random.Generator, dtype: type = np.float64) -> Parameters:
        """A random theta, from the `init` of the network."""
        return self.network.init(rng, dtype)

    def at(self, theta: Parameters, x: np.ndarray, y: np.ndarray) -> Surface:
        """The loss surface at theta, x = [start, noise] (..., n, 2 + 2 horizon) and goals y (..., n, 2)."""
        validate.examples(x, validate.floats("y", y), self.inputs, DIM)
        validate.fitting("theta", theta, self.shapes, x)
        return Surface(self, theta.copy(), x.copy(), y.copy())


class Surface:
    """Sampled episodes at theta: estimates of the expected cost and its derivatives.

    positions (T, n, horizon + 1, 2)    the positions of the point
    e (T, n, horizon, 2)                the noise, (move - mean) / sigma before clipping
    score (T, n, horizon, 2)            e / sigma, the gradient of log pi with respect to the mean of a move
    c, C, b (T, n, horizon)             the discounted cost after each move, the cost to go, and the baseline
    """

    def __init__(self, policy: SampledPolicy, theta: Parameters, x: np.ndarray, y: np.ndarray):
        self.policy, self.body, self.p, self.y = policy, policy.network.body, dict(theta.items()), y
        self.e = x[..., DIM:].reshape(*x.shape[:-1], policy.horizon, DIM)
        self.score = self.e / policy.noise
        self.count = x.shape[-2] * policy.horizon  # the loss is a mean over episodes and moves
        self.positions = self._rollout(x[..., :DIM])
        error = self.positions[..., 1:, :] - y[..., None, :]
        g = policy.discount ** np.arange(policy.horizon, dtype=x.dtype)
        self.c = g * COSTS[policy.cost]((error * error).sum(-1)).astype(x.dtype, copy=False)
        self.C = cost_to_go(self.c)
        self.loss = self.c.sum(-1).mean(-1) / policy.horizon  # (T,)

    def _rollout(self, position: np.ndarray) -> np.ndarray:
        """The positions in all episodes, (T, n, horizon + 1, 2); one move of all episodes at a time."""
        policy, positions = self.policy, [position]
        for t in range(policy.horizon):
            move = self.body.forward(self.p, position)[0] + policy.noise * self.e[..., t, :]
            if policy.max_step is not None:
                move = move.clip(-policy.max_step, policy.max_step)
            position = position + move
            positions.append(position)
        return np.stack(positions, axis=-2)

    @property
    def cost(self) -> np.ndarray:
        """The mean cost of an episode, which is minus the return: (T,)."""
        return self.policy.horizon * self.loss

    @cached_property
    def b(self) -> np.ndarray:
        """The baseline."""
        baseline = self.policy.baseline
        return 0 * self.c if baseline is None else baseline(self.C, self.positions[..., :-1, :], self.y)

    @cached_property
    def tape(self) -> Tape:
        """The network's forward sweep over all positions of all episodes."""
        return self.body.forward(self.p, self._rows(self.positions[..., :-1, :]))[1]

    @cached_property
    def D(self) -> np.ndarray:
        """dL/d(mean of each move): the score e / sigma times the advantage C - b."""
        return self._rows((self.C - self.b)[..., None] * self.score / self.count)

    @cached_property
    def gradient(self) -> Parameters:
        """The mean over episodes of sum_t c_t S_t, summed as score times cost to go (eq. 25)."""
        return in_order(self.body, self.body.backward(self.p, self.tape, self.D, False)[1])

    def hvp(self, v: Parameters) -> Parameters:
        """H v by the policy's estimator, in one R-sweep for all terms: R of the gradient is linear in RD."""
        validate.fitting("v", v, self.policy.shapes, self.y)
        _ = self.gradient  # runs the backward sweep
        v, sigma = dict(v.items()), self.policy.noise
        Rmu, Rtape = self.body.R_forward(self.p, v, self.tape, None)
        Rmu = Rmu.reshape(self.e.shape)
        q = (self.score * Rmu).sum(-1)  # grad log pi . v of each move
        weight = HESSIAN_ESTIMATORS[self.policy.hessian](self.c, self.C, self.b, q)
        Rscore = -Rmu / sigma**2
        RD = self._rows((weight[..., None] * self.score + (self.C - self.b)[..., None] * Rscore) / self.count)
        return in_order(self.body, self.body.R_backward(self.p, v, self.tape, Rtape, self.D, RD)[1])

    def _rows(self, array: np.ndarray) -> np.ndarray:
        """One row per move and episode: (T, n horizon, 2)."""
        return array.reshape(*array.shape[:-3], -1, DIM)


def with_noise(batch: Any, rng: np.random.Generator, horizon: int) -> Any:
    """The same tasks with episode noise appended to every start: x becomes (T, n, 2 + 2 horizon)."""
    validate.generator(rng)
    validate.count("horizon", horizon)
    noise = lambda x: rng.standard_normal((*x.shape[:-1], DIM * horizon)).astype(x.dtype, copy=False)
    extended = lambda x: np.concatenate([x, noise(x)], axis=-1)
    return replace(batch, x_support=extended(batch.x_support), x_query=extended(batch.x_query))
