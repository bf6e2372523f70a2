"""The exercises of lesson 04: the R-operator, eqs. 5-8, and a check of Hessian-vector products."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any
from unittest.mock import patch

import numpy as np

from exercises.exercise import ByHand, Exercise, Parts
from exercises.guard import refuse
from tinymaml import MLP, Parameters
from tinymaml.check import Derivation, WrongAnswer, mistakes


def problem(
    rng: np.random.Generator, widths: Sequence[int], activation: str, loss: str = "squared_error", n: int = 5
) -> Derivation:
    """A small network with n examples and a direction v."""
    model = MLP(list(widths), activation=activation, loss=loss)
    normal = lambda array: rng.standard_normal(array.shape)
    theta = model.init(rng).map(lambda array: array + 0.3 * normal(array))
    x, y = rng.standard_normal((n, widths[0])), rng.standard_normal((n, widths[-1]))
    if loss == "cross_entropy":
        y = np.eye(widths[-1])[rng.integers(widths[-1], size=n)]
    return Derivation(model, theta, x, y, v=theta.map(normal))


def surface(d: Derivation) -> Any:
    here = d.model.at(d.theta, d.x, d.y)
    _ = here.gradient  # with every D, so that a change of one in place is seen
    return here


def seen(rng: np.random.Generator) -> list[tuple]:
    """(here, v, here along v) of networks: a square one first, in which a lost transpose has numbers to be known by."""
    kinds = ((3, 3, 3, 3), "tanh", 5), ((2, 4, 1), "sigmoid", 4), ((1, 2, 3), "softplus", 1)
    problems = [problem(rng, widths, activation, n=n) for widths, activation, n in kinds]
    return [(surface(d), d.v, surface(d).along(d.v)) for d in problems]


class Layers(Exercise):
    """With a sentence about a layer that was asked for in vain; Ra[0] = 0 may be missing, and Rz[0] may be there.

    Rz and Ra come in the order in which they are computed, layer by layer.
    """

    def parts(self, answer: Callable, case: tuple, wanted: Parts | None = None) -> Parts:
        here = case[0]
        try:
            found = super().parts(answer, case, wanted)
        except WrongAnswer as wrong:
            key = wrong.__cause__.args[0] if isinstance(wrong.__cause__, KeyError) else None
            if isinstance(key, int | np.integer):
                top = here.depth
                has = f"a has the layers 0 to {top - 1}, s1 and s2 have 1 to {top - 1}, z and D have 1 to {top}"
                refuse("the answer", f"it asks for layer [{key}] of something that has none: {has}")
            raise
        found.pop("Rz[0]", None)
        if "Rz[1]" not in found:
            return found
        found = {**found, "Ra[0]": found.get("Ra[0]", 0 * here.x)}
        layer = lambda name: (int(name[3:-1]), name[:2] == "Ra") if name[2:3] == "[" else (0, False)
        return {name: found[name] for name in sorted(found, key=layer)}


FORWARD = Layers(
    """def forward_r(here, v):
    Rz, Ra = {}, {0: np.zeros_like(here.x)}
    for l in range(1, here.depth + 1):
        Rz[l] = Ra[l - 1] @ here.theta[f"W{l}"] + here.a[l - 1] @ v[f"W{l}"] + v[f"b{l}"]
        if l < here.depth:
            Ra[l] = here.s1[l] * Rz[l]
    return Rz, Ra
