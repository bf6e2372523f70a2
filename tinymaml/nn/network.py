"""A network: a chain of layers under a loss, and its loss surface at one point theta (eqs. 1-10).

    network = Network([Affine(1, 40), Elementwise("tanh"), Affine(40, 1)], "squared_error")
    here = network.at(theta, x, y)
    here.loss, here.prediction, here.gradient, here.hvp(v)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tinymaml import validate
from tinymaml.nn.allocator import keep_freed_memory
from tinymaml.nn.chain import Chain
from tinymaml.nn.fast_weights import Factored
from tinymaml.nn.layers import derive, parameter_names, rows_out
from tinymaml.nn.losses import LOSSES, Loss
from tinymaml.nn.surface import Surface
from tinymaml.parameters import Parameters


@dataclass(frozen=True, repr=False)
class Network:
    """A chain of layers and a loss of its output, averaged over the examples.

    body: a `Chain`, or a list of layers. loss: squared_error (eq. 9), cross_entropy on logits (eq. 10), or a
    custom `Loss`. Derived from the body:
        layers          the layers of the chain
        shapes          the shape of every parameter by name: W1, b1, W2, ...
        inputs          d_0, the width of a row of x
        outputs         d_L, the width of a row of y and of the prediction
        depth           the number of affine layers
        min_examples    a number of examples per task that is enough for every layer: 2 with batch norm
    """

    body: Chain
    loss: str | Loss = "squared_error"
    title: str = "Network"

    def __post_init__(self) -> None:
        body = self.body if isinstance(self.body, Chain) else Chain(self.body)
        if not isinstance(self.loss, Loss):
            validate.one_of("loss", self.loss, LOSSES)
        if lacking := [end for end in ("inputs", "outputs") if getattr(body, end) is None]:
            lacks = f"no layer of the network has `{lacking[0]}`"
            raise ValueError(f"{lacks}, the width of its rows: define it, as in Affine")
        derive(self, body=body, layers=body.layers, shapes=body.shapes, inputs=body.inputs)
        derive(self, outputs=body.outputs, depth=body.depth, min_examples=body.min_rows)
        keep_freed_memory()

    @property
    def example_loss(self) -> Loss:
        """The loss of one example, with its derivatives."""
        return self.loss if isinstance(self.loss, Loss) else LOSSES[self.loss]

    def __repr__(self) -> str:
        """A table of the layers with parameters, with the shape of each parameter."""
        rows: dict[str, dict[str, str]] = {}  # parameter names by layer and symbol
        for layer in self.layers:
            if own := parameter_names(layer):
                rows.setdefault(str(getattr(layer, "name", "")), {}).update(own)
        symbols = list(dict.fromkeys(symbol for own in rows.values() for symbol in own))
        shape = lambda name: " x ".join(map(str, self.shapes[name])) if name else ""
        count = lambda names: f"{sum(math.prod(self.shapes[name]) for name in names):,}"
        table = [["layer", *symbols, "parameters"]]
        for layer, own in rows.items():
            table.append([layer, *(shape(own.get(symbol)) for symbol in symbols), count(own.values())])
        table.append(["total", *[""] * len(symbols), count(self.shapes)])
        *widths, last = (max(map(len, column)) for column in zip(*table, strict=True))
        pad = lambda row: [*map(str.ljust, row[:-1], widths), row[-1].rjust(last)]
        return "\n".join([self.title, *("  ".join(pad(row)) for row in table)])

    def init(self, rng: np.random.Generator, dtype: type = np.float64) -> Parameters:
        """A random theta, from the `init` of every layer, in float64 or float32."""
        rng, dtype = validate.generator(rng), validate.precision(dtype)
        return Parameters.unchecked(self.body.init(rng)).astype(dtype)

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
        if self.example_loss.check:
            self.example_loss.check(y)
        return Surface(self.body, self.example_loss, theta.copy(), x.copy(), y.copy())

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
