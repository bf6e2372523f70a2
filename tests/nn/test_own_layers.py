"""A layer of a user's own, four rules, in a network that passes the battery: each row divided by its length.

Nothing in the package knows of it.
"""

from dataclasses import dataclass

import numpy as np
import pytest

from tinymaml import meta_gradient
from tinymaml.check import Derivation, ModelRejected, WrongAnswer, check_model
from tinymaml.check.layer_checks import layer_errors
from tinymaml.check.problem import random_batch
from tinymaml.nn.chain import Chain
from tinymaml.nn.convolution import Flatten
from tinymaml.nn.layers import Affine, Elementwise
from tinymaml.nn.losses import Loss
from tinymaml.nn.network import Network
from tinymaml.nn.recurrent import Recurrent


@dataclass(frozen=True)
class Length:
    """u = k z / r with r = |z| of each row, and k (1, width) learned."""

    width: int
    symbol, name = "u", "length"
    shapes = property(lambda self: {"k": (1, self.width)})

    def init(self, rng):
        return {"k": np.ones((1, self.width))}

    def forward(self, p, z):
        r = np.sqrt(total(z * z))
        return p["k"] * (z / r), (z / r, r)

    def backward(self, p, tape, D):
        h, r = tape
        G = p["k"] * D
        return (G - h * total(G * h)) / r, {"k": (D * h).sum(-2, keepdims=True)}

    def R_forward(self, p, v, tape, Rz):
        h, r = tape
        Rh = (Rz - h * total(h * Rz)) / r
        return v["k"] * h + p["k"] * Rh, (Rh, total(h * Rz))

    def R_backward(self, p, v, tape, Rtape, D, RD):
        (h, r), (Rh, Rr) = tape, Rtape
        G, RG = p["k"] * D, v["k"] * D + p["k"] * RD
        Dz = (G - h * total(G * h)) / r
        RDz = (RG - Rh * total(G * h) - h * total(RG * h + G * Rh) - Dz * Rr) / r
        return RDz, {"k": (RD * h + D * Rh).sum(-2, keepdims=True)}


total = lambda array: array.sum(-1, keepdims=True)

NETWORKS = {
    "regression": Network([Affine(2, 4, 1), Length(4), Elementwise("softplus", 1), Affine(4, 1, 2)]),
    "classification": Network(
        [Affine(3, 4, 1), Elementwise("relu", 1), Affine(4, 3, 2), Length(3)], "cross_entropy"
    ),
}


def test_each_rule_is_the_derivative_of_another():
    for seed in range(5):
        assert (
            max(layer_errors(Length(3), np.random.default_rng(seed), width=3, lowest=False).values()) < 1e-12
        )


def test_the_network_passes_the_battery():
    for seed in range(3):
        check_model(NETWORKS["regression"], np.random.default_rng(seed))
    network, rng = NETWORKS["classification"], np.random.default_rng(0)
    # a row of zeros, all units off, has no direction
    theta = network.init(rng).map(lambda array: array + 0.5)
    check_model(network, rng, theta=theta)


WRONG = {  # each as if r were held still
    "R_forward": (lambda self, p, v, tape, Rz: (v["k"] * tape[0] + p["k"] * Rz / tape[1],
                                                (Rz / tape[1], 0 * tape[1])),
                  "hvp", "R_forward is not the derivative of forward in layer 2, Length"),
    "backward": (lambda self, p, tape, D: (p["k"] * D / tape[1], {"k": (D * tape[0]).sum(-2, keepdims=True)}),
                 "gradient", "backward is not the transposed derivative of forward in layer 2, Length"),
    "R_backward": (lambda self, p, v, tape, Rtape, D, RD: self.backward(p, tape, RD),
                   "hvp", "R_backward is not the derivative of backward in layer 2, Length"),
}  # fmt: skip


@pytest.mark.parametrize("rule", WRONG)
def test_of_a_wrong_layer_it_is_said_which_rule_is_not_the_derivative_of_which_and_nothing_else(
    rule, monkeypatch
):
    wrong, check, told = WRONG[rule]
    monkeypatch.setattr(Length, rule, wrong)
    with pytest.raises(ModelRejected) as caught:
        check_model(NETWORKS["regression"], np.random.default_rng(0))
    first, _ = caught.value.failures[check].splitlines()
    assert first.split("; ")[1:] == [told]
    assert "is missing" not in str(caught.value)  # no known mistake


