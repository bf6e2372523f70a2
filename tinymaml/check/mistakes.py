"""The known mistakes in eqs. 1-10 and 16-18: each is a wrong rule, swapped into a layer or a loss in place of the right one.

    with_mistakes(network, ["s'"]).at(theta, x, y).gradient      # what the gradient would be if exactly this had gone wrong

A wrong answer is named by finding the mistake that gives its numbers; and each mistake, put into the library itself, must
be rejected by every check (tests/check/test_mutants.py). Nothing here is used to decide whether an answer is right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from tinymaml.check.layer_mistakes import IN_IMAGES, IN_TIME
from tinymaml.check.norm_mistakes import IN_NORMS
from tinymaml.check.wrong_rules import Mistake, Rules, Wrong, carry, kind_of, with_zero
from tinymaml.nn.layers import Affine, Chain, Elementwise
from tinymaml.nn.losses import Loss, softmax
from tinymaml.nn.network import Network
from tinymaml.nn.recurrent import Recurrent


def with_mistakes(network: Network, keys: Iterable[str], at: int | str | None = None) -> Network:
    """The network with the mistakes `keys`, in the layers with the name `at` or, with None, wherever they can be made."""
    layers, loss = network.layers, network.example_loss
    for mistake in (MISTAKES[key] for key in keys):
        if mistake.loss not in ("", loss.name):
            continue
        for kind, rules in mistake.rules.items():
            if kind is Loss:
                loss = replace(loss, **{name: partial(rule, getattr(loss, name), loss) for name, rule in rules.items()})
                continue
            here = at if kind is next(iter(mistake.rules)) else None  # what other layers must hand over changes no number
            layers = [_swapped(layer, kind, rules, here) for layer in layers]
    return replace(network, body=Chain(layers), loss=loss)


def _swapped(layer: Any, kind: type, rules: Mapping[str, Callable], at: int | str | None) -> Any:
    """The layer with the wrong rules if it is of this kind and name; else the layers that it is made of."""
    if isinstance(layer, Chain):
        return Chain([_swapped(inner, kind, rules, at) for inner in layer.layers])
    if isinstance(layer, Recurrent):
        layer = replace(layer, cell=_swapped(layer.cell, kind, rules, at))
    fits = issubclass(kind_of(layer), kind) and at in (None, getattr(layer, "name", None))
    return Wrong(layer, rules) if fits else layer


def applicable(network: Network) -> list[str]:
    """Which mistakes can be made in this network: those in its loss and in the kinds of its layers."""
    kinds = [Loss, *_kinds(network.body)]
    can = lambda mistake: mistake.loss in ("", network.example_loss.name) and any(
        issubclass(mine, kind) for mine in kinds for kind in mistake.rules
    )
    return [key for key, mistake in MISTAKES.items() if can(mistake)]


def _kinds(layer: Any) -> list[type]:
    """The kinds of all layers in this one, itself included."""
    inner = getattr(layer, "layers", ()) or ([layer.cell] if isinstance(layer, Recurrent) else [])
    return [kind_of(layer), *(kind for each in inner for kind in _kinds(each))]


def one_mistake(name: str, *problem: Any) -> Iterator[tuple[str, Any]]:
    """(sentence, value of the quantity `name`) for each mistake made everywhere, then at each layer alone."""
    network = problem[0]
    for at in (None, *dict.fromkeys(layer.name for layer in network.layers if hasattr(layer, "name"))):
        for key in applicable(network):
            with suppress(ValueError):  # a state of one example at a time is none for a batch norm
                yield MISTAKES[key].sentence, quantity(name, with_mistakes(network, [key], at), *problem[1:])


def two_mistakes(name: str, *problem: Any) -> Iterator[tuple[str, Any]]:
    """The same for every two mistakes."""
    for both in combinations(applicable(problem[0]), 2):
        with suppress(ValueError):
            sentence = "; and ".join(MISTAKES[key].sentence for key in both)
            yield sentence, quantity(name, with_mistakes(problem[0], both), *problem[1:])


def quantity(name: str, network: Network, theta: Any, x: np.ndarray, y: np.ndarray, v: Any) -> Any:
    """The value of one quantity of eqs. 1-8 by its name in the text, as `network` has it."""
    here = network.at(theta, x, y)
    if name in ("loss", "gradient"):
        return getattr(here, name)
    if name == "hvp":
        return here.hvp(v)
    return (here.along(v) if name.startswith("R") else here).quantities[name]


# -- wrong rules, by what they do to the right one ------------------------------------------------------------------

turned = lambda arrays, name: {**arrays, name: _turned(arrays[name])}
times = lambda factor: lambda right, loss, z, y, *r: factor(z, y) * right(z, y, *r)
rows = lambda z, y: z.shape[-2]


def _turned(W: np.ndarray) -> np.ndarray:
    """W transposed where the shapes allow that mistake."""
    return W.swapaxes(-1, -2) if W.shape[-1] == W.shape[-2] else W


def _forward_with_z(right: Callable, layer: Elementwise, p: Any, z: np.ndarray) -> tuple:
    a, tape = right(p, z)
    return carry(a, z), tape


def _z_for_a(right: Callable, layer: Affine, p: Any, a: np.ndarray, D: np.ndarray, below: bool = True) -> tuple:
    below_D, gradient = right(p, a, D, below)
    return below_D, gradient | {layer.W: right(p, np.asarray(getattr(a, "carried", a)), D, below)[1][layer.W]}


def _mean_over_rows(right: Callable, layer: Affine, *given: Any) -> tuple:
    below, gradient = right(*given)
    n = next(array for array in reversed(given) if isinstance(array, np.ndarray)).shape[-2]  # D, or RD
    return below, gradient | {layer.b: gradient[layer.b] / n}


def _with_RD_W(right: Callable, layer: Affine, p: Any, v: Any, *given: Any) -> tuple:
    below, gradient = right(p, v, *given)
    return below if below is None else carry(below, right(p, with_zero(v, layer.W), *given)[0]), gradient


def _bend(bend: Callable) -> Rules:
    """Eq. 8 of an elementwise layer with another s'' term: bend(s1, s2, D, RD, Rz)."""

    def rule(right: Callable, layer: Elementwise, p: Any, v: Any, tape: tuple, Rz: Any, D: Any, RD: Any) -> tuple:
        z, a, s1 = tape
        return np.asarray(RD * s1 + bend(s1, layer.s.second(z, a), D, RD, Rz)), {}

    return {Elementwise: {"R_backward": rule}}


def _slope(slope: Callable) -> Rules:
    """Eq. 4 of an elementwise layer with another s': slope(s, z, a)."""
    return {Elementwise: {"backward": lambda right, layer, p, tape, D, below=True: (D * slope(layer.s, *tape[:2]), {})}}


