"""Known mistakes in eqs. 1-10: each is a wrong rule that replaces the right one in a layer or a loss.

    with_mistakes(network, ["s'"]).at(theta, x, y).gradient      # the gradient without s' in eq. 4

A wrong answer gets the name of the mistake that leads to it. The checks must reject the library with any of these mistakes
(tests/check/test_mutants.py). Mistakes are never used to decide whether an answer is right.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from tinymaml.nn.chain import Chain
from tinymaml.nn.layers import Affine, Elementwise
from tinymaml.nn.losses import Loss, softmax
from tinymaml.nn.network import Network
from tinymaml.nn.recurrent import Recurrent

Rules = Mapping[type, Mapping[str, Callable]]


@dataclass(frozen=True)
class Mistake:
    """`sentence` describes it; `rules` is {type of layer, or `Loss`: {rule: wrong(right, layer, ...)}}.

    right   the right rule, bound to its layer: most wrong rules call it with changed arguments, such as a zero bias
    loss    the name of the only loss in which the mistake is possible; "" for any
    """

    sentence: str
    rules: Rules
    loss: str = ""


def with_rules(layer: Any, rules: Mapping[str, Callable]) -> Any:
    """A copy of the layer (or policy) with some of its rules replaced."""
    mutated = copy.copy(layer)
    vars(mutated).update({name: partial(wrong, getattr(layer, name), layer) for name, wrong in rules.items()})
    return mutated


def mutated(network: Network, mistake: Mistake, at: int | str | None = None) -> Network:
    """The network with the mistake, in the layers named `at` or, for None, in every layer of these types."""
    loss = network.example_loss
    if mistake.loss not in ("", loss.name):
        return network

    def swap(layer: Any) -> Any:
        if isinstance(layer, Chain):
            layer = Chain([swap(inner) for inner in layer.layers])
        if isinstance(layer, Recurrent):
            layer = replace(layer, cell=swap(layer.cell))
        for kind, rules in mistake.rules.items():
            if isinstance(layer, kind) and at in (None, getattr(layer, "name", None)):
                layer = with_rules(layer, rules)
        return layer

    of_loss = {name: partial(rule, getattr(loss, name), loss) for name, rule in mistake.rules.get(Loss, {}).items()}
    return replace(network, body=swap(network.body), loss=replace(loss, **of_loss))


def with_mistakes(network: Network, keys: Iterable[str], at: int | str | None = None) -> Network:
    """The network with the mistakes with these keys of `MISTAKES`, in the layers named `at`, or in all for None."""
    for key in keys:
        network = mutated(network, MISTAKES[key], at)
    return network


def one_mistake(name: str, *problem: Any) -> Iterator[tuple[str, Any]]:
    """(sentence, wrong value of the quantity `name`) for each mistake, in all layers and then in each layer alone."""
    network = problem[0]
    for at in (None, *dict.fromkeys(layer.name for layer in network.layers if hasattr(layer, "name"))):
        for mistake in MISTAKES.values():
            yield mistake.sentence, quantity(name, mutated(network, mistake, at), *problem[1:])


def two_mistakes(name: str, *problem: Any) -> Iterator[tuple[str, Any]]:
    """The same for every pair of mistakes, in all layers."""
    for both in combinations(MISTAKES, 2):
        sentence = "; and ".join(MISTAKES[key].sentence for key in both)
        yield sentence, quantity(name, with_mistakes(problem[0], both), *problem[1:])


def quantity(name: str, network: Network, theta: Any, x: np.ndarray, y: np.ndarray, v: Any) -> Any:
    """One quantity of eqs. 1-8 by its name, such as "dW[1]", as `network` computes it."""
    here = network.at(theta, x, y)
    if name in ("loss", "gradient"):
        return getattr(here, name)
    if name == "hvp":
        return here.hvp(v)
    return (here.along(v) if name.startswith("R") else here).quantities[name]


# -- wrong rules, as changes of the right ones ------------------------------------------------------------------

times = lambda factor: lambda right, loss, z, y, *r: factor(z, y) * right(z, y, *r)
rows = lambda z, y: z.shape[-2]


def without(arrays: Mapping[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    """The arrays with the one of this name set to zero."""
    return {**arrays, name: 0 * arrays[name]}


def transposed(arrays: Mapping[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    """The arrays with the matrix of this name transposed, if it is square."""
    W = arrays[name]
    return {**arrays, name: W.swapaxes(-1, -2) if W.shape[-1] == W.shape[-2] else W}


def _z_for_a(right: Callable, chain: Chain, p: Any, tape: Any, D: np.ndarray, *below: bool, **options: bool) -> tuple:
    """Eq. 3 of each affine layer that follows an activation, with the input of that activation."""
    Da, gradient = right(p, tape, D, *below, **options)
    for i, (activation, layer) in enumerate(zip(chain.layers, chain.layers[1:], strict=False)):
        if isinstance(activation, Elementwise) and isinstance(layer, Affine):
            z = tape.caches[i][0]
            gradient = {**gradient, layer.W: layer.backward(p, z, tape.D[i + 1], False)[1][layer.W]}
    return Da, gradient


def _mean_over_rows(right: Callable, layer: Affine, *given: Any) -> tuple:
    below, gradient = right(*given)
    n = next(array for array in reversed(given) if isinstance(array, np.ndarray)).shape[-2]  # D, or RD
    return below, {**gradient, layer.b: gradient[layer.b] / n}


def _W_not_transposed(right: Callable, layer: Affine, p: Any, *given: Any) -> tuple:
    """Eqs. 4 and 8 with W in place of W^T; the gradient is unchanged."""
    return right(transposed(p, layer.W), *given)[0], right(p, *given)[1]


def _bend(bend: Callable) -> Rules:
    """Eq. 8 of an elementwise layer with another s'' term: bend(s1, s2, D, RD, Rz)."""

    def rule(right: Callable, layer: Elementwise, p: Any, v: Any, tape: tuple, Rz: Any, D: Any, RD: Any) -> tuple:
        z, a, s1 = tape
        return np.asarray(RD * s1 + bend(s1, layer.s.second(z, a), D, RD, Rz)), {}

    return {Elementwise: {"R_backward": rule}}


def _slope(slope: Callable) -> Rules:
    """Eq. 4 of an elementwise layer with another s': slope(s, z, a)."""
    return {Elementwise: {"backward": lambda right, layer, p, tape, D: (D * slope(layer.s, *tape[:2]), {})}}