def test_a_wrong_layer_in_a_chain_or_in_a_cell_is_found_in_its_place(monkeypatch):
    monkeypatch.setattr(Length, "R_backward", WRONG["R_backward"][0])
    cell = Chain([Affine(1 + 3, 3, "h"), Length(3), Elementwise("tanh", "h")])
    inner = Chain([Affine(2, 3, 1), Chain([Length(3), Elementwise("tanh", 1)])])
    for network, place in (
        (Network([inner, Affine(3, 1, 2)]), "1.2.1"),
        (Network([Recurrent(cell, 2), Affine(3, 1, 2), Flatten(2, 1)]), "1.2"),
    ):  # fmt: skip
        with pytest.raises(ModelRejected) as caught:
            check_model(network, np.random.default_rng(0))
        assert (
            f"; R_backward is not the derivative of backward in layer {place}, Length\n"
            in caught.value.failures["hvp"]
        )


def test_a_layer_that_complex_numbers_do_not_pass_is_not_blamed_for_another(monkeypatch):
    class Magnitude:
        forward = lambda self, p, z: (np.abs(z), np.sign(z.real))
        backward = lambda self, p, sign, D: (D * sign, {})
        R_forward = lambda self, p, v, sign, Rz: (Rz * sign, None)
        R_backward = lambda self, p, v, sign, Rtape, D, RD: (RD * sign, {})

    network = Network([Affine(2, 4, 1), Magnitude(), Length(4), Affine(4, 1, 2)])
    assert "checked by differences" in check_model(network, np.random.default_rng(0))
    monkeypatch.setattr(Length, "R_backward", WRONG["R_backward"][0])
    with pytest.raises(ModelRejected, match="hvp is not the derivative of the gradient") as caught:
        check_model(network, np.random.default_rng(0))
    assert "in layer" not in str(caught.value)


def test_a_wrong_formula_of_a_loss_is_found():
    value, gradient = lambda z, y: ((z - y) ** 4).sum(-1), lambda z, y: 4 * (z - y) ** 3
    loss = Loss("fourth", value, gradient, lambda z, y, r: 3 * (z - y) ** 2 * r)
    with pytest.raises(ModelRejected) as caught:
        check_model(
            Network([Affine(2, 3, 1), Elementwise("tanh", 1), Affine(3, 1, 2)], loss),
            np.random.default_rng(0),
        )
    assert "; hvp is not the derivative of gradient in the loss fourth\n" in caught.value.failures["hvp"]


def test_in_a_derivation_a_wrong_layer_names_no_mistake_of_the_others(monkeypatch):
    network, rng = NETWORKS["regression"], np.random.default_rng(0)
    theta, v = network.init(rng), network.init(rng)
    batch = random_batch(network, rng, tasks=1, shots=3, queries=1)
    x, y = batch.x_support[0], batch.y_support[0]
    monkeypatch.setattr(Length, "R_backward", WRONG["R_backward"][0])
    with pytest.raises(WrongAnswer) as caught:
        Derivation(network, theta, x, y, v=v).check("RdW[1]", network.at(theta, x, y).along(v).RdW[1])
    assert caught.value.diagnosis == "R_backward is not the derivative of backward in layer 2, Length"


def test_its_quantities_have_the_names_that_it_gives():
    network, rng = NETWORKS["regression"], np.random.default_rng(0)
    theta, v = network.init(rng), network.init(rng)
    batch = random_batch(network, rng, tasks=1, shots=3, queries=1)
    x, y = batch.x_support[0], batch.y_support[0]
    here, derivation = network.at(theta, x, y), Derivation(network, theta, x, y, v=v)
    for name in ("u[length]", "du[length]", "dk[length]"):
        derivation.check(name, here.quantities[name])  # no u[k] of eq. 12, though the symbol is u
        derivation.check(f"R{name}", here.along(v).quantities[f"R{name}"])


def test_it_prints_as_a_table_and_learns():
    network, rng = NETWORKS["regression"], np.random.default_rng(0)
    theta, batch = network.init(rng), random_batch(network, rng, tasks=4, shots=5, queries=5)
    assert repr(network).splitlines() == [
        "Network",
        "layer   W      b      k      parameters",
        "1       2 x 4  1 x 4                 12",
        "length                1 x 4           4",
        "2       4 x 1  1 x 1                  5",
        "total                                21",
    ]
    losses = []
    for _ in range(200):
        meta = meta_gradient(network, theta, batch, inner_lr=0.05)
        theta, losses = theta - 0.05 * meta.gradient, [*losses, meta.loss]
    assert losses[-1] < 0.9 * losses[0]  # gradient descent on one batch: no chance involved but the batch
