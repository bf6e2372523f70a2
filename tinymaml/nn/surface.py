"""The loss surface of a network at one point theta, and its derivatives along a direction (eqs. 1-10).

Every intermediate of the derivation is available by symbol and layer: here.z[2], here.D[2], here.dW[1],
here.along(v).Rz[2].
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from tinymaml import validate
from tinymaml.nn.chain import Chain, Tape
from tinymaml.nn.layers import Elementwise, parameter_names
from tinymaml.nn.losses import Loss
from tinymaml.parameters import Parameters


def _by_label(here: Surface | RSurface) -> dict[str, np.ndarray]:
    """Every intermediate by label, as "z[1]" or "Rz[1]"."""
    return {f"{symbol}[{l}]": array for symbol, found in here.by_symbol.items() for l, array in found.items()}


def _quantity(symbol: str) -> property:
    """A property: the intermediates of one symbol, by layer."""
    return property(lambda self: self.by_symbol.get(symbol, {}), doc=f"{symbol} by layer, see the class.")


class Surface:
    """The loss of a chain of layers at (theta, x, y), with every intermediate by name and layer.

    z, a      forward (eq. 1): z[l] is the output of an affine layer, a[l] of its activation, a[0] = x
    D, da     dL/dz[l] and dL/da[l] (eqs. 2 and 4)
    dW, db    dL/dW_l and dL/db_l (eq. 3)
    s1, s2    s'(z[l]) and s''(z[l]) of the elementwise layers
    depth     the number of affine layers
    `quantities` holds all except s1 and s2, by names such as "z[1]" and "dW[1]", and those of other layers.
    The backward sweep runs once, on first use. If x has a task axis, every quantity has it, and so has
    `loss`.
    """

    def __init__(self, body: Chain, example_loss: Loss, theta: Parameters, x: np.ndarray, y: np.ndarray):
        self.body, self.example_loss, self.theta, self.x, self.y = body, example_loss, theta, x, y
        self.p, self.n, self.depth = dict(theta.items()), y.shape[-2], body.depth
        self.prediction, self.tape = body.forward(self.p, x)  # (T, n, d_L): values, or logits
        if (rows := self.prediction.shape[-2]) != self.n:
            raise ValueError(
                f"the network's output has {rows} rows for {self.n} examples, expected one row per example: "
                "end it with Flatten(positions, width), which joins the rows of an example into one"
            )

    @cached_property
    def loss(self) -> np.ndarray:
        """The loss of each task, the mean over its n examples: (T,), a scalar for one task."""
        return self.example_loss.value(self.prediction, self.y).sum(-1) / self.n

    @cached_property
    def output_gradient(self) -> np.ndarray:
        """dL/d(prediction): D of the last layer."""
        return self.example_loss.gradient(self.prediction, self.y) / self.n  # eq. 2   (T, n, d_L)

    @cached_property
    def gradient(self) -> Parameters:
        """dL/dtheta of each task: (T, ...) for every parameter."""
        _, gradient = self.body.backward(self.p, self.tape, self.output_gradient, False)
        return in_order(self.body, gradient)

    def along(self, v: Parameters) -> RSurface:
        """The derivatives of all intermediates along the direction v, by Pearlmutter's R-operator."""
        validate.fitting("v", v, self.body.shapes, self.x)
        return RSurface(self, v)

    def hvp(self, v: Parameters) -> Parameters:
        """The Hessian-vector product H v, for about the cost of a gradient; H is never formed."""
        return self.along(v).hvp

    @cached_property
    def by_symbol(self) -> dict[str, dict[int | str, np.ndarray]]:
        """Every intermediate by symbol and layer: {"z": {1: ...}, "D": ..., "dW": ...}."""
        gradient = self.gradient  # runs the backward sweep, which stores every D on the tape
        return _by_symbol(self.body, self.tape, gradient)

    quantities = property(_by_label)
    z, D, da, dW, db = map(_quantity, ("z", "D", "da", "dW", "db"))

    @property
    def a(self) -> dict[int | str, np.ndarray]:
        """The input a[0] and the activations, eq. 1."""
        return {0: self.x, **self.by_symbol.get("a", {})}

    @property
    def s1(self) -> dict[int | str, np.ndarray]:
        """s'(z) of the elementwise layers."""
        return {layer.name: s1 for layer, (_, _, s1) in self._elementwise()}

    @property
    def s2(self) -> dict[int | str, np.ndarray]:
        """s''(z) of the elementwise layers."""
        return {layer.name: layer.s.second(z, a) for layer, (z, a, _) in self._elementwise()}

    def _elementwise(self) -> list[tuple[Elementwise, tuple]]:
        layers = zip(self.body.layers, self.tape.caches, strict=True)
        return [(layer, cache) for layer, cache in layers if isinstance(layer, Elementwise)]


class RSurface:
    """R f = d/dr f(theta + r v) at r = 0 of every intermediate f of a `Surface` (Pearlmutter 1994).

    Rz, Ra           the forward sweep, eq. 5 (Ra_0 = 0: the inputs are fixed)
    RD, Rda          R of D and da, eqs. 6 and 8
    RdW, Rdb, hvp    R of the gradient, eq. 7
    """

    def __init__(self, here: Surface, v: Parameters):
        _ = here.gradient  # runs the backward sweep: eqs. 7 and 8 need every D
        self.body, p, v = here.body, here.p, dict(v.items())
        Rz, self.tape = self.body.R_forward(p, v, here.tape, None)
        RD = here.example_loss.hvp(here.prediction, here.y, Rz) / here.n  # eq. 6   (T, n, d_L)
        _, Rgradient = self.body.R_backward(p, v, here.tape, self.tape, here.output_gradient, RD)
        self.hvp = in_order(self.body, Rgradient)

    @cached_property
    def by_symbol(self) -> dict[str, dict[int | str, np.ndarray]]:
        """Every intermediate by symbol and layer: {"Rz": {1: ...}, "RD": ..., "RdW": ...}."""
        return {f"R{symbol}": found for symbol, found in _by_symbol(self.body, self.tape, self.hvp).items()}

    quantities = property(_by_label)
    Rz, Ra, RD, Rda, RdW, Rdb = map(_quantity, ("Rz", "Ra", "RD", "Rda", "RdW", "Rdb"))


def in_order(body: Chain, arrays: dict[str, np.ndarray]) -> Parameters:
    """Gradients of all parameters of a chain, in the order of its `shapes`."""
    return Parameters.unchecked({name: arrays[name] for name in body.shapes})


def _by_symbol(body: Chain, tape: Tape, gradient: Parameters) -> dict[str, dict[int | str, np.ndarray]]:
    """The outputs, their D and the gradients, by symbol and layer."""
    found: dict[str, dict[int | str, np.ndarray]] = {}
    for layer, output, D in zip(body.layers, tape.outputs, tape.D, strict=True):
        symbol, name = getattr(layer, "symbol", ""), getattr(layer, "name", "")
        if symbol:
            found.setdefault(symbol, {})[name] = output
            found.setdefault(gradient_symbol(symbol), {})[name] = D
        for own, parameter in parameter_names(layer).items():
            found.setdefault(f"d{own}", {})[name] = gradient[parameter]
    return found


def gradient_symbol(symbol: str) -> str:
    """The symbol of dL/d(symbol): D for z, da for a."""
    return "D" if symbol == "z" else f"d{symbol}"