def _R_forward(*, p: Callable = lambda p, layer: p, v: Callable = lambda v, layer: v) -> Rules:
    """Eq. 5 of an affine layer with another theta or direction."""
    return {Affine: {"R_forward": lambda right, layer, P, V, a, Ra: right(p(P, layer), v(V, layer), a, Ra)}}


def _R_backward(change: Callable) -> Rules:
    """Eqs. 7 and 8 of an affine layer with other arguments: change(layer, p, v, a, Ra)."""
    return {Affine: {"R_backward": lambda right, layer, p, v, a, Ra, D, RD: right(*change(layer, p, v, a, Ra), D, RD)}}


def _loss(*names: str, factor: Callable) -> Rules:
    """A loss with an extra factor in some of its three formulas."""
    return {Loss: {name: times(factor) for name in names}}


ALL = ("value", "gradient", "hvp")
s_for_z = lambda right, layer, p, z: (z, (z, z, layer.s.first(z, z)))

MISTAKES = {
    "b": Mistake("the bias of eq. 1 is missing", {
        Affine: {"forward": lambda right, layer, p, a: right(without(p, layer.b), a)}}),
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
    "W": Mistake("W is not transposed in eq. 4", {
        Affine: {"backward": _W_not_transposed, "R_backward": _W_not_transposed}}),
    "s'": Mistake("s' is missing in eq. 4", _slope(lambda s, z, a: 1)),
    "s'(a)": Mistake("s' is taken at a, not at z (eq. 4)", _slope(lambda s, z, a: s.first(a, s.value(a)))),
    "s for s'": Mistake("s stands where s' belongs (eq. 4)", _slope(lambda s, z, a: a)),
    "z for a": Mistake("z stands where a belongs in dW (eq. 3)", {Chain: {"backward": _z_for_a}}),
    "db mean": Mistake("this is the mean of D over the examples: eq. 3 has the sum, as 1/n is in D already", {
        Affine: {"backward": _mean_over_rows, "R_backward": _mean_over_rows}}),
    "Ra W": Mistake("the term Ra W of eq. 5 is missing", _R_forward(p=lambda p, layer: without(p, layer.W))),
    "a V": Mistake("the term a V of eq. 5 is missing", _R_forward(v=lambda v, layer: without(v, layer.W))),
    "c": Mistake("the direction of the bias, c, is missing in eq. 5", _R_forward(v=lambda v, layer: without(v, layer.b))),
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
                    _R_backward(lambda layer, p, v, a, Ra: (without(p, layer.W), v, a, Ra))),
    "D V": Mistake("the V-term of eq. 8, D V^T, is missing",
                   _R_backward(lambda layer, p, v, a, Ra: (p, without(v, layer.W), a, Ra))),
    "V": Mistake("V is not transposed in eq. 8", _R_backward(lambda layer, p, v, a, Ra: (p, transposed(v, layer.W), a, Ra))),
    "s' of 8": Mistake("s' is missing in eq. 8", _bend(lambda s1, s2, D, RD, Rz: RD * (1 - s1) + D * s2 * Rz)),
    "s''": Mistake("s'' is missing in eq. 8", _bend(lambda s1, s2, D, RD, Rz: 0)),
    "-s''": Mistake("the s'' term of eq. 8 has the wrong sign", _bend(lambda s1, s2, D, RD, Rz: -D * s2 * Rz)),
    "s' for s''": Mistake("s' stands where s'' belongs (eq. 8)", _bend(lambda s1, s2, D, RD, Rz: D * s1 * Rz)),
    "Rz of 8": Mistake("Rz is missing beside s'' in eq. 8", _bend(lambda s1, s2, D, RD, Rz: D * s2)),
    "Rda for da": Mistake("the s'' term of eq. 8 needs D, not RD", _bend(lambda s1, s2, D, RD, Rz: RD * s2 * Rz)),
}  # fmt: skip