""",
    lambda rng: [(here, v) for here, v, _ in seen(rng)],
    ("Rz", "Ra"),
    (
        ('Ra[l - 1] @ here.theta[f"W{l}"] + ', "", "the term Ra W of eq. 5 is missing, or is zero in every layer"),
        (' + here.a[l - 1] @ v[f"W{l}"]', "", "the term a V of eq. 5 is missing"),
        (' + v[f"b{l}"]', "", "the term c of eq. 5 is missing"),
        (' + v[f"b{l}"]', ' + (l == 1) * v[f"b{l}"]', "the term c is added in the first layer only: eq. 5 has it in each"),
        (' + v[f"b{l}"]', ' + (l == here.depth) * v[f"b{l}"]', "the term c is added in the last layer only: eq. 5 has it in each"),
        (' + v[f"b{l}"]', ' + v[f"b{l}"] / here.n', "the term c is divided by n: eq. 5 has c itself"),
        (' + v[f"b{l}"]', ' + Ra[l - 1] @ v[f"W{l}"] + v[f"b{l}"]',
         "a third term, Ra V, is added: by the product rule one factor moves at a time (eq. 5)"),
        ("Ra[l - 1] @ here", "2 * Ra[l - 1] @ here", "the term Ra W comes twice: eq. 5 has it once"),
        ('v[f"b{l}"]', 'here.theta[f"b{l}"]', "theta's bias b is added: it moves at the speed c (eq. 5)"),
        ('v[f"W{l}"]', 'here.theta[f"W{l}"]', "a is multiplied by W: eq. 5 has a V"),
        ('here.theta[f"W{l}"]', 'v[f"W{l}"]', "Ra is multiplied by V: eq. 5 has Ra W"),
        ('here.theta[f"W{l}"] + here.a[l - 1] @ v[f"W{l}"]', 'v[f"W{l}"] + here.a[l - 1] @ here.theta[f"W{l}"]',
         "W and V are swapped, or a and Ra: eq. 5 has Ra W + a V"),
        ('here.a[l - 1] @ v[f"W{l}"]', 'here.z.get(l - 1, here.x) @ v[f"W{l}"]', "z is multiplied by V: eq. 5 has a V"),
        ('here.a[l - 1] @ v[f"W{l}"]', 'here.x @ v[f"W{l}"]',
         "x is multiplied by V in every layer: eq. 5 has a V, with the a of the layer below"),
        (" + here.a", " - here.a", "the term a V has the wrong sign: eq. 5 adds it"),
        ('here.theta[f"W{l}"]', 'here.theta[f"W{l}"].T', "W is transposed: eq. 5 has Ra W"),
        (' v[f"W{l}"]', ' v[f"W{l}"].T', "V is transposed: eq. 5 has a V"),
        ('Ra[l - 1] @ here.theta[f"W{l}"] + here.a[l - 1] @ v[f"W{l}"] + v[f"b{l}"]', "here.z[l]", "this is z, not its speed (eq. 5)"),
        ('Ra[l - 1] @ here.theta[f"W{l}"]', '(Ra[l - 1] if l > 1 else here.x) @ here.theta[f"W{l}"]',
         "x W is added in the first layer, as if Ra_0 were x: data do not move, Ra_0 = 0 (eq. 5)"),
        ("{0: np.zeros_like(here.x)}", "{0: here.x}", "Ra_0 is x: data do not move, Ra_0 = 0 (eq. 5)"),
        ("here.s1[l] * ", "", "s' is missing in Ra (eq. 5)"),
        ('Ra[l - 1] @ here.theta[f"W{l}"]', 'here.a[l - 1] @ here.theta[f"W{l}"]', "the first term is a W: eq. 5 has Ra W"),
        ('Ra[l - 1] @ here.theta[f"W{l}"]', 'Rz.get(l - 1, Ra[0]) @ here.theta[f"W{l}"]', "Rz is multiplied by W: eq. 5 has Ra W"),
        ('here.a[l - 1] @ v[f"W{l}"]', 'Ra[l - 1] @ v[f"W{l}"]', "Ra is multiplied by V: eq. 5 has a V"),
        ("here.s1[l] * Rz[l]", "here.s1[l] * here.z[l]", "s' is multiplied by z: eq. 5 has s'(z) * Rz"),
        (" * Rz[l]", "", "the factor Rz is missing in Ra: it is s'(z) * Rz (eq. 5)"),
        ("here.s1[l]", "here.s2[l]", "Ra has s'': it is s'(z) * Rz (eq. 5)"),
        ("here.s1[l]", "here.a[l]", "Ra has a in place of s': it is s'(z) * Rz (eq. 5)"),
        ("here.s1[l]", "(here.z[l] > 0)", "s' is 1 where z > 0, else 0, which is true of the relu only: here.s1 has it for all"),
        ("here.s1[l] * Rz[l]", "np.tanh(Rz[l])", "this is s(Rz), with tanh: Ra is s'(z) * Rz (eq. 5)"),
        ("here.s1[l]", "(1 - np.tanh(Rz[l]) ** 2)", "s' is taken at Rz, not at z (eq. 5)"),
        ("here.s1[l]", "(1 - np.tanh(here.z[l]) ** 2)", "s' is written as 1 - tanh(z)^2, for tanh only: here.s1 has it for all"),
        ("here.s1[l]", "(1 - here.a[l] ** 2)", "s' is written as 1 - a^2, which is true of tanh only: here.s1 has it for all"),
        ("here.s1[l]", "here.s1[max(l - 1, 1)]", "s' is that of the layer below: Ra_l has s'(z_l) (eq. 5)"),
        ("return Rz, Ra", "return Ra, Rz", "the two are swapped: return Rz, Ra, in this order"),
    ),
)  # fmt: skip

BACK = Layers(
    """def back_r(here, v, Rz, RD, l):
    W, V, D = here.theta[f"W{l}"], v[f"W{l}"], here.D
    two_factors = (RD[l] @ W.T + D[l] @ V.T) * here.s1[l - 1]
    return two_factors + (D[l] @ W.T) * here.s2[l - 1] * Rz[l - 1]
