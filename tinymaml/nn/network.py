"""A network: a chain of layers under a loss, and what is seen of it from one point theta (eqs. 1-10).

    here = Network(Chain([Affine(1, 40, 1), Elementwise("tanh", 1), Affine(40, 1, 2)]), "squared_error").at(theta, x, y)
    here.loss, here.prediction, here.gradient, here.hvp(v)

Everything of the derivation can be looked at by name and layer: here.z[2], here.D[2], here.dW[1], here.along(v).Rz[2].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tinymaml import validate
from tinymaml.nn.fast_weights import Factored
from tinymaml.nn.layers import Chain, Elementwise, Layer, Tape, parameter_names
from tinymaml.nn.losses import LOSSES, Loss
from tinymaml.parameters import Parameters


@dataclass(frozen=True, repr=False)
class Network:
    """A chain of layers whose last output is judged by a loss, averaged over the rows.

    body: a `Chain`, or a list of layers. loss: squared_error (eq. 9), cross_entropy on logits (eq. 10), or a `Loss` of your own.
    """

    body: Chain
    loss: str | Loss = "squared_error"
    title: str = "Network"

    def __post_init__(self) -> None:
        if not isinstance(self.body, Chain):
            object.__setattr__(self, "body", Chain(self.body))
        if not isinstance(self.loss, Loss):
            validate.one_of("loss", self.loss, LOSSES)
        for end in ("inputs", "outputs"):
            if getattr(self.body, end, None) is None:
                raise ValueError(f"no layer of the network has `{end}`, the width of its rows: give it one, as Affine has")

    @property
    def example_loss(self) -> Loss:
        """The loss of one example, with its derivatives."""
        return self.loss if isinstance(self.loss, Loss) else LOSSES[self.loss]

    @property
    def layers(self) -> tuple[Layer, ...]:
        return self.body.layers

    @property
    def inputs(self) -> int:
        """d_0, the numbers in a row of x."""
        return self.body.inputs

    @property
    def outputs(self) -> int:
        """d_L, the numbers in a row of y and of the prediction."""
        return self.body.outputs

    @property
    def depth(self) -> int:
        """The number of affine layers."""
        return sum(getattr(layer, "symbol", "") == "z" for layer in self.layers)

    @property
    def min_examples(self) -> int:
        """How many examples a task must have at least: more than one where a norm is taken over a single row of each."""
        return self.body.min_rows

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every parameter by name: W1, b1, W2, ..."""
        return self.body.shapes

    def __repr__(self) -> str:
        """A table: a row a layer that learns, with the shapes of its parameters."""
        rows: dict[str, dict[str, str]] = {}  # the parameters of each, by their symbols
        for layer in self.layers:
            if own := parameter_names(layer):
                rows.setdefault(str(getattr(layer, "name", "")), {}).update(own)
        symbols = list(dict.fromkeys(symbol for own in rows.values() for symbol in own))
        shape = lambda name: " x ".join(map(str, self.shapes[name])) if name else ""
        count = lambda names: f"{sum(math.prod(self.shapes[name]) for name in names):,}"
        named = lambda layer, own: [layer, *(shape(own.get(symbol)) for symbol in symbols), count(own.values())]
        body = [named(layer, own) for layer, own in rows.items()]
        rows = [["layer", *symbols, "parameters"], *body, ["total", *[""] * len(symbols), count(self.shapes)]]
        *left, right = (max(map(len, column)) for column in zip(*rows, strict=True))
        line = lambda row: "  ".join([*(f"{cell:<{w}}" for cell, w in zip(row, left, strict=False)), f"{row[-1]:>{right}}"])
        return "\n".join([self.title, *map(line, rows)])

    def init(self, rng: np.random.Generator, dtype: type = np.float64) -> Parameters:
        """A random theta, as each layer says, in float64 or float32."""
        rng, dtype = validate.generator(rng), validate.precision(dtype)
        return Parameters.unchecked({name: array.astype(dtype) for name, array in self.body.init(rng).items()})

    def at(self, theta: Parameters, x: np.ndarray, y: np.ndarray) -> Surface:
        """The loss surface seen from theta, for inputs x (..., n, d_0) and targets y (..., n, d_L).

        It has copies of the arrays, so that changing them in place afterwards does not reach it. TypeError for integer or
        object arrays and for mixed precision, ValueError for shapes that do not fit and for data that is NaN or infinite.
        """
        if self.example_loss is LOSSES["cross_entropy"]:
            validate.one_hot("y", y, self.outputs)
        validate.examples(x, validate.floats("y", y), self.inputs, self.outputs)
        validate.fitting("theta", theta, self.shapes, x)
        self.example_loss.check(y)
        return Surface(self, theta.copy(), x.copy(), y.copy())

    def predict(self, theta: Parameters, x: np.ndarray) -> np.ndarray:
        """The last output for inputs x (..., n, d_0), when there are no targets: (..., n, d_L)."""
        return self._forward(self.body, theta, x)

    def features(self, theta: Parameters, x: np.ndarray) -> np.ndarray:
        """What the last layer is given: (..., n, d_{L-1})."""
        return self._forward(Chain(self.layers[:-1]), theta, x)

    def _forward(self, body: Chain, theta: Parameters, x: np.ndarray) -> np.ndarray:
        validate.examples(x, None, self.inputs)
        validate.fitting("theta", theta, self.shapes, x)
        return body.forward(theta, x)[0]

    def fast_weights(self, theta: Parameters, examples: int = 0) -> Parameters:
        """The same theta with every matrix of an affine layer ready to be adapted as factors (eqs. 14 and 15).

        Given the number of `examples` that a task adapts on, counted once a step, only those for which the factors are
        smaller than the matrix they stand for: rows (d + d') < d d', where an example may be several rows of a layer.
        """
        validate.parameters("theta", theta)
        arrays, rows = dict(theta.items()), validate.count("examples", examples, least=0)
        for layer in self.layers:
            rows *= getattr(layer, "positions", 1)
            for name in getattr(layer, "matrices", ()):
                W = arrays.get(name)
                if isinstance(W, np.ndarray) and W.ndim == 2 and rows * sum(W.shape) < W.size:
                    arrays[name] = Factored(W.copy())
        return Parameters.unchecked(arrays)


