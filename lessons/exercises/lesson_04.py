"""Checks of lesson 04: the R-operator, eqs. 5-8, and which checks see what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from exercises.guard import Known, judge_derived, refuse
from exercises.terms import Formula, made_of
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
        here, depth, v = _here(derivation), derivation.model.depth, derivation.v
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
            _judge(derivation, f"Rz[{l}]", Rz[l], _mistakes_in_Rz, here, v, true_Ra, l)
            if l < depth:
                _judge(derivation, f"Ra[{l}]", Ra[l], _mistakes_in_Ra, here, v, l)


def _mistakes_in_Rz(here: Any, v: Parameters, Ra: dict, l: int, by_two: bool) -> Iterator[Known]:
    W, V, b, c = here.theta[f"W{l}"], v[f"W{l}"], here.theta[f"b{l}"], v[f"b{l}"]
    values = {"Ra": Ra[l - 1], "W": W, "a": here.a[l - 1], "V": V, "c": c}
    if l == 1:
        yield "x W is added, as if Ra_0 were x: data do not move, Ra_0 = 0 (eq. 5)", here.x @ W + here.x @ V + c
        yield "Ra_0 is taken to be one: data do not move, Ra_0 = 0 (eq. 5)", np.ones_like(here.x) @ W + here.x @ V + c
    if l == 2:
        yield "the term Ra W of eq. 5 is missing, or it takes Ra[0], which is zero, for Ra[1]", here.a[1] @ V + c
    yield f"this is z_{l} and not its speed", here.z[l]
    product = lambda *factors: factors[0] @ factors[1] if len(factors) == 2 else np.broadcast_to(factors[0], here.z[l].shape)
    formula = Formula("eq. 5", {"Ra W": ("Ra", "W"), "a V": ("a", "V"), "c": ("c",)}, values, product, here.n)
    swaps = {
        "Ra": {"Rz": here.along(v).Rz.get(l - 1, Ra[0]), **_others("Ra", Ra, l - 1)},
        "W": {"V": V, **_turned("W", W), **_others("W", _weights(here.theta), l)},
        "a": {"z": here.z.get(l - 1, here.x), "Ra": Ra[l - 1], **_others("a", here.a | {here.depth: here.prediction}, l - 1)},
        "V": {"W": W, **_turned("V", V), **_others("V", _weights(v), l)},
        "c": {f"theta's bias b_{l}": b, "the mean of c": c.mean() + 0 * c, "the first number of c": c[:, :1] + 0 * c},
    }
    extras = {f"theta's bias b_{l}": 0 * here.z[l] + b, "Ra V": Ra[l - 1] @ V, "a W": here.a[l - 1] @ W}
    below = here.along(v).Rz.get(l - 1, here.x)
    extras |= {f"Rz[{l - 1}]": below}
    yield from formula.two_mistakes(swaps, extras) if by_two else formula.mistakes(swaps, extras)


def _mistakes_in_Ra(here: Any, v: Parameters, l: int, by_two: bool) -> Iterator[Known]:
    s, z, a, Rz = here.body.layers[1].s, here.z[l], here.a[l], here.along(v).Rz[l]
    slope = lambda z: s.first(z, s.value(z))
    yield "s' is missing in Ra (eq. 5)", Rz
    yield "this is s'(z) alone: it multiplies Rz (eq. 5)", here.s1[l]
    yield "this is s(Rz): Ra is s'(z) * Rz (eq. 5)", s.value(Rz)
    yield "Rz is added to s', where s' multiplies it (eq. 5)", here.s1[l] + Rz
    yield "s' is taken at Rz, not at z (eq. 5)", slope(Rz) * Rz
    yield "s' is taken at a, not at z (eq. 5)", slope(a) * Rz
    yield "s' is written as 1 - a^2, which is true of tanh only: here.s1 has it for all", (1 - a**2) * Rz
    formula = Formula("eq. 5", {"s' Rz": ("s'", "Rz")}, {"s'": here.s1[l], "Rz": Rz}, np.multiply, here.n)
    swaps = {
        "s'": {"s''": here.s2[l], "s": a, "z": z, "D": here.D[l], "s' s'": here.s1[l] ** 2, "s' s''": here.s1[l] * here.s2[l],
               "the s' of relu": z > 0, **_others("s'", here.s1, l)},
        "Rz": {"z": z, "a": a, "Rz Rz": Rz * Rz, **_others("Rz", here.along(v).Rz, l)},
    }  # fmt: skip
    extras = {"a": a, "Rz": Rz, "s'": here.s1[l]}
    yield from formula.two_mistakes(swaps, extras) if by_two else formula.mistakes(swaps, extras)


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
            _judge(derivation, f"RD[{l - 1}]", mine, _mistakes_in_RD, here, derivation.v, Rz, true_RD, l)


def _mistakes_in_RD(here: Any, v: Parameters, Rz: dict, RD: dict, l: int, by_two: bool) -> Iterator[Known]:
    W, V, s1, s2, a = here.theta[f"W{l}"].T, v[f"W{l}"].T, here.s1[l - 1], here.s2[l - 1], here.a[l - 1]
    two, bend = RD[l] @ W + here.D[l] @ V, (here.D[l] @ W) * s2 * Rz[l - 1]
    brackets = "s' multiplies one of the two terms only: it needs brackets, (RD W^T + D V^T) * s' (eq. 8)"
    yield brackets, RD[l] @ W + (here.D[l] @ V) * s1 + bend
    yield brackets, (RD[l] @ W) * s1 + here.D[l] @ V + bend
    yield "RD and D are exchanged, or W and V: the terms are RD W^T and D V^T (eq. 8)", (RD[l] @ V + here.D[l] @ W) * s1 + bend
    yield "s' is missing in eq. 8", two + bend
    yield "s' is missing, and so is s'': R acts on D W^T only (eq. 8)", two
    yield "s'' is missing in eq. 8", two * s1
    yield "s'' is missing, and so is the V-term: this is eq. 4 with RD for D", (RD[l] @ W) * s1
    yield "this is RD W^T alone: s' and two terms of eq. 8 are missing", RD[l] @ W
    yield "the factor D W^T is missing beside s'' (eq. 8)", two * s1 + s2 * Rz[l - 1]
    yield "the s'' term has s' in it as well, as D[l-1] and Ra have: it is (D W^T) * s'' * Rz (eq. 8)", two * s1 + bend * s1
    tanh1, tanh2, told = 1 - a**2, -2 * a * (1 - a**2), "written for tanh, as a function of a: here.s1 and here.s2 have both"
    yield f"s' is {told}", two * tanh1 + bend
    yield f"s' and s'' are {told}", two * tanh1 + (here.D[l] @ W) * tanh2 * Rz[l - 1]
    yield f"s'' is {told}", two * s1 + (here.D[l] @ W) * tanh2 * Rz[l - 1]
    yield f"s'' is {told}", two * s1 + (here.D[l] @ W) * -2 * a * s1 * Rz[l - 1]
    if W.shape[0] == W.shape[1]:
        yield "W is not transposed in eq. 8", (RD[l] @ W.T + here.D[l] @ V) * s1 + (here.D[l] @ W.T) * s2 * Rz[l - 1]
        yield "V is not transposed in eq. 8", (RD[l] @ W + here.D[l] @ V.T) * s1 + bend
        yield "neither W nor V is transposed in eq. 8", (RD[l] @ W.T + here.D[l] @ V.T) * s1 + (here.D[l] @ W.T) * s2 * Rz[l - 1]
    terms = {"(RD W^T) s'": ("RD", "W^T", "s'"), "(D V^T) s'": ("D", "V^T", "s'"), "(D W^T) s'' Rz": ("D", "W^T", "s''", "Rz")}
    values = {"RD": RD[l], "W^T": W, "D": here.D[l], "V^T": V, "s'": s1, "s''": s2, "Rz": Rz[l - 1]}
    product = lambda D, W, *factors: (D @ W) * np.prod(factors, axis=0)
    layer = lambda arrays: {k: array.T for k, array in arrays.items()}
    swaps = {
        "RD": {"D": here.D[l], **_others("RD", RD, l)},
        "D": {"RD": RD[l], **_others("D", here.D, l)},
        "W^T": {"V^T": V, **_turned("W^T", W, "W"), **_others("W^T", layer(_weights(here.theta)), l)},
        "V^T": {"W^T": W, **_turned("V^T", V, "V"), **_others("V^T", layer(_weights(v)), l)},
        "s'": {"1": np.ones_like(s1), "s''": s2, "s": a, "s' s'": s1 * s1, "Rz": Rz[l - 1], "s'' Rz": s2 * Rz[l - 1],
               **_others("s'", here.s1, l - 1)},
        "s''": {"s'": s1, "1": np.ones_like(s1), "s'' s''": s2 * s2, "a s'": a * s1, **_others("s''", here.s2, l - 1)},
        "Rz": {"z": here.z[l - 1], "a": a, "1": np.ones_like(a), "Rz Rz": Rz[l - 1] ** 2, **_others("Rz", Rz, l - 1)},
    }  # fmt: skip
    extras = {
        f"D[{l - 1}]": here.D[l - 1], f"c_{l - 1}": 0 * a + v[f"b{l - 1}"], "(RD V^T) s'": (RD[l] @ V) * s1,
        "(D W^T) Rz": (here.D[l] @ W) * Rz[l - 1], "(D V^T) s'' Rz": (here.D[l] @ V) * s2 * Rz[l - 1],
        "(RD W^T) s'' Rz": (RD[l] @ W) * s2 * Rz[l - 1],
    }  # fmt: skip
    formula = Formula("eq. 8", terms, values, product, here.n)
    yield from formula.two_mistakes(swaps, extras) if by_two else formula.mistakes(swaps, extras)


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
            _judge(derivation, f"RdW[{l}]", mine[f"W{l}"], _mistakes_in_RdW, here, derivation.v, Ra, true_RD, l)
            _bias_of_r_gradient(derivation, here, mine[f"b{l}"], true_RD[l], l)
        judge_derived(derivation, "hvp", mine)


def _mistakes_in_RdW(here: Any, v: Parameters, Ra: dict, RD: dict, l: int, by_two: bool) -> Iterator[Known]:
    a, D, moves = here.a[l - 1].T, here.D[l], Ra[l - 1].T
    together = "both factors move at once, Ra^T RD: by the product rule one moves at a time (eq. 7)"
    yield together, moves @ RD[l]
    yield together, a @ RD[l] + moves @ RD[l]
    yield together, a @ RD[l] + moves @ D + moves @ RD[l]
    yield "this is the gradient plus a^T RD: the second term is Ra^T D (eq. 7)", a @ RD[l] + a @ D
    yield "the gradient is added: R of it is a^T RD + Ra^T D alone (eq. 7)", a @ RD[l] + moves @ D + a @ D
    terms = {"a^T RD": ("a^T", "RD"), "Ra^T D": ("Ra^T", "D")}
    values = {"a^T": a, "RD": RD[l], "Ra^T": moves, "D": D}
    turned = lambda arrays: {k: array.T for k, array in arrays.items()}
    swaps = {
        "a^T": {"z^T": here.z.get(l - 1, here.x).T, "Ra^T": moves,
                **_others("a^T", turned(here.a | {here.depth: here.prediction}), l - 1)},
        "RD": {"D": D, **_others("RD", RD, l)},
        "Ra^T": {"a^T": a, "Rz^T": here.along(v).Rz.get(l - 1, 0 * here.x).T, **_others("Ra^T", turned(Ra), l - 1, zero=False)},
        "D": {"RD": RD[l], **_others("D", here.D, l)},
    }  # fmt: skip
    swaps["a^T"]["the mean of a^T"] = np.tile(a.mean(1, keepdims=True), here.n)
    formula = Formula("eq. 7", terms, values, np.matmul, here.n)
    extras = {"Ra^T Ra": moves @ moves.T, "a^T D": a @ D, "Ra^T RD": moves @ RD[l]}
    yield from formula.two_mistakes(swaps, extras) if by_two else formula.mistakes(swaps, extras)


def _bias_of_r_gradient(derivation: Derivation, here: Any, mine: Any, RD: np.ndarray, l: int) -> None:
    D, n, name = here.D[l], here.n, f"Rdb[{l}]"
    _not_zero(name, mine)
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
        wrong = [mistakes.with_mistakes(d.model, [bug]).at(d.theta, d.x, d.y).hvp(d.v) for d, _ in curved]
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
        liar = mistakes.with_mistakes(d.model, ["s''"])
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


def _judge(derivation: Derivation, name: str, mine: Any, mistakes_in: Callable, *given: Any) -> None:
    """One mistake, of this exercise or of the library; two of this exercise if none explains the answer."""
    _not_zero(name, mine)
    try:
        judge_derived(derivation, name, mine, mistakes_in(*given, by_two=False))
    except WrongAnswer as wrong:
        if wrong.diagnosis:
            raise
        judge_derived(derivation, name, mine, _by_two(mine, mistakes_in, given))


def _by_two(mine: Any, mistakes_in: Callable, given: tuple) -> Iterator[Known]:
    """Two mistakes; or the answer as a sum of terms."""
    yield from mistakes_in(*given, by_two=True)
    if mistakes_in in SUMS:
        told = made_of(mine, *SUMS[mistakes_in](*given))
        yield from [(told, mine)] if told else []


def _sum_of_Rz(here: Any, v: Parameters, Ra: dict, l: int) -> tuple[dict, dict]:
    W, V, b, c = here.theta[f"W{l}"], v[f"W{l}"], here.theta[f"b{l}"], v[f"b{l}"]
    whole, a, z = np.ones_like(here.z[l]), here.a[l - 1], here.z.get(l - 1, here.x)
    terms = {"Ra W": Ra[l - 1] @ W, "a V": a @ V, "c": whole * c}
    others = {"a W": a @ W, "Ra V": Ra[l - 1] @ V, "b": whole * b, "z": here.z[l], "z V": z @ V, "z W": z @ W, "1": whole,
              "|c|": whole * np.abs(c), "c^2": whole * c**2, "b c": whole * b * c, "sum(V)": whole * V.sum(0),
              "s(z)": np.tanh(here.z[l]), "sum(a)": a.sum(1, keepdims=True) * whole}  # fmt: skip
    names = [("Ra W", terms["Ra W"]), ("a V", terms["a V"]), ("a W", others["a W"]), ("c", terms["c"]), ("b", others["b"])]
    others |= {f"({one}) ({two})": x * y for i, (one, x) in enumerate(names) for two, y in names[i:]}
    if W.shape[0] == W.shape[1]:
        others |= {"Ra W^T": Ra[l - 1] @ W.T, "a V^T": a @ V.T, "a W^T": a @ W.T, "Ra": Ra[l - 1], "a": a}
    return {name: value for name, value in terms.items() if np.any(value)}, others


def _sum_of_Ra(here: Any, v: Parameters, l: int) -> tuple[dict, dict]:
    z, a, Rz, s1, s2 = here.z[l], here.a[l], here.along(v).Rz[l], here.s1[l], here.s2[l]
    slopes = {"s": a, "s'": s1, "s''": s2, "s'^2": s1**2, "s s'": a * s1, "s^2": a**2, "": 1.0}
    ends = {"Rz": Rz, "z": z, "Rz^2": Rz**2, "": np.ones_like(z), "Rz z": Rz * z}
    others = {f"{one} {two}".strip(): x * y for one, x in slopes.items() for two, y in ends.items()}
    return {"s' Rz": s1 * Rz}, {name or "1": value for name, value in others.items() if name != "s' Rz"}


def _sum_of_RD(here: Any, v: Parameters, Rz: dict, RD: dict, l: int) -> tuple[dict, dict]:
    W, V, s1, s2, a = here.theta[f"W{l}"].T, v[f"W{l}"].T, here.s1[l - 1], here.s2[l - 1], here.a[l - 1]
    fronts = {"(RD W^T)": RD[l] @ W, "(D V^T)": here.D[l] @ V, "(D W^T)": here.D[l] @ W, "(RD V^T)": RD[l] @ V}
    fronts[""] = np.ones_like(a)
    slopes = {"": 1.0, "s'": s1, "s''": s2, "s' s''": s1 * s2, "s'^2": s1**2, "s": a, "s s'": a * s1, "s^2": a**2}
    ends = {"": 1.0, "Rz": Rz[l - 1], "Rz^2": Rz[l - 1] ** 2, "z": here.z[l - 1]}
    made = {" ".join(filter(None, (f, s, e))) or "1": front * slope * end
            for f, front in fronts.items() for s, slope in slopes.items() for e, end in ends.items()}  # fmt: skip
    names = ("(RD W^T) s'", "(D V^T) s'", "(D W^T) s'' Rz")
    return {name: made.pop(name) for name in names}, made


SUMS = {_mistakes_in_Rz: _sum_of_Rz, _mistakes_in_Ra: _sum_of_Ra, _mistakes_in_RD: _sum_of_RD}


def _not_zero(name: str, mine: Any) -> None:
    """Zeros have many explanations, since Ra_0 is zero: none of them is told."""
    if isinstance(mine, np.ndarray) and mine.size and not np.any(mine):
        refuse(name, "every number is 0")


def _others(symbol: str, arrays: Mapping[int, np.ndarray], l: int, zero: bool = True) -> dict[str, np.ndarray]:
    """The same quantity in all other layers, with its layer in its name; zero: also where it is zero."""
    return {f"{symbol}[{k}]": array for k, array in arrays.items() if k != l and (zero or np.any(array))}


def _turned(symbol: str, W: np.ndarray, other: str = "") -> dict[str, np.ndarray]:
    return {other or f"{symbol}^T": W.T} if W.shape[0] == W.shape[1] else {}


def _weights(theta: Parameters) -> dict[int, np.ndarray]:
    return {int(name[1:]): array for name, array in theta.items() if name[0] == "W"}


def _here(derivation: Derivation) -> Any:
    here = derivation.model.at(derivation.theta, derivation.x, derivation.y)
    _ = here.gradient  # with every D, so that a change of one in place is seen
    return here


def _all(derivation: Derivation, kind: str) -> dict[int, np.ndarray]:
    """The true values of one quantity at all layers."""
    layers = range(1, derivation.model.depth + (kind != "Ra"))
    return {l: derivation.reference(f"{kind}[{l}]") for l in layers}


CHECKS = {"4.1": forward_sweep, "4.2": one_layer_back, "4.3": r_gradient, "4.4": judge_of_products}