""",
    lambda rng: [(here, v, dict(moving.Rz), {k: moving.RD[k] for k in range(l, here.depth + 1)}, l)
                 for here, v, moving in seen(rng) for l in range(here.depth, 1, -1)],
    ("RD",),
    (
        (" + (D[l] @ W.T) * here.s2[l - 1] * Rz[l - 1]", "", "the s'' term of eq. 8 is missing"),
        (" + D[l] @ V.T", "", "the term (D V^T) s' of eq. 8 is missing"),
        ("RD[l] @ W.T + ", "", "the term (RD W^T) s' of eq. 8 is missing"),
        ("two_factors + ", "", "this is the term (D W^T) s'' Rz alone: two terms of eq. 8 are missing"),
        ("two_factors + (D[l] @ W.T) * here.s2[l - 1] * Rz[l - 1]", "RD[l] @ W.T", "this is RD W^T alone: s' and two terms of eq. 8 are missing"),
        (" * here.s1[l - 1]", "", "s' is missing in eq. 8"),
        ("(RD[l] @ W.T + D[l] @ V.T)", "RD[l] @ W.T + D[l] @ V.T",
         "RD W^T is not multiplied by s': put the sum in brackets, (RD W^T + D V^T) * s' (eq. 8)"),
        ("(RD[l] @ W.T + D[l] @ V.T) * here.s1[l - 1]", "RD[l] @ W.T * here.s1[l - 1] + D[l] @ V.T",
         "D V^T is not multiplied by s': put the sum in brackets, (RD W^T + D V^T) * s' (eq. 8)"),
        ("here.s2[l - 1]", "here.s1[l - 1]", "the last term has s': eq. 8 has s'' there"),
        (" * Rz[l - 1]", "", "the factor Rz is missing in the s'' term of eq. 8"),
        (" * Rz[l - 1]", " * here.z[l - 1]", "the s'' term has z: eq. 8 has Rz there"),
        (" * Rz[l - 1]", " * Rz[l]", "the s'' term has Rz of layer l: eq. 8 has Rz_{l-1}"),
        ("here.s1[l - 1]\n    return two_factors + (D[l] @ W.T) * here.s2", "here.s2[l - 1]\n    return two_factors + (D[l] @ W.T) * here.s1",
         "s' and s'' are swapped (eq. 8)"),
        ("(D[l] @ W.T) * here.s2", "here.s2", "the factor D W^T is missing in the s'' term of eq. 8"),
        ("(D[l] @ W.T) * here.s2", "(RD[l] @ W.T) * here.s2", "the s'' term has RD W^T: eq. 8 has D W^T there"),
        ("(D[l] @ W.T) * here.s2", "(D[l] @ V.T) * here.s2", "the s'' term has D V^T: eq. 8 has D W^T there"),
        ("* here.s2[l - 1]", "* here.s1[l - 1] * here.s2[l - 1]",
         "the s'' term has a factor s' too many, by itself or in Ra or in D_{l-1}: it is (D W^T) * s'' * Rz (eq. 8)"),
        ("here.s2[l - 1]", "2 * here.s2[l - 1]", "the s'' term has a factor 2 too many (eq. 8)"),
        ("here.s2[l - 1]", "0.5 * here.s2[l - 1]", "the s'' term has a factor 1/2: eq. 8 has none"),
        ("two_factors + ", "two_factors - ", "the s'' term has the wrong sign: eq. 8 adds it"),
        ("+ D[l]", "- D[l]", "the term (D V^T) s' has the wrong sign: eq. 8 adds it"),
        ("+ D[l]", "+ 2 * D[l]", "the term (D V^T) s' comes twice: eq. 8 has it once"),
        ("RD[l] @ W.T + D[l] @ V.T", "2 * RD[l] @ W.T", "the term (RD W^T) s' comes twice, and (D V^T) s' is missing (eq. 8)"),
        ("D[l] @ V.T", "RD[l] @ V.T", "the second term has RD V^T: eq. 8 has D V^T"),
        ("D[l] @ V.T", "D[l] @ W.T", "the second term has D W^T: eq. 8 has D V^T"),
        ("RD[l] @ W.T", "RD[l] @ V.T", "the first term has RD V^T: eq. 8 has RD W^T"),
        ("RD[l] @ W.T", "D[l] @ W.T", "the first term has D W^T: eq. 8 has RD W^T"),
        ("RD[l] @ W.T + D[l] @ V.T", "RD[l] @ V.T + D[l] @ W.T", "W and V are swapped, or D and RD: eq. 8 has RD W^T + D V^T"),
        ("RD[l] @ W.T", "RD[here.depth] @ W.T", "RD is that of the last layer, whatever l is: eq. 8 has RD_l"),
        ("W.T", "W", "W is not transposed in eq. 8"),
        ("V.T", "V", "V is not transposed in eq. 8"),
        ("here.s1[l - 1]", "(1 - here.a[l - 1] ** 2)", "s' is written for tanh, as a function of a: here.s1 has it for all"),
        ("here.s2[l - 1]", "(-2 * here.a[l - 1] * (1 - here.a[l - 1] ** 2))",
         "s'' is written for tanh, as a function of a: here.s2 has it for all"),
        ("here.s2[l - 1]", "(-2 * here.a[l - 1] * here.s1[l - 1])",
         "s'' is written as -2 a s', which is true of tanh only: here.s2 has it for all"),
    ),
)  # fmt: skip

R_GRADIENT = Layers(
    """def r_gradient(here, Ra, RD):
    Hv = {}
    for l in range(1, here.depth + 1):
        Hv[f"W{l}"] = here.a[l - 1].T @ RD[l] + Ra[l - 1].T @ here.D[l]
        Hv[f"b{l}"] = RD[l].sum(0, keepdims=True)
    return Hv