class Surface:
    """The loss of one network at (theta, x, y), with every intermediate by name and layer.

    z, a      outputs, forward (eq. 1): z[l] of an affine layer, a[l] of what follows it, a[0] = x
    D, da     dL/dz[l] and dL/da[l] (eqs. 2 and 4)
    dW, db    dL/dW_l and dL/db_l (eq. 3)
    s1, s2    s'(z[l]) and s''(z[l]) of the elementwise layers
    `quantities` has them all, and those of other layers, as "z[1]", "dW[1]". The sweep back is made when first asked
    for, and once. With a task axis every quantity has it, `loss` too.
    """

    def __init__(self, network: Network, theta: Parameters, x: np.ndarray, y: np.ndarray):
        self.network, self.theta, self.x, self.y = network, theta, x, y
        self.p, self.example_loss, self.n = dict(theta.items()), network.example_loss, y.shape[-2]
        self.prediction, self.tape = network.body.forward(self.p, x)  # (T, n, d_L): values, or logits
        if self.prediction.shape[-2] != self.n:
            raise ValueError(
                f"the network makes {self.prediction.shape[-2]} rows of {self.n} examples, expected one of each: "
                "end it with Flatten(positions, width), which lays the rows of an example side by side"
            )

    def __reduce__(self) -> tuple:
        return Surface, (self.network, self.theta, self.x, self.y)  # for pickle and copy: what follows is computed again

    @cached_property
    def loss(self) -> np.ndarray:
        """The mean over the n examples of the loss of each: (T,), a scalar for one task."""
        return self.example_loss.value(self.prediction, self.y).sum(-1) / self.n

    @cached_property
    def output_gradient(self) -> np.ndarray:
        """dL/d(prediction): the D from which all others follow."""
        return self.example_loss.gradient(self.prediction, self.y) / self.n  # eq. 2   (T, n, d_L)

    @cached_property
    def gradient(self) -> Parameters:
        """dL/dtheta, each task's own: (T, ...) for every parameter."""
        return _in_order(self.network, self.network.body.backward(self.p, self.tape, self.output_gradient, below=False)[1])

    def along(self, v: Parameters) -> RSurface:
        """The same surface differentiated along the direction v: every R-quantity by name."""
        validate.fitting("v", v, self.network.shapes, self.x)
        return RSurface(self, v)

    def hvp(self, v: Parameters) -> Parameters:
        """The Hessian-vector product H v, for about the price of a gradient; H is never formed."""
        return self.along(v).hvp

    @cached_property
    def quantities(self) -> dict[str, np.ndarray]:
        """Every intermediate by its name in the text."""
        _ = self.gradient  # and with it every D
        return _quantities(self.network, self.tape, self.gradient)

    z = property(lambda self: _of(self.network, self.tape.outputs, "z"))
    a = property(lambda self: {0: self.x} | _of(self.network, self.tape.outputs, "a"))
    D = property(lambda self: self.gradient and _of(self.network, self.tape.D, "z"))
    da = property(lambda self: self.gradient and _of(self.network, self.tape.D, "a"))
    dW = property(lambda self: _own(self.network, self.gradient, "W"))
    db = property(lambda self: _own(self.network, self.gradient, "b"))
    s1 = property(lambda self: {l: s1 for l, (_, _, s1) in _of(self.network, self.tape.kept, "a").items()})

    @property
    def s2(self) -> dict[int | str, np.ndarray]:
        layers = zip(self.network.layers, self.tape.kept, strict=True)
        return {layer.name: layer.s.second(*kept[:2]) for layer, kept in layers if isinstance(layer, Elementwise)}

    @property
    def depth(self) -> int:
        """The number of affine layers."""
        return self.network.depth


