"""Layers of a user's own, four rules each, in networks that pass the battery as they are: a convolution, a recurrence, a norm.

Nothing in the package knows of them.
"""

from dataclasses import dataclass

import numpy as np
import pytest

from tinymaml import meta_gradient
from tinymaml.check import ModelRejected, check_model
from tinymaml.check.layer_checks import layer_errors
from tinymaml.check.problem import random_batch
from tinymaml.layers import Affine, Chain, Elementwise, add
from tinymaml.network import Network


@dataclass(frozen=True)
class Patches:
    """Rows of images (side, side, channels) to rows of their 2 x 2 patches; linear, so its R-rules are its rules (eq. 17)."""

    side: int
    channels: int
    inputs = property(lambda self: self.side**2 * self.channels)
    outputs = property(lambda self: 4 * self.channels)
    positions = property(lambda self: (self.side - 1) ** 2)

    def forward(self, p, a):
        image = a.reshape(*a.shape[:-1], self.side, self.side, self.channels)
        return np.concatenate(self.corners(image), axis=-1).reshape(*a.shape[:-2], -1, self.outputs), a.shape

    def backward(self, p, shape, D, below=True):
        image = np.zeros((*shape[:-1], self.side, self.side, self.channels), D.dtype)
        parts = np.split(D.reshape(*shape[:-1], self.side - 1, self.side - 1, -1), 4, axis=-1)
        for corner, part in zip(self.corners(image), parts, strict=True):
            corner += part
        return image.reshape(shape), {}

    def corners(self, image):
        side = self.side - 1
        return [image[..., i:i + side, j:j + side, :] for i in (0, 1) for j in (0, 1)]

    def R_forward(self, p, v, shape, Ra):
        return self.forward(p, Ra)

    def R_backward(self, p, v, shape, Rshape, D, RD):
        return self.backward(p, shape, RD)


@dataclass(frozen=True)
class Flat:
    """The `rows` rows of an example, side by side in one row."""

    rows: int
    inputs: int
    outputs = property(lambda self: self.rows * self.inputs)
    positions = property(lambda self: 1 / self.rows)

    def forward(self, p, a):
        return a.reshape(*a.shape[:-2], -1, self.outputs), a.shape

    def backward(self, p, shape, D, below=True):
        return D.reshape(shape), {}

    def R_forward(self, p, v, shape, Ra):
        return self.forward(p, Ra)

    def R_backward(self, p, v, shape, Rshape, D, RD):
        return self.backward(p, shape, RD)


@dataclass(frozen=True)
class Recurrent:
    """h_t = cell([x_t, h_{t-1}]) over the time steps of a row, from h_0 = 0; what comes out is the last h (eq. 18)."""

    cell: Chain
    width: int  # of x_t
    steps: int
    inputs = property(lambda self: self.steps * self.width)
    shapes = property(lambda self: self.cell.shapes)
    outputs = property(lambda self: self.cell.outputs)

    def init(self, rng):
        return self.cell.init(rng)

    def forward(self, p, a):
        h, tapes = np.zeros((*a.shape[:-1], self.outputs), a.dtype), []
        for x in np.split(a, self.steps, axis=-1):
            h, tape = self.cell.forward(p, np.concatenate([x, h], axis=-1))
            tapes.append(tape)
        return h, tapes

    def backward(self, p, tapes, D, below=True):
        gradient, Dx = {}, []
        for tape in reversed(tapes):
            both, own = self.cell.backward(p, tape, D)
            add(gradient, own)
            Dx.insert(0, both[..., :self.width])
            D = both[..., self.width:]
        return np.concatenate(Dx, axis=-1), gradient

    def R_forward(self, p, v, tapes, Ra):
        rows = tapes[0].outputs[0].shape[:-1]
        Ra = np.zeros((*rows, self.inputs), np.float32) if Ra is None else Ra  # float32 raises no one else's precision
        Rh, Rtapes = np.zeros((*rows, self.outputs), np.float32), []
        for tape, Rx in zip(tapes, np.split(Ra, self.steps, axis=-1), strict=True):
            Rh, Rtape = self.cell.R_forward(p, v, tape, np.concatenate([Rx, Rh], axis=-1))
            Rtapes.append(Rtape)
        return Rh, Rtapes

    def R_backward(self, p, v, tapes, Rtapes, D, RD):
        gradient, RDx = {}, []
        for tape, Rtape in zip(reversed(tapes), reversed(Rtapes), strict=True):
            both, own = self.cell.R_backward(p, v, tape, Rtape, D, RD)
            D = self.cell.backward(p, tape, D)[0][..., self.width:]
            add(gradient, own)
            RDx.insert(0, both[..., :self.width])
            RD = both[..., self.width:]
        return np.concatenate(RDx, axis=-1), gradient