""",
    lambda rng: [(here, {0: 0 * here.x, **moving.Ra}, dict(moving.RD)) for here, _, moving in seen(rng)],
    ("Hv",),
    (
        (" + Ra[l - 1].T @ here.D[l]", "", "the term Ra^T D of eq. 7 is missing"),
        ("here.a[l - 1].T @ RD[l] + ", "", "the term a^T RD of eq. 7 is missing"),
        ("here.a[l - 1].T @ RD[l] + Ra[l - 1].T @ here.D[l]", "Ra[l - 1].T @ RD[l]",
         "both factors move at once, Ra^T RD: by the product rule one moves at a time (eq. 7)"),
        ("@ here.D[l]", "@ RD[l]", "both factors move in the second term: by the product rule it is Ra^T D (eq. 7)"),
        ("here.a[l - 1].T @ RD[l] + Ra", "Ra[l - 1].T @ RD[l] + Ra",
         "both factors move in the first term: by the product rule it is a^T RD (eq. 7)"),
        ("here.a[l - 1].T @ RD[l] + Ra[l - 1].T @ here.D[l]", "here.a[l - 1].T @ here.D[l]", "this is dW, the gradient: no factor moves (eq. 7)"),
        ("Ra[l - 1].T", "here.a[l - 1].T", "the second term is a^T D, the gradient: eq. 7 has Ra^T D"),
        ("@ RD[l]", "@ here.D[l]", "the first term is a^T D, the gradient: eq. 7 has a^T RD"),
        ("here.a[l - 1].T @ RD[l]", "here.a[l - 1].T @ (RD[l] + here.D[l])", "the gradient a^T D is added: RdW is a^T RD + Ra^T D (eq. 7)"),
        ("+ Ra", "+ Ra[l - 1].T @ RD[l] + Ra", "a third term, Ra^T RD, is added: by the product rule one factor moves at a time (eq. 7)"),
        ("@ RD[l] + Ra[l - 1].T @ here.D[l]", "@ here.D[l] + Ra[l - 1].T @ RD[l]",
         "D and RD are swapped, or a and Ra: eq. 7 has a^T RD + Ra^T D"),
        ("here.a[l - 1].T @ RD[l] + Ra[l - 1].T @ here.D[l]", "2 * here.a[l - 1].T @ RD[l]",
         "the term a^T RD comes twice, and Ra^T D is missing (eq. 7)"),
        ("here.a[l - 1].T @ RD[l]", "2 * here.a[l - 1].T @ RD[l]", "the term a^T RD comes twice: eq. 7 has it once"),
        ("Ra[l - 1].T @ here.D[l]", "2 * Ra[l - 1].T @ here.D[l]", "the term Ra^T D comes twice: eq. 7 has it once"),
        ("+ Ra", "- Ra", "the term Ra^T D has the wrong sign: eq. 7 adds it"),
        ("here.a[l - 1].T @ RD[l] + Ra[l - 1].T @ here.D[l]", "(here.a[l - 1].T @ RD[l] + Ra[l - 1].T @ here.D[l]) / here.n",
         "RdW is divided by n: 1/n is in D and RD already (eqs. 2, 6)"),
        ("here.a[l - 1].T @ RD[l] + Ra[l - 1].T @ here.D[l]", "(here.a[l - 1].T @ RD[l] + Ra[l - 1].T @ here.D[l]).T",
         "RdW is transposed (eq. 7)"),
        ("Ra[l - 1].T @ here.D[l]", "here.D[l].T @ Ra[l - 1]", "the term Ra^T D is transposed (eq. 7)"),
        ("here.a[l - 1].T @ RD[l]", "here.z.get(l - 1, here.x).T @ RD[l]", "z is multiplied by RD: eq. 7 has a^T RD"),
        ("RD[l].sum(0, keepdims=True)", "RD[l].mean(0, keepdims=True)",
         "the bias has the mean over the examples: Rdb is the sum, as 1/n is in RD already (eq. 7)"),
        ("RD[l].sum(0", "0 * RD[l].sum(0", "the biases have zeros: Rdb is 1^T RD (eq. 7)"),
        ("RD[l].sum(0", "here.D[l].sum(0", "this is db, the gradient: Rdb sums RD (eq. 7)"),
        ("RD[l].sum(0", "(RD[l] + here.D[l]).sum(0", "the gradient is added: Rdb is 1^T RD alone (eq. 7)"),
        ("sum(0,", "sum(1,", "the bias has the sum over the units: sum over the examples, axis 0 (eq. 7)"),
        ("sum(0, ", "sum(", "the bias has the sum over examples and units: sum over the examples only, axis 0 (eq. 7)"),
        (".sum(0, keepdims=True)", "", "the rows of RD are not added up in the bias: Rdb is their sum (eq. 7)"),
        (".sum(0, keepdims=True)", "[:1]", "the bias has the first example only: sum over all (eq. 7)"),
    ),
)  # fmt: skip

# -- 4.4: a check of products is shown right and wrong ones ---------------------------------------------------------

BUGS = {  # a term that is lost, by its key in `mistakes.MISTAKES`, and what is said of a check that does not see it
    "s''": "it lets pass a product whose s'' term in eq. 8 is lost: compare Hv with the gradient's own change",
    "D V": "it lets pass a product whose V-term in eq. 8 is lost",
    "Ra D": "it lets pass a product whose term Ra^T D in eq. 7 is lost",
    "R 1/n": "it lets pass a product in which 1/n is lost in eq. 6",
}
NETWORKS = [
    ((2, 3, 3, 3), "tanh", "squared_error", 5), ((1, 4, 1), "sigmoid", "squared_error", 3),
    ((3, 2, 4), "softplus", "cross_entropy", 6), ((2, 5, 3, 2), "relu", "squared_error", 4),
] * 2  # fmt: skip
SMALL = 1e-4  # a relative error that a check has to see, far above rounding


def judge_of_products(answer: Callable, rng: np.random.Generator) -> None:
    """4.4: a function that tells right Hessian-vector products from wrong ones."""
    problems = [problem(rng, *network) for network in NETWORKS]
    said = lambda d, Hv, model=None: _verdict(answer(model or d.model, d.theta, d.x, d.y, d.v, Hv))
    right = [(d, surface(d).hvp(d.v)) for d in problems]
    curved = [(d, Hv) for d, Hv in right if d.model.layers[1].s.curved]
    for d, Hv in right:
        if not said(d, Hv):
            why = _why_refused(answer, d, Hv, lambda product, d=d: said(d, product))
            refuse("the check", f"it refuses a right product, on a {d.model.layers[1].s.name} network{why}")
    still = _still(problems[3])
    if not said(still, 0 * still.v):
        refuse("the check", "it refuses a right product that is 0, of a network whose second layer is off: an error of 0 is not"
               " below 0 times a tolerance, so give what you multiply or divide by a floor (lesson 03)")  # fmt: skip
    for d, Hv in curved:
        if not said(d, Hv, mistakes.with_mistakes(d.model, ["s''"])):
            why = "it trusts that hvp, by itself or in u.Hv = v.Hu. Compare with the change of the gradient"
            told = "it refuses a right product of a model whose own hvp is wrong, while its gradient is right"
            refuse("the check", f"{told}: {why}")
    print(f"right products                  accepted, {len(problems) + 1} of {len(problems) + 1}")

    own = lambda d, bug: mistakes.with_mistakes(d.model, [bug]).at(d.theta, d.x, d.y).hvp(d.v)
    aside = lambda Hv, rows: Hv + _sideways(Hv, rows, rng) if len(rows) < Hv.size else -1 * Hv
    looked = [_directions(answer, d, Hv) for d, Hv in curved]
    wrong = {f"without {bug}": [own(d, bug) for d, _ in curved] for bug in BUGS}
    wrong |= {what: [alter(d, Hv, rng) for d, Hv in curved] for what, alter in ALTERED.items()}
    wrong["sideways"] = [aside(Hv, rows) for (_, Hv), rows in zip(curved, looked, strict=True)]
    likely = [(np.ones(Hv.size), d.theta.flat, surface(d).gradient.flat) for d, Hv in curved]
    more = [_basis([*rows, *units]) for rows, units in zip(looked, likely, strict=True)]
    wrong["across"] = [aside(Hv, rows) for (_, Hv), rows in zip(curved, more, strict=True)]
    count = lambda products: sum(said(d, product) for (d, _), product in zip(curved, products, strict=True))
    passed = {what: count(products) for what, products in wrong.items()}
    sees = lambda d, Hv, move: not all(said(d, Hv + sign * _as_long(Hv, move)) for sign in (1, -1))
    only = lambda Hv, name: np.concatenate([(other == name) * rng.standard_normal(Hv[other].size) for other in Hv])
    blind = [([name for name in Hv if not sees(d, Hv, only(Hv, name))], list(Hv)) for d, Hv in curved]
    d, Hv = curved[0]
    entries = zip((f"{name}{list(place)}" for name in Hv for place in np.ndindex(Hv[name].shape)), np.eye(Hv.size), strict=True)
    overlooked = [] if any(some for some, _ in blind) else [entry for entry, move in entries if not sees(d, Hv, move)]
    _explain(passed, blind, overlooked, len(curved), all(len(rows) == 2 for rows in looked))
    for what in passed:
        print(f"wrong products, {what:<14}  refused, {len(curved)} of {len(curved)}")


def _still(d: Derivation) -> Derivation:
    """A ReLU network whose second layer is off, and a direction below it, along which no gradient changes: Hv is 0."""
    theta = Parameters({name: array - 1e3 * (name == "b2") for name, array in d.theta.items()})
    return Derivation(d.model, theta, d.x, d.y, v=Parameters({name: array * (name[1] == "1") for name, array in d.v.items()}))


def _step(move: np.ndarray, v: np.ndarray) -> float | complex:
    """The number h if this move is h v; 0 if it is another one."""
    step = move @ v / (v @ v)
    return step if np.linalg.norm(move - step * v) <= 1e-6 * np.linalg.norm(move) else 0.0


def _why_refused(answer: Callable, d: Derivation, Hv: Parameters, said: Callable) -> str:
    """Why a right product is refused: what is accepted in its place, of the wrong things that students compare with."""
    gradient = lambda step: d.model.at(d.theta + step * d.v, d.x, d.y).gradient
    slope, watched = gradient(0).dot(d.v), Watched(d.model, d.theta)
    with suppress(WrongAnswer):  # as in _directions
        answer(watched, d.theta, d.x, d.y, d.v, Hv)
        if not watched.moves:
            return ", and never calls model.at: compare Hv with a derivative of the gradient"
    steps = [step for move in watched.moves if (step := _step(move, d.v.flat))]
    changes = [(step, gradient(step).map(np.imag if step.imag else np.real)) for step in steps]
    changes = [(abs(step), change if step.imag else change - gradient(0)) for step, change in changes]
    changes += [(2 * abs(step.real), (gradient(step) - gradient(-step)).map(np.real)) for step in steps if step.real]
    reasons = [
        *([(3 * Hv, "wrong ones: the comparison is turned around")] if said(-1 * Hv) else []),
        (-1 * Hv, "-Hv: the sign is wrong"),
        (gradient(0), "the gradient: Hv is how the gradient changes along v"),
        (Hv.map(lambda array: 0 * array + slope), "the derivative of the loss along v in every place: Hv is that of the gradient"),
        (surface(d).hvp(d.theta), "H theta: the direction is v, not theta"),
        *((change, "the change of the gradient over the step: divide it by the step h") for _, change in changes),
        ((1 / np.linalg.norm(d.v.flat)) * Hv, "Hv / |v|: take v as it is, not scaled to length one"),
        (2 * Hv, "2 Hv: a factor 2 is too many"), (0.5 * Hv, "Hv / 2: a factor 1/2 is too many"),
        *((change.map(lambda array, h=h: array / h), "its own derivative: the error of that is larger than the tolerance")
          for h, change in changes),
    ]  # fmt: skip
    told = next((sentence for product, sentence in reasons if said(product)), "")
    if told:
        return f", and accepts {told}"
    return (", and accepts none of the wrong ones: is the tolerance too tight for the method (rounding is about 1e-15, "
            "the error of a difference far larger), is `.imag` missing, or is theta another point?")  # fmt: skip


ALTERED = {  # wrong products from a right one
    "turned round": lambda d, Hv, rng: -1 * Hv,
    "twice as long": lambda d, Hv, rng: 2 * Hv,
    "too small": lambda d, Hv, rng: Hv.map(lambda array: array - 1),
    "too large": lambda d, Hv, rng: Hv.map(lambda array: array + 1),
    "out of order": lambda d, Hv, rng: Hv.map(lambda array: array.ravel()[::-1].reshape(array.shape)),  # in each array
    "mirrored": lambda d, Hv, rng: (2 * d.v.dot(Hv) / d.v.dot(d.v)) * d.v - Hv,  # the same norm, and the same product with v
    "a little off": lambda d, Hv, rng: Hv + SMALL * _as_long(Hv, rng.standard_normal(Hv.size)),
    "in two rows": lambda d, Hv, rng: Hv.map(lambda array: _cancelling(array, 0)),
    "in two columns": lambda d, Hv, rng: Hv.map(lambda array: _cancelling(array, 1)),
    "in both": lambda d, Hv, rng: Hv.map(lambda array: _cancelling(array, 0, 1)) if Hv["W1"].shape[0] > 1 else -1 * Hv,
    "with a NaN": lambda d, Hv, rng: Hv.unflatten(np.r_[np.nan, Hv.flat[1:]]),
}


def _explain(passed: dict[str, int], blind: list[tuple], overlooked: list[str], of: int, along_v: bool) -> None:
    """Refuse with the first sentence that fits what a check lets pass, if it lets anything pass.

    blind: of each network, the arrays that can be wrong alone, and all arrays. overlooked: the entries that can.
    """
    one = "v.Hv" if along_v else "one number, such as theta.Hv or u.Hv with v.Hu"
    loose = f"a relative error of {SMALL:.0e}: the tolerance is too loose"
    some, arrays = next(((some, arrays) for some, arrays in blind if some), ([], []))
    reasons = (
        (all(count == of for what, count in passed.items() if what not in ("across", "sideways", "with a NaN")),
         "it lets every wrong product pass: it must return False when Hv is not the change of the gradient along v"),
        (passed["a little off"] == of, f"it lets pass products with {loose}"),
        (all(some == arrays for some, arrays in blind),
         "it lets pass a product of which one array is wrong, whichever it is: all arrays have to be right, not any"),
        (some and some == [name for name in arrays if name[0] == "b"],
         f"it does not look at the biases: products that are wrong in {', '.join(some)} pass"),
        (some, f"it does not look at all arrays: of {', '.join(arrays)}, products that are wrong in {', '.join(some)} alone pass"),
        (overlooked, f"it lets pass a product of which one entry is wrong, such as {''.join(overlooked[-1:])}: compare every entry"),
        (passed["too small"] == of,
         "it lets pass products in which every number is too small: take the absolute value of the difference"),
        (passed["too large"] == of,
         "it lets pass products in which every number is too large: take the absolute value of the difference"),
        (passed["turned round"],
         "it lets pass -Hv: it compares norms or absolute values, and has to compare the numbers themselves"),
        (passed["twice as long"], "it lets pass 2 Hv: it compares directions, and has to compare the numbers themselves"),
        (passed["out of order"],
         "it lets pass the right numbers in wrong places: norms and sums are the same then. Compare entry by entry"),
        (passed["in two rows"],
         "it lets pass errors of opposite sign in two rows: in a sum over the rows they cancel. Compare entry by entry"),
        (passed["in two columns"],
         "it lets pass errors of opposite sign in two columns: in a sum over the columns they cancel. Compare entry by entry"),
        (passed["in both"], "it lets pass errors that cancel in the sums over the rows and over the columns. Compare entry by entry"),
        (passed["mirrored"] and not passed["sideways"],
         "it lets pass a product with the right norm and the right v.Hv: compare the numbers themselves"),
        (passed["sideways"],
         f"it compares {one}, and lets pass products that differ in every other direction: compare whole arrays"),
        (passed["across"],
         "it compares a few numbers, such as a sum or theta.Hv, and lets pass products that differ elsewhere: compare whole arrays"),
        (passed["with a NaN"],
         "it lets pass a product that holds NaN, of which every comparison is False: return error < tolerance"),
        (passed["a little off"], f"it lets pass some products with {loose}"),
        *((passed[f"without {bug}"], sentence) for bug, sentence in BUGS.items()),
        (any(passed.values()), "it lets pass a wrong product"),
    )  # fmt: skip
    for so, sentence in reasons:
        if so:
            refuse("the check", sentence)


def _directions(answer: Callable, d: Derivation, Hv: Parameters) -> np.ndarray:
    """The directions in which this check has looked, as rows: v, Hv, steps of theta, what is given to hvp, and to dot a few times."""
    watched, dot, multiplied = Watched(d.model, d.theta), Parameters.dot, []
    noted = lambda one, other: multiplied.extend((np.real(one.flat), np.real(other.flat))) or dot(one, other)
    with suppress(WrongAnswer), patch.object(Parameters, "dot", noted):  # an answer may need a model of the library's own kind
        answer(watched, d.theta, d.x, d.y, d.v, Hv)
    looked = [d.v.flat, Hv.flat, *watched.looked]
    rows = _basis([*looked, *multiplied])
    return rows if len(rows) <= 4 else _basis(looked)  # products with many directions are as good as whole arrays


def _basis(units: Sequence[np.ndarray]) -> np.ndarray:
    """Rows at right angles to each other, in the space of these vectors."""
    units = [unit / np.linalg.norm(unit) for unit in units if np.linalg.norm(unit) > 0]
    _, sizes, across = np.linalg.svd(np.array(units), full_matrices=False)
    return across[sizes > 1e-6]


class Watched:
    """A model that notes along which directions it is asked."""

    def __init__(self, model: Any, theta: Parameters):
        self.model, self.theta, self.looked, self.moves = model, theta, [], []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def at(self, theta: Parameters, x: np.ndarray, y: np.ndarray) -> Any:
        here = self.model.at(theta, x, y)
        moved = np.concatenate([np.ravel(theta[name] - self.theta[name]) for name in self.theta])
        self.moves.append(moved)
        self.looked.append(moved.imag if np.any(moved.imag) else moved.real)
        product = here.hvp
        here.hvp = lambda v: self.looked.append(v.flat) or product(v)
        return here


def _sideways(Hv: Parameters, looked: np.ndarray, rng: np.random.Generator) -> Parameters:
    """As long as Hv, and at right angles to all that was looked at."""
    move = rng.standard_normal(Hv.size)
    for _ in range(2):  # once leaves rounding along `looked`
        move -= looked.T @ (looked @ move)
    return _as_long(Hv, move)


def _as_long(Hv: Parameters, move: np.ndarray) -> Parameters:
    """A move in parameter space, of the length of Hv."""
    return Hv.unflatten(np.linalg.norm(Hv.flat) / np.linalg.norm(move) * move)


def _cancelling(array: np.ndarray, *axes: int) -> np.ndarray:
    """The array with errors of opposite sign in two rows (0), or two columns (1), or both, if it has two."""
    signs = [np.eye(1, n)[0] - np.eye(1, n, 1)[0] if n > 1 else np.zeros(1) for n in array.shape]
    return array + np.multiply.outer(*(signs[axis] if axis in axes else np.ones(n) for axis, n in enumerate(array.shape)))


def _verdict(said: Any) -> bool:
    if isinstance(said, dict | Parameters | tuple | list) or np.ndim(said) > 0:
        refuse("the check", "it gives several verdicts, expected one, True or False: all(...) or np.all(...) makes one of them")
    if not isinstance(said, (bool, np.bool_)):
        refuse("the check", f"the answer is {said!r}, expected True or False: return error < tolerance")
    return bool(said)


JUDGE = ByHand(
    """def is_right(model, theta, x, y, v, Hv):
    h, size = 1e-30, np.linalg.norm
    moved = model.at(theta + 1j * h * v, x, y).gradient  # a complex step along v
    truth = {name: array.imag / h for name, array in moved.items()}
    return all(size(Hv[name] - truth[name]) < 1e-9 * max(size(truth[name]), 1e-3) for name in truth)
