"""Checks of lesson 04: the R-operator, eqs. 5-8, and which checks see what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from exercises.answers import judge_derived, refuse
from tinymaml import MLP
from tinymaml.check import Derivation, mistakes

WIDTHS = (2, 3, 3, 3)  # square matrices, so that a lost transpose has numbers to be known by


def problem(rng: np.random.Generator, activation: str = "tanh") -> Derivation:
    """A small network with 5 examples and a direction, every intermediate derivative known."""
    model = MLP(WIDTHS, activation=activation)
    normal = lambda array: rng.standard_normal(array.shape)
    theta = model.init(rng).map(lambda array: array + 0.3 * normal(array))
    x, y = rng.standard_normal((5, WIDTHS[0])), rng.standard_normal((5, WIDTHS[-1]))
    return Derivation(model, theta, x, y, v=theta.map(normal))


def forward_sweep(answer: Callable, rng: np.random.Generator) -> None:
    """4.1: Rz and Ra of every layer, eq. 5."""
    derivation = problem(rng)
    here, L, theta, v = _here(derivation), derivation.model.depth, derivation.theta, derivation.v
    mine = answer(here, v)
    if not (isinstance(mine, tuple) and len(mine) == 2 and all(isinstance(part, Mapping) for part in mine)):
        refuse("Rz, Ra", f"the answer is a {type(mine).__name__}, expected two dictionaries: return Rz, Ra")
    Rz, Ra = mine
    for what, got, wanted in (("Rz", Rz, range(1, L + 1)), ("Ra", Ra, range(1, L))):
        lost = [l for l in wanted if l not in got]
        if lost:
            refuse(what, f"it has the layers {sorted(got)}, expected {list(wanted)}: {what}[{lost[0]}] is missing")
    true_Ra = {0: 0 * here.x} | {l: derivation.reference(f"Ra[{l}]") for l in range(1, L)}
    for l in range(1, L + 1):
        W, V, c = theta[f"W{l}"], v[f"W{l}"], v[f"b{l}"]
        z_for_a = here.z[l - 1] if l > 1 else here.x
        judge_derived(derivation, f"Rz[{l}]", Rz[l], [
            (f"theta's bias b_{l} stands where its direction c_{l} belongs (eq. 5)", true_Ra[l - 1] @ W + here.a[l - 1] @ V
             + theta[f"b{l}"]),
            ("z stands where a belongs in the term a V (eq. 5)", true_Ra[l - 1] @ W + z_for_a @ V + c),
            ("W stands where V belongs: the term is a V (eq. 5)", true_Ra[l - 1] @ W + here.a[l - 1] @ W + c),
            ("V stands where W belongs: the term is Ra W (eq. 5)", true_Ra[l - 1] @ V + here.a[l - 1] @ V + c),
        ])  # fmt: skip
        if l < L:
            true_Rz = derivation.reference(f"Rz[{l}]")
            judge_derived(derivation, f"Ra[{l}]", Ra[l], [
                ("s'' stands where s' belongs in Ra (eq. 5)", here.s2[l] * true_Rz),
                ("this is s(Rz): Ra is s'(z) * Rz (eq. 5)", np.tanh(true_Rz)),
                ("s' is taken at Rz, not at z (eq. 5)", (1 - np.tanh(true_Rz) ** 2) * true_Rz),
            ])  # fmt: skip


def one_layer_back(answer: Callable, rng: np.random.Generator) -> None:
    """4.2: RD_{l-1} from RD_l, eq. 8 with its three terms."""
    derivation = problem(rng)
    here, L = _here(derivation), derivation.model.depth
    Rz, true_RD = _all(derivation, "Rz"), _all(derivation, "RD")
    for l in range(L, 1, -1):
        mine = answer(here, derivation.v, dict(Rz), {k: true_RD[k] for k in range(l, L + 1)}, l)
        W, V, D, RD, r = derivation.theta[f"W{l}"], derivation.v[f"W{l}"], here.D[l], true_RD[l], Rz[l - 1]
        s1, s2 = here.s1[l - 1], here.s2[l - 1]
        bend = (D @ W.T) * s2 * r
        judge_derived(derivation, f"RD[{l - 1}]", mine, [
            ("s' multiplies one of the two terms only: it needs brackets, (RD W^T + D V^T) * s' (eq. 8)",
             RD @ W.T + (D @ V.T) * s1 + bend),
            ("s' multiplies one of the two terms only: it needs brackets, (RD W^T + D V^T) * s' (eq. 8)",
             (RD @ W.T) * s1 + D @ V.T + bend),
            ("W is not transposed in eq. 8", (RD @ W + D @ V.T) * s1 + bend),
            ("W is not transposed in eq. 8", (RD @ W.T + D @ V.T) * s1 + (D @ W) * s2 * r),
            ("W is not transposed in eq. 8", (RD @ W + D @ V.T) * s1 + (D @ W) * s2 * r),
            ("the factor D W^T is missing beside s'' (eq. 8)", (RD @ W.T + D @ V.T) * s1 + s2 * r),
            ("s'' Rz stands beside D V^T: it belongs to D W^T (eq. 8)", (RD @ W.T + D @ V.T) * s1 + (D @ V.T) * s2 * r),
            ("Ra stands where Rz belongs beside s'' (eq. 8)", (RD @ W.T + D @ V.T) * s1 + bend * s1),
            ("V stands where W belongs: the first term is RD W^T (eq. 8)", (RD @ V.T + D @ V.T) * s1 + bend),
            ("W stands where V belongs: the second term is D V^T (eq. 8)", (RD @ W.T + D @ W.T) * s1 + bend),
            ("s' is missing, and so is s'': R acts on D W^T only (eq. 8)", RD @ W.T + D @ V.T),
            ("this is RD W^T alone: s' and two terms of eq. 8 are missing", RD @ W.T),
            ("this is the s'' term alone: eq. 8 has two more", bend),
            ("s'' is missing, and so is the V-term: this is eq. 4 with RD for D", (RD @ W.T) * s1),
        ])  # fmt: skip


def r_gradient(answer: Callable, rng: np.random.Generator) -> None:
    """4.3: R of the gradient, eq. 7 at every layer: the Hessian-vector product."""
    derivation = problem(rng)
    here, L, theta = _here(derivation), derivation.model.depth, derivation.theta
    Ra, true_RD = {0: np.zeros_like(here.x), **_all(derivation, "Ra")}, _all(derivation, "RD")
    mine = answer(here, dict(Ra), dict(true_RD))
    if not isinstance(mine, Mapping):
        refuse("hvp", f"the answer is a {type(mine).__name__}, expected Parameters or a dict with {', '.join(theta)}")
    lost = [name for name in theta if name not in mine]
    if lost:
        holds = ", ".join(map(str, mine)) or "nothing"
        refuse("hvp", f"the answer holds {holds}, expected {', '.join(theta)}: {lost[0]} is missing")
    for l in range(L, 0, -1):
        a, D, RD = here.a[l - 1], here.D[l], true_RD[l]
        judge_derived(derivation, f"RdW[{l}]", mine[f"W{l}"], [
            ("both factors move at once, Ra^T RD: by the product rule one moves at a time (eq. 7)", Ra[l - 1].T @ RD),
            ("both factors move at once, Ra^T RD: by the product rule one moves at a time (eq. 7)", a.T @ RD + Ra[l - 1].T @ RD),
            ("this is the gradient plus a^T RD: the second term is Ra^T D (eq. 7)", a.T @ RD + a.T @ D),
            ("the term Ra^T D has the wrong sign: eq. 7 adds it", a.T @ RD - Ra[l - 1].T @ D),
            ("it is divided by n once more: 1/n is in D and RD already (eqs. 2 and 6)", (a.T @ RD + Ra[l - 1].T @ D) / here.n),
        ])  # fmt: skip
        judge_derived(derivation, f"Rdb[{l}]", mine[f"b{l}"], [
            ("it is the mean over the examples: Rdb is the sum, 1/n is in RD already (eq. 7)", RD.mean(0, keepdims=True)),
        ])  # fmt: skip
    judge_derived(derivation, "hvp", mine)


BUGS = {  # what a student's check is shown, by its key in `mistakes.MISTAKES`
    "s''": "it lets pass a product whose s'' term in eq. 8 is lost: compare Hv with the gradient's own change",
    "D V": "it lets pass a product whose V-term in eq. 8 is lost",
    "Ra D": "it lets pass a product whose term Ra^T D in eq. 7 is lost",
    "R 1/n": "it lets pass a product in which 1/n is lost in eq. 6",
}


def judge_of_products(answer: Callable, rng: np.random.Generator) -> None:
    """4.4: a function that tells right Hessian-vector products from wrong ones."""
    for activation in ("tanh", "relu"):
        for _ in range(5):
            derivation = problem(rng, activation)
            asked = (derivation.model, derivation.theta, derivation.x, derivation.y, derivation.v)
            if not _verdict(answer(*asked, derivation.model.at(*asked[1:4]).hvp(derivation.v))):
                refuse(
                    "the check",
                    f"it refuses a right product, on a {activation} network: is the tolerance below rounding (about 1e-15), "
                    "the step of a difference too long, or the comparison turned around?",
                )
    print("right products                accepted, 10 of 10")
    passed = []
    for bug in BUGS:
        asked = [(d.model, d.theta, d.x, d.y, d.v) for d in (problem(rng) for _ in range(10))]
        wrong = lambda model, theta, x, y, v, bug=bug: mistakes.made(model, [bug]).at(theta, x, y).hvp(v)
        seen = sum(not _verdict(answer(*one, wrong(*one))) for one in asked)
        print(f"products without {bug:<12} refused, {seen} of 10")
        passed += [bug] if seen < 10 else []
    if len(passed) == len(BUGS):
        told = "it must return False when Hv is not the change of the gradient along v"
        refuse("the check", f"it lets every wrong product pass: {told}")
    if passed:
        refuse("the check", BUGS[passed[0]])


def _verdict(said: Any) -> bool:
    if not isinstance(said, (bool, np.bool_)):
        refuse("the check", f"the answer is {said!r}, expected True or False: return relative_error(...) < tolerance")
    return bool(said)


def _here(derivation: Derivation) -> Any:
    return derivation.model.at(derivation.theta, derivation.x, derivation.y)


def _all(derivation: Derivation, kind: str) -> dict[int, np.ndarray]:
    """The true values of one quantity at all layers."""
    layers = range(1, derivation.model.depth + (kind != "Ra"))
    return {l: derivation.reference(f"{kind}[{l}]") for l in layers}


CHECKS = {"4.1": forward_sweep, "4.2": one_layer_back, "4.3": r_gradient, "4.4": judge_of_products}
