"""A network: a chain of layers under a loss, and its loss surface at one point theta (eqs. 1-10).

    network = Network([Affine(1, 40), Elementwise("tanh"), Affine(40, 1)], "squared_error")
    here = network.at(theta, x, y)
    here.loss, here.prediction, here.gradient, here.hvp(v)

Every intermediate of the derivation is available by symbol and layer: here.z[2], here.D[2], here.dW[1],
here.along(v).Rz[2].
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tinymaml import validate
from tinymaml.nn.fast_weights import Factored
from tinymaml.nn.layers import Chain, Elementwise, Layer, Tape, parameter_names, rows_out
from tinymaml.nn.losses import LOSSES, Loss
from tinymaml.parameters import Parameters


def _quantity(symbol: str, doc: str) -> property:
    """A property that returns the intermediates of one symbol by layer."""
    return property(lambda self: self.by_symbol.get(symbol, {}), doc=doc)


@dataclass(frozen=True, repr=False)
class Network:
    """A chain of layers and a loss of its output, averaged over the examples.

    body: a `Chain`, or a list of layers. loss: squared_error (eq. 9), cross_entropy on logits (eq. 10), or a
    custom `Loss`.
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
                raise ValueError(f"no layer of the network has `{end}`, the width of its rows: define it, as in Affine")

    @property
    def example_loss(self) -> Loss:
        """The loss of one example, with its derivatives."""
        return self.loss if isinstance(self.loss, Loss) else LOSSES[self.loss]

    @property
    def layers(self) -> tuple[Layer, ...]:
        return self.body.layers

    @property
    def inputs(self) -> int:
        """d_0, the width of a row of x."""
        return self.body.inputs

    @property
    def outputs(self) -> int:
        """d_L, the width of a row of y and of the prediction."""
        return self.body.outputs

    @property
    def depth(self) -> int:
        """The number of affine layers."""
        return sum(getattr(layer, "symbol", "") == "z" for layer in self.layers)

    @property
    def min_examples(self) -> int:
        """The minimum number of examples per task: more than one if a batch norm gets one row per example."""
        return self.body.min_rows

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every parameter by name: W1, b1, W2, ..."""
        return self.body.shapes

    def __repr__(self) -> str:
        """A table of the layers with parameters, with the shape of each parameter."""
        rows: dict[str, dict[str, str]] = {}  # parameter names by layer and symbol
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
        """A random theta, from the `init` of every layer, in float64 or float32."""
        rng, dtype = validate.generator(rng), validate.precision(dtype)
        return Parameters.unchecked({name: array.astype(dtype) for name, array in self.body.init(rng).items()})

    def at(self, theta: Parameters, x: np.ndarray, y: np.ndarray) -> Surface:
        """The loss surface at theta, for inputs x (..., n, d_0) and targets y (..., n, d_L).

        The arrays are copied, so later in-place changes do not affect the surface. TypeError for integer or
        object arrays and for mixed precision, ValueError for shapes that do not fit and for NaN or infinite
        data.
        """
        if self.example_loss is LOSSES["cross_entropy"]:
            validate.one_hot("y", y, self.outputs)
        validate.examples(x, validate.floats("y", y), self.inputs, self.outputs)
        validate.fitting("theta", theta, self.shapes, x)
        self.example_loss.check(y)
        return Surface(self, theta.copy(), x.copy(), y.copy())

    def predict(self, theta: Parameters, x: np.ndarray) -> np.ndarray:
        """The prediction (..., n, d_L) for inputs x (..., n, d_0)."""
        return self._forward(self.body, theta, x)

    def features(self, theta: Parameters, x: np.ndarray) -> np.ndarray:
        """The input of the last layer: (..., n, d_{L-1})."""
        return self._forward(Chain(self.layers[:-1]), theta, x)

    def _forward(self, body: Chain, theta: Parameters, x: np.ndarray) -> np.ndarray:
        validate.examples(x, None, self.inputs)
        validate.fitting("theta", theta, self.shapes, x)
        return body.forward(theta, x)[0]

    def fast_weights(self, theta: Parameters, examples: int = 0) -> Parameters:
        """theta with the matrices of affine layers as `Factored`, to be adapted as factors (eqs. 14 and 15).

        examples: the number of support examples per task times the number of steps. Only matrices whose
        factors are smaller than the matrix are factored: rows (d + d') < d d', where an example can be
        several rows. With examples = 0 all are factored.
        """
        validate.parameters("theta", theta)
        arrays, rows = dict(theta.items()), validate.count("examples", examples, least=0)
        for layer in self.layers:
            rows = rows_out(layer, rows)
            for name in getattr(layer, "factorable", ()):
                W = arrays.get(name)
                if isinstance(W, np.ndarray) and W.ndim == 2 and rows * sum(W.shape) < W.size:
                    arrays[name] = Factored(W.copy())
        return Parameters.unchecked(arrays)


class Surface:
    """The loss of one network at (theta, x, y), with every intermediate by name and layer.

    z, a      forward (eq. 1): z[l] is the output of an affine layer, a[l] of its activation, a[0] = x
    D, da     dL/dz[l] and dL/da[l] (eqs. 2 and 4)
    dW, db    dL/dW_l and dL/db_l (eq. 3)
    s1, s2    s'(z[l]) and s''(z[l]) of the elementwise layers
    `quantities` holds all except s1 and s2, by names such as "z[1]" and "dW[1]", and those of other layers.
    The backward sweep runs once, on first use. If x has a task axis, every quantity has it, and so has
    `loss`.
    """

    def __init__(self, network: Network, theta: Parameters, x: np.ndarray, y: np.ndarray):
        self.network, self.theta, self.x, self.y = network, theta, x, y
        self.p, self.n = dict(theta.items()), y.shape[-2]
        self.prediction, self.tape = network.body.forward(self.p, x)  # (T, n, d_L): values, or logits
        if self.prediction.shape[-2] != self.n:
            raise ValueError(
                f"the network's output has {self.prediction.shape[-2]} rows for {self.n} examples, expected one row "
                "per example: end it with Flatten(positions, width), which joins the rows of an example into one"
            )

    @cached_property
    def loss(self) -> np.ndarray:
        """The loss of each task, the mean over its n examples: (T,), a scalar for one task."""
        return self.network.example_loss.value(self.prediction, self.y).sum(-1) / self.n

    @cached_property
    def output_gradient(self) -> np.ndarray:
        """dL/d(prediction): D of the last layer."""
        return self.network.example_loss.gradient(self.prediction, self.y) / self.n  # eq. 2   (T, n, d_L)

    @cached_property
    def gradient(self) -> Parameters:
        """dL/dtheta of each task: (T, ...) for every parameter."""
        return _in_order(self.network, self.network.body.backward(self.p, self.tape, self.output_gradient, False)[1])

    def along(self, v: Parameters) -> RSurface:
        """The derivatives of all intermediates along the direction v, by Pearlmutter's R-operator."""
        validate.fitting("v", v, self.network.shapes, self.x)
        return RSurface(self, v)

    def hvp(self, v: Parameters) -> Parameters:
        """The Hessian-vector product H v, for about the cost of a gradient; H is never formed."""
        return self.along(v).hvp

    @cached_property
    def by_symbol(self) -> dict[str, dict[int | str, np.ndarray]]:
        """Every intermediate by symbol and layer: {"z": {1: ...}, "D": ..., "dW": ...}."""
        gradient = self.gradient  # runs the backward sweep, which stores every D on the tape
        return _by_symbol(self.network, self.tape, gradient)

    @property
    def quantities(self) -> dict[str, np.ndarray]:
        """Every intermediate by label, as "z[1]"."""
        return _by_name(self.by_symbol)

    z = _quantity("z", "Outputs of the affine layers, eq. 1.")
    D = _quantity("D", "dL/dz, eqs. 2 and 4.")
    da = _quantity("da", "dL/da, eq. 4.")
    dW = _quantity("dW", "dL/dW, eq. 3.")
    db = _quantity("db", "dL/db, eq. 3.")

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
        layers = zip(self.network.layers, self.tape.caches, strict=True)
        return [(layer, cache) for layer, cache in layers if isinstance(layer, Elementwise)]

    @property
    def depth(self) -> int:
        """The number of affine layers."""
        return self.network.depth


class RSurface:
    """Pearlmutter's R-operator (1994): R f = d/dr f(theta + r v) at r = 0, of every intermediate of a `Surface`.

    Rz, Ra           the forward sweep, eq. 5 (Ra_0 = 0: the inputs are fixed)
    RD, Rda          R of D and da, eqs. 6 and 8
    RdW, Rdb, hvp    R of the gradient, eq. 7
    """

    def __init__(self, here: Surface, v: Parameters):
        _ = here.gradient  # runs the backward sweep: eqs. 7 and 8 need every D
        self.network = network = here.network
        p, v = here.p, dict(v.items())
        Rz, self.tape = network.body.R_forward(p, v, here.tape, None)
        RD = network.example_loss.hvp(here.prediction, here.y, Rz) / here.n  # eq. 6   (T, n, d_L)
        self.hvp = _in_order(network, network.body.R_backward(p, v, here.tape, self.tape, here.output_gradient, RD)[1])

    @cached_property
    def by_symbol(self) -> dict[str, dict[int | str, np.ndarray]]:
        """Every intermediate by symbol and layer: {"Rz": {1: ...}, "RD": ..., "RdW": ...}."""
        return {f"R{symbol}": arrays for symbol, arrays in _by_symbol(self.network, self.tape, self.hvp).items()}

    @property
    def quantities(self) -> dict[str, np.ndarray]:
        """Every intermediate by label, as "Rz[1]"."""
        return _by_name(self.by_symbol)

    Rz = _quantity("Rz", "R of the outputs of the affine layers, eq. 5.")
    Ra = _quantity("Ra", "R of the activations, eq. 5.")
    RD = _quantity("RD", "R of D, eqs. 6 and 8.")
    Rda = _quantity("Rda", "R of da, eq. 8.")
    RdW = _quantity("RdW", "R of dW, eq. 7.")
    Rdb = _quantity("Rdb", "R of db, eq. 7.")


def _in_order(network: Network, arrays: dict[str, np.ndarray]) -> Parameters:
    return Parameters.unchecked({name: arrays[name] for name in network.shapes})


def _by_symbol(network: Network, tape: Tape, gradient: Parameters) -> dict[str, dict[int | str, np.ndarray]]:
    """The outputs, their D and the gradients, by symbol and layer."""
    found: dict[str, dict[int | str, np.ndarray]] = {}
    for layer, output, D in zip(network.layers, tape.outputs, tape.D, strict=True):
        symbol, name = getattr(layer, "symbol", ""), getattr(layer, "name", "")
        if symbol:
            found.setdefault(symbol, {})[name] = output
            found.setdefault(gradient_symbol(symbol), {})[name] = D
        for own, parameter in parameter_names(layer).items():
            found.setdefault(f"d{own}", {})[name] = gradient[parameter]
    return found


def _by_name(by_symbol: dict[str, dict[int | str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {f"{symbol}[{layer}]": array for symbol, arrays in by_symbol.items() for layer, array in arrays.items()}


def gradient_symbol(symbol: str) -> str:
    """The symbol of dL/d(symbol): D for z, da for a."""
    return "D" if symbol == "z" else f"d{symbol}"
