"""The checks of lesson 02: the gradient of a network, eqs. 2-4, one line after another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from exercises.answers import judge_derived, refuse, several
from tinymaml.check import Derivation, Problem
from tinymaml.check.compare import close
from tinymaml.losses import softmax


def setting(rng: np.random.Generator, widths: tuple[int, ...], loss: str = "squared_error") -> tuple[Derivation, Any]:
    """A random tanh network on five examples, its derivation, and what the library sees there."""
    problem = Problem(widths=widths, loss=loss, shots=5, seed=int(rng.integers(2**31)))
    x, y = problem.batch.x_support[0], problem.batch.y_support[0]
    return Derivation(problem.model, problem.theta, x, y), problem.model.at(problem.theta, x, y)


def _last_D(answer: Callable, rng: np.random.Generator) -> None:
    for d in (3, 1):
        derivation, here = setting(rng, (2, 4, d))
        judge_derived(derivation, "D[2]", answer(here.z[2], here.y))


def _back_through(answer: Callable, rng: np.random.Generator) -> None:
    derivation, here = setting(rng, (2, 3, 3, 2))
    for l in (2, 3):  # the square W_2 first: there a lost transpose gives numbers, and is named
        D, W, z, s1 = here.D[l], here.theta[f"W{l}"], here.z[l - 1], here.s1[l - 1]
        known = [("tanh is missing in s': it is 1 - tanh(z)^2, not 1 - z^2 (eq. 4)", D @ W.T * (1 - z**2))]
        if l == 2:
            known += [
                ("s' comes after W^T, not before: it belongs to layer l-1 (eq. 4)", (D * s1) @ W.T),
                ("W is not transposed in eq. 4; and s' is missing in eq. 4", D @ W),
                ("W is not transposed in eq. 4; and tanh is missing in s'", D @ W * (1 - z**2)),
            ]
        judge_derived(derivation, f"D[{l - 1}]", answer(D, W, z), known)


def _weight_and_bias(answer: Callable, rng: np.random.Generator) -> None:
    derivation, here = setting(rng, (2, 3, 3, 2))
    for l in (3, 2):
        a, D = here.a[l - 1], here.D[l]
        dW, db = several(answer(a, D), "dW", "db")
        if np.shape(dW) == (len(a), *here.theta[f"W{l}"].shape):
            shapes = f"the answer has shape {np.shape(dW)}, expected {dW.shape[1:]}"
            refuse(f"dW[{l}]", f"{shapes}: it holds one matrix for each example: sum them (a.T @ D does)")
        sums = "is the sum over the examples, not the mean: 1/n is in D already (eq. 3)"
        judge_derived(derivation, f"dW[{l}]", dW, [(f"dW {sums}", a.T @ D / len(a))])
        _axis(f"db[{l}]", db, D)
        judge_derived(derivation, f"db[{l}]", db, [(f"db {sums}", D.mean(0, keepdims=True))])


def _axis(name: str, db: Any, D: np.ndarray) -> None:
    """`WrongAnswer` for a bias gradient that is a sum over the units, or over everything."""
    n, d = D.shape
    over_units, over_all = D.sum(1), D.sum()
    sentence = ""
    if np.size(db) == n and close(np.ravel(db), over_units):
        sentence = f"it is summed over the units (axis 1), expected over the {n} examples (axis 0)"
    elif np.size(db) == 1 and close(np.ravel(db), np.ravel(over_all)):
        sentence = "it is summed over examples and units: a bias gradient has one number for each unit, so sum over axis 0 only"
    if sentence:
        refuse(name, f"the answer has shape {np.shape(db)}, expected {(1, d)}: {sentence}")


def _cross_entropy_D(answer: Callable, rng: np.random.Generator) -> None:
    derivation, here = setting(rng, (2, 4, 3), loss="cross_entropy")
    z, y = here.z[2], here.y
    p, columns, block = softmax(z), softmax(z.T).T, np.exp(z) / np.exp(z).sum()
    known = [
        ("the softmax goes over the wrong axis: the classes of one example are a row (eq. 10)", (columns - y) / len(z)),
        ("the softmax is over all numbers at once: each example, a row, has its own (eq. 10)", (block - y) / len(z)),
        ("this is dL/dp: one more factor, dp/dz, leads to the logits (eq. 10)", -y / p / len(z)),
        ("a factor 2 is too many: it belongs to the squared error (eq. 9)", 2 * (p - y) / len(z)),
        ("the logarithm does not belong here: eq. 10 has p, not log p", (np.log(p) - y) / len(z)),
    ]
    judge_derived(derivation, "D[2]", answer(z, y), known)


CHECKS = {"2.1": _last_D, "2.2": _back_through, "2.3": _weight_and_bias, "2.4": _cross_entropy_D}