class RSurface:
    """Pearlmutter's R-operator (1994): R f = d/dr f(theta + r v) at r = 0, of everything that `Surface` has.

    Rz, Ra           the forward sweep, eq. 5 (Ra_0 = 0: the inputs do not move)
    RD, Rda          R of D and da, eqs. 6 and 8
    RdW, Rdb, hvp    R of the gradient, eq. 7
    """

    def __init__(self, here: Surface, v: Parameters):
        _ = here.gradient  # the sweep back comes first: eqs. 7 and 8 need every D
        self.network = here.network
        body, p, v = here.network.body, here.p, dict(v.items())
        Rz, self.tape = body.R_forward(p, v, here.tape, None)
        RD = here.example_loss.hvp(here.prediction, here.y, Rz) / here.n  # eq. 6   (T, n, d_L)
        self.hvp = _in_order(here.network, body.R_backward(p, v, here.tape, self.tape, here.output_gradient, RD)[1])

    @cached_property
    def quantities(self) -> dict[str, np.ndarray]:
        """Every intermediate by its name in the text."""
        return {f"R{name}": array for name, array in _quantities(self.network, self.tape, self.hvp).items()}

    Rz = property(lambda self: _of(self.network, self.tape.outputs, "z"))
    Ra = property(lambda self: _of(self.network, self.tape.outputs, "a"))
    RD = property(lambda self: _of(self.network, self.tape.D, "z"))
    Rda = property(lambda self: _of(self.network, self.tape.D, "a"))
    RdW = property(lambda self: _own(self.network, self.hvp, "W"))
    Rdb = property(lambda self: _own(self.network, self.hvp, "b"))


# -- by name: a layer knows its own ------------------------------------------------------------------------------


def _in_order(network: Network, arrays: dict[str, np.ndarray]) -> Parameters:
    return Parameters.unchecked({name: arrays[name] for name in network.shapes})


def _of(network: Network, values: Sequence[Any], symbol: str) -> dict[int | str, np.ndarray]:
    """Those of the layers' values that belong to an output with this symbol, by layer."""
    layers = zip(network.layers, values, strict=True)
    return {layer.name: value for layer, value in layers if getattr(layer, "symbol", "") == symbol}


def _own(network: Network, arrays: Parameters, symbol: str) -> dict[int | str, np.ndarray]:
    """Those of the parameters that have this symbol, by layer."""
    return {layer.name: arrays[parameter_names(layer)[symbol]] for layer in network.layers if symbol in parameter_names(layer)}


def _quantities(network: Network, tape: Tape, gradient: Parameters) -> dict[str, np.ndarray]:
    """The outputs, the D's and the gradients, by name."""
    found = {}
    for layer, output, D in zip(network.layers, tape.outputs, tape.D, strict=True):
        symbol, key = getattr(layer, "symbol", ""), f"[{getattr(layer, 'name', '')}]"
        if symbol:
            found[symbol + key] = output
            found[gradient_symbol(symbol) + key] = D
        found |= {f"d{symbol}{key}": gradient[name] for symbol, name in parameter_names(layer).items()}
    return found


def gradient_symbol(symbol: str) -> str:
    """What dL/d(symbol) is called in the text: D for z, da for a."""
    return "D" if symbol == "z" else f"d{symbol}"
