"""Checks of lesson 04: the R-operator, eqs. 5-8, and which checks see what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from exercises.answers import judge_derived, refuse
from tinymaml import MLP, Parameters
from tinymaml.check import Derivation, WrongAnswer, mistakes

SQUARE, OTHER = ((3, 3, 3, 3), "tanh"), ((2, 4, 1), "sigmoid")  # where a lost transpose has numbers to be known by; any sizes


def problem(
    rng: np.random.Generator, widths: tuple[int, ...], activation: str, loss: str = "squared_error", n: int = 5
) -> Derivation:
    """A small network with n examples and a direction, every intermediate derivative known."""
    model = MLP(widths, activation=activation, loss=loss)
    normal = lambda array: rng.standard_normal(array.shape)
    theta = model.init(rng).map(lambda array: array + 0.3 * normal(array))
    x, y = rng.standard_normal((n, widths[0])), rng.standard_normal((n, widths[-1]))
    if loss == "cross_entropy":
        y = np.eye(widths[-1])[rng.integers(widths[-1], size=n)]
    return Derivation(model, theta, x, y, v=theta.map(normal))


def _two_networks(rng: np.random.Generator) -> Iterator[Derivation]:
    for widths, activation in (SQUARE, OTHER):
        yield problem(rng, widths, activation)


def _title(derivation: Derivation) -> None:
    affine = [array.shape for name, array in derivation.theta.items() if name[0] == "W"]
    widths = " - ".join(str(width) for width in (affine[0][0], *(d for _, d in affine)))
    print(f"on a network {widths}, {derivation.model.layers[1].s.name}:")


def forward_sweep(answer: Callable, rng: np.random.Generator) -> None:
    """4.1: Rz and Ra of every layer, eq. 5."""
    for derivation in _two_networks(rng):
        here, depth, theta, v = _here(derivation), derivation.model.depth, derivation.theta, derivation.v
        mine = _called(answer, here, v)
        _title(derivation)
        if not (isinstance(mine, tuple | list) and len(mine) == 2 and all(isinstance(part, Mapping) for part in mine)):
            refuse("Rz, Ra", f"the answer is a {type(mine).__name__}, expected two dictionaries: return Rz, Ra")
        Rz, Ra = mine
        if depth not in Rz and depth in Ra:
            refuse("Rz, Ra", "the two are exchanged: return Rz, Ra, in this order")
        for what, got, wanted in (("Rz", Rz, range(1, depth + 1)), ("Ra", Ra, range(1, depth))):
            lost = [l for l in wanted if l not in got]
            if lost:
                refuse(what, f"it has the layers {list(got)}, expected {list(wanted)}: {what}[{lost[0]}] is missing")
        if np.any(Ra.get(0, 0)):
            what = "it is x" if np.array_equal(Ra[0], here.x) else "it is not zero"
            refuse("Ra[0]", f"{what}: a[0] is x, and data do not move, so Ra[0] is zero (eq. 5)")
        true_Ra = {0: 0 * here.x} | _all(derivation, "Ra")
        for l in range(1, depth + 1):
            true_Rz = derivation.reference(f"Rz[{l}]")
            judge_derived(derivation, f"Rz[{l}]", Rz[l], _mistakes_in_Rz(here, theta, v, true_Ra[l - 1], l))
            if l < depth:
                s1, z, a = here.s1[l], here.z[l], here.a[l]
                judge_derived(derivation, f"Ra[{l}]", Ra[l], [
                    ("s'' stands where s' belongs in Ra (eq. 5)", here.s2[l] * true_Rz),
                    ("this is s(Rz): Ra is s'(z) * Rz (eq. 5)", derivation.model.layers[1].s.value(true_Rz)),
                    ("s' is taken at Rz, not at z (eq. 5)", _slope(derivation, true_Rz) * true_Rz),
                    ("s' is taken at a, not at z (eq. 5)", _slope(derivation, a) * true_Rz),
                    ("s' is written as 1 - a^2, which is true of tanh only: here.s1 has it for all", (1 - a**2) * true_Rz),
                    ("s stands where s' belongs in Ra (eq. 5)", a * true_Rz),
                    ("s'(z) is there twice: Ra is s'(z) * Rz (eq. 5)", s1 * s1 * true_Rz),
                    ("z stands where Rz belongs in Ra (eq. 5)", s1 * z),
                    ("this is s'(z) alone: it multiplies Rz (eq. 5)", s1),
                    ("Rz is added to s', where s' multiplies it (eq. 5)", s1 + true_Rz),
                    *_fitting((f"s' is taken in layer {k}: Ra[{l}] needs here.s1[{l}]", s1_k, true_Rz)
                              for k, s1_k in here.s1.items() if k != l),
                ])  # fmt: skip


def _mistakes_in_Rz(here: Any, theta: Parameters, v: Parameters, Ra: np.ndarray, l: int) -> list:
    W, V, b, c, a, n = theta[f"W{l}"], v[f"W{l}"], theta[f"b{l}"], v[f"b{l}"], here.a[l - 1], here.n
    known = [
        (f"theta's bias b_{l} stands where its direction c_{l} belongs (eq. 5)", Ra @ W + a @ V + b),
        (f"theta's bias b_{l} is added: R b_{l} is c_{l} alone (eq. 5)", Ra @ W + a @ V + b + c),
        ("z stands where a belongs in the term a V (eq. 5)", Ra @ W + (here.z[l - 1] if l > 1 else a) @ V + c),
        ("W stands where V belongs: the term is a V (eq. 5)", Ra @ W + a @ W + c),
        ("V stands where W belongs: the term is Ra W (eq. 5)", Ra @ V + a @ V + c),
        ("a term Ra V is added: by the product rule one factor moves at a time (eq. 5)", (Ra + a) @ V + Ra @ W + c),
        (f"this is z_{l} and not its speed", a @ W + b),
        ("the term a V has the wrong sign: eq. 5 adds it", Ra @ W - a @ V + c),
        ("the direction of the bias is subtracted: eq. 5 adds c", Ra @ W + a @ V - c),
        ("c is there twice (eq. 5)", Ra @ W + a @ V + 2 * c),
        ("c is divided by n: eq. 5 has it whole", Ra @ W + a @ V + c / n),
    ]
    known += [(f"a[{k}] stands where a[{l - 1}] belongs (eq. 5)", Ra @ W + other @ V + c)
              for k, other in here.a.items() if k != l - 1 and other.shape == a.shape]  # fmt: skip
    if l == 1:
        known += [("Ra_0 is taken to be x: data do not move, Ra_0 = 0 (eq. 5)", a @ W + a @ V + c)]
        known += [("Ra_0 is taken to be one: data do not move, Ra_0 = 0 (eq. 5)", np.ones_like(a) @ W + a @ V + c)]
    else:
        moving = here.along(v)
        known += [
            ("both factors move at once, Ra V: by the product rule one moves at a time (eq. 5)", Ra @ V + c),
            ("Rz stands where Ra belongs: the term is Ra W (eq. 5)", moving.Rz[l - 1] @ W + a @ V + c),
        ]
        if l == 2:
            known += [("the term Ra W of eq. 5 is missing, or it takes Ra[0], which is zero, for Ra[1]", a @ V + c)]
        if l > 2 and moving.Ra[l - 2].shape == Ra.shape:
            known += [(f"Ra[{l - 2}] stands where Ra[{l - 1}] belongs (eq. 5)", moving.Ra[l - 2] @ W + a @ V + c)]
    if W.shape[0] == W.shape[1]:
        known += [
            ("W is transposed: eq. 5 has Ra W", Ra @ W.T + a @ V + c),
            ("V is transposed: eq. 5 has a V", Ra @ W + a @ V.T + c),
            ("W and V are transposed: eq. 5 has Ra W + a V", Ra @ W.T + a @ V.T + c),
        ]
    return known


def one_layer_back(answer: Callable, rng: np.random.Generator) -> None:
    """4.2: RD_{l-1} from RD_l, eq. 8 with its three terms."""
    for derivation in _two_networks(rng):
        here, depth = _here(derivation), derivation.model.depth
        Rz, true_RD = _all(derivation, "Rz"), _all(derivation, "RD")
        for l in range(2, depth + 1):
            given = {k: true_RD[k] for k in range(l, depth + 1)}
            mine = _called(answer, here, derivation.v, dict(Rz), given, l)
            if l == 2:
                _title(derivation)
            if isinstance(mine, Mapping | tuple | list):
                refuse(f"RD[{l - 1}]", f"the answer is a {type(mine).__name__}, expected one array, of shape {Rz[l - 1].shape}")
            judge_derived(derivation, f"RD[{l - 1}]", mine, _mistakes_in_RD(derivation, here, Rz, true_RD, l))


def _mistakes_in_RD(derivation: Derivation, here: Any, speeds: dict, true_RD: dict, l: int) -> list:
    W, V, D, RD, r = derivation.theta[f"W{l}"], derivation.v[f"W{l}"], here.D[l], true_RD[l], speeds[l - 1]
    s1, s2, a, n = here.s1[l - 1], here.s2[l - 1], here.a[l - 1], here.n
    two, bend = RD @ W.T + D @ V.T, (D @ W.T) * s2 * r
    brackets = "s' multiplies one of the two terms only: it needs brackets, (RD W^T + D V^T) * s' (eq. 8)"
    not_turned, of_tanh = "W is not transposed in eq. 8", "is written for tanh, as a function of a: here.s1 and here.s2 have both"
    known = [
        (brackets, RD @ W.T + (D @ V.T) * s1 + bend),
        (brackets, (RD @ W.T) * s1 + D @ V.T + bend),
        ("the factor D W^T is missing beside s'' (eq. 8)", two * s1 + s2 * r),
        ("s'' Rz stands beside D V^T: it belongs to D W^T (eq. 8)", two * s1 + (D @ V.T) * s2 * r),
        ("s'' Rz stands beside all of the two terms: it belongs to D W^T (eq. 8)", two * s1 + two * s2 * r),
        ("the s'' term has s' in it as well, as D[l-1] and Ra have: it is (D W^T) * s'' * Rz (eq. 8)", two * s1 + bend * s1),
        ("V stands where W belongs: the first term is RD W^T (eq. 8)", (RD @ V.T + D @ V.T) * s1 + bend),
        ("RD V^T stands where D W^T belongs beside s'' (eq. 8)", two * s1 + (RD @ V.T) * s2 * r),
        ("W stands where V belongs: the second term is D V^T (eq. 8)", (RD @ W.T + D @ W.T) * s1 + bend),
        ("W and V are exchanged: the terms are RD W^T and D V^T (eq. 8)", (RD @ V.T + D @ W.T) * s1 + bend),
        ("both factors move at once, RD V^T: by the product rule one moves at a time (eq. 8)", (RD @ W.T + RD @ V.T) * s1 + bend),
        ("both factors move at once, RD V^T: by the product rule one moves at a time (eq. 8)", (RD @ V.T) * s1 + bend),
        ("D stands where RD belongs: the first term is RD W^T (eq. 8)", (D @ W.T + D @ V.T) * s1 + bend),
        ("s' is missing, and so is s'': R acts on D W^T only (eq. 8)", two),
        ("this is RD W^T alone: s' and two terms of eq. 8 are missing", RD @ W.T),
        ("this is the s'' term alone: eq. 8 has two more", bend),
        ("s'' is missing, and so is the V-term: this is eq. 4 with RD for D", (RD @ W.T) * s1),
        ("the s'' term is there twice (eq. 8)", two * s1 + 2 * bend),
        ("the s'' term has D V^T too: it is (D W^T) * s'' * Rz (eq. 8)", two * s1 + bend + (D @ V.T) * s2 * r),
        ("it is multiplied by n: eq. 8 has no such factor", (two * s1 + bend) * n),
        ("Rz stands where s'' Rz belongs (eq. 8)", two * s1 + (D @ W.T) * r),
        ("s'' is squared (eq. 8)", two * s1 + bend * s2),
        ("the term D V^T has the wrong sign: eq. 8 adds it", (RD @ W.T - D @ V.T) * s1 + bend),
        ("it is divided by n: 1/n is in D and RD already (eqs. 2 and 6)", (two * s1 + bend) / n),
        (f"s' {of_tanh}", two * (1 - a**2) + bend),
        (f"s'' {of_tanh}", two * s1 + (D @ W.T) * (-2 * a * (1 - a**2)) * r),
        (f"s'' {of_tanh}", two * s1 + (D @ W.T) * (-2 * a * s1) * r),
        (f"s' {of_tanh}", two * (1 - a**2) + (D @ W.T) * (-2 * a * (1 - a**2)) * r),
        ("the s'' term is written without the factor -2 or without a: here.s2 has s''", two * s1 + (D @ W.T) * a * s1 * r),
        ("the s'' term is written without the factor -2: here.s2 has s''", two * s1 - (D @ W.T) * a * s1 * r),
    ]
    if W.shape[0] == W.shape[1]:
        known += [
            (not_turned, (RD @ W + D @ V.T) * s1 + bend),
            (not_turned, two * s1 + (D @ W) * s2 * r),
            (not_turned, (RD @ W + D @ V.T) * s1 + (D @ W) * s2 * r),
            ("neither W nor V is transposed in eq. 8", (RD @ W + D @ V) * s1 + (D @ W) * s2 * r),
            ("neither W nor V is transposed in eq. 8", (RD @ W + D @ V) * s1 + bend),
        ]
        if l in here.s1:
            late1, late2, late_r = here.s1[l], here.s2[l], speeds[l]
            early = f"eq. 8 takes the layer below, [{l - 1}]"
            known += [
                (f"s' is taken in layer {l}: {early}", two * late1 + bend),
                (f"s'' is taken in layer {l}: {early}", two * s1 + (D @ W.T) * late2 * r),
                (f"s' and s'' are taken in layer {l}: {early}", two * late1 + (D @ W.T) * late2 * r),
                (f"s', s'' and Rz are taken in layer {l}: {early}", two * late1 + (D @ W.T) * late2 * late_r),
            ]
        known += [(f"Rz is taken in layer {l}: eq. 8 takes Rz[{l - 1}]", two * s1 + (D @ W.T) * s2 * speeds[l])]
        for k in (k for k in here.D if k != l and k > 1):  # the layer is written as a number
            other = _right_RD(derivation, here, speeds, true_RD, k)
            if other.shape == s1.shape:
                known += [(f"this is RD[{k - 1}]: take the layer that is asked for, l = {l}", other)]
        theta, v = derivation.theta, derivation.v
        for k in (k for k in here.D if k != l and theta[f"W{k}"].shape == W.shape):
            U, X, where = theta[f"W{k}"], v[f"W{k}"], f"of layer {k}: eq. 8 takes the layer that is asked for, l = {l}"
            known += [(f"W is that {where}", (RD @ U.T + D @ V.T) * s1 + (D @ U.T) * s2 * r)]
            known += [(f"V is that {where}", (RD @ W.T + D @ X.T) * s1 + bend)]
            known += [(f"RD is that {where}", (true_RD[k] @ W.T + D @ V.T) * s1 + bend)]
    return known


def _right_RD(derivation: Derivation, here: Any, speeds: dict, true_RD: dict, l: int) -> np.ndarray:
    W, V = derivation.theta[f"W{l}"], derivation.v[f"W{l}"]
    bend = (here.D[l] @ W.T) * here.s2[l - 1] * speeds[l - 1]
    return (true_RD[l] @ W.T + here.D[l] @ V.T) * here.s1[l - 1] + bend


def r_gradient(answer: Callable, rng: np.random.Generator) -> None:
    """4.3: R of the gradient, eq. 7 at every layer: the Hessian-vector product."""
    for derivation in _two_networks(rng):
        here, depth, theta = _here(derivation), derivation.model.depth, derivation.theta
        Ra, true_RD = {0: np.zeros_like(here.x), **_all(derivation, "Ra")}, _all(derivation, "RD")
        mine = _called(answer, here, dict(Ra), dict(true_RD))
        _title(derivation)
        if not isinstance(mine, Mapping):
            refuse("hvp", f"the answer is a {type(mine).__name__}, expected Parameters or a dict with {', '.join(theta)}")
        lost = [name for name in theta if name not in mine]
        if lost:
            holds = ", ".join(map(str, mine)) or "nothing"
            refuse("hvp", f"the answer holds {holds}, expected {', '.join(theta)}: {lost[0]} is missing")
        for l in range(depth, 0, -1):
            judge_derived(derivation, f"RdW[{l}]", mine[f"W{l}"], _mistakes_in_RdW(derivation, here, Ra, true_RD, l))
            _bias_of_r_gradient(derivation, here, mine[f"b{l}"], true_RD[l], l)
        judge_derived(derivation, "hvp", mine)


def _mistakes_in_RdW(derivation: Derivation, here: Any, speeds: dict, true_RD: dict, l: int) -> list:
    a, Ra, D, RD, n = here.a[l - 1], speeds[l - 1], here.D[l], true_RD[l], here.n
    right, together = a.T @ RD + Ra.T @ D, "both factors move at once, Ra^T RD: by the product rule one moves at a time (eq. 7)"
    known = [
        (together, Ra.T @ RD),
        (together, a.T @ RD + Ra.T @ RD),
        (together, right + Ra.T @ RD),
        ("this is the gradient plus a^T RD: the second term is Ra^T D (eq. 7)", a.T @ RD + a.T @ D),
        ("the gradient is added: R of it is a^T RD + Ra^T D alone (eq. 7)", right + a.T @ D),
        ("the term Ra^T D has the wrong sign: eq. 7 adds it", a.T @ RD - Ra.T @ D),
        ("it is divided by n once more: 1/n is in D and RD already (eqs. 2 and 6)", right / n),
        ("it is multiplied by n: eq. 7 has no factor", right * n),
        ("the term a^T RD is there twice (eq. 7)", right + a.T @ RD),
        ("the term Ra^T D is there twice (eq. 7)", right + Ra.T @ D),
        ("the term a^T RD is divided by n: 1/n is in RD already (eq. 6)", a.T @ RD / n + Ra.T @ D),
        ("the term Ra^T D is divided by n: 1/n is in D already (eq. 2)", a.T @ RD + Ra.T @ D / n),
        ("the terms are halved: the product rule adds them", right / 2),
        ("the weights of the examples are lost: the rows of a and Ra are averaged first", a.mean(0, keepdims=True).T @ RD.sum(
            0, keepdims=True) + Ra.mean(0, keepdims=True).T @ D.sum(0, keepdims=True)),
    ]  # fmt: skip
    if l > 1:
        z = here.z[l - 1]
        known += [
            ("z stands where a belongs in the term a^T RD (eq. 7)", z.T @ RD + Ra.T @ D),
            ("a stands where Ra belongs, and Ra where a belongs: the terms are a^T RD and Ra^T D (eq. 7)", Ra.T @ RD + a.T @ D),
        ]
    if a.shape[1] == D.shape[1]:
        known += [
            ("the term Ra^T D is transposed (eq. 7)", a.T @ RD + D.T @ Ra),
            ("the term a^T RD is transposed (eq. 7)", RD.T @ a + Ra.T @ D),
            ("it is transposed: eq. 7 has a^T RD + Ra^T D", right.T),
        ]
        below = here.a | {here.depth: here.prediction}
        known += [(f"a[{l}] stands where a[{l - 1}] belongs (eq. 7)", below[l].T @ RD + Ra.T @ D)]
        for k in (k for k in here.a if k != l - 1 and here.a[k].shape == a.shape):
            known += [
                (f"a[{k}] stands where a[{l - 1}] belongs (eq. 7)", here.a[k].T @ RD + Ra.T @ D),
                (f"a[{k}] and Ra[{k}] stand where layer {l - 1} belongs (eq. 7)", here.a[k].T @ RD + speeds[k].T @ D),
            ]
            known += [(f"Ra[{k}] stands where Ra[{l - 1}] belongs (eq. 7)", a.T @ RD + speeds[k].T @ D)] if k > 0 else []
        for k in (k for k in here.D if k != l and here.D[k].shape == D.shape):
            known += [
                (f"D[{k}] stands where D[{l}] belongs (eq. 7)", a.T @ RD + Ra.T @ here.D[k]),
                (f"RD[{k}] stands where RD[{l}] belongs (eq. 7)", a.T @ true_RD[k] + Ra.T @ D),
            ]
    return known


def _bias_of_r_gradient(derivation: Derivation, here: Any, mine: Any, RD: np.ndarray, l: int) -> None:
    D, n, name = here.D[l], here.n, f"Rdb[{l}]"
    units = "it is summed over the units, a number for each example: sum over the examples, axis 0 (eq. 7)"
    for sentence, value in (
        (units, RD.sum(1)), (units, RD.sum(1, keepdims=True)),
        ("it is the sum over examples and units: sum over the examples only, axis 0 (eq. 7)", RD.sum()),
        ("it is the sum over examples and units: sum over the examples only, axis 0 (eq. 7)", RD.sum(keepdims=True)),
        ("these are the rows of RD, one for each example: add them up (eq. 7)", RD),
    ):  # fmt: skip
        right = np.shape(value) == (1, RD.shape[1])
        if not right and np.shape(mine) == np.shape(value) and np.allclose(mine, value, rtol=1e-6, atol=1e-9):
            refuse(name, sentence)
    judge_derived(derivation, name, mine, [
        ("it is the mean over the examples: Rdb is the sum, 1/n is in RD already (eq. 7)", RD.mean(0, keepdims=True)),
        ("it is multiplied by n: Rdb is the sum over the examples (eq. 7)", n * RD.sum(0, keepdims=True)),
        ("the gradient is added: Rdb is 1^T RD alone (eq. 7)", (RD + D).sum(0, keepdims=True)),
        ("only the first example is taken: sum over all (eq. 7)", RD[:1]),
        ("only the last example is taken: sum over all (eq. 7)", RD[-1:]),
        ("every unit has the sum over all units: sum over the examples only, axis 0 (eq. 7)", RD.sum() + 0 * RD[:1]),
    ])  # fmt: skip


BUGS = {  # what a student's check is shown, by its key in `mistakes.MISTAKES`
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
    right = [_here(d).hvp(d.v) for d in problems]
    for d, Hv in zip(problems, right, strict=True):
        if not said(d, Hv):
            sentence = f"it refuses a right product, on a {d.model.layers[1].s.name} network"
            if said(d, -1 * Hv):
                refuse("the check", f"{sentence}, and accepts a wrong one: the comparison is turned around")
            if said(d, _here(d).gradient):
                refuse("the check", f"{sentence}, and accepts the gradient: Hv is how the gradient changes along v")
            why = "is the tolerance below rounding (about 1e-15), the step of a difference too long, or theta another point?"
            refuse("the check", f"{sentence}: {why}")
    _own_product(said, problems, right)
    print(f"right products                  accepted, {len(problems)} of {len(problems)}")

    passed = {}  # the number of wrong products that it lets pass, by what is wrong with them
    curved = [(d, Hv) for d, Hv in zip(problems, right, strict=True) if d.model.layers[1].s.curved]
    for bug in BUGS:
        wrong = [mistakes.made(d.model, [bug]).at(d.theta, d.x, d.y).hvp(d.v) for d, _ in curved]
        passed[f"without {bug}"] = sum(said(d, product) for (d, _), product in zip(curved, wrong, strict=True))
    for what, alter in ALTERED.items():
        passed[what] = sum(said(d, alter(d, Hv, rng)) for d, Hv in curved)
    watched = [(d, *_directions(answer, d, Hv)) for d, Hv in curved]
    passed["sideways"] = sum(said(d, Hv + _sideways(Hv, looked, rng)) for d, Hv, looked in watched if len(looked) < Hv.size)
    blind = {name for d, Hv in curved for name in Hv if said(d, _other_in(name, Hv, rng))}
    everything = {name for _, Hv in curved for name in Hv}
    _explain(passed, blind, everything, len(curved), all(len(looked) == 1 for _, _, looked in watched))
    for what in passed:
        print(f"wrong products, {what:<14}  refused, {len(curved)} of {len(curved)}")


ALTERED = {  # wrong products from a right one
    "turned round": lambda d, Hv, rng: -1 * Hv,
    "twice as long": lambda d, Hv, rng: 2 * Hv,
    "too small": lambda d, Hv, rng: Hv.map(lambda array: array - 1),
    "out of order": lambda d, Hv, rng: Hv.unflatten(Hv.flat[::-1].copy()),
    "in parts": lambda d, Hv, rng: Hv.map(lambda array: array.ravel()[::-1].reshape(array.shape)),  # the order in each array
    "mirrored": lambda d, Hv, rng: (2 * d.v.dot(Hv) / d.v.dot(d.v)) * d.v - Hv,  # the same norm, and the same product with v
    "a little off": lambda d, Hv, rng: Hv + SMALL * _as_long(Hv, rng.standard_normal(Hv.size)),
    "with a NaN": lambda d, Hv, rng: Hv.unflatten(np.r_[np.nan, Hv.flat[1:]]),
}


def _own_product(said: Callable, problems: list[Derivation], right: list[Parameters]) -> None:
    """Shown a model whose hvp is wrong and whose gradient is right: right products, and its own."""
    for d, Hv in zip(problems, right, strict=True):
        liar = mistakes.made(d.model, ["s''"])
        if d.model.layers[1].s.curved and not said(d, Hv, liar):
            refuse(
                "the check",
                "it refuses a right product of a model whose own hvp is wrong, while its gradient is right: it trusts that hvp, "
                "by itself or in u.Hv = v.Hu. Compare with the change of the gradient",
            )


def _explain(passed: Mapping[str, int], blind: set[str], everything: set[str], of: int, along_v: bool) -> None:
    """The first sentence that fits what a check lets pass."""
    if not any(passed.values()) and not blind:
        return
    sentence = next((BUGS[bug] for bug in BUGS if passed[f"without {bug}"]), "it lets pass a wrong product")
    arrays = ", ".join(sorted(blind))
    if all(count == of for what, count in passed.items() if what not in ("sideways", "with a NaN")):
        sentence = "it lets every wrong product pass: it must return False when Hv is not the change of the gradient along v"
    elif passed["a little off"] == of:
        sentence = f"it lets pass products with a relative error of {SMALL:.0e}: the tolerance is too loose"
    elif blind == everything:
        sentence = "it lets pass a product of which one array is wrong, whichever it is: all arrays have to be right, not any"
    elif passed["turned round"]:
        sentence = "it lets pass -Hv: it compares norms or absolute values, and has to compare the numbers themselves"
    elif passed["twice as long"]:
        sentence = "it lets pass 2 Hv: it compares directions, and has to compare the numbers themselves"
    elif passed["too small"] == of:
        sentence = "it lets pass products in which every number is too small: take the absolute value of the difference"
    elif passed["out of order"] or passed["in parts"]:
        sentence = "it lets pass the right numbers in wrong places: norms and sums are the same then. Compare entry by entry"
    elif passed["mirrored"] and not passed["sideways"]:
        sentence = "it lets pass a product with the right norm and the right v.Hv: compare the numbers themselves"
    elif passed["sideways"]:
        one = "v.Hv" if along_v else "one number, such as u.Hv with v.Hu"
        sentence = f"it compares {one}, and lets pass products that differ in every other direction: compare whole arrays"
    elif blind and all(name[0] == "b" for name in blind):
        sentence = f"it does not look at the biases: products that are wrong in {arrays} pass"
    elif blind:
        sentence = f"it does not look at all arrays: products that are wrong in {arrays} alone pass"
    elif passed["with a NaN"]:
        sentence = "it lets pass a product that holds NaN, of which every comparison is False: return error < tolerance"
    elif passed["a little off"]:
        sentence = f"it lets pass some products with a relative error of {SMALL:.0e}: the tolerance is too loose"
    refuse("the check", sentence)


def _directions(answer: Callable, d: Derivation, Hv: Parameters) -> tuple[Parameters, np.ndarray]:
    """Hv, and the directions in which this check has looked, as rows: steps of theta, and what is given to hvp."""
    watched = Watched(d.model, d.theta)
    try:
        answer(watched, d.theta, d.x, d.y, d.v, Hv)
    except WrongAnswer:  # it needs a model of the library's own kind, and has had one
        pass
    units = [d.v.flat, *watched.looked]
    rows = np.array([unit / np.linalg.norm(unit) for unit in units if np.linalg.norm(unit) > 0])
    _, sizes, across = np.linalg.svd(rows, full_matrices=False)
    return Hv, across[sizes > 1e-6]


class Watched:
    """A model that notes along which directions it is asked."""

    def __init__(self, model: Any, theta: Parameters):
        self.model, self.theta, self.looked = model, theta, []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def at(self, theta: Parameters, x: np.ndarray, y: np.ndarray) -> Any:
        here = self.model.at(theta, x, y)
        moved = np.concatenate([np.ravel(theta[name] - self.theta[name]) for name in self.theta])
        self.looked.append(moved.imag if np.any(moved.imag) else moved.real)
        product = here.hvp

        def noted(v: Parameters) -> Parameters:
            self.looked.append(v.flat)
            return product(v)

        here.hvp = noted
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


def _other_in(name: str, Hv: Parameters, rng: np.random.Generator) -> Parameters:
    """Hv with one array changed by as much as Hv is long."""
    move = rng.standard_normal(Hv[name].shape)
    return Parameters({**Hv, name: Hv[name] + np.linalg.norm(Hv.flat) / np.linalg.norm(move) * move})


def _verdict(said: Any) -> bool:
    if isinstance(said, Mapping | tuple | list) or np.ndim(said) > 0:
        refuse("the check", "it gives several verdicts, expected one, True or False: all(...) or np.all(...) makes one of them")
    if not isinstance(said, (bool, np.bool_)):
        refuse("the check", f"the answer is {said!r}, expected True or False: return relative_error(...) < tolerance")
    return bool(said)


# -- what a student's function is given -----------------------------------------------------------------------------


def _called(answer: Callable, here: Any, *given: Any) -> Any:
    """The answer, or a sentence about a layer that it asked for in vain."""
    try:
        return answer(here, *given)
    except WrongAnswer as wrong:
        asked = wrong.__cause__.args[0] if isinstance(wrong.__cause__, KeyError) else None
        if isinstance(asked, int | np.integer):
            top = here.depth
            has = f"a has the layers 0 to {top - 1}, s1 and s2 have 1 to {top - 1}, z and D have 1 to {top}"
            refuse("the answer", f"it asks for layer [{asked}] of something that has none: {has}")
        raise


def _slope(derivation: Derivation, z: np.ndarray) -> np.ndarray:
    s = derivation.model.layers[1].s
    return s.first(z, s.value(z))


def _fitting(candidates: Iterator[tuple[str, np.ndarray, np.ndarray]]) -> list[tuple[str, np.ndarray]]:
    return [(sentence, one * other) for sentence, one, other in candidates if one.shape == other.shape]


def _here(derivation: Derivation) -> Any:
    here = derivation.model.at(derivation.theta, derivation.x, derivation.y)
    _ = here.gradient  # with every D, so that a change of one in place is seen
    return here


def _all(derivation: Derivation, kind: str) -> dict[int, np.ndarray]:
    """The true values of one quantity at all layers."""
    layers = range(1, derivation.model.depth + (kind != "Ra"))
    return {l: derivation.reference(f"{kind}[{l}]") for l in layers}


CHECKS = {"4.1": forward_sweep, "4.2": one_layer_back, "4.3": r_gradient, "4.4": judge_of_products}