""",
    judge_of_products,
)

# -- 4.5: the cross-entropy, twice differentiated ----------------------------------------------------------------------


def logits(rng: np.random.Generator) -> list[tuple]:
    """(z, y, r) of several sizes; then logits that are large, small, far apart from row to row and from class to class."""
    draw = lambda n, N: (2 * rng.standard_normal((n, N)), np.eye(N)[rng.integers(N, size=n)], rng.standard_normal((n, N)))
    z, y, r = draw(4, 3)
    rows = 15000.0 * np.array([[0], [1], [2], [-1]])
    classes = 1500.0 * np.array([[0, 1, -1], [-1, 0, 1], [1, -1, 0], [0, 1, -1]])
    return [draw(7, 3), draw(3, 3), draw(1, 5), *((z + large, y, r) for large in (1000, rows, -1500, classes))]


NOT_LARGEST = "what is taken from the logits of an example is not the largest of them, z.max(-1, keepdims=True)"
FOR_ALL = "one number is taken from the logits of all examples: take from each the largest of its own, z.max(-1, keepdims=True)"
OVER_EXAMPLES = "the softmax runs over the examples (axis 0): it runs over the classes, axis -1"
CUT = "large logits are cut off: a constant added to all logits of an example changes no p"
CROSS_ENTROPY = Exercise(
    """def cross_entropy_twice(z, y, r):
    e = np.exp(z - z.max(-1, keepdims=True))
    p = e / e.sum(-1, keepdims=True)
    return p - y, p * (r - (p * r).sum(-1, keepdims=True))
