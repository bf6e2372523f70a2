"""A layer of a user's own, four rules, in a network that passes the battery as it is: each row divided by its length.

Nothing in the package knows of it.
"""

from dataclasses import dataclass

import numpy as np
import pytest

from tinymaml import meta_gradient
from tinymaml.check import Derivation, ModelRejected, check_model
from tinymaml.check.layer_checks import layer_errors
from tinymaml.check.problem import random_batch
from tinymaml.layers import Affine, Elementwise
from tinymaml.network import Network


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

    def backward(self, p, tape, D, below=True):
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
    "classification": Network([Affine(3, 4, 1), Elementwise("relu", 1), Affine(4, 3, 2), Length(3)], "cross_entropy"),
}


def test_each_rule_is_the_derivative_of_another():
    for seed in range(5):
        assert max(layer_errors(Length(3), np.random.default_rng(seed), width=3, lowest=False).values()) < 1e-12


def test_the_network_passes_the_battery():
    for seed in range(3):
        check_model(NETWORKS["regression"], np.random.default_rng(seed))
    network, rng = NETWORKS["classification"], np.random.default_rng(0)
    theta = network.init(rng).map(lambda array: array + 0.5)  # a row of zeros, all units off, has no direction
    check_model(network, rng, theta=theta)


def test_a_line_left_out_is_found(monkeypatch):
    """The second derivative as if r were held still."""
    wrong = lambda self, p, v, tape, Rtape, D, RD: self.backward(p, tape, RD)
    monkeypatch.setattr(Length, "R_backward", wrong)
    with pytest.raises(ModelRejected) as caught:
        check_model(NETWORKS["regression"], np.random.default_rng(0))
    assert "hvp" in caught.value.failures


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
