"""The known mistakes in eqs. 1-10, made on purpose: what an answer would be if exactly this had gone wrong.

`sweep` is the derivation with one place for every mistake; a wrong answer is named by finding the mistake that gives
its numbers. Nothing here is used to decide whether an answer is right.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import combinations
from typing import Any

import numpy as np

from tinymaml.activations import ACTIVATIONS
from tinymaml.losses import LOSSES, softmax
from tinymaml.models import MLP
from tinymaml.parameters import Parameters

MISTAKES = {
    "b": "the bias of eq. 1 is missing",
    "s": "the activation of eq. 1 is missing: a is s(z)",
    "1/n": "a factor 1/n is missing: the loss is the mean over the examples (eq. 2)",
    "1/n twice": "it is divided by n twice: 1/n enters once, in eq. 2",
    "1/d": "it is divided by the number of outputs: eq. 9 sums over them",
    "2": "a factor 2 is missing: the squared error of eq. 9 has no 1/2",
    "y - z": "the sign is turned: eqs. 9 and 10 have the prediction minus the target",
    "y": "the target is missing in dl/dz (eqs. 9 and 10)",
    "softmax": "the softmax is missing: dl/dz = p - y with p = softmax(z) (eq. 10)",
    "W": "W is not transposed in eq. 4",
    "s'": "s' is missing in eq. 4",
    "s'(a)": "s' is taken at a, not at z (eq. 4)",
    "s for s'": "s stands where s' belongs (eq. 4)",
    "z for a": "z stands where a belongs in dW (eq. 3)",
    "db mean": "db is the sum of delta over the examples, not the mean: 1/n is in delta already (eq. 3)",
    "Ra W": "the term Ra W of eq. 5 is missing",
    "a V": "the term a V of eq. 5 is missing",
    "c": "the direction of the bias, c, is missing in eq. 5",
    "s' of Ra": "s' is missing in Ra (eq. 5)",
    "R 1/n": "a factor 1/n is missing in eq. 6",
    "d2l": "the second derivative of the loss is missing in eq. 6",
    "p sum": "the term p * sum(p * r) of eq. 10 is missing",
    "a RD": "the term a^T Rdelta of eq. 7 is missing",
    "Ra D": "the term Ra^T delta of eq. 7 is missing",
    "RD W": "the term Rdelta W^T of eq. 8 is missing",
    "D V": "the V-term of eq. 8, delta V^T, is missing",
    "V": "V is not transposed in eq. 8",
    "s' of 8": "s' is missing in eq. 8",
    "s''": "s'' is missing in eq. 8",
    "s' for s''": "s' stands where s'' belongs (eq. 8)",
    "Rz of 8": "Rz is missing beside s'' in eq. 8",
    "RD for D": "the s'' term of eq. 8 needs delta, not Rdelta",
}


def sweep(
    model: MLP,
    theta: Parameters,
    x: np.ndarray,
    y: np.ndarray,
    v: Parameters | None,
    made: Collection[str] = (),
    at: int | None = None,
) -> dict[str, Any]:
    """Every quantity of the derivation by name, with the mistakes `made` at layer `at` or, with None, wherever they fit.

    One task: x (n, d_0), y (n, d_L). Without a direction v the R-quantities are left out.
    """
    s, loss, L, n, layers = ACTIVATIONS[model.activation], LOSSES[model.loss], model.depth, len(x), range(1, model.depth + 1)
    slip = lambda key, l=None: key in made and (at is None or l is None or at == l)

    def back(rows: np.ndarray, W: np.ndarray, key: str, l: int) -> np.ndarray:
        """rows W^T, or without the transpose where the shapes allow that mistake."""
        return rows @ (W if slip(key, l) and W.shape[0] == W.shape[1] else W.T)

    z, a = {}, {0: x}
    for l in layers:  # eq. 1
        z[l] = a[l - 1] @ theta[f"W{l}"] + (0 if slip("b", l) else theta[f"b{l}"])
        a[l] = z[l] if slip("s", l) else s.value(z[l])

    scale = 1 if slip("1/n") else 1 / n**2 if slip("1/n twice") else 1 / n
    if loss.name == "squared_error":
        scale /= (2 if slip("2") else 1) * (y.shape[1] if slip("1/d") else 1)
    target = 0 * y if slip("y") else y
    slope = z[L] - target if slip("softmax") and loss.name == "cross_entropy" else loss.gradient(z[L], target)
    delta, da, dW, db = {L: slope * (-scale if slip("y - z") else scale)}, {}, {}, {}  # eq. 2
    for l in reversed(layers):
        dW[l] = (z[l - 1] if slip("z for a", l) and l > 1 else a[l - 1]).T @ delta[l]  # eq. 3
        db[l] = delta[l].sum(0, keepdims=True) / (n if slip("db mean", l) else 1)
        if l > 1:
            m = l - 1
            s1 = s.first(a[m], s.value(a[m])) if slip("s'(a)", m) else a[m] if slip("s for s'", m) else s.first(z[m], a[m])
            da[m] = back(delta[l], theta[f"W{l}"], "W", l)
            delta[m] = da[m] * (1 if slip("s'", m) else s1)  # eq. 4
    quantities = {"z": z, "a": a, "delta": delta, "da": da, "dW": dW, "db": db}
    whole = {"loss": loss.value(z[L], y).sum() * scale, "gradient": _named(dW, db)}
    if v is None:
        return _by_name(quantities) | whole

    Rz, Ra = {}, {0: 0 * x}
    for l in layers:  # eq. 5
        Rz[l] = (0 if slip("Ra W", l) else Ra[l - 1] @ theta[f"W{l}"]) + (0 if slip("a V", l) else a[l - 1] @ v[f"W{l}"])
        Rz[l] = Rz[l] + (0 if slip("c", l) else v[f"b{l}"]) + 0 * z[l]
        Ra[l] = Rz[l] * (1 if slip("s' of Ra", l) else s.first(z[l], a[l]))
    p_times_r = slip("p sum") and loss.name == "cross_entropy"
    bend = Rz[L] if slip("d2l") else softmax(z[L]) * Rz[L] if p_times_r else loss.hvp(z[L], y, Rz[L])
    Rdelta, Rda, RdW, Rdb = {L: bend * scale * (n if slip("R 1/n") else 1)}, {}, {}, {}  # eq. 6
    for l in reversed(layers):
        RdW[l] = 0 * dW[l] + (0 if slip("a RD", l) else a[l - 1].T @ Rdelta[l])  # eq. 7
        RdW[l] = RdW[l] + (0 if slip("Ra D", l) else Ra[l - 1].T @ delta[l])
        Rdb[l] = Rdelta[l].sum(0, keepdims=True) / (n if slip("db mean", l) else 1)
        if l > 1:  # eq. 8
            m = l - 1
            through_W, through_V = back(Rdelta[l], theta[f"W{l}"], "W", l), back(delta[l], v[f"W{l}"], "V", l)
            Rda[m] = 0 * a[m] + (0 if slip("RD W", l) else through_W) + (0 if slip("D V", l) else through_V)
            s2 = s.first(z[m], a[m]) if slip("s' for s''", m) else s.second(z[m], a[m])
            bend = (through_W if slip("RD for D", m) else da[m]) * s2 * (1 if slip("Rz of 8", m) else Rz[m])
            Rdelta[m] = Rda[m] * (1 if slip("s' of 8", m) else s.first(z[m], a[m])) + (0 if slip("s''", m) else bend)
    quantities |= {"Rz": Rz, "Ra": Ra, "Rdelta": Rdelta, "Rda": Rda, "RdW": RdW, "Rdb": Rdb}
    return _by_name(quantities) | whole | {"hvp": _named(RdW, Rdb)}


def one_mistake(name: str, *problem: Any) -> Iterator[tuple[str, Any]]:
    """(sentence, value of the quantity `name`) for each mistake made everywhere, then at each layer alone."""
    for at in (None, *range(1, problem[0].depth + 1)):
        for key, sentence in MISTAKES.items():
            yield sentence, sweep(*problem, [key], at)[name]


def two_mistakes(name: str, *problem: Any) -> Iterator[tuple[str, Any]]:
    """The same for every two mistakes."""
    for both in combinations(MISTAKES, 2):
        yield "; and ".join(MISTAKES[key] for key in both), sweep(*problem, both)[name]


def _by_name(quantities: dict[str, dict[int, np.ndarray]]) -> dict[str, Any]:
    return {f"{name}[{l}]": array for name, of_layer in quantities.items() for l, array in of_layer.items()}


def _named(W: dict[int, np.ndarray], b: dict[int, np.ndarray]) -> Parameters:
    return Parameters({name: array for l in sorted(W) for name, array in ((f"W{l}", W[l]), (f"b{l}", b[l]))})