def _R_forward(*, p: Callable = lambda p, layer: p, v: Callable = lambda v, layer: v) -> Rules:
    """Eq. 5 of an affine layer with something else for theta or for the direction."""
    return {Affine: {"R_forward": lambda right, layer, P, V, a, Ra: right(p(P, layer), v(V, layer), a, Ra)}}


def _R_backward(change: Callable) -> Rules:
    """Eqs. 7 and 8 of an affine layer with something else for what it is given: change(layer, p, v, a, Ra)."""
    return {Affine: {"R_backward": lambda right, layer, p, v, a, Ra, D, RD: right(*change(layer, p, v, a, Ra), D, RD)}}


def _loss(*names: str, factor: Callable) -> Rules:
    """A loss with a factor too many in some of its three formulas."""
    return {Loss: {name: times(factor) for name in names}}


ALL = ("value", "gradient", "hvp")
W_turned = {
    "backward": lambda right, layer, p, a, D, below=True: (right(turned(p, layer.W), a, D, below)[0], right(p, a, D, below)[1]),
    "R_backward": lambda right, layer, p, v, a, Ra, D, RD: (
        right(turned(p, layer.W), v, a, Ra, D, RD)[0], right(p, v, a, Ra, D, RD)[1]
    ),
}  # fmt: skip
s_for_z = lambda right, layer, p, z: (z, (z, z, layer.s.first(z, z)))