@dataclass(frozen=True)
class Norm:
    """h = (z - mean) / sd over the rows of each task, then gamma h + beta (eq. 16)."""

    width: int
    eps: float = 0.05
    shapes = property(lambda self: {"gamma": (1, self.width), "beta": (1, self.width)})

    def init(self, rng):
        return {"gamma": np.ones((1, self.width)), "beta": np.zeros((1, self.width))}

    def forward(self, p, z):
        c = z - mean(z)
        sd = np.sqrt(mean(c * c) + self.eps)
        return p["gamma"] * (c / sd) + p["beta"], (c / sd, sd)

    def backward(self, p, tape, D, below=True):
        h, sd = tape
        G = p["gamma"] * D
        return (G - mean(G) - h * mean(G * h)) / sd, {"gamma": total(D * h), "beta": total(D)}

    def R_forward(self, p, v, tape, Rz):
        h, sd = tape
        Rc = Rz - mean(Rz)
        Rsd = mean(h * Rc)
        Rh = (Rc - h * Rsd) / sd
        return v["gamma"] * h + p["gamma"] * Rh + v["beta"], (Rh, Rsd)

    def R_backward(self, p, v, tape, Rtape, D, RD):
        (h, sd), (Rh, Rsd) = tape, Rtape
        G, RG = p["gamma"] * D, v["gamma"] * D + p["gamma"] * RD
        Dz = (G - mean(G) - h * mean(G * h)) / sd
        RDz = (RG - mean(RG) - Rh * mean(G * h) - h * mean(RG * h + G * Rh) - Dz * Rsd) / sd
        return RDz, {"gamma": total(RD * h + D * Rh), "beta": total(RD)}


mean = lambda array: array.mean(-2, keepdims=True)
total = lambda array: array.sum(-2, keepdims=True)

CELL = Chain([Affine(2 + 3, 3, "cell"), Elementwise("tanh", "cell")])
CONVOLUTION = [
    Patches(3, 2), Affine(8, 3, 1), Elementwise("tanh", 1), Flat(4, 3),
    Patches(2, 3), Affine(12, 4, 2), Elementwise("relu", 2), Affine(4, 3, 3),
]  # fmt: skip
NETWORKS = {
    "convolution": Network(CONVOLUTION, "cross_entropy"),
    "recurrence": Network([Recurrent(CELL, width=2, steps=4), Affine(3, 2, "out")]),
    "norm": Network([Affine(2, 4, 1), Norm(4), Elementwise("softplus", 1), Affine(4, 1, 2)]),
}
LAYERS = {"patches": (Patches(3, 2), 18), "flat": (Flat(2, 3), 3), "recurrent": (Recurrent(CELL, 2, 3), 6), "norm": (Norm(3), 3)}


@pytest.mark.parametrize("name", LAYERS)
def test_each_rule_is_the_derivative_of_another(name):
    layer, width = LAYERS[name]
    for seed in range(5):
        assert max(layer_errors(layer, np.random.default_rng(seed), width=width).values()) < 1e-12


@pytest.mark.parametrize("name", NETWORKS)
def test_the_network_passes_the_battery(name):
    for seed in range(3):
        check_model(NETWORKS[name], np.random.default_rng(seed))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_line_left_out_is_found(name, monkeypatch):
    """The second derivative of each kind of layer, with one of its terms lost."""
    layer, term = {
        "convolution": (Patches, lambda self, p, v, shape, Rshape, D, RD: (0.9 * self.backward(p, shape, RD)[0], {})),
        "recurrence": (Recurrent, lambda self, p, v, tapes, Rtapes, D, RD: (None, self.backward(p, tapes, RD)[1])),
        "norm": (Norm, lambda self, p, v, tape, Rtape, D, RD: self.backward(p, tape, RD)),
    }[name]
    monkeypatch.setattr(layer, "R_backward", term)
    with pytest.raises(ModelRejected) as caught:
        check_model(NETWORKS[name], np.random.default_rng(0))
    assert "hvp" in caught.value.failures


@pytest.mark.parametrize("name", NETWORKS)
def test_it_prints_as_a_table_and_learns(name):
    network, rng = NETWORKS[name], np.random.default_rng(0)
    theta, batch = network.init(rng), random_batch(network, rng, tasks=4, shots=5, queries=5)
    assert repr(network).splitlines()[-1].endswith(f"{theta.size}")
    losses = []
    for _ in range(200):
        meta = meta_gradient(network, theta, batch, inner_lr=0.05)
        theta, losses = theta - 0.05 * meta.gradient, [*losses, meta.loss]
    assert losses[-1] < 0.9 * losses[0]  # gradient descent on one batch: no chance involved but the batch
