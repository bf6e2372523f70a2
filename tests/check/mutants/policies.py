"""Mutants of eqs. 23 and 24: wrong rules of a linear-Gaussian policy, each to be rejected (tests/rl/test_exact.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tinymaml.check.mistakes import Mistake
from tinymaml.rl.exact import LinearPolicy, transpose


def _backward(costs: Callable = lambda g, t: g ** (t - 1), later: int = 1, factor: float = 2) -> Mapping[type, Mapping]:
    """Eq. 23 backward with other weights of the costs, or another time in the gradient: costs(g, t), t from 1."""

    def rule(right: Callable, policy: LinearPolicy, F: Any, M: Any, E: Any, C: Any) -> tuple:
        P = [0 * (C + F)]
        for t in range(policy.horizon, 0, -1):
            P.append(costs(policy.discount, t) * C + transpose(F) @ P[-1] @ F)
        P = np.stack([transpose(F) @ P[-1] @ F, *P[::-1]])  # P_0..P_{horizon + 1}
        used = P[later:later + policy.horizon]
        return P[1:-1], factor * (E.T @ used @ F @ M[:-1]).sum(0)

    return {LinearPolicy: {"backward": rule}}


def _forward(change: Callable) -> Mapping[type, Mapping]:
    """Eq. 23 forward on something else: change(policy, F, M, E)."""
    return {LinearPolicy: {"forward": lambda right, policy, F, M, E: right(*change(policy, F, M, E))}}


def _R_forward(terms: Callable) -> Mapping[type, Mapping]:
    """Eq. 24 forward with other terms."""

    def rule(right: Callable, policy: LinearPolicy, F: Any, RF: Any, M: Any) -> np.ndarray:
        RM = [0 * M[0]]
        for M_t in M[:-1]:
            RM.append(terms(F, RF, M_t, RM[-1]))
        return np.stack(RM)

    return {LinearPolicy: {"R_forward": rule}}


def _R_backward(togo: Callable | None = None, change: Callable = lambda *given: given) -> Mapping[type, Mapping]:
    """Eq. 24 backward with other terms in R of the cost to go, or on something else: change(F, RF, M, RM, P)."""

    def rule(right: Callable, policy: LinearPolicy, F: Any, RF: Any, M: Any, RM: Any, P: Any, E: Any) -> np.ndarray:
        if togo is None:
            return right(*change(F, RF, M, RM, P), E)
        RP = [0 * (P[-1] + RF)]
        for P_t in P[:0:-1]:
            RP.append(togo(F, RF, P_t, RP[-1]))
        RP = np.stack(RP[::-1])
        return 2 * (E.T @ (RP @ F @ M[:-1] + P @ RF @ M[:-1] + P @ F @ RM[:-1])).sum(0)

    return {LinearPolicy: {"R_backward": rule}}


IN_POLICIES = {
    "noise": Mistake("the noise is missing: sigma^2 E E^T is added to the moments after every move (eq. 23)", _forward(
        lambda policy, F, M, E: (F, M, 0 * E))),
    "sigma": Mistake("sigma stands where sigma^2 belongs (eq. 23)", _forward(
        lambda policy, F, M, E: (F, M, E / policy.noise**0.5))),
    "noise of z": Mistake("the noise is added to every coordinate of z: only s is moved by it, E E^T (eq. 23)", _forward(
        lambda policy, F, M, E: (F, M, np.eye(len(E), dtype=E.dtype)))),
    "F": Mistake("F is transposed in the moments: M' = F M F^T (eq. 23)", _forward(
        lambda policy, F, M, E: (transpose(F), M, E))),
    "discount": Mistake("the discount is off by one: the cost after move t counts g^(t-1), the first one whole (eq. 23)",
                        _backward(lambda g, t: g**t)),
    "no discount": Mistake("the discount is missing in the cost to go (eq. 23)", _backward(lambda g, t: 1)),
    "last": Mistake("only the last cost goes into the cost to go: every time has its own (eq. 23)",
                    _backward(lambda g, t: 0)),
    "P_t": Mistake("P_t stands where P_{t+1} belongs: a move is paid for after it (eq. 23)", _backward(later=0)),
    "P_t+2": Mistake("P_{t+2} stands where P_{t+1} belongs: the cost right after a move is lost (eq. 23)", _backward(later=2)),
    "2": Mistake("the factor 2 of dL/dA is missing: M and F stand twice in the cost (eq. 23)", _backward(factor=1)),
    "RF M": Mistake("the term RF M F^T is missing in R of the moments (eq. 24)", _R_forward(
        lambda F, RF, M, RM: F @ RM @ transpose(F) + F @ M @ transpose(RF))),
    "F RM": Mistake("the term F RM F^T is missing in R of the moments: they have moved before (eq. 24)", _R_forward(
        lambda F, RF, M, RM: RF @ M @ transpose(F) + F @ M @ transpose(RF))),
    "M RF": Mistake("the term F M RF^T is missing in R of the moments (eq. 24)", _R_forward(
        lambda F, RF, M, RM: RF @ M @ transpose(F) + F @ RM @ transpose(F))),
    "RF P": Mistake("the term RF^T P F is missing in R of the cost to go (eq. 24)", _R_backward(
        lambda F, RF, P, RP: transpose(F) @ RP @ F + transpose(F) @ P @ RF)),
    "F RP": Mistake("the term F^T RP F is missing in R of the cost to go (eq. 24)", _R_backward(
        lambda F, RF, P, RP: transpose(RF) @ P @ F + transpose(F) @ P @ RF)),
    "P RF": Mistake("the term F^T P RF is missing in R of the cost to go (eq. 24)", _R_backward(
        lambda F, RF, P, RP: transpose(RF) @ P @ F + transpose(F) @ RP @ F)),
    "RP": Mistake("R of the cost to go is missing in R of dL/dA (eq. 24)", _R_backward(lambda F, RF, P, RP: 0 * RP)),
    "P F RM": Mistake("the term P F RM is missing in R of dL/dA (eq. 24)", _R_backward(
        change=lambda F, RF, M, RM, P: (F, RF, M, 0 * RM, P))),
    "all of RF": Mistake("R of the policy is missing: RF = E V (eq. 24)", _R_backward(
        change=lambda F, RF, M, RM, P: (F, 0 * RF, M, RM, P))),
}  # fmt: skip