MISTAKES = {
    "b": Mistake("the bias of eq. 1 is missing", {
        Affine: {"forward": lambda right, layer, p, a: right(with_zero(p, layer.b), a)}}),
    "s": Mistake("the activation of eq. 1 is missing: a is s(z)", {Elementwise: {"forward": s_for_z}}),
    "1/n": Mistake("a factor 1/n is missing: the loss is the mean over the examples (eq. 2)", _loss(*ALL, factor=rows)),
    "1/n twice": Mistake("it is divided by n twice: 1/n enters once, in eq. 2", _loss(*ALL, factor=lambda z, y: 1 / rows(z, y))),
    "1/d": Mistake("it is divided by the number of outputs: eq. 9 sums over them",
                   _loss(*ALL, factor=lambda z, y: 1 / y.shape[-1]), "squared_error"),
    "2": Mistake("a factor 2 is missing: the squared error of eq. 9 has no 1/2",
                 _loss(*ALL, factor=lambda z, y: 1 / 2), "squared_error"),
    "y - z": Mistake("the sign is wrong: eqs. 9 and 10 have the prediction minus the target",
                     _loss("gradient", factor=lambda z, y: -1)),
    "y": Mistake("the target is missing in dl/dz (eqs. 9 and 10)",
                 {Loss: {"gradient": lambda right, loss, z, y: right(z, 0 * y)}}),
    "softmax": Mistake("the softmax is missing: dl/dz = p - y with p = softmax(z) (eq. 10)",
                       {Loss: {"gradient": lambda right, loss, z, y: z - y}}, "cross_entropy"),
    "W": Mistake("W is not transposed in eq. 4", {Affine: W_turned}),
    "s'": Mistake("s' is missing in eq. 4", _slope(lambda s, z, a: 1)),
    "s'(a)": Mistake("s' is taken at a, not at z (eq. 4)", _slope(lambda s, z, a: s.first(a, s.value(a)))),
    "s for s'": Mistake("s stands where s' belongs (eq. 4)", _slope(lambda s, z, a: a)),
    "z for a": Mistake("z stands where a belongs in dW (eq. 3)", {
        Affine: {"backward": _z_for_a}, Elementwise: {"forward": _forward_with_z}}),
    "db mean": Mistake("yours is the mean of D over the examples: eq. 3 has the sum, as 1/n is in D already", {
        Affine: {"backward": _mean_over_rows, "R_backward": _mean_over_rows}}),
    "Ra W": Mistake("the term Ra W of eq. 5 is missing", _R_forward(p=lambda p, layer: with_zero(p, layer.W))),
    "a V": Mistake("the term a V of eq. 5 is missing", _R_forward(v=lambda v, layer: with_zero(v, layer.W))),
    "c": Mistake("the direction of the bias, c, is missing in eq. 5", _R_forward(v=lambda v, layer: with_zero(v, layer.b))),
    "s' of Ra": Mistake("s' is missing in Ra (eq. 5)",
                        {Elementwise: {"R_forward": lambda right, layer, p, v, tape, Rz: (Rz, Rz)}}),
    "R 1/n": Mistake("a factor 1/n is missing in eq. 6", _loss("hvp", factor=rows)),
    "d2l": Mistake("the second derivative of the loss is missing in eq. 6", {Loss: {"hvp": lambda right, loss, z, y, r: r}}),
    "p sum": Mistake("the term p * sum(p * r) of eq. 10 is missing",
                     {Loss: {"hvp": lambda right, loss, z, y, r: softmax(z) * r}}, "cross_entropy"),
    "a RD": Mistake("the term a^T RD of eq. 7 is missing", _R_backward(lambda layer, p, v, a, Ra: (p, v, 0 * a, Ra))),
    "Ra D": Mistake("the term Ra^T D of eq. 7 is missing",
                    _R_backward(lambda layer, p, v, a, Ra: (p, v, a, None if Ra is None else 0 * Ra))),
    "RD W": Mistake("the term RD W^T of eq. 8 is missing",
                    _R_backward(lambda layer, p, v, a, Ra: (with_zero(p, layer.W), v, a, Ra))),
    "D V": Mistake("the V-term of eq. 8, D V^T, is missing",
                   _R_backward(lambda layer, p, v, a, Ra: (p, with_zero(v, layer.W), a, Ra))),
    "V": Mistake("V is not transposed in eq. 8", _R_backward(lambda layer, p, v, a, Ra: (p, turned(v, layer.W), a, Ra))),
    "s' of 8": Mistake("s' is missing in eq. 8", _bend(lambda s1, s2, D, RD, Rz: RD * (1 - s1) + D * s2 * Rz)),
    "s''": Mistake("s'' is missing in eq. 8", _bend(lambda s1, s2, D, RD, Rz: 0)),
    "-s''": Mistake("the s'' term of eq. 8 has the wrong sign", _bend(lambda s1, s2, D, RD, Rz: -D * s2 * Rz)),
    "s' for s''": Mistake("s' stands where s'' belongs (eq. 8)", _bend(lambda s1, s2, D, RD, Rz: D * s1 * Rz)),
    "Rz of 8": Mistake("Rz is missing beside s'' in eq. 8", _bend(lambda s1, s2, D, RD, Rz: D * s2)),
    "Rda for da": Mistake("the s'' term of eq. 8 needs D, not RD", _bend(lambda s1, s2, D, RD, Rz: RD * s2 * Rz)),
    "RD for D": Mistake("the s'' term of eq. 8 needs D, not RD",
                        {**_bend(lambda s1, s2, D, RD, Rz: getattr(RD, "carried", RD) * s2 * Rz),
                         Affine: {"R_backward": _with_RD_W}}),
    **IN_NORMS, **IN_IMAGES, **IN_TIME,
}  # fmt: skip
