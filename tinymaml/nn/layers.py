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
    min_rows           the minimum number of rows per task, if more than one
    factorable         the names of the matrices that may be factored (eq. 14)
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
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
        RDa = None if Ra is None else sum_of_products((RD, transpose(W)), (D, transpose(V)))  # eq. 8   (T, m, d)
        return RDa, {self.W: outer((a, RD), (Ra, D), like=W), self.b: sum_rows(RD)}  # eq. 7

    def init(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        bound = self.inputs**-0.5
        return {name: rng.uniform(-bound, bound, shape) for name, shape in self.shapes.items()}


@dataclass(frozen=True)
class Elementwise:
    """a = s(z), entry by entry; `activation` is the name of one in ACTIVATIONS. The tape is z, a, s'(z)."""

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


class Tape:
    """One sweep of a chain: output and tape of each layer, and D of each output, set by the backward sweep.

    first: the index of the first layer with a gradient, or with a nonzero R.
    """

    def __init__(self, first: int, outputs: list, caches: list):
        self.first, self.outputs, self.caches, self.D = first, outputs, caches, None


@dataclass(frozen=True)
class Chain:
    """Layers in sequence; a chain is itself a layer.

    Unnamed affine layers are numbered 1, 2, ...; any other unnamed layer gets the number of the affine layer
    before it. A layer that occurs twice shares its parameters, and their gradients are added. ValueError if
    two layers have the same name, or if the output width of a layer differs from the input width of the next.
    `shapes` has the parameters of all layers, `inputs` and `outputs` are the widths at both ends (None if no
    layer has a width), `owners` maps each parameter name and output label to its layer.
    """

    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.layers, Iterable):
            raise TypeError(f"layers is {validate.brief(self.layers)}, expected a list of layers: put it in a list")
        layers = tuple(self.layers)
        for i, layer in enumerate(layers, start=1):
            _check_rules(i, layer)
        if not layers:
            raise ValueError("a chain has no layers, expected at least one: for instance Affine(2, 1)")
        layers = _numbered(layers)
        _check_widths(layers)
        trainable = [i for i, layer in enumerate(layers) if _shapes(layer)]
        derive(
            self, layers=layers, owners=_owners_in(layers), first_trainable=min(trainable, default=len(layers)),
            shapes={name: shape for layer in layers for name, shape in _shapes(layer).items()},
            inputs=next((layer.inputs for layer in layers if hasattr(layer, "inputs")), None),
            outputs=next((layer.outputs for layer in reversed(layers) if hasattr(layer, "outputs")), None),
        )  # fmt: skip

    def forward(self, p, a):
        outputs, tapes = [], []
        for layer in self.layers:
            a, tape = layer.forward(p, a)
            outputs.append(a)
            tapes.append(tape)
        return a, Tape(self.first_trainable, outputs, tapes)

    def backward(self, p, tape, D, needs_input_grad=True):
        first, gradient = 0 if needs_input_grad else self.first_trainable, {}
        tape.D = [None] * len(self.layers)
        for i in reversed(range(first, len(self.layers))):
            tape.D[i] = D
            flag = () if needs_input_grad or i > first else (False,)  # only the first layer with parameters gets the flag
            D, own = self.layers[i].backward(p, tape.caches[i], D, *flag)
            accumulate(gradient, own)
        return D, gradient

    def R_forward(self, p, v, tape, Ra):
        first = self.first_trainable if Ra is None else 0
        Routputs, Rtapes = [None] * first, [None] * first
        for layer, cache in zip(self.layers[first:], tape.caches[first:], strict=True):
            Ra, Rtape = layer.R_forward(p, v, cache, Ra)
            Routputs.append(Ra)
            Rtapes.append(Rtape)
        return Ra, Tape(first, Routputs, Rtapes)

    def R_backward(self, p, v, tape, Rtape, D, RD):
        gradient, Rtape.D = {}, [None] * len(self.layers)
        for i in reversed(range(Rtape.first, len(self.layers))):
            Rtape.D[i] = RD
            RD, own = self.layers[i].R_backward(p, v, tape.caches[i], Rtape.caches[i], tape.D[i], RD)
            accumulate(gradient, own)
        return RD, gradient

    def init(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {name: array for layer in self.layers if _shapes(layer) for name, array in layer.init(rng).items()}

    def rows_out(self, rows: int) -> int:
        """The number of output rows for `rows` input rows."""
        for layer in self.layers:
            rows = rows_out(layer, rows)
        return rows

    @property
    def min_rows(self) -> int:
        """The minimum number of rows per task: more than one if a batch norm gets one row per example."""
        return next(rows for rows in itertools.count(1) if self._has_enough(rows))

    def _has_enough(self, rows: int) -> bool:
        for layer in self.layers:
            if rows < getattr(layer, "min_rows", 1):
                return False
            rows = rows_out(layer, rows)
        return True


def derive(layer: Layer, **fields: Any) -> None:
    """Set derived fields of a frozen layer: those that follow from its constructor arguments."""
    vars(layer).update(fields)


def accumulate(total: dict[str, np.ndarray], more: Arrays) -> None:
    """Add the gradients in `more` to those of the same name in `total`, in place."""
    for name, array in more.items():
        total[name] = total[name] + array if name in total else array


def rows_out(layer: Layer, rows: int) -> int:
    """The number of output rows of a layer for `rows` input rows."""
    return layer.rows_out(rows) if hasattr(layer, "rows_out") else rows


def parameter_names(layer: Layer) -> dict[str, str]:
    """The names of a layer's parameters by symbol: {"W": "W1", "b": "b1"}."""
    return getattr(layer, "names", {name: name for name in _shapes(layer)})


def _check_rules(i: int, layer: Layer) -> None:
    """TypeError unless `layer` has the four rules, and `init` if it has parameters."""
    needed = ("forward", "backward", "R_forward", "R_backward", *["init"] * bool(_shapes(layer)))
    lacking = [rule for rule in needed if isinstance(layer, type) or not hasattr(layer, rule)]
    if lacking:
        other = "see layers.py, and Elementwise for an activation"
        hint = "use its body" if hasattr(layer, "body") else other
        raise TypeError(
            f"layer {i} of the chain is {validate.brief(layer)}, expected a layer with {', '.join(lacking)}: {hint}"
        )


def _shapes(layer: Layer) -> dict[str, tuple[int, ...]]:
    return getattr(layer, "shapes", {})


def _owners(layer: Layer) -> dict[str, Layer]:
    inner = getattr(layer, "owners", None) or dict.fromkeys(_shapes(layer), layer)
    return inner | ({f"{layer.symbol}[{getattr(layer, 'name', '')}]": layer} if hasattr(layer, "symbol") else {})


def _owners_in(layers: tuple[Layer, ...]) -> dict[str, Layer]:
    """The layer of each parameter and each output, by parameter name or label of the output."""
    owners: dict[str, Layer] = {}
    for layer in layers:
        for name, owner in _owners(layer).items():
            if owners.setdefault(name, owner) is not owner:
                raise ValueError(
                    f"two layers have the name {name}: name one differently, or put the same layer in twice to share it"
                )
    return owners


def _check_widths(layers: tuple[Layer, ...]) -> None:
    width = None
    for i, layer in enumerate(layers, start=1):
        wanted = getattr(layer, "inputs", None)
        if None not in (width, wanted) and wanted != width:
            raise ValueError(
                f"layer {i} of the chain is {layer!r} and gets rows of width {width}: make the two widths the same"
            )
        width = getattr(layer, "outputs", width if wanted is None else None)


def _numbered(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """The layers with missing names filled in, see `Chain`; a layer that occurs twice stays one object."""
    depth, name, renamed, result = 0, 0, {}, []
    for layer in layers:
        affine = getattr(layer, "symbol", "") == "z"
        depth += affine
        if getattr(layer, "name", None) == "":
            named = replace(layer, name=depth if affine else name)
            layer = renamed.setdefault(id(layer), named) if _shapes(layer) else named
        name = layer.name if affine else name
        result.append(layer)
    return tuple(result)