""",
    logits,
    ("gradient", "hvp"),
    (
        (" - z.max(-1, keepdims=True)", "",
         "the exponentials overflow for some large logits, and are all 0 for others: take z.max(-1, keepdims=True) from the logits"),
        ("z.max(-1, keepdims=True)", "z.max()", FOR_ALL), ("z.max(-1, keepdims=True)", "z.mean()", FOR_ALL),
        ("z.max(-1, keepdims=True)", "z.mean(-1, keepdims=True)", NOT_LARGEST),
        ("z.max(-1, keepdims=True)", "z.min(-1, keepdims=True)", NOT_LARGEST), ("z.max(-1, keepdims=True)", "z[:, :1]", NOT_LARGEST),
        ("z.max(-1, keepdims=True)", "np.abs(z).max(-1, keepdims=True)", NOT_LARGEST),
        ("z.max(-1, keepdims=True)", "z.max(0)", "the largest logit is taken over the examples (axis 0), which changes p: take it over axis -1"),
        ("e = np", "z = np.minimum(z, 500)\n    e = np", CUT), ("e = np", "z = np.clip(z, -500, 500)\n    e = np", CUT),
        ("e / e.sum(-1, keepdims=True)", "e", "the exponentials are not divided by their sum (eq. 10)"),
        ("e.sum(-1, keepdims=True)", "e.sum(0)", OVER_EXAMPLES),
        ("z.max(-1, keepdims=True))\n    p = e / e.sum(-1, keepdims=True)", "z.max(0))\n    p = e / e.sum(0)", OVER_EXAMPLES),
        ("(-1, keepdims=True)", "(0)", "both sums, of the softmax and of p * r, run over the examples (axis 0): take them over axis -1"),
        ("e.sum(-1, keepdims=True)", "e.sum()", "the softmax runs over all numbers of z: take the sum over axis -1, with keepdims"),
        ("e / e.sum(-1, keepdims=True)", "1 / (1 + np.exp(-z))", "p is a sigmoid of each logit: the softmax divides by the sum (eq. 10)"),
        ("p - y,", "z - y,", "the softmax is missing: dE/dz = p - y with p = softmax(z) (eq. 10)"),
        ("p - y,", "p,", "the target is missing: dE/dz = p - y (eq. 10)"),
        ("p - y,", "y - p,", "the gradient has the wrong sign: dE/dz = p - y (eq. 10)"),
        ("p - y,", "-y / p,", "this is dE/dp = -y / p, not dE/dz: the softmax has a derivative too"),
        ("p - y,", "y * (p - 1),", "only the logit of the right class gets a gradient: every logit is in the sum of the softmax"),
        ("p - y,", "2 * (p - y),", "a factor 2 is too many in the gradient: that is of the squared error (eq. 9), eq. 10 has p - y"),
        ("p - y,", "-(y * np.log(p)).sum(-1),", "this is the loss of each example: its gradient was asked for, p - y (eq. 10)"),
        ("p - y,", "np.eye(z.shape[1])[z.argmax(-1)] - y,",
         "the likeliest class has p = 1 and the others 0: eq. 10 has p itself, the softmax"),
        ("p - y,", "2 * (z - y),", "this is eq. 9, of the squared error: cross-entropy has p - y (eq. 10)"),
        ("p - y,", "(p - y) / len(z),", "the gradient is divided by n: eq. 10 is for one example, 1/n enters in eq. 2"),
        ("p - y,", "(p - y).mean(0),", "this is the mean over the examples: each has a gradient of its own"),
        (" - (p * r).sum(-1, keepdims=True)", "", "the term p * sum(p * r) of eq. 10 is missing: every logit moves the sum in the softmax"),
        ("p * (r - (p * r).sum(-1, keepdims=True))", "p * (1 - p) * r",
         "only the diagonal of the Hessian is there, p (1 - p): the others are -p_i p_j (eq. 10)"),
        ("p * (r - (p", "p * (-(p", "the term p * r of eq. 10 is missing"),
        ("(p * r).sum(-1, keepdims=True)", "r.mean(-1, keepdims=True)", "the mean of r is not weighted: eq. 10 has sum(p * r)"),
        ("(p * r).sum(-1", "r.sum(-1", "it is the sum of r: eq. 10 has that of p * r"),
        ("p * (r - (p * r)", "(p - y) * (r - ((p - y) * r)",
         "p - y stands for p in the hvp: the target drops out of the second derivative (was p changed in place?)"),
        ("p * (r -", "(p - y) * (r -", "p - y stands before the bracket, where eq. 10 has p: the target drops out of the second derivative"),
        ("(p * r).sum(-1", "(p * p * r).sum(-1", "p * p * r is summed: eq. 10 has sum(p * r)"),
        ("p * (r -", "2 * p * (r -", "a factor 2 is too many in the hvp: eq. 10 has p * (r - sum(p * r))"),
        ("(p * r).sum(-1", "(p * r).mean(-1", "it is the mean of p * r over the classes: eq. 10 has their sum"),
        ("(p * r).sum(-1, keepdims=True)", "(p * r).sum()", "sum(p * r) runs over all examples: take it over axis -1, with keepdims"),
        ("(p * r).sum(-1, keepdims=True)", "(p * r).sum(0)", "sum(p * r) runs over the examples (axis 0): take it over axis -1"),
        ("(p * r).sum(-1", "(y * r).sum(-1", "y * r is summed: the target drops out of the second derivative, and eq. 10 has sum(p * r)"),
        ("p * (r -", "(r -", "the factor p before the bracket is missing (eq. 10)"),
        ("p * (r - (p * r).sum(-1, keepdims=True))", "p * r - (p * r).sum(-1, keepdims=True)",
         "the second term lost its factor p: eq. 10 is p * r - p * sum(p * r)"),
        ("p * (r -", "p * (r +", "the two terms are added: eq. 10 subtracts sum(p * r)"),
        ("p * (r -", "-p * (r -", "the hvp has the wrong sign: eq. 10 is p * (r - sum(p * r))"),
        ("p * (r - (p * r).sum(-1, keepdims=True))", "(p - y) * r",
         "this is the gradient times r: a Hessian-vector product needs the second derivative"),
        ("sum(-1, keepdims=True))\n", "sum(-1, keepdims=True)) / len(z)\n",
         "the hvp is divided by n: eq. 10 is for one example, 1/n enters in eq. 6"),
        ("p * (r - (p * r).sum(-1, keepdims=True))", "p - y", "the hvp is the gradient again: eq. 10 has p * (r - sum(p * r))"),
        ("p * (r - (p * r).sum(-1, keepdims=True))", "2 * r",
         "this is eq. 9, of the squared error: cross-entropy has p * (r - sum(p * r)) (eq. 10)"),
        ("p * (r - (p * r).sum(-1, keepdims=True))", "p * (1 - p)",
         "these are the derivatives of p without r, p (1 - p): multiply the Hessian by r"),
        ("p * (r - (p * r).sum(-1, keepdims=True))", "p[:, :, None] * (np.eye(z.shape[1]) - p[:, None])",
         "this is the Hessian, a matrix for each example: multiply it by r"),
        ("return p - y, p * (r - (p * r).sum(-1, keepdims=True))", "return p * (r - (p * r).sum(-1, keepdims=True)), p - y",
         "the two are swapped: return gradient, hvp in this order"),
    ),
    tolerance=1e-10,
)  # fmt: skip

CHECKS = {"4.1": FORWARD, "4.2": BACK, "4.3": R_GRADIENT, "4.4": JUDGE, "4.5": CROSS_ENTROPY}
