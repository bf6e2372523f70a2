"""Policy gradients from episodes that a policy draws itself, and the Hessians of the literature beside each other, eq. 25.

A point in a plane is moved by a Gaussian policy whose mean is a network of what it sees, a = mu(s) + sigma e. Nothing
differentiates the world: only log pi(a | s) = -|a - mu(s)|^2 / (2 sigma^2) has a gradient. The dice e are part of x, so that an
episode is drawn anew by every theta that is asked, and a run can be repeated: `maml.py` trains this policy as it is.

Three surrogate losses have this gradient and differ in their Hessians:
    surrogate   log-probabilities times the cost to go, which most code differentiates (Finn 2017): it forgets that
                theta also decides which episodes are drawn, and has no term S S^T
    lvc         low variance curvature (Rothfuss 2019): that term for each move alone
    dice        the whole of it (Foerster 2018): the only one whose mean is the Hessian of the expected cost
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from tinymaml import validate
from tinymaml.nn.network import Network
from tinymaml.parameters import Parameters
from tinymaml.rl.exact import PLANE

# how much the score of each move weighs in H v, beside the Hessians of the log-probabilities: all arrays (T, n, horizon)
#   c the cost after the move, C the cost to go, b the baseline, q = v . grad log pi of the move
HESSIANS: dict[str, Callable] = {
    "surrogate": lambda c, C, b, q: 0 * q,
    "lvc": lambda c, C, b, q: (C - b) * q,
    "dice": lambda c, C, b, q: onward(c * np.cumsum(q, axis=-1)) - b * q,  # eq. 25: S_t . v = q_1 + .. + q_t
}

# what is paid after a move, from the squared distance to the goal
PRICES: dict[str, Callable] = {
    "squared": lambda far: far,
    "distance": np.sqrt,
    "flat": lambda far: np.where(far < 4, np.sqrt(far), 4.0),  # from afar nothing is felt of the goal
}


def onward(c: np.ndarray) -> np.ndarray:
    """What comes from each time on, the last axis: c_t + c_{t+1} + ..."""
    return np.flip(np.cumsum(np.flip(c, -1), axis=-1), -1)


def of_the_others(C: np.ndarray, seen: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A baseline: the mean cost to go, at the same time, of the task's other episodes; an own action has no part in it."""
    n = C.shape[-2]
    if n < 2:
        raise ValueError("there is 1 episode a task, expected 2 or more: there are no others to take a baseline from")
    return (C.sum(-2, keepdims=True) - C) / (n - 1)


def _looks_at_other_rows(network: Network) -> bool:
    """Whether the network's answers to 16 places change with 16 more beside them."""
    rng = np.random.default_rng(0)
    theta = network.init(rng).map(lambda array: array + 0.1 * rng.standard_normal(array.shape))  # a head may start at zero
    x = rng.standard_normal((32, PLANE))
    return not np.allclose(network.predict(theta, x)[:16], network.predict(theta, x[:16]))


@dataclass(frozen=True)
class SampledPolicy:
    """A Gaussian policy with the mean of a network, judged by episodes that it draws.

    network     from what is seen, 2 numbers, to the mean of a move, 2 numbers; each row by itself, so without batch norm
    horizon     moves of an episode
    noise       sigma
    discount    g: the cost after move t counts g^(t-1)
    hessian     one of HESSIANS
    baseline    baseline(C, seen, y) is taken off the cost to go C (T, n, horizon) of a move made at `seen` (T, n, horizon, 2);
                whatever does not depend on the move itself changes no mean. None: nothing
    limit       of either coordinate of a move; what is beyond is cut off by the world. None: there is none
    price       of the distance to the goal, one of PRICES: squared as in `LinearPolicy`, itself, or 4 wherever it is above 2
    """

    network: Network
    horizon: int = 20
    noise: float = 0.05
    discount: float = 1.0
    hessian: str = "dice"
    baseline: Callable | None = of_the_others
    limit: float | None = None
    price: str = "squared"

    def __post_init__(self) -> None:
        if (self.network.inputs, self.network.outputs) != (PLANE, PLANE):
            got = f"{self.network.inputs} inputs and {self.network.outputs} outputs"
            raise ValueError(f"the network has {got}, expected {PLANE} and {PLANE}: it sees a place and moves from there")
        if _looks_at_other_rows(self.network):
            raise ValueError(
                "the network's move from a place depends on the other places beside it, as with batch norm: an episode sees one "
                "place at a time, so use layer norm or none"
            )
        validate.count("horizon", self.horizon)
        validate.rate("noise", self.noise, 0.1)
        validate.discount("discount", self.discount)
        validate.one_of("hessian", self.hessian, HESSIANS)
        if self.baseline is not None:
            validate.function("baseline", self.baseline)
        if self.limit is not None:
            validate.rate("limit", self.limit, 0.1)
        validate.one_of("price", self.price, PRICES)

    shapes = property(lambda self: self.network.shapes)
    inputs = property(lambda self: PLANE * (1 + self.horizon))
    fewest = property(lambda self: 1 if self.baseline is None else 2)  # episodes of a task

    def init(self, rng: np.random.Generator, dtype: type = np.float64) -> Parameters:
        """The network's own random theta."""
        return self.network.init(rng, dtype)

    def at(self, theta: Parameters, x: np.ndarray, y: np.ndarray) -> Here:
        """The loss seen from theta, for rows x of a start and the dice of an episode (..., n, 2 + 2 horizon) and goals y."""
        validate.examples(x, validate.floats("y", y), self.inputs, PLANE)
        validate.fitting("theta", theta, self.shapes, x)
        return Here(self, theta.copy(), x.copy(), y.copy())


