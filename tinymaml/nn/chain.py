"""A chain: layers in sequence, with one sweep per rule (eqs. 1-8). A chain is itself a layer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinymaml import validate
from tinymaml.nn.layers import Arrays, Layer, derive, rows_out, shapes_of


@dataclass(eq=False)
class Tape:
    """One sweep of a chain.

    first      the index of the first layer with a gradient, or with a nonzero R
    outputs    the output of each layer
    caches     the tape of each layer
    D          dL/d(output) of each layer, set by the backward sweep
    """

    first: int
    outputs: list[np.ndarray | None]
    caches: list[Any]
    D: list[np.ndarray | None] | None = None


@dataclass(frozen=True)
class Chain:
    """Layers in sequence; a chain is itself a layer.

    Unnamed affine layers are numbered 1, 2, ...; any other unnamed layer gets the number of the affine layer
    before it. A layer that occurs twice shares its parameters, and their gradients are added. ValueError if
    two layers have the same name, or if the output width of a layer differs from the input width of the next.
    `shapes` has the parameters of all layers, `inputs` and `outputs` are the widths at both ends (None if no
    layer has a width), `depth` is the number of affine layers, `min_rows` a number of rows per task that is
    enough for every layer, `owners` maps each parameter name and output label to its layer.
    """

    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.layers, Iterable):
            got = validate.brief(self.layers)
            raise TypeError(f"layers is {got}, expected a list of layers: put it in a list")
        layers = tuple(self.layers)
        if not layers:
            raise ValueError("a chain has no layers, expected at least one: for instance Affine(2, 1)")
        _check_rules(layers)
        _check_widths(layers)
        layers = _numbered(layers)
        trainable = [i for i, layer in enumerate(layers) if shapes_of(layer)]
        derive(
            self,
            layers=layers,
            owners=_owners(layers),
            shapes={name: shape for layer in layers for name, shape in shapes_of(layer).items()},
            inputs=next((layer.inputs for layer in layers if hasattr(layer, "inputs")), None),
            outputs=next((layer.outputs for layer in reversed(layers) if hasattr(layer, "outputs")), None),
            depth=sum(_is_affine(layer) for layer in layers),
            min_rows=max(getattr(layer, "min_rows", 1) for layer in layers),
            first_trainable=min(trainable, default=len(layers)),
        )

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
            flag = () if needs_input_grad or i > first else (False,)  # for the first layer with parameters
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
        trainable = (layer for layer in self.layers if shapes_of(layer))
        return {name: array for layer in trainable for name, array in layer.init(rng).items()}

    def rows_out(self, rows: int) -> int:
        """The number of output rows for `rows` input rows."""
        for layer in self.layers:
            rows = rows_out(layer, rows)
        return rows


def accumulate(total: dict[str, np.ndarray], more: Arrays) -> None:
    """Add the gradients in `more` to those of the same name in `total`."""
    for name, array in more.items():
        total[name] = total[name] + array if name in total else array


def _is_affine(layer: Layer) -> bool:
    return getattr(layer, "symbol", "") == "z"


def _check_rules(layers: tuple[Layer, ...]) -> None:
    """TypeError unless every layer has the four rules, and `init` if it has parameters."""
    for i, layer in enumerate(layers, start=1):
        needed = ["forward", "backward", "R_forward", "R_backward", *["init"] * bool(shapes_of(layer))]
        lacking = ", ".join(rule for rule in needed if isinstance(layer, type) or not hasattr(layer, rule))
        if lacking:
            got, other = validate.brief(layer), "see layers.py, and Elementwise for an activation"
            hint = "use its body" if hasattr(layer, "body") else other
            raise TypeError(f"layer {i} of the chain is {got}, expected a layer with {lacking}: {hint}")


def _check_widths(layers: tuple[Layer, ...]) -> None:
    """ValueError if the input width of a layer differs from the output width of the layer before it."""
    width = None
    for i, layer in enumerate(layers, start=1):
        wanted = getattr(layer, "inputs", None)
        if None not in (width, wanted) and wanted != width:
            got = f"layer {i} of the chain is {layer!r} and gets rows of width {width}"
            raise ValueError(f"{got}: make the two widths the same")
        width = getattr(layer, "outputs", width if wanted is None else None)


def _numbered(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """The layers with missing names filled in, see `Chain`; a layer that occurs twice stays one object."""
    depth, name, renamed, result = 0, 0, {}, []
    for layer in layers:
        affine = _is_affine(layer)
        depth += affine
        if getattr(layer, "name", None) == "":
            named = replace(layer, name=depth if affine else name)
            layer = renamed.setdefault(id(layer), named) if shapes_of(layer) else named
        name = layer.name if affine else name
        result.append(layer)
    return tuple(result)


def _owners(layers: tuple[Layer, ...]) -> dict[str, Layer]:
    """The layer of each parameter and each output, by parameter name or label of the output."""
    owners: dict[str, Layer] = {}
    for layer in layers:
        own = dict(getattr(layer, "owners", dict.fromkeys(shapes_of(layer), layer)))
        if hasattr(layer, "symbol"):
            own[f"{layer.symbol}[{getattr(layer, 'name', '')}]"] = layer
        for name, owner in own.items():
            if owners.setdefault(name, owner) is not owner:
                hint = "name one differently, or put the same layer in twice to share it"
                raise ValueError(f"two layers have the name {name}: {hint}")
    return owners
