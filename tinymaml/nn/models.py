"""Functions that build a network: MLP, CNN and RNN."""

from __future__ import annotations

from collections.abc import Sequence

from tinymaml import validate
from tinymaml.nn.activations import ACTIVATIONS
from tinymaml.nn.chain import Chain
from tinymaml.nn.convolution import Flatten, Patches
from tinymaml.nn.layers import Affine, Elementwise, Layer
from tinymaml.nn.network import Network
from tinymaml.nn.normalisation import NORMS
from tinymaml.nn.recurrent import Recurrent


def MLP(
    widths: Sequence[int], activation: str = "relu", loss: str = "squared_error", norm: str = "none"
) -> Network:
    """A multilayer perceptron: a fully connected network of any depth.

    widths: d_0..d_L, inputs first, outputs last. activation: relu, tanh, sigmoid or softplus, after every
    layer but the last. loss: squared_error (eq. 9) or cross_entropy on logits (eq. 10). norm: batch or layer
    (eq. 16), before every activation, or none.

    >>> MLP([1, 40, 40, 1])
    MLP  1 - 40 - 40 - 1  relu, squared_error
    layer  W        b       parameters
    1      1 x 40   1 x 40          80
    2      40 x 40  1 x 40       1,640
    3      40 x 1   1 x 1           41
    total                        1,761
    """
    widths = tuple(validate.count(f"width {i}", d) for i, d in enumerate(widths))
    if len(widths) < 2:
        raise ValueError(f"widths are {widths}, expected inputs and outputs at least, for instance [1, 1]")
    validate.one_of("activation", activation, ACTIVATIONS)  # also if there is no hidden layer to use it
    validate.one_of("norm", norm, NORMS)
    layers = []
    for l in range(1, len(widths) - 1):
        d = widths[l]
        layers += [Affine(widths[l - 1], d, l), *_norm(norm, d, l), Elementwise(activation, l)]
    layers.append(Affine(*widths[-2:], len(widths) - 1))
    title = f"MLP  {' - '.join(map(str, widths))}  {activation}{_with(norm)}, {loss}"
    return Network(layers, loss, title)


def CNN(
    side: int, filters: int, blocks: int, ways: int, *, norm: str = "batch", activation: str = "relu"
) -> Network:
    """A convolutional network for one-channel images, (T, n, side * side), as in the paper's section 5.2.

    A block has `filters` 3 x 3 kernels with stride 2, a norm (batch, layer or none) and the activation; it
    halves the side. After `blocks` blocks an affine layer computes `ways` logits. The loss is the
    cross-entropy (eq. 10). ValueError if a block gets a single-pixel image.

    >>> CNN(28, filters=32, blocks=4, ways=5, norm="none")
    CNN  28 x 28, 4 blocks of 32 filters  relu, cross_entropy
    layer  W         b       parameters
    1      9 x 32    1 x 32         320
    2      288 x 32  1 x 32       9,248
    3      288 x 32  1 x 32       9,248
    4      288 x 32  1 x 32       9,248
    5      128 x 5   1 x 5          645
    total                        28,709
    """
    size, channels, layers = validate.count("side", side), 1, []
    validate.count("filters", filters)
    for l in range(1, validate.count("blocks", blocks) + 1):
        if size == 1:
            got = f"block {l} gets images of side 1, which cannot be halved"
            raise ValueError(f"{got}: side {side} allows {l - 1} blocks")
        patches = Patches(size, channels)
        size, channels = patches.output_side, filters
        layers += [patches, Affine(patches.outputs, filters, l), *_norm(norm, filters, l)]
        layers += [Elementwise(activation, l), Flatten(patches.positions, filters)]
    layers.append(Affine(size**2 * filters, validate.count("ways", ways, least=2), blocks + 1))
    title = f"CNN  {side} x {side}, {blocks} blocks of {filters} filters  {activation}{_with(norm)}"
    return Network(layers, "cross_entropy", f"{title}, cross_entropy")


def RNN(inputs: int, hidden: int, outputs: int, steps: int, *, activation: str = "tanh") -> Network:
    """A recurrent network for sequences in time, x (T, n, steps * inputs) and y (T, n, steps * outputs).

    h_t = s([x_t, h_{t-1}] Wh + bh) with `hidden` units; an affine layer maps h_t to the prediction of step t
    (eq. 18). The loss is the squared error, summed over the steps of an example (eq. 9).

    >>> RNN(1, 20, 1, steps=12)
    RNN  1 - 20 - 1, 12 steps  tanh, squared_error
    layer  W        b       parameters
    h      21 x 20  1 x 20         440
    y      20 x 1   1 x 1           21
    total                          461
    """
    for name, value in {"inputs": inputs, "hidden": hidden, "outputs": outputs, "steps": steps}.items():
        validate.count(name, value)
    cell = Chain([Affine(inputs + hidden, hidden, "h"), Elementwise(activation, "h")])
    layers = [Recurrent(cell, steps), Affine(hidden, outputs, "y"), Flatten(steps, outputs)]
    title = f"RNN  {inputs} - {hidden} - {outputs}, {steps} steps  {activation}, squared_error"
    return Network(layers, "squared_error", title)


def _norm(norm: str, width: int, name: int) -> list[Layer]:
    validate.one_of("norm", norm, NORMS)
    return [] if NORMS[norm] is None else [NORMS[norm](width, name)]


def _with(norm: str) -> str:
    return "" if norm == "none" else f", {norm} norm"