class Here:
    """One sample of episodes, and what it says of the expected cost and its derivatives.

    places (T, n, horizon + 1, 2)    where the point is
    e (T, n, horizon, 2)             the dice: what was rolled is (move - mean) / sigma
    c, C, b (T, n, horizon)          the discounted cost after each move, the cost to go, and the baseline
    """

    def __init__(self, policy: SampledPolicy, theta: Parameters, x: np.ndarray, y: np.ndarray):
        self.policy, self.theta, self.p, self.y = policy, theta, dict(theta.items()), y
        self.e = x[..., PLANE:].reshape(*x.shape[:-1], policy.horizon, PLANE)
        self.places = self._walked(x[..., :PLANE])
        off = self.places[..., 1:, :] - y[..., None, :]
        g = policy.discount ** np.arange(policy.horizon, dtype=x.dtype)
        self.c = g * PRICES[policy.price]((off * off).sum(-1)).astype(x.dtype, copy=False)
        self.loss = self.c.sum(-1).mean(-1) / policy.horizon  # (T,)

    def _walked(self, place: np.ndarray) -> np.ndarray:
        """The episodes, one move of all of them at a time."""
        policy, places = self.policy, [place]
        for t in range(policy.horizon):
            move = policy.network.body.forward(self.p, place)[0] + policy.noise * self.e[..., t, :]
            place = place + (move if policy.limit is None else move.clip(-policy.limit, policy.limit))
            places.append(place)
        return np.stack(places, axis=-2)

    @property
    def cost(self) -> np.ndarray:
        """The mean cost of an episode, minus the return: (T,)."""
        return self.policy.horizon * self.loss

    @cached_property
    def C(self) -> np.ndarray:
        return onward(self.c)

    @cached_property
    def b(self) -> np.ndarray:
        baseline = self.policy.baseline
        return 0 * self.c if baseline is None else baseline(self.C, self.places[..., :-1, :], self.y)

    @cached_property
    def tape(self) -> Any:
        """The network's sweep over every place of every episode at once."""
        return self.policy.network.body.forward(self.p, self._rows(self.places[..., :-1, :]))[1]

    @cached_property
    def D(self) -> np.ndarray:
        """What goes back into the network: grad of log pi in the mean of each move, e / sigma, times what the move costs."""
        return self._rows((self.C - self.b)[..., None] * self._score / self._count)

    @cached_property
    def gradient(self) -> Parameters:
        """The mean over episodes of sum_t c_t S_t, with each score beside the cost to go of its move (eq. 25)."""
        return self._ordered(self.policy.network.body.backward(self.p, self.tape, self.D, below=False)[1])

    def hvp(self, v: Parameters) -> Parameters:
        """H v as the policy's `hessian` has it: every term in one sweep back, since R of the gradient is linear in RD."""
        validate.fitting("v", v, self.policy.shapes, self.y)
        body, p, v, noise = self.policy.network.body, self.p, dict(v.items()), self.policy.noise
        Rmu, Rtape = body.R_forward(p, v, self.tape, None)
        Rmu = Rmu.reshape(self.e.shape)
        q = (self._score * Rmu).sum(-1)  # grad log pi . v of each move
        weight = HESSIANS[self.policy.hessian](self.c, self.C, self.b, q)
        RD = weight[..., None] * self._score - (self.C - self.b)[..., None] * Rmu / noise**2  # R of a score is -R mu / sigma^2
        _ = self.gradient  # the sweep back comes first
        return self._ordered(body.R_backward(p, v, self.tape, Rtape, self.D, self._rows(RD / self._count))[1])

    _score = property(lambda self: self.e / self.policy.noise)
    _count = property(lambda self: self.e.shape[-3] * self.policy.horizon)  # a mean over episodes, of the mean over moves

    def _rows(self, array: np.ndarray) -> np.ndarray:
        """Every move of every episode as a row: (T, n horizon, 2)."""
        return array.reshape(*array.shape[:-3], -1, PLANE)

    def _ordered(self, arrays: dict[str, np.ndarray]) -> Parameters:
        return Parameters.trusted({name: arrays[name] for name in self.policy.shapes})


def with_dice(batch: Any, rng: np.random.Generator, horizon: int) -> Any:
    """The same tasks with the dice of an episode behind every start: x becomes (T, n, 2 + 2 horizon)."""
    validate.generator(rng)
    validate.count("horizon", horizon)

    def thrown(x: np.ndarray) -> np.ndarray:
        dice = rng.standard_normal((*x.shape[:-1], PLANE * horizon)).astype(x.dtype, copy=False)
        return np.concatenate([x, dice], axis=-1)

    return replace(batch, x_support=thrown(batch.x_support), x_query=thrown(batch.x_query))
