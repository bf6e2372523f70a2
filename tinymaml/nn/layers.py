"""Layers: four rules directly under one another; networks consist of layers only (eqs. 1-8).

    forward     returns the output, and a tape for the other rules
    backward    from D = dL/d(output): returns dL/d(input), and the gradient of the layer's parameters
    R_forward   from Ra = R of the input: returns R of the output, and a tape of R
    R_backward  from D and RD: returns R of both results of `backward`

R f = d/dr f(theta + r v) at r = 0 (Pearlmutter 1994). p and v map parameter names to the arrays of theta and
of the direction. Rows are examples: (T, m, d), or (m, d) for one task. The rules run in this order, and
R_backward may use values that `backward` stored on the tape for the same D. In the first layer with
parameters Ra is zero and passed as None, and `backward` gets a last argument `needs_input_grad` = False: its
dL/d(input) is not used. A layer without parameters, or one that is never the first, can omit this argument.

A layer with parameters also has `shapes` (from parameter names to shapes) and `init(rng)`. These attributes
are optional:
    inputs, outputs    the widths of the input and output rows; a chain checks that adjacent widths match
    symbol, name       the label of the output, as in z[2]; `Chain` numbers layers whose name is ""
    names              from symbols to parameter names, as in {"W": "W2"}
    rows_out(rows)     the number of output rows, if it differs from the number of input rows
    min_rows           a sufficient number of rows per task, if one row is too few
    factorable         the names of the matrices that may be factored (eq. 14)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from tinymaml import validate
from tinymaml.nn.activations import ACTIVATIONS, Activation
from tinymaml.nn.fast_weights import add_in_place, outer, sum_of_products, sum_rows, transpose

Arrays = Mapping[str, np.ndarray]


class Layer(Protocol):
    """The signatures of the four rules."""

    def forward(self, p: Arrays, a: np.ndarray) -> tuple[np.ndarray, Any]: ...

    def backward(self, p: Arrays, tape: Any, D: np.ndarray) -> tuple[np.ndarray | None, dict]: ...

    def R_forward(self, p: Arrays, v: Arrays, tape: Any, Ra: np.ndarray | None) -> tuple[np.ndarray, Any]: ...

    def R_backward(
        self, p: Arrays, v: Arrays, tape: Any, Rtape: Any, D: np.ndarray, RD: np.ndarray
    ) -> tuple[np.ndarray | None, dict]: ...


@dataclass(frozen=True)
class Affine:
    """z = a W + b, with W (inputs, outputs) and a row b (1, outputs); with name 1 they are called W1 and b1.

    W may be shared by the tasks, one per task (T, inputs, outputs), or factored (eq. 14). Both are
    initialised uniformly within +- 1 / sqrt(inputs), as in PyTorch; random biases spread the kinks of a relu
    network over the inputs.
    """

    inputs: int
    outputs: int
    name: int | str = ""
    symbol: ClassVar[str] = "z"

    def __post_init__(self) -> None:
        validate.count("inputs", self.inputs)
        validate.count("outputs", self.outputs)
        W, b = f"W{self.name}", f"b{self.name}"
        shapes = {W: (self.inputs, self.outputs), b: (1, self.outputs)}
        derive(self, W=W, b=b, names={"W": W, "b": b}, shapes=shapes, factorable=(W,))

    def forward(self, p, a):
        z = sum_of_products((a, p[self.W]), bias=p[self.b])  # eq. 1   (T, m, d')
        return z, a

    def backward(self, p, a, D, needs_input_grad=True):
        W = p[self.W]
        Da = sum_of_products((D, transpose(W))) if needs_input_grad else None  # eq. 4   (T, m, d)
        return Da, {self.W: outer((a, D), like=W), self.b: sum_rows(D)}  # eq. 3   (T, d, d'), (T, 1, d')

    def R_forward(self, p, v, a, Ra):
        Rz = sum_of_products((Ra, p[self.W]), (a, v[self.W]), bias=v[self.b])  # eq. 5   (T, m, d')
        return Rz, Ra

    def R_backward(self, p, v, a, Ra, D, RD):
        W, V = p[self.W], v[self.W]
        RDa = None if Ra is None else sum_of_products((RD, transpose(W)), (D, transpose(V)))  # eq. 8
        return RDa, {self.W: outer((a, RD), (Ra, D), like=W), self.b: sum_rows(RD)}  # eq. 7

    def init(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        bound = self.inputs**-0.5
        return {name: rng.uniform(-bound, bound, shape) for name, shape in self.shapes.items()}


@dataclass(frozen=True)
class Elementwise:
    """a = s(z), entry by entry; `activation` is a name in ACTIVATIONS. The tape is z, a, s'(z)."""

    activation: str
    name: int | str = ""
    symbol: ClassVar[str] = "a"

    def __post_init__(self) -> None:
        validate.one_of("activation", self.activation, ACTIVATIONS)

    @property
    def s(self) -> Activation:
        """The activation with its derivatives."""
        return ACTIVATIONS[self.activation]

    def forward(self, p, z):
        a = self.s.value(z)  # eq. 1   (T, m, d)
        return a, (z, a, self.s.first(z, a))

    def backward(self, p, tape, D):
        _, _, s1 = tape
        return D * s1, {}  # eq. 4

    def R_forward(self, p, v, tape, Rz):
        _, _, s1 = tape
        return s1 * Rz, Rz  # eq. 5

    def R_backward(self, p, v, tape, Rz, D, RD):
        z, a, s1 = tape
        RDz = RD * s1  # eq. 8; its last term is zero unless the activation is curved
        return add_in_place(RDz, D * self.s.second(z, a) * Rz) if self.s.curved else RDz, {}


def derive(layer: Layer, **fields: Any) -> None:
    """Set derived fields of a frozen layer: those that follow from its constructor arguments."""
    vars(layer).update(fields)


def rows_out(layer: Layer, rows: int) -> int:
    """The number of output rows of a layer for `rows` input rows."""
    return layer.rows_out(rows) if hasattr(layer, "rows_out") else rows


def shapes_of(layer: Layer) -> dict[str, tuple[int, ...]]:
    """The shapes of a layer's parameters by name; empty for a layer without parameters."""
    return getattr(layer, "shapes", {})


def parameter_names(layer: Layer) -> dict[str, str]:
    """The names of a layer's parameters by symbol: {"W": "W1", "b": "b1"}."""
    return getattr(layer, "names", {name: name for name in shapes_of(layer)})
