"""Layers: four rules directly under one another, and that is all that a network is made of (eqs. 1-8).

    forward     what comes out, and a tape: what the other rules need of it
    backward    from D = dL/d(what came out): dL/d(what came in), and the gradient of the layer's own parameters
    R_forward   R of what comes out, from Ra = R of what came in, and a tape of R
    R_backward  R of both answers of `backward`, from D and RD

R f = d/dr f(theta + r v) at r = 0 (Pearlmutter 1994). p and v map the names of parameters to arrays, of theta and of the
direction; rows are examples, so what flows is (T, m, d), or (m, d) for one task. Nothing flows below the first layer that
learns: there Ra is None, and `below=False` says that its dL/d(what came in) is asked by no one.

A layer that learns also has `shapes` (name of each parameter to its shape) and `init(rng)`. The rest is for the reader:
`inputs` and `outputs`, the widths of its rows, are compared with those of its neighbours; `symbol` and `name` are what its
output is called, as in z[2], and `names` what its parameters are called in the text, as in {"W": "W2"}. A layer of ours whose
name is left out is numbered by its chain. A layer that makes another number of rows says how many of each as `positions`, and
one that looks at several rows of a task at once how many it needs as `fewest`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any, ClassVar, Protocol

import numpy as np

from tinymaml import validate
from tinymaml.nn.activations import ACTIVATIONS
from tinymaml.nn.fast_weights import into, outer, over_rows, products, transposed

Arrays = Mapping[str, np.ndarray]


class Layer(Protocol):
    """The four rules, in code."""

    def forward(self, p: Arrays, a: np.ndarray) -> tuple[np.ndarray, Any]: ...

    def backward(self, p: Arrays, tape: Any, D: np.ndarray, below: bool) -> tuple[np.ndarray | None, dict]: ...

    def R_forward(self, p: Arrays, v: Arrays, tape: Any, Ra: np.ndarray | None) -> tuple[np.ndarray, Any]: ...

    def R_backward(
        self, p: Arrays, v: Arrays, tape: Any, Rtape: Any, D: np.ndarray, RD: np.ndarray
    ) -> tuple[np.ndarray | None, dict]: ...


@dataclass(frozen=True)
class Affine:
    """z = a W + b, with W (inputs, outputs) and a row b (1, outputs), named by `name`: W1 and b1, or W and b without one.

    W may be shared, each task's own (T, inputs, outputs), or factored (eq. 14). At the start both are uniform within
    +- 1 / sqrt(inputs), the variance of LeCun et al. 1998; the biases are random too, so that the kinks of a relu
    network lie all over the inputs and not in one point.
    """

    inputs: int
    outputs: int
    name: int | str = ""
    symbol: ClassVar[str] = "z"

    def __post_init__(self) -> None:
        validate.count("inputs", self.inputs)
        validate.count("outputs", self.outputs)

    def forward(self, p, a):
        z = products((a, p[self.W]), plus=p[self.b])  # eq. 1   (T, m, d')
        return z, a

    def backward(self, p, a, D, below=True):
        W = p[self.W]
        Da = products((D, transposed(W))) if below else None  # eq. 4   (T, m, d)
        return Da, {self.W: outer((a, D), like=W), self.b: over_rows(D)}  # eq. 3   (T, d, d'), (T, 1, d')

    def R_forward(self, p, v, a, Ra):
        Rz = products((Ra, p[self.W]), (a, v[self.W]), plus=v[self.b])  # eq. 5   (T, m, d')
        return Rz, Ra

    def R_backward(self, p, v, a, Ra, D, RD):
        W, V = p[self.W], v[self.W]
        RDa = None if Ra is None else products((RD, transposed(W)), (D, transposed(V)))  # eq. 8   (T, m, d)
        return RDa, {self.W: outer((a, RD), (Ra, D), like=W), self.b: over_rows(RD)}  # eq. 7

    W = cached_property(lambda self: f"W{self.name}")
    b = cached_property(lambda self: f"b{self.name}")
    names = property(lambda self: {"W": self.W, "b": self.b})
    matrices = property(lambda self: (self.W,))  # what may be kept as factors

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        return {self.W: (self.inputs, self.outputs), self.b: (1, self.outputs)}

    def init(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        reach = self.inputs**-0.5
        return {name: rng.uniform(-reach, reach, shape) for name, shape in self.shapes.items()}


@dataclass(frozen=True)
class Elementwise:
    """a = s(z), entry by entry, for one of the activations by name; s' is kept for all that follows."""

    activation: str
    name: int | str = ""
    symbol: ClassVar[str] = "a"

    def __post_init__(self) -> None:
        validate.one_of("activation", self.activation, ACTIVATIONS)

    def forward(self, p, z):
        a = self.s.value(z)  # eq. 1   (T, m, d)
        return a, (z, a, self.s.first(z, a))

    def backward(self, p, tape, D, below=True):
        _, _, s1 = tape
        return D * s1, {}  # eq. 4

    def R_forward(self, p, v, tape, Rz):
        _, _, s1 = tape
        return s1 * Rz, Rz  # eq. 5

    def R_backward(self, p, v, tape, Rz, D, RD):
        z, a, s1 = tape
        RDz = RD * s1  # eq. 8, and where the activation is curved its last term
        return into(RDz, D * self.s.second(z, a) * Rz) if self.s.curved else RDz, {}

    s = property(lambda self: ACTIVATIONS[self.activation])


class Tape:
    """What a chain keeps of one sweep: each layer's output and tape, and from the sweep back D at each output."""

    def __init__(self, lowest: int, outputs: list, kept: list):
        self.lowest, self.outputs, self.kept, self.D = lowest, outputs, kept, None  # below `lowest` nothing learns or moves


@dataclass(frozen=True)
class Chain:
    """Layers one after another, which is a layer again.

    An affine layer without a name gets its number, 1, 2, ..., any other layer without one that of the affine layer before it.
    The same object put in twice shares its parameters, whose gradients are added up. ValueError if two objects have one name,
    or if the rows that one layer gives are not as wide as the next one wants.
    """

    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.layers, Iterable):
            raise TypeError(f"layers is {validate.brief(self.layers)}, expected one layer after another: put it in a list")
        layers = tuple(self.layers)
        for i, layer in enumerate(layers, start=1):
            _check_rules(i, layer)
        object.__setattr__(self, "layers", _numbered(layers))
        if not self.layers:
            raise ValueError("a chain of no layers: put at least one in, for instance Affine(2, 1)")
        self._check_widths()
        _ = self.owners

    def forward(self, p, a):
        outputs, tapes = [], []
        for layer in self.layers:
            a, tape = layer.forward(p, a)
            outputs.append(a)
            tapes.append(tape)
        return a, Tape(self.lowest, outputs, tapes)

    def backward(self, p, tape, D, below=True):
        lowest, gradient = 0 if below else self.lowest, {}
        tape.D = [None] * len(self.layers)
        for i in range(len(self.layers) - 1, lowest - 1, -1):
            tape.D[i] = D
            D, own = self.layers[i].backward(p, tape.kept[i], D, below or i > lowest)
            add(gradient, own)
        return D, gradient

    def R_forward(self, p, v, tape, Ra):
        lowest = self.lowest if Ra is None else 0
        Routputs, Rtapes = [None] * lowest, [None] * lowest
        for layer, kept in zip(self.layers[lowest:], tape.kept[lowest:], strict=True):
            Ra, Rkept = layer.R_forward(p, v, kept, Ra)
            Routputs.append(Ra)
            Rtapes.append(Rkept)
        return Ra, Tape(lowest, Routputs, Rtapes)

    def R_backward(self, p, v, tape, Rtape, D, RD):
        if tape.D is None or tape.D[-1] is not D:
            self.backward(p, tape, D)
        gradient, Rtape.D = {}, [None] * len(self.layers)
        for i in range(len(self.layers) - 1, Rtape.lowest - 1, -1):
            Rtape.D[i] = RD
            RD, own = self.layers[i].R_backward(p, v, tape.kept[i], Rtape.kept[i], tape.D[i], RD)
            add(gradient, own)
        return RD, gradient

    @cached_property
    def lowest(self) -> int:
        """The index of the first layer that learns."""
        return next((i for i, layer in enumerate(self.layers) if _shapes(layer)), len(self.layers))

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: shape for layer in self.layers for name, shape in _shapes(layer).items()}

    def init(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {name: array for layer in self.layers if _shapes(layer) for name, array in layer.init(rng).items()}

    @cached_property
    def owners(self) -> dict[str, Layer]:
        """The layer that has each parameter and each output, by their names in the text."""
        owners: dict[str, Layer] = {}
        for layer in self.layers:
            for name, owner in _owners(layer).items():
                if owners.setdefault(name, owner) is not owner:
                    raise ValueError(
                        f"two layers have the name {name}: name one differently, or put the same layer in twice to share it"
                    )
        return owners

    @property
    def fewest(self) -> int:
        """How many rows of a task there must be at least: more than one where a norm is taken over a single row of each."""
        fewest, rows = 1, Fraction(1)
        for layer in self.layers:
            fewest = max(fewest, math.ceil(getattr(layer, "fewest", 1) / rows))
            rows *= getattr(layer, "positions", 1)
        return fewest

    @property
    def positions(self) -> Fraction:
        """How many rows come out for one that comes in."""
        return math.prod((getattr(layer, "positions", 1) for layer in self.layers), start=Fraction(1))

    def _check_widths(self) -> None:
        width = None
        for i, layer in enumerate(self.layers, start=1):
            wanted = getattr(layer, "inputs", None)
            if None not in (width, wanted) and wanted != width:
                raise ValueError(f"layer {i} of the chain is {layer!r} and gets rows of {width}: make the two numbers the same")
            width = getattr(layer, "outputs", width if wanted is None else None)

    @cached_property
    def inputs(self) -> int | None:
        """The width of the rows that come in, None where no layer says."""
        return next((layer.inputs for layer in self.layers if hasattr(layer, "inputs")), None)

    @cached_property
    def outputs(self) -> int | None:
        """The width of the rows that come out, None where no layer says."""
        return next((layer.outputs for layer in reversed(self.layers) if hasattr(layer, "outputs")), None)


def add(total: dict[str, np.ndarray], more: Arrays) -> None:
    """Add the gradients `more` to those of the same names in `total`."""
    for name, array in more.items():
        total[name] = total[name] + array if name in total else array


def names_of(layer: Layer) -> dict[str, str]:
    """The layer's parameters by their symbol in the text: {"W": "W1", "b": "b1"}."""
    return getattr(layer, "names", {name: name for name in _shapes(layer)})


def _check_rules(i: int, layer: Layer) -> None:
    """TypeError unless this is a layer: an object with the four rules, and with `init` if it has parameters."""
    needed = ("forward", "backward", "R_forward", "R_backward", *["init"] * bool(_shapes(layer)))
    lacking = [rule for rule in needed if isinstance(layer, type) or not hasattr(layer, rule)]
    if lacking:
        what = "use its body" if hasattr(layer, "body") else "see layers.py, and Elementwise for an activation"
        raise TypeError(f"layer {i} of the chain is {validate.brief(layer)}, expected a layer with {', '.join(lacking)}: {what}")


def _shapes(layer: Layer) -> dict[str, tuple[int, ...]]:
    return getattr(layer, "shapes", {})


def _owners(layer: Layer) -> dict[str, Layer]:
    inner = getattr(layer, "owners", None) or dict.fromkeys(_shapes(layer), layer)
    return inner | ({f"{layer.symbol}[{getattr(layer, 'name', '')}]": layer} if hasattr(layer, "symbol") else {})


def _numbered(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """The layers, each that has no name with one: see `Chain`."""
    depth, below, twice, made = 0, 0, {}, []
    for layer in layers:
        affine = getattr(layer, "symbol", "") == "z"
        depth += affine
        if getattr(layer, "name", None) == "":
            named = replace(layer, name=depth if affine else below)
            layer = twice.setdefault(id(layer), named) if _shapes(layer) else named
        below = layer.name if affine else below
        made.append(layer)
    return tuple(made)
